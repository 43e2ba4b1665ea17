"""A share of the twin's walks is walked again in OpenSim, and the differences stay with the gait.

Which samples is a matter of (seed, sample id) alone, so that any worker, in any
order, rechecks the same ones. Both walks are labelled and judged by the same
functions; the gait that is stored is the campaign's engine's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from farm.config import Campaign
from farm.records import GaitLabels, GaitSample, QualityReport
from farm.seeds import Stream, generator

ACCEPTED = "accepted"
VERDICT = "recheck_verdict"
"""Column of the index: `ACCEPTED`, or OpenSim's reasons with commas."""

RECHECKED_LABELS = (
    "gait_speed", "cadence", "step_length", "step_time", "step_width", "double_support_fraction",
    "peak_knee_flexion_r", "peak_knee_flexion_l", "cost_of_transport",
)  # fmt: skip
"""Labels whose differences are kept: what a gait is described by, one angle of each leg, and what muscles spend."""


@dataclass(frozen=True)
class Recheck:
    """What OpenSim made of a sample that another engine recorded.

    Attributes:
        reasons: Why OpenSim's walk would have been turned down; none if it would not.
        differences: By name of `RECHECKED_LABELS`: the recorded label minus OpenSim's, in the label's unit; NaN
            where either is undefined.
    """

    reasons: tuple[str, ...]
    differences: Mapping[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return not self.reasons

    @property
    def verdict(self) -> str:
        """`ACCEPTED`, or the reasons with commas."""
        return ", ".join(self.reasons) or ACCEPTED


@dataclass(frozen=True)
class RecheckedSample(GaitSample):
    """A sample that OpenSim has walked again."""

    recheck: Recheck | None = None


def is_rechecked(campaign: Campaign, sample_id: int) -> bool:
    """Whether OpenSim walks this sample again: never where it is the engine itself."""
    if campaign.engine == "opensim":
        return False
    draw = generator(campaign.seed, Stream.RECHECK, sample_id).random()
    return bool(draw < campaign.simulation.recheck_fraction)


def compare(recorded: GaitLabels, opensim: GaitLabels, quality: QualityReport) -> Recheck:
    """What OpenSim's labels and quality say of a recorded gait."""
    return Recheck(quality.reasons, {name: recorded.values[name] - opensim.values[name] for name in RECHECKED_LABELS})


def recheck_of(sample: GaitSample) -> Recheck | None:
    """A sample's recheck, None if it had none."""
    return sample.recheck if isinstance(sample, RecheckedSample) else None


def difference_column(label: str) -> str:
    """The index column that holds a label's difference."""
    return f"recheck_{label}_difference"


def recheck_cells(recheck: Recheck | None) -> dict[str, str | float | None]:
    """The recheck's columns of the index, all null for a sample that had none."""
    if recheck is None:
        return dict.fromkeys((VERDICT, *(difference_column(name) for name in RECHECKED_LABELS)))
    differences = {name: recheck.differences.get(name, math.nan) for name in RECHECKED_LABELS}
    cells = {difference_column(name): value if math.isfinite(value) else None for name, value in differences.items()}
    return {VERDICT: recheck.verdict, **cells}
