"""Foot strikes and foot offs, from ground force and, as a cross-check, from kinematics alone.

Force: a foot is on the floor while it carries more than 20 N; gaps of up to
30 ms are bridged and contacts shorter than 100 ms dropped. The 20 N threshold
and its accuracy: Ghoussayni et al. 2004, Gait Posture 20:266, doi
10.1016/j.gaitpost.2003.10.001; times between samples come from linear interpolation.

Kinematics: Zeni, Richards & Higginson 2008, Gait Posture 27:710, doi
10.1016/j.gaitpost.2007.07.007: foot strike where the heel is farthest ahead of
the sacrum, foot off where the toe is farthest behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONTACT_FORCE_N = 20.0
MAX_BRIDGED_GAP_S = 0.030
MIN_CONTACT_S = 0.100
STRIKE_R, OFF_R, STRIKE_L, OFF_L = 0, 1, 2, 3
"""Codes of `event_type` in the dataset."""

MIN_STRIDE_S = 0.5
"""Kinematic events of one foot are at least this far apart: 240 steps/min is beyond any walk."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GaitEvents:
    """Times (s, ascending) of each foot's strikes and offs. Contacts cut by the record's ends give no event there."""

    strike_r: Array
    off_r: Array
    strike_l: Array
    off_l: Array

    def strikes(self, side: str) -> Array:
        """Strikes of "r" or "l"."""
        return self.strike_r if side == "r" else self.strike_l

    def offs(self, side: str) -> Array:
        """Foot offs of "r" or "l"."""
        return self.off_r if side == "r" else self.off_l

    def flat(self) -> tuple[Array, NDArray[np.uint8]]:
        """All events in order of time: times `[E]` and codes `[E]` (0 strike R, 1 off R, 2 strike L, 3 off L)."""
        groups = (self.strike_r, self.off_r, self.strike_l, self.off_l)
        times = np.concatenate(groups)
        codes = np.repeat(np.arange(4, dtype=np.uint8), [len(group) for group in groups])
        order = np.argsort(times, kind="stable")
        return times[order], codes[order]

    def sequence(self) -> tuple[Array, NDArray[np.bool_]]:
        """All foot strikes in order of time: times `[S]` and whether the right foot struck `[S]`."""
        times = np.concatenate([self.strike_r, self.strike_l])
        right = np.arange(len(times)) < len(self.strike_r)
        order = np.argsort(times, kind="stable")
        return times[order], right[order]


def contacts(time: Array, vertical_force_n: Array) -> list[tuple[float, float]]:
    """Intervals (strike, off) in s during which one foot is on the floor.

    Args:
        time: `[T]` s, ascending.
        vertical_force_n: `[T]` N, upwards.

    Returns:
        One pair for each contact. -inf or +inf where the contact goes on beyond the record.
    """
    time, force = np.asarray(time, dtype=float), np.asarray(vertical_force_n, dtype=float)
    on = force > CONTACT_FORCE_N
    if not on.any():
        return []
    change = np.flatnonzero(np.diff(on.astype(np.int8)))
    crossing = time[change] + (CONTACT_FORCE_N - force[change]) / (force[change + 1] - force[change]) * (
        time[change + 1] - time[change]
    )
    rising = on[change + 1]
    starts, ends = crossing[rising].tolist(), crossing[~rising].tolist()
    if on[0]:
        starts = [-np.inf, *starts]
    if on[-1]:
        ends = [*ends, np.inf]
    merged: list[tuple[float, float]] = []
    for start, end in zip(starts, ends, strict=True):
        if merged and start - merged[-1][1] <= MAX_BRIDGED_GAP_S:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return [(start, end) for start, end in merged if end - start >= MIN_CONTACT_S]


def force_events(time: Array, vertical_force_n: Array) -> GaitEvents:
    """Events by the 20 N rule.

    Args:
        time: `[T]` s, ascending.
        vertical_force_n: `[T, 2]` N, right and left foot.
    """
    events = []
    for foot in range(2):
        pairs = contacts(time, np.asarray(vertical_force_n)[:, foot])
        events += [
            np.array([start for start, _ in pairs if np.isfinite(start)], dtype=float),
            np.array([end for _, end in pairs if np.isfinite(end)], dtype=float),
        ]
    return GaitEvents(*events)


def kinematic_events(
    time: Array, heels: Array, toes: Array, sacrum: Array, progression: Sequence[float] = (1.0, 0.0, 0.0)
) -> GaitEvents:
    """Events without force, after Zeni et al. 2008; the extrema are refined by a parabola through three samples.

    Args:
        time: `[T]` s, evenly spaced.
        heels, toes: `[T, 2, 3]` m, right and left.
        sacrum: `[T, 3]` m; any point fixed to the pelvis will do.
        progression: Unit vector of the walking direction, world axes.
    """
    axis = np.asarray(progression, dtype=float)
    events = []
    for foot in range(2):
        events.append(_peaks(time, (heels[:, foot] - sacrum) @ axis))
        events.append(_peaks(time, -(toes[:, foot] - sacrum) @ axis))
    return GaitEvents(*events)


def event_disagreement_s(first: GaitEvents, second: GaitEvents) -> float:
    """Median distance (s) from each foot strike of `first` to the nearest of `second`, same foot; NaN without any."""
    distances = []
    for side in "rl":
        a, b = first.strikes(side), second.strikes(side)
        if len(a) and len(b):
            distances.append(np.abs(a[:, None] - b[None, :]).min(axis=1))
    return float(np.median(np.concatenate(distances))) if distances else float("nan")


def _peaks(time: Array, signal: Array) -> Array:
    """Times of the signal's maxima that top every value within half of `MIN_STRIDE_S` and the signal's mid-range."""
    if len(time) < 3:
        return np.empty(0)
    step = float(time[1] - time[0])
    half = max(1, round(MIN_STRIDE_S / 2 / step))
    padded = np.pad(signal, half, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(axis=1)
    middle = (signal.max() + signal.min()) / 2
    at = np.flatnonzero((signal >= around) & (signal > middle))
    at = at[(at > 0) & (at < len(signal) - 1)]
    if len(at) == 0:
        return np.empty(0)
    at = at[np.concatenate([[True], np.diff(at) > 1])]  # a plateau counts once
    left, top, right = signal[at - 1], signal[at], signal[at + 1]
    curvature = left - 2 * top + right
    shift = np.where(curvature < 0, 0.5 * (left - right) / np.where(curvature < 0, curvature, -1.0), 0.0)
    return np.asarray(time[at] + shift * step)
