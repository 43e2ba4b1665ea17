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
from farm.gait.labels import gait_labels
from farm.gait.quality import judge
from farm.records import FrameSet, GaitLabels, GaitParameters, GaitSample, Trajectory
from farm.sampling.anatomy import Anatomy, anatomy
from farm.sampling.draw import gait_parameters_rand


class Simulate(Protocol):
    """Muscles and reflexes in, a walk (or a fall) out."""

    def __call__(
        self, parameters: GaitParameters, *, engine: Engine, seed: int, duration_s: float, budget_s: float
    ) -> Trajectory: ...


class Film(Protocol):
    """A walk in, pictures with exact labels out."""

    def __call__(
        self, campaign: Campaign, parameters: GaitParameters, body: Anatomy, trajectory: Trajectory, labels: GaitLabels
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
    """
    seconds: dict[str, float] = {}
    with _clock(seconds, "sample"):
        parameters = gait_parameters_rand(campaign, sample_id)
        body = anatomy(parameters)
    with _clock(seconds, "simulate"):
        trajectory = stages.simulate(
            parameters,
            engine=campaign.engine,
            seed=campaign.seed,
            duration_s=campaign.simulation.duration_s,
            budget_s=campaign.simulation.budget_s,
        )
    with _clock(seconds, "label"):
        labels = gait_labels(trajectory, body, frame_rate_hz=campaign.pictures.frame_rate_hz)
        quality = judge(trajectory, labels, body, campaign.quality)
    if not quality.accepted:
        return GaitSample(parameters, trajectory, labels, quality, None, seconds)
    with _clock(seconds, "film"):
        frames = stages.film(campaign, parameters, body, trajectory, labels)
    return GaitSample(parameters, trajectory, labels, quality, frames, seconds)


@contextmanager
def _clock(seconds: dict[str, float], stage: str) -> Iterator[Mapping[str, float]]:
    start = time.perf_counter()
    yield seconds
    seconds[stage] = time.perf_counter() - start
