"""How somebody walked on the twin, in the few measures by which a search tells walks apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from farm.records import GaitParameters
from workers.simulate.forward import Rollout
from workers.simulate.score import SETTLED_AFTER_S, mean_speed, strikes

STANCE_LOAD = 0.3
"""A foot with so much of the body's weight is in stance; lighter contacts are its first and last moments."""


def measures(rollout: Rollout, someone: GaitParameters) -> dict[str, float]:
    """Each of `farm.search.candidates.MEASURES`; none where there are too few steps to measure."""
    plan = someone.plan
    settled = rollout.times_s >= SETTLED_AFTER_S
    q, times, loads = rollout.coordinates[settled], rollout.times_s[settled], rollout.loads[settled]
    steps = sorted((int(at), side) for side in (0, 1) for at in strikes(loads[:, side]))
    spans: tuple[list[float], list[float]] = ([], [])
    for (before, other), (at, side) in pairwise(steps):
        if other != side:
            spans[side].append(float(times[at] - times[before]))
    if not all(spans):
        return {}
    right_s, left_s = (float(np.mean(span)) for span in spans)
    speed = mean_speed(rollout, plan)
    flexion = [-q[:, plan.coordinates.index(f"knee_angle_{leg}")] for leg in "rl"]
    crouch = [float(np.min(knee[loads[:, side] > STANCE_LOAD])) for side, knee in enumerate(flexion)]
    excitation = rollout.controls[settled][:, : len(plan.muscles)]
    return {
        "speed": speed,
        "step_length": speed * 0.5 * (right_s + left_s),
        "step_time_asymmetry": (right_s - left_s) / (right_s + left_s),
        "crouch": float(np.mean(crouch)),
        "effort": float(np.mean(excitation**2)),
    }
