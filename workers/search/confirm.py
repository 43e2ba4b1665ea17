"""OpenSim's word on a finalist: it walks again, at the farm's own settings, and is judged by the farm's own rules."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from farm.config import QualityLimits
from farm.control.archived import DESCRIPTORS, ArchivedController
from farm.gait.labels import gait_labels
from farm.gait.quality import judge
from farm.records import GaitLabels, GaitParameters
from farm.sampling.anatomy import anatomy
from farm.search.candidates import Finalist
from farm.search.diary import Verdict
from farm.search.job import Job
from farm.search.person import person_at, severity_at, walker
from workers.search.robustness import robustness
from workers.simulate.engines import simulate
from workers.simulate.identity import model_sha256
from workers.simulate.score import STRAIGHT_M

FRAME_RATE_HZ = 30.0
"""Of keypoints, which nobody looks at here."""

WALK_S = 10.0
"""How long a walker of the archive has walked in OpenSim, at least."""

BUDGET_S = 300.0
"""Wall clock of OpenSim's integration, which takes some 4 s; a machine with much other work may be ten times slower."""


def confirm(name: str, job: Job, finalist: Finalist, person: int) -> Verdict:
    """Let one of a job's people walk with a finalist's gains in OpenSim.

    Args:
        name: Of the search.
        person: Number of the person in the job.
    """
    at, gains = finalist.candidate.at, finalist.candidate.gains
    parameters = walker(job, person, at, gains)
    duration_s = max(WALK_S, job.aim.duration_s)
    labels, reason = walk_in_opensim(parameters, job.seed, duration_s)
    if reason:
        return Verdict(finalist.number, person, None, reason)
    row = ArchivedController(
        name="",
        body_model=job.body_model,
        condition=job.condition,
        severity=severity_at(job, at) if job.side != "none" else 0.0,
        side=job.side,
        person=person_at(job, person, at),
        seed=job.seed,
        sample_id=person,
        leg_length_m=anatomy(parameters).leg_length_m,
        target_speed_m_s=parameters.target_speed_m_s,
        gains=parameters.reflex_gains,
        descriptors={key: labels.values[key] for key in DESCRIPTORS if math.isfinite(labels.values[key])},
        duration_s=duration_s,
        cost=finalist.outcome.cost,
        robustness=0.0,
        source=f"{job.method} {name}",
        model_sha256=model_sha256(),
    )
    row = replace(row, name=f"{name}_{row.digest()[:8]}", robustness=robustness(row))
    return Verdict(finalist.number, person, row)


def walk_in_opensim(parameters: GaitParameters, seed: int, duration_s: float) -> tuple[GaitLabels, str]:
    """Somebody's walk in OpenSim, labelled, and why it is none that an archive takes in: empty if it is one."""
    walk = simulate(parameters, engine="opensim", seed=seed, duration_s=duration_s, budget_s=BUDGET_S)
    body = anatomy(parameters)
    labels = gait_labels(walk, body, frame_rate_hz=FRAME_RATE_HZ)
    quality = judge(walk, labels, body, QualityLimits())
    faults = [f"{reason}: {quality.details.get(reason, '')}" for reason in quality.reasons]
    if "pelvis_tz" in walk.coordinate_names:
        astray_m = float(np.max(np.abs(walk.coordinate("pelvis_tz"))))
        if astray_m > STRAIGHT_M:
            faults.append(f"strayed: {astray_m:.2f} m from the line on which it began, allowed {STRAIGHT_M:g} m")
    return labels, "; ".join(faults)


def walks_again(row: ArchivedController) -> str:
    """Let an archive's walker walk in OpenSim now: empty if it does, else why not."""
    return walk_in_opensim(row.parameters(), row.seed, row.duration_s)[1]
