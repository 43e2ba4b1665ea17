"""Gait parameters by their standard definitions: every number of `LABEL_COLUMNS`.

Means are over whole strides after the first two steps. The analysed window runs
from the third foot strike to the last strike of the same foot, so that it holds
whole strides of both feet, and the identities hold: speed = step length x
cadence / 60; stance_r + stance_l = 1 + double support; step_length_r +
step_length_l = stride length. A parameter that cannot be measured (no whole
stride, no such joint) is NaN; `n_strides` is then 0.

Sources, where a definition is not in every textbook (Perry & Burnfield 2010,
"Gait Analysis", 2nd ed., ch. 1 and 28; Whittle 2014):

* step length, width: at each foot's own strike, along and across the line of
  progression (Huxham et al. 2006, Gait Posture 23:159, doi 10.1016/j.gaitpost.2005.01.001).
* asymmetry (R - L) / (R + L): Reisman et al. 2005, J Neurophysiol 94:2403, doi 10.1152/jn.00089.2005.
* margin of stability: Hof, Gazendam & Sinke 2005, J Biomech 38:1, doi 10.1016/j.jbiomech.2004.03.025.
* walk ratio: Sekiya & Nagasaki 1998, Gait Posture 7:225, doi 10.1016/S0966-6362(98)00009-5.
* Froude number v^2 / (g l): Alexander & Jayes 1983, J Zool 201:135.
* cost of transport (gross): metabolic energy / (mass x distance), Ralston 1958.
* foot clearance: least height in the middle half of swing, after Winter 1992, Phys Ther 72:45.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.gait.columns import LABEL_COLUMNS
from farm.gait.events import GaitEvents, event_disagreement_s, kinematic_events
from farm.gait.observation import WalkObservation, progression, rightwards

__all__ = ["LABEL_COLUMNS", "Stride", "gait_parameters", "whole_strides"]

SKIPPED_STEPS = 2
"""Steps at the start that belong to gait initiation, not to steady walking."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stride:
    """One whole stride of one foot; all times in s.

    Attributes:
        side: "r" or "l".
        start, end: Successive strikes of this foot.
        off: This foot's off in between.
        other_off, other_strike: The other foot's off and strike in between.
    """

    side: str
    start: float
    other_off: float
    other_strike: float
    off: float
    end: float

    @property
    def time_s(self) -> float:
        return self.end - self.start

    @property
    def double_support_s(self) -> float:
        """Loading (strike to the other's off) and unloading (the other's strike to off)."""
        return (self.other_off - self.start) + (self.off - self.other_strike)


def window(events: GaitEvents) -> tuple[float, float] | None:
    """The analysed time (s): third foot strike to the last strike of the same foot; None without a whole stride."""
    times, right = events.sequence()
    if len(times) <= SKIPPED_STEPS + 2:
        return None
    same = times[SKIPPED_STEPS:][right[SKIPPED_STEPS:] == right[SKIPPED_STEPS]]
    return (float(same[0]), float(same[-1])) if len(same) >= 2 else None


def whole_strides(events: GaitEvents) -> list[Stride]:
    """The strides within `window` in which each foot strikes and leaves the floor once, in the order of walking.

    Strides in which a foot scuffs, hops or never lifts are no whole strides and are left out.
    """
    span = window(events)
    if span is None:
        return []
    strides = []
    for side, other in (("r", "l"), ("l", "r")):
        strikes = events.strikes(side)
        strikes = strikes[(strikes >= span[0]) & (strikes <= span[1])]
        for start, end in pairwise(strikes.tolist()):
            inside = [
                moments[(moments > start) & (moments < end)]
                for moments in (events.offs(other), events.strikes(other), events.offs(side))
            ]
            if all(len(moments) == 1 for moments in inside):
                other_off, other_strike, off = (float(moments[0]) for moments in inside)
                if other_off < other_strike and off > other_off:
                    strides.append(Stride(side, start, other_off, other_strike, off, end))
    return strides


def gait_parameters(walk: WalkObservation, events: GaitEvents) -> dict[str, float]:
    """Every number of `LABEL_COLUMNS` (SI units; cadence per minute), NaN where it cannot be measured."""
    values = {column.name: float("nan") for column in LABEL_COLUMNS}
    strides = whole_strides(events)
    span = window(events)
    values["n_strides"] = float(len(strides))
    if span is None or not strides:
        return values
    within = walk.at(walk.hips, np.linspace(*span, 50))
    forward = progression(within)
    values |= _progress(walk, span, forward)
    values |= _steps(walk, events, span, forward)
    values |= _phases(strides)
    values |= _joints(walk, strides)
    values |= _loads(walk, strides, span)
    values |= _balance(walk, strides, rightwards(forward))
    values["foot_clearance_min"] = _mean([_swing_clearance(walk, stride) for stride in strides])
    values["walk_ratio"] = values["step_length"] / values["cadence"]
    values["froude_number"] = values["gait_speed"] ** 2 / (GRAVITY_M_S2 * walk.leg_length_m)
    kinematic = kinematic_events(walk.time, walk.heels, walk.toes, walk.hips, forward.tolist())
    values["event_disagreement"] = event_disagreement_s(_cut(events, span), kinematic)
    return values


def _progress(walk: WalkObservation, span: tuple[float, float], forward: Array) -> dict[str, float]:
    """Speed = (hips(t1) - hips(t0)) . forward / (t1 - t0); cost = integral of power / (mass x distance)."""
    start, end = walk.at(walk.hips, np.array(span))
    distance = float((end - start) @ forward)
    inside = (walk.time >= span[0]) & (walk.time <= span[1])
    values = {"gait_speed": distance / (span[1] - span[0])}
    if walk.metabolic_power_w is not None and distance > 0:
        energy = float(np.mean(walk.metabolic_power_w[inside])) * (span[1] - span[0])
        values["cost_of_transport"] = energy / (walk.mass_kg * distance)
    if walk.trunk_lean is not None:
        values["trunk_lean_mean"] = float(np.mean(walk.trunk_lean[inside]))
    return values


def _steps(walk: WalkObservation, events: GaitEvents, span: tuple[float, float], forward: Array) -> dict[str, float]:
    """Step i goes from strike i to strike i + 1 of the other foot and is named after the foot that lands.

    length = (heel_{i+1} - heel_i) . forward, width = (right heel - left heel) . rightwards, each heel where it struck.
    """
    times, right = events.sequence()
    keep = (times >= span[0]) & (times <= span[1])
    times, right = times[keep], right[keep]
    heels = np.where(right[:, None], walk.at(walk.heels[:, 0], times), walk.at(walk.heels[:, 1], times))
    alternate = right[1:] != right[:-1]
    advance = np.diff(heels @ forward)
    aside = np.diff(heels @ rightwards(forward)) * np.where(right[1:], 1.0, -1.0)
    duration = np.diff(times)
    of = {"r": alternate & right[1:], "l": alternate & ~right[1:], "": alternate}
    values = {"cadence": 60.0 * (len(times) - 1) / float(times[-1] - times[0])}
    for side, chosen in of.items():
        suffix = f"_{side}" if side else ""
        values[f"step_length{suffix}"] = _mean(advance[chosen])
        values[f"step_time{suffix}"] = _mean(duration[chosen])
    values["step_width"] = _mean(aside[alternate])
    strides = [np.diff((heels @ forward)[foot]) for foot in (right, ~right)]
    stride_times = [np.diff(times[foot]) for foot in (right, ~right)]
    values["stride_length"] = _mean([_mean(length) for length in strides if len(length)])
    values["stride_time"] = _mean([_mean(time) for time in stride_times if len(time)])
    # spread about each foot's own mean, so that a limp is no variability
    spread = [float(np.var(time, ddof=1)) for time in stride_times if len(time) >= 2]
    values["stride_time_cv"] = float(np.sqrt(_mean(spread))) / values["stride_time"]
    for name in ("step_length", "step_time"):
        r, l = values[f"{name}_r"], values[f"{name}_l"]  # noqa: E741
        values[f"{name}_asymmetry"] = (r - l) / (r + l) if r + l != 0 else float("nan")
    return values


def _phases(strides: list[Stride]) -> dict[str, float]:
    """stance = (off - strike) / stride time; swing = next strike - off; double support: both feet on the floor."""
    values = {"double_support_fraction": _mean([stride.double_support_s / stride.time_s for stride in strides])}
    for side in "rl":
        own = [stride for stride in strides if stride.side == side]
        values[f"stance_fraction_{side}"] = _mean([(stride.off - stride.start) / stride.time_s for stride in own])
        values[f"swing_time_{side}"] = _mean([stride.end - stride.off for stride in own])
    return values


def _joints(walk: WalkObservation, strides: list[Stride]) -> dict[str, float]:
    """Largest value or range (largest - smallest) within each stride, mean over strides."""
    values: dict[str, float] = {}
    for side in "rl":
        slices = [_inside(walk.time, stride.start, stride.end) for stride in strides if stride.side == side]
        knee = walk.angles.get(f"knee_flexion_{side}")
        if knee is not None:
            values[f"peak_knee_flexion_{side}"] = _mean([float(knee[part].max()) for part in slices])
        for label, angle in (
            ("hip_range", "hip_flexion"),
            ("ankle_range", "ankle_dorsiflexion"),
            ("arm_swing_range", "arm_flexion"),
        ):
            signal = walk.angles.get(f"{angle}_{side}")
            if signal is not None:
                values[f"{label}_{side}"] = _mean([float(np.ptp(signal[part])) for part in slices])
    return values


def _loads(walk: WalkObservation, strides: list[Stride], span: tuple[float, float]) -> dict[str, float]:
    """Vertical force over body weight: largest of each stance, and the mean, which Newton wants to be 1."""
    weight = walk.mass_kg * GRAVITY_M_S2
    both = walk.vertical_force_n.sum(axis=1) / weight
    values = {"mean_vertical_force": float(np.mean(both[_inside(walk.time, *span)]))}
    for foot, side in enumerate("rl"):
        force = walk.vertical_force_n[:, foot] / weight
        peaks = [float(force[_inside(walk.time, s.start, s.off)].max()) for s in strides if s.side == side]
        values[f"peak_vertical_force_{side}"] = _mean(peaks)
    return values


def _balance(walk: WalkObservation, strides: list[Stride], right: Array) -> dict[str, float]:
    """Margin = outward distance from the extrapolated centre of mass x + v / w0, w0 = sqrt(g / l), to the ankle.

    Least value of each single support, mean over both feet's; negative if the extrapolated centre leaves the foot.
    """
    pendulum_rad_s = np.sqrt(GRAVITY_M_S2 / walk.leg_length_m)
    extrapolated = walk.center_of_mass + walk.center_of_mass_velocity / pendulum_rad_s
    margins = []
    for stride in strides:
        part = _inside(walk.time, stride.other_off, stride.other_strike)
        foot, outwards = (0, right) if stride.side == "r" else (1, -right)
        margins.append(float(((walk.ankles[part, foot] - extrapolated[part]) @ outwards).min()))
    height = [float(np.ptp(walk.hips[_inside(walk.time, s.start, s.end), 1])) for s in strides]
    return {"margin_of_stability_ml": _mean(margins), "pelvis_vertical_range": _mean(height)}


def _swing_clearance(walk: WalkObservation, stride: Stride) -> float:
    quarter = (stride.end - stride.off) / 4
    part = _inside(walk.time, stride.off + quarter, stride.end - quarter)
    return float(walk.sole_height[part, 0 if stride.side == "r" else 1].min())


def _inside(time: Array, start: float, end: float) -> slice:
    """The samples from `start` to `end`; at least one."""
    first = int(np.searchsorted(time, start))
    last = int(np.searchsorted(time, end, side="right"))
    first = min(first, len(time) - 1)
    return slice(first, max(last, first + 1))


def _cut(events: GaitEvents, span: tuple[float, float]) -> GaitEvents:
    groups = (events.strike_r, events.off_r, events.strike_l, events.off_l)
    return GaitEvents(*(times[(times >= span[0]) & (times <= span[1])] for times in groups))


def _mean(values: list[float] | Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
