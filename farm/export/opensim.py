"""OpenSim: a folder for each gait with the files that OpenSim's tools and GUI read.

| file | what |
|---|---|
| `motion.mot` | generalized coordinates (degrees, m) |
| `states.sto` | coordinates, speeds, activations under the model's state names (rad, m) |
| `markers.trc` | the labelled keypoints (mm), at the rate of the pictures |
| `ground_forces.mot`, `external_loads.xml` | ground reaction of either foot (N, m, N m), and what it acts on |
| `muscle_activation.sto`, `muscle_excitation.sto`, `muscle_force.sto`, `muscle_fiber_length.sto` | by muscle |
| `joint_moments.sto` | net muscle moment about each coordinate (N m) |
| `gait.json` | parameters, labels, events |
| `model.osim` | the person; only where OpenSim is installed |

A file whose array was not chosen is left out. The text is our own; OpenSim is needed
for `model.osim` alone, which is built anew from the campaign that the dataset
records, and only if what is drawn for the sample is what the dataset says was drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from farm.config import campaign_from_mapping
from farm.dataset.gaits import Gait
from farm.dataset.laws import faults_of_gait
from farm.errors import FormatError
from farm.export.formats import Format, Object, Task, row_of, stem
from farm.export.opensim_tables import external_loads_text, ground_forces_text, markers_text, table_text
from farm.export.plan import FormatName, Piece
from farm.records import GaitParameters
from farm.sampling.draw import gait_parameters_rand

GAITS_AT_ONCE = 16
"""Gaits of one piece: few, so that several workers have something to do and a killed export loses little."""

FIELDS = (
    "coordinates", "coordinate_speeds", "muscle_activation", "muscle_excitation", "muscle_force",
    "muscle_fiber_length", "ground_reaction", "joint_moment", "keypoints_3d", "event_time", "event_type",
)  # fmt: skip

TRANSLATIONS = ("pelvis_tx", "pelvis_ty", "pelvis_tz")
"""Coordinates in metres; all others are angles."""

JOINTS = {
    "pelvis": "ground_pelvis", "hip": "hip", "knee": "knee", "ankle": "ankle", "lumbar": "back", "arm": "shoulder",
    "elbow": "elbow",
}  # fmt: skip
"""First word of a coordinate's name -> its joint in the model, without the side."""

EVENT_NAMES = ("foot strike right", "foot off right", "foot strike left", "foot off left")
"""By the codes of `event_type`."""

PARAMETER_TOLERANCE = 1e-9
"""Index rows keep what was drawn in full; on another machine's mathematics the last digits may differ."""

WriteModel = Callable[[GaitParameters], bytes]
"""A person's model as `model.osim`; given by whoever has the engine."""


@dataclass(frozen=True)
class OpenSimFolders(Format):
    """Folders of files.

    Attributes:
        write_model: Builds `model.osim`; None leaves it out.
    """

    write_model: WriteModel | None = None

    name: ClassVar[FormatName] = "opensim"
    growth: ClassVar[float] = 3.5
    gaits_per_file: int | None = GAITS_AT_ONCE

    def options(self) -> dict[str, str | int | float | bool | None]:
        return {"model": self.write_model is not None}

    def fields(self, present: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in FIELDS if name in present)

    def marker(self, piece: Piece) -> str:
        return f"{stem(int(piece.places.sample_id[-1]))}/gait.json"

    def objects(self, task: Task, piece: Piece, gaits: Iterator[Gait]) -> Iterator[Object]:  # noqa: ARG002
        for gait in gaits:
            folder = stem(gait.sample_id)
            for name, text in _tables(gait):
                yield f"{folder}/{name}", text.encode()
            if self.write_model is not None:
                yield f"{folder}/model.osim", self.write_model(drawn(task, gait))
            yield f"{folder}/gait.json", _told(task, gait)


def drawn(task: Task, gait: Gait) -> GaitParameters:
    """The person behind a gait, drawn anew by the dataset's campaign.

    Raises:
        FormatError: Not what the dataset says was drawn: it was made with another archive of walkers.
    """
    campaign = campaign_from_mapping(task.manifest.campaign, source=f"{task.source.uri}/dataset.json")
    parameters = gait_parameters_rand(campaign, gait.sample_id)
    for column, value in parameters.table():
        told = gait.row.get(column.name)
        if isinstance(told, int | float) and not math.isclose(told, value, rel_tol=PARAMETER_TOLERANCE, abs_tol=1e-12):
            raise FormatError(
                f"{task.source.uri}: sample {gait.sample_id} was drawn by another gaitfarm ({column.name} is "
                f"{told} there and {value} here), so its model cannot be built here; export without --model"
            )
    return parameters


def state_paths(coordinates: Sequence[str]) -> list[str]:
    """Path of each coordinate in our models; its value and speed are `/value` and `/speed` under it.

    Raises:
        FormatError: Our models have no such coordinate.
    """
    paths = []
    for name in coordinates:
        joint = JOINTS.get(name.partition("_")[0])
        if joint is None:
            raise FormatError(
                f"the coordinate {name[:80]!r} is of no joint of our models ({', '.join(JOINTS)}); "
                "run `gaitfarm verify`, or export with --fields without coordinate_speeds"
            )
        side = name[-2:] if name[-2:] in ("_r", "_l") and joint not in ("ground_pelvis", "back") else ""
        paths.append(f"/jointset/{joint}{side}/{name}")
    return paths


def in_degrees(coordinates: Sequence[str], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """`[T, Q]` with angles in degrees, translations in metres as they were."""
    angular = [name not in TRANSLATIONS for name in coordinates]
    exact = np.asarray(values, dtype=np.float64)
    return np.where(angular, np.rad2deg(exact), exact)


def _tables(gait: Gait) -> Iterator[tuple[str, str]]:
    coordinates = [str(name) for name in gait.attributes["coordinates"]]
    muscles = [str(name) for name in gait.attributes["muscles"]]
    rate_hz = float(gait.attributes["sample_rate_hz"])
    have = gait.arrays
    if "coordinates" in have:
        motion = in_degrees(coordinates, have["coordinates"])
        yield "motion.mot", table_text(_times(len(motion), rate_hz), coordinates, motion, in_degrees=True)
    if {"coordinates", "coordinate_speeds", "muscle_activation"} <= have.keys():
        yield "states.sto", _states(coordinates, muscles, gait, rate_hz)
    if "ground_reaction" in have:
        forces = have["ground_reaction"]
        yield "ground_forces.mot", ground_forces_text(_times(len(forces), rate_hz), forces)
        yield "external_loads.xml", external_loads_text("ground_forces.mot")
    for field, names, file in (
        ("muscle_activation", muscles, "muscle_activation"), ("muscle_excitation", muscles, "muscle_excitation"),
        ("muscle_force", muscles, "muscle_force"), ("muscle_fiber_length", muscles, "muscle_fiber_length"),
        ("joint_moment", coordinates, "joint_moments"),
    ):  # fmt: skip
        if field in have:
            yield f"{file}.sto", table_text(_times(len(have[field]), rate_hz), names, have[field])
    if "keypoints_3d" in have:
        picture_hz = float(gait.attributes["frame_rate_hz"])
        points = have["keypoints_3d"]
        names = [str(name) for name in gait.attributes["keypoints"]]
        times = _times(len(points), picture_hz)
        yield "markers.trc", markers_text(times, picture_hz, names, points, file_name="markers.trc")


def _times(n: int, rate_hz: float) -> NDArray[np.float64]:
    return np.arange(n) / rate_hz


def _states(coordinates: Sequence[str], muscles: Sequence[str], gait: Gait, rate_hz: float) -> str:
    labels: list[str] = []
    columns: list[NDArray[np.floating]] = []
    for at, path in enumerate(state_paths(coordinates)):
        labels += [f"{path}/value", f"{path}/speed"]
        columns += [gait["coordinates"][:, at], gait["coordinate_speeds"][:, at]]
    for at, muscle in enumerate(muscles):
        labels.append(f"/forceset/{muscle}/activation")
        columns.append(gait["muscle_activation"][:, at])
    return table_text(_times(len(columns[0]), rate_hz), labels, np.column_stack(columns))


def _told(task: Task, gait: Gait) -> bytes:
    told: dict[str, Any] = {
        "dataset_id": task.manifest.dataset_id,
        "sample_id": gait.sample_id,
        "license": task.manifest.license,
        "parameters_and_labels": row_of(gait),
        "units": {column.name: column.unit for column in task.columns if column.unit},
    }
    if {"event_time", "event_type"} <= gait.arrays.keys():
        told["events"] = _events(task, gait)
    return (json.dumps(told, indent=1, allow_nan=False) + "\n").encode()


def _events(task: Task, gait: Gait) -> list[dict[str, Any]]:
    """The gait's events in words.

    Raises:
        FormatError: A type that there is not, or times that are none.
    """
    stored = {name: gait[name] for name in ("event_time", "event_type")}
    faults = faults_of_gait(stored, gait.attributes)
    if faults:
        raise FormatError(
            f"{task.source.uri}: sample {gait.sample_id}: {faults[0]}; run `gaitfarm verify`, or export with --fields "
            "without event_time"
        )
    return [
        {"time_s": float(str(time)), "event": EVENT_NAMES[int(kind)]}
        for time, kind in zip(stored["event_time"], stored["event_type"], strict=True)
    ]
