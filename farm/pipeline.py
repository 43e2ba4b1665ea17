"""The whole flow on one screen: a sample id goes in, a gait with labels and pictures comes out.

In process, no Ray. The stages that need an engine or a GL context are passed
in, because `farm` may not import `workers`; see `workers.stages` for the real ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from farm.config import Campaign, Engine
from farm.errors import SimulationDiverged
from farm.gait.labels import gait_labels
from farm.gait.quality import judge
from farm.gait.resample import PosedWalk
from farm.recheck import Recheck, RecheckedSample, compare, is_rechecked
from farm.records import FrameSet, GaitLabels, GaitParameters, GaitSample, QualityReport, Trajectory
from farm.sampling.anatomy import Anatomy, anatomy
from farm.sampling.draw import gait_parameters_rand


class Simulate(Protocol):
    """Muscles and reflexes in, a walk (or a fall) out."""

    def __call__(
        self, parameters: GaitParameters, *, engine: Engine, seed: int, duration_s: float, budget_s: float
    ) -> Trajectory: ...


class Film(Protocol):
    """A walk's poses and labels in, pictures with exact labels out."""

    def __call__(
        self, campaign: Campaign, parameters: GaitParameters, body: Anatomy, walk: PosedWalk, labels: GaitLabels
    ) -> FrameSet: ...


@dataclass(frozen=True)
class Stages:
    """The two stages that need more than numpy."""

    simulate: Simulate
    film: Film


def make_sample(campaign: Campaign, sample_id: int, stages: Stages) -> GaitSample:
    """One sample's whole way. A gait that is turned down is a result, not an error.

    Quality is judged before any picture is rendered, because pictures are the
    dearest stage.

    Returns:
        A `RecheckedSample` where OpenSim has walked the sample again.
    """
    seconds: dict[str, float] = {}
    with clock(seconds, "sample"):
        parameters = gait_parameters_rand(campaign, sample_id)
        body = anatomy(parameters)
    with clock(seconds, "simulate"):
        trajectory = _walk(campaign, parameters, stages, campaign.engine)
    with clock(seconds, "label"):
        labels, quality = _examine(campaign, body, trajectory)
    recheck = None
    if is_rechecked(campaign, sample_id):
        with clock(seconds, "recheck"):
            recheck = _recheck(campaign, parameters, body, labels, stages)
    frames = None
    if quality.accepted:
        with clock(seconds, "film"):
            frames = stages.film(campaign, parameters, body, trajectory, labels)
    if recheck is not None:
        return RecheckedSample(parameters, trajectory, labels, quality, frames, seconds, recheck)
    return GaitSample(parameters, trajectory, labels, quality, frames, seconds)


def _walk(campaign: Campaign, parameters: GaitParameters, stages: Stages, engine: Engine) -> Trajectory:
    return stages.simulate(
        parameters,
        engine=engine,
        seed=campaign.seed,
        duration_s=campaign.simulation.duration_s,
        budget_s=campaign.simulation.budget_s,
    )


def _examine(campaign: Campaign, body: Anatomy, trajectory: Trajectory) -> tuple[GaitLabels, QualityReport]:
    labels = gait_labels(trajectory, body, frame_rate_hz=campaign.pictures.frame_rate_hz)
    return labels, judge(trajectory, labels, body, campaign.quality)


def _recheck(
    campaign: Campaign, parameters: GaitParameters, body: Anatomy, recorded: GaitLabels, stages: Stages
) -> Recheck:
    """The same sample in OpenSim. That it fails there is a finding, and no reason to lose what is recorded."""
    try:
        trajectory = _walk(campaign, parameters, stages, "opensim")
    except SimulationDiverged:
        return Recheck(("diverged",))
    return compare(recorded, *_examine(campaign, body, trajectory))


@contextmanager
def clock(seconds: dict[str, float], stage: str) -> Iterator[Mapping[str, float]]:
    """Note how long a stage takes."""
    start = time.perf_counter()
    yield seconds
    seconds[stage] = time.perf_counter() - start
