"""A gait's joint angles and vertical force, in time and over each stride, beside healthy adults' band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.dataset.gaits import Gait
from farm.gait.joint_angles import angles_from_coordinates, cycles
from farm.gait.norms import CYCLE_PERCENT, NormBand, norm_band
from farm.gait.parameters import Stride, whole_strides
from farm.report.gather import events_of

CURVES: tuple[str, ...] = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion", "vertical_force")
"""In the order in which they are shown. All have a norm band."""

FIELDS: tuple[str, ...] = ("coordinates", "ground_reaction", "event_time", "event_type")
"""What is read for them."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity of both legs.

    Attributes:
        name: One of `CURVES`.
        unit: "deg" (flexion and dorsiflexion positive) or "BW" (multiples of body weight).
        sides: By "r" and "l": `[T]` at the gait's sample rate.
        strides: By "r" and "l": `[n, 2]` s, start and end of each of that leg's whole strides.
        cycles: By "r" and "l": `[n, 101]`, what the quantity does over each of them.
        norm: Healthy adults' mean and SD over the cycle.
    """

    name: str
    unit: str
    sides: Mapping[str, Array]
    strides: Mapping[str, Array]
    cycles: Mapping[str, Array]
    norm: NormBand


def curves_of(gait: Gait) -> list[Curve]:
    """Those of `CURVES` that the gait has what is needed for."""
    if "coordinates" not in gait.arrays:
        return []
    rate = float(gait.attributes["sample_rate_hz"])
    coordinates = np.asarray(gait["coordinates"], dtype=float)
    time = np.arange(len(coordinates)) / rate
    angles = angles_from_coordinates(tuple(gait.attributes["coordinates"]), coordinates)
    values = {name: {s: np.rad2deg(angles[f"{name}_{s}"]) for s in "rl" if f"{name}_{s}" in angles} for name in CURVES}
    if "ground_reaction" in gait.arrays and gait.row.get("mass_kg"):
        up = np.asarray(gait["ground_reaction"], dtype=float)[:, :, 1] / (float(gait.row["mass_kg"]) * GRAVITY_M_S2)
        values["vertical_force"] = {"r": up[:, 0], "l": up[:, 1]}
    strides = {
        side: np.array([(stride.start, stride.end) for stride in strides_of(gait) if stride.side == side]).reshape(
            -1, 2
        )
        for side in "rl"
    }
    found = []
    for name in CURVES:
        if values[name]:
            norm = norm_band(name)
            each = {side: _cycles(time, line, strides[side]) for side, line in values[name].items()}
            found.append(Curve(name, norm.unit, values[name], strides, each, norm))
    return found


def strides_of(gait: Gait) -> list[Stride]:
    """The whole strides between a gait's stored events; none where these were not stored."""
    if "event_time" not in gait.arrays or "event_type" not in gait.arrays:
        return []
    return whole_strides(events_of(gait))


def _cycles(time: Array, values: Array, strides: Array) -> Array:
    own = [cycles(time, values, stride) for stride in strides]
    return np.concatenate(own) if own else np.empty((0, len(CYCLE_PERCENT)))
