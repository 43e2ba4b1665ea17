"""Healthy adults' curves over the gait cycle, and how far a gait lies from them.

The table is `reference/adult_sagittal_norm.csv`; sources and licence stand
beside it in `reference/README.md`. Angles here are clinical: flexion,
dorsiflexion and anterior tilt are positive.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

CYCLE_PERCENT: NDArray[np.float64] = np.linspace(0.0, 100.0, 101)
"""The grid on which curves are compared: 0 and 100 are successive strikes of the same foot."""

NORM_CURVES: tuple[str, ...] = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion", "pelvis_anterior_tilt")


@dataclass(frozen=True)
class NormBand:
    """Mean and spread of one quantity over the gait cycle of healthy adults.

    Attributes:
        name: Quantity, for instance "knee_flexion".
        unit: "deg" or "BW" (multiples of body weight).
        mean: `[101]`, at `CYCLE_PERCENT`.
        total_sd: `[101]` SD within and between studies.
    """

    name: str
    unit: str
    mean: NDArray[np.float64]
    total_sd: NDArray[np.float64]


@dataclass(frozen=True)
class NormComparison:
    """How one curve lies in its norm band.

    Attributes:
        fraction_within: Share of the cycle within mean +- 2 total SD, 0 to 1.
        r: Pearson correlation with the mean: likeness of shape, whatever the offset. NaN for a flat curve.
        rms: Root mean square difference from the mean, in the band's unit (the "gait variable score" of
            Baker et al. 2009, Gait Posture 30:265, doi 10.1016/j.gaitpost.2009.05.020).
    """

    fraction_within: float
    r: float
    rms: float


@cache
def _columns() -> dict[str, NDArray[np.float64]]:
    text = (resources.files("farm.gait") / "reference" / "adult_sagittal_norm.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    percent = [float(row["cycle_percent"]) for row in rows]
    columns = {}
    for name in rows[0]:
        values = np.interp(CYCLE_PERCENT, percent, [float(row[name]) for row in rows])
        values.flags.writeable = False
        columns[name] = values
    return columns


def norm_band(name: str) -> NormBand:
    """The norm band of one of `NORM_CURVES`, of "vertical_force" or of "ap_force" (mean only, SD 0).

    Raises:
        KeyError: There is no such curve.
    """
    columns = _columns()
    if name in ("vertical_force", "ap_force"):
        mean = columns[f"{name}_mean_bw"]
        return NormBand(name, "BW", mean, columns.get(f"{name}_sd_bw", np.zeros_like(mean)))
    if name not in NORM_CURVES:
        raise KeyError(f"no norm curve {name!r}; there are {', '.join(NORM_CURVES)}, vertical_force, ap_force")
    return NormBand(name, "deg", columns[f"{name}_mean_deg"], columns[f"{name}_total_sd_deg"])


def compare(curve: NDArray[np.floating], band: NormBand) -> NormComparison:
    """Compare a mean cycle `[101]` (at `CYCLE_PERCENT`, unit of the band) with a norm band."""
    curve = np.asarray(curve, dtype=float)
    if curve.shape != band.mean.shape:
        raise ValueError(f"a cycle of {len(band.mean)} points is compared with {band.name}, got shape {curve.shape}")
    difference = curve - band.mean
    flat = np.ptp(curve) == 0.0
    return NormComparison(
        fraction_within=float(np.mean(np.abs(difference) <= 2.0 * band.total_sd)),
        r=float("nan") if flat else float(np.corrcoef(curve, band.mean)[0, 1]),
        rms=float(np.sqrt(np.mean(difference**2))),
    )
