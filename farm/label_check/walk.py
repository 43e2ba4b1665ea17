"""Events and ground forces of one gait against each other and against the body's weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.gait.events import CONTACT_FORCE_N, OFF_L, OFF_R, STRIKE_L, STRIKE_R
from farm.label_check.findings import Tally, WrongLabel

WEIGHT_TOLERANCE = 0.05
"""Over whole strides at a steady pace the ground carries the weight; what is left is a change of height or speed."""

NEIGHBOURS = 2
"""Samples around an event within which the force crosses the contact's threshold."""

NAMES = {STRIKE_R: "right foot strike", OFF_R: "right foot off", STRIKE_L: "left foot strike", OFF_L: "left foot off"}


def check_walk(arrays: Mapping[str, Any], sample_id: int, mass_kg: float, sample_rate_hz: float, tally: Tally) -> None:
    """Each event is where its foot's load begins or ends, and the feet carry the weight.

    Args:
        arrays: Of one gait: `ground_reaction` `[T, 2, 9]`, `event_time`, `event_type` `[E]`.
    """
    force = np.asarray(arrays["ground_reaction"], dtype=float)[:, :, 1]
    times, types = np.asarray(arrays["event_time"], dtype=float), np.asarray(arrays["event_type"])
    holds = np.array(
        [_crosses(force, time * sample_rate_hz, int(kind)) for time, kind in zip(times, types, strict=True)]
    )
    tally.count("events", holds.astype(bool))
    for number in np.flatnonzero(~holds.astype(bool)):
        what = f"{NAMES.get(int(types[number]), 'event')} at {times[number]:.3f} s is not where that foot's load "
        what += "begins" if int(types[number]) in (STRIKE_R, STRIKE_L) else "ends"
        tally.wrong.append(WrongLabel("events", sample_id, None, (), None, what))
    strikes = times[types == STRIKE_R]
    if len(strikes) < 2:
        return
    first, last = (round(time * sample_rate_hz) for time in (strikes[0], strikes[-1]))
    carried = float(force[first:last].sum(axis=1).mean() / (mass_kg * GRAVITY_M_S2))
    tally.note("mean_vertical_force", np.array([carried]))
    carries = abs(carried - 1.0) <= WEIGHT_TOLERANCE
    tally.count("weight", np.array([carries]))
    if not carries:
        what = f"the ground carries {carried:.3f} of the weight over whole strides"
        tally.wrong.append(WrongLabel("weight", sample_id, None, (), None, what))


def _crosses(force: NDArray[np.float64], at: float, kind: int) -> bool:
    """Whether a foot's force `[T, 2]` crosses the threshold around sample `at`, in the event's direction."""
    foot = 0 if kind in (STRIKE_R, OFF_R) else 1
    around = force[max(0, int(at) - NEIGHBOURS) : int(at) + NEIGHBOURS + 2, foot] > CONTACT_FORCE_N
    step = np.diff(around.astype(int))
    return bool(np.any(step == (1 if kind in (STRIKE_R, STRIKE_L) else -1)))
