"""Each rule turns down a walk made bad in just that way, and lets the good walk pass."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from farm.config import QualityLimits
from farm.gait.labels import gait_labels
from farm.gait.quality import JOINT_LIMITS_DEG, judge
from farm.records import GaitParameters, QualityReport, Trajectory
from farm.sampling.anatomy import anatomy
from tests.norm_walk import norm_walk
from tests.walk_transforms import moved, turned

BODY = anatomy(GaitParameters())
GOOD = norm_walk()


def verdict(walk: Trajectory, limits: QualityLimits | None = None) -> QualityReport:
    return judge(walk, gait_labels(walk, BODY, frame_rate_hz=30.0), BODY, limits or QualityLimits())


def changed(name: str, change: Callable[[np.ndarray], None]) -> Trajectory:
    """The good walk with one array changed in place."""
    array = getattr(GOOD, name).copy()
    change(array)
    return replace(GOOD, **{name: array})


def coordinate(name: str, factor: float = 1.0, offset: float = 0.0) -> Trajectory:
    column = GOOD.coordinate_names.index(name)

    def change(array: np.ndarray) -> None:
        array[:, column] = factor * array[:, column] + offset

    return changed("coordinates", change)


def sunk(depth_m: float) -> Trajectory:
    return changed("body_pose", lambda pose: pose[:, :, 1].__isub__(depth_m))


def sliding(speed_m_s: float) -> Trajectory:
    """Both feet's bodies move forward by `speed_m_s` more than they did."""
    feet = [GOOD.bodies.index(f"calcn_{side}") for side in "rl"]

    def change(pose: np.ndarray) -> None:
        pose[:, feet, 0] += speed_m_s * GOOD.time[:, None]

    return changed("body_pose", change)


def leaning(angle: float) -> Trajectory:
    torso = GOOD.bodies.index("torso")

    def change(pose: np.ndarray) -> None:
        pose[:, torso, 3:] = [np.cos(angle / 2), 0.0, 0.0, -np.sin(angle / 2)]

    return changed("body_pose", change)


def pushing(sample: int, newton: float) -> Trajectory:
    return changed("ground_reaction", lambda force: force[sample, 0].__setitem__(1, newton))


def powerful() -> Trajectory:
    ankle = GOOD.coordinate_names.index("ankle_angle_r")
    return changed("joint_moment", lambda moment: moment[:, ankle].__imul__(8.0))


def with_nan() -> Trajectory:
    return changed("muscle_force", lambda force: force[50].__setitem__(3, np.nan))


BAD: list[tuple[str, Trajectory, str]] = [
    ("fell", replace(GOOD, end="fell", end_detail="pelvis below 0.45 m at 9.98 s"), "pelvis below 0.45 m"),
    ("diverged", replace(GOOD, end="diverged"), "ended after 10.00 s"),
    ("stuck", replace(GOOD, end="stuck"), "ended after"),
    ("not_finite", with_nan(), "muscle_force"),
    ("too_short", norm_walk(duration_s=7.5), "7.50 s, wanted 8 s"),
    ("too_few_strides", norm_walk(duration_s=2.5), "wanted 4"),
    ("speed_out_of_range", norm_walk(speed_m_s=2.3), "2.30 m/s, allowed 0.25 to 2.2"),
    ("foot_penetration", sunk(0.060), "mm below the floor, allowed 45"),
    ("foot_slip", sliding(0.3), "cm, allowed 5"),
    ("joint_angle", coordinate("knee_angle_l", offset=np.deg2rad(30.0)), "knee_flexion_l"),
    ("joint_angle", coordinate("ankle_angle_r", offset=np.deg2rad(40.0)), "ankle_dorsiflexion_r"),
    ("joint_angle", coordinate("hip_flexion_r", factor=4.0), "hip_flexion_r"),
    ("trunk_lean", leaning(np.deg2rad(70.0)), "70 deg, allowed 60"),
    ("trunk_lean", leaning(np.deg2rad(-70.0)), "-70 deg"),
    ("ground_force", pushing(300, 3.2 * 75.2 * 9.81), "peak 3.20 body weights"),
    ("weight_not_carried", changed("ground_reaction", lambda force: force[..., 1].__imul__(0.9)), "0.900 body weights"),
    ("energy", changed("metabolic_power", lambda power: power.__imul__(0.1)), "0.3 J/(kg m)"),
    ("energy", changed("metabolic_power", lambda power: power.__imul__(6.0)), "19.8 J/(kg m)"),
    ("joint_power", powerful(), "ankle_angle_r"),
]


@pytest.mark.parametrize(("code", "walk", "detail"), BAD, ids=[f"{code}-{i}" for i, (code, _, _) in enumerate(BAD)])
def test_each_rule_finds_its_fault(code: str, walk: Trajectory, detail: str) -> None:
    report = verdict(walk)
    assert not report.accepted
    assert code in report.reasons
    assert detail in report.details[code]


@pytest.mark.parametrize(
    ("code", "walk"), [(code, walk) for code, walk, _ in BAD if code in ("fell", "foot_slip", "trunk_lean", "energy")]
)
def test_a_rule_finds_nothing_else(code: str, walk: Trajectory) -> None:
    assert verdict(walk).reasons == (code,)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 1.6, 2.0])
def test_good_walks_are_accepted(speed: float) -> None:
    for parameters in (GaitParameters(), GaitParameters(sex="female", stature_m=1.55, mass_kg=50.0)):
        walk, body = norm_walk(parameters, speed_m_s=speed), anatomy(parameters)
        report = judge(walk, gait_labels(walk, body, frame_rate_hz=30.0), body, QualityLimits())
        assert report.accepted, report.details


def test_direction_and_place_do_not_matter() -> None:
    assert verdict(moved(turned(GOOD, 2.0), 10.0, -3.0)).accepted
    assert verdict(turned(leaning(np.deg2rad(70.0)), 2.0)).reasons == ("trunk_lean",)


def test_every_fault_is_named_not_only_the_first() -> None:
    both = replace(leaning(1.3), metabolic_power=GOOD.metabolic_power * 10, end="fell")
    assert set(verdict(both).reasons) == {"fell", "trunk_lean", "energy"}


def test_the_first_two_steps_may_be_rough() -> None:
    """The body is set down in a pose: a hard, slipping first contact is no fault of the gait that follows."""
    pose, force = GOOD.body_pose.copy(), GOOD.ground_reaction.copy()
    feet = [GOOD.bodies.index(f"calcn_{side}") for side in "rl"]
    early = GOOD.time < 0.7
    pose[np.ix_(early, feet, [1])] -= 0.06
    pose[np.ix_(early, feet, [0])] += 0.5 * GOOD.time[early][:, None, None]
    force[10, 0, 1] = 4.0 * 75.2 * 9.81
    assert verdict(replace(GOOD, body_pose=pose, ground_reaction=force)).accepted
    pose[300:360, feet[0], 1] -= 0.06  # the same later is one
    assert verdict(replace(GOOD, body_pose=pose)).reasons == ("foot_penetration",)


def test_limits_of_the_campaign_hold() -> None:
    assert verdict(GOOD, QualityLimits(speed_m_s=(1.3, 2.0))).reasons == ("speed_out_of_range",)
    assert verdict(GOOD, QualityLimits(min_strides=40)).reasons == ("too_few_strides",)
    assert verdict(GOOD, QualityLimits(min_duration_s=10.5)).reasons == ("too_short",)


def test_small_excess_is_tolerated_where_limits_say_so() -> None:
    assert verdict(sunk(0.015)).accepted
    assert verdict(sliding(0.01)).accepted
    assert set(JOINT_LIMITS_DEG) == {"hip_flexion", "knee_flexion", "ankle_dorsiflexion"}


def test_a_walk_of_no_length_is_turned_down_without_a_crash() -> None:
    report = verdict(replace(norm_walk(duration_s=0.0), end="diverged", end_detail="NaN in knee_angle_r"))
    assert {"diverged", "too_short", "too_few_strides"} <= set(report.reasons)
