"""Descriptions that cannot be built are refused with the name of the part; those of real people are not."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.errors import DescriptionError, GaitfarmError
from farm.records import BODY_PLANS, BodyModel, GaitParameters
from workers.simulate.checks import check
from workers.simulate.description import Joint, ModelDescription, describe
from workers.simulate.paths import MAX_RMS_ERROR_M

Change = Callable[[ModelDescription], ModelDescription]


@cache
def sound() -> ModelDescription:
    return describe(GaitParameters())


def refused(description: ModelDescription) -> tuple[str, ...]:
    with pytest.raises(DescriptionError) as caught:
        check(description)
    assert str(caught.value).splitlines()[1:] == [f"  {fault}" for fault in caught.value.faults]
    return caught.value.faults


def element(collection: str, index: int, **changes: Any) -> Change:
    """A description with one muscle, sphere, limit ... changed."""

    def change(description: ModelDescription) -> ModelDescription:
        items = list(getattr(description, collection))
        items[index] = dataclasses.replace(items[index], **changes)
        return dataclasses.replace(description, **{collection: tuple(items)})

    return change


def body(which: str, /, **changes: Any) -> Change:
    def change(description: ModelDescription) -> ModelDescription:
        segments = dict(description.anatomy.segments)
        segments[which] = dataclasses.replace(segments[which], **changes)
        return dataclasses.replace(description, anatomy=dataclasses.replace(description.anatomy, segments=segments))

    return change


def coordinate(joint: int, index: int, **changes: Any) -> Change:
    def change(description: ModelDescription) -> ModelDescription:
        coordinates = list(description.joints[joint].coordinates)
        coordinates[index] = dataclasses.replace(coordinates[index], **changes)
        return element("joints", joint, coordinates=tuple(coordinates))(description)

    return change


def path(muscle: int, **changes: Any) -> Change:
    return lambda description: element(
        "muscles", muscle, path=dataclasses.replace(description.muscles[muscle].path, **changes)
    )(description)


def material(**changes: float) -> Change:
    return lambda description: dataclasses.replace(
        description, material=dataclasses.replace(description.material, **changes)
    )


def child_first(description: ModelDescription) -> ModelDescription:
    pelvis, hip, knee, *others = description.joints
    return dataclasses.replace(description, joints=(pelvis, knee, hip, *others))


def neckless(description: ModelDescription) -> ModelDescription:
    return dataclasses.replace(description, joints=tuple(j for j in description.joints if j.name != "neck"))


def hung_twice(description: ModelDescription) -> ModelDescription:
    return dataclasses.replace(description, joints=(*description.joints, Joint("again", "radius_l", ())))


def hasty(description: ModelDescription) -> ModelDescription:
    return dataclasses.replace(description, lag=dataclasses.replace(description.lag, rise_s=-0.01))


# In the planar body joint 0 is the pelvis', 1 the right hip, 2 the knee, 3 the ankle; muscle 0 the right hamstrings,
# 7 the right soleus; limit 0 the right hip's; reflex 0 the right shoulder's.
FAULTS: dict[str, tuple[Change, str]] = {
    "muscle through no coordinate of ours": (
        path(7, coordinates=("ankle_angel",)),
        "muscle 'soleus_r': path coordinate 'ankle_angel_r' does not exist; did you mean 'ankle_angle_r'?",
    ),
    "muscle of no side": (element("muscles", 0, side="x"), "muscle 'hamstrings_r': side must be one of r, l; got 'x'"),
    "weightless body": (body("tibia_l", mass_kg=0.0), "body 'tibia_l': mass_kg must be a positive number, got 0.0"),
    "negative mass": (body("head", mass_kg=-5.2), "body 'head': mass_kg must be a positive number, got -5.2"),
    "infinite mass": (body("head", mass_kg=math.inf), "body 'head': mass_kg must be a positive number, got inf"),
    "mass centre nowhere": (
        body("torso", mass_center=(0.0, math.nan, 0.0)), "body 'torso': mass_center must be finite, got (0.0, nan, 0.0)"
    ),
    "negative inertia": (
        body("femur_r", inertia=(0.13, -0.03, 0.14)),
        "body 'femur_r': inertia (0.13, -0.03, 0.14) must be three positive moments (kg m^2)",
    ),
    "inertia of no body": (
        body("radius_l", inertia=(0.018, 0.002, 0.021)),
        "body 'radius_l': inertia (0.018, 0.002, 0.021) is of no body: the largest moment must be at most the sum of",
    ),
    "body on a missing parent": (
        body("head", parent="tors"), "body 'head': parent 'tors' does not exist; did you mean 'torso'?"
    ),
    "body under two names": (
        body("head", name="skull"), "body 'head': is called 'skull' in its own field `name`; give both one name"
    ),
    "no strength": (
        element("muscles", 7, max_isometric_force_n=0.0),
        "muscle 'soleus_r': max_isometric_force_n must be a positive number, got 0.0",
    ),
    "no fibre": (
        element("muscles", 7, optimal_fiber_length_m=-0.05),
        "muscle 'soleus_r': optimal_fiber_length_m must be a positive number, got -0.05",
    ),
    "no tendon": (
        element("muscles", 7, tendon_slack_length_m=math.nan),
        "muscle 'soleus_r': tendon_slack_length_m must be a positive number, got nan",
    ),
    "fibres across the muscle": (
        element("muscles", 7, pennation_rad=1.6),
        "muscle 'soleus_r': pennation_rad must be at least 0 and below pi/2, got 1.6",
    ),
    "path fit beyond its bound": (
        path(7, rms_error_m=1.01 * MAX_RMS_ERROR_M),
        "muscle 'soleus_r': the path's polynomial is off by 1.01 mm RMS, at most 1 mm is allowed",
    ),
    "path fit unknown": (
        path(7, rms_error_m=math.nan),
        "muscle 'soleus_r': the path's polynomial is off by nan mm RMS, at most 1 mm is allowed",
    ),
    "polynomial of another order": (
        path(7, order=5), "muscle 'soleus_r': a polynomial of order 5 in 1 coordinates has 6 coefficients, got 7"
    ),
    "path over nothing": (
        path(7, coordinates=()), "muscle 'soleus_r': its path crosses no coordinate; such a muscle moves nothing"
    ),
    "path twice over one joint": (
        path(0, coordinates=("knee_angle", "knee_angle")),
        "muscle 'hamstrings_r': its path names a coordinate twice: knee_angle, knee_angle",
    ),
    "sphere on a missing body": (
        element("spheres", 0, body="calcaneus_r"),
        "contact sphere 'heel_r': body 'calcaneus_r' does not exist; did you mean 'calcn_r'?",
    ),
    "sphere turned inside out": (
        element("spheres", 0, radius_m=-0.05), "contact sphere 'heel_r': radius_m must be a positive number, got -0.05"
    ),
    "floor of nothing": (
        material(stiffness_pa=0.0), "contact material: stiffness_pa must be a positive number, got 0.0"
    ),
    "friction that pushes": (
        material(static_friction=-0.8), "contact material: static_friction must be a number and not negative, got -0.8"
    ),
    "limit of a missing coordinate": (
        element("limits", 0, coordinate="knee_r"),
        "limit of 'knee_r': coordinate 'knee_r' does not exist; did you mean 'knee_angle_r'?",
    ),
    "limit upside down": (
        element("limits", 0, lower_deg=120.0, upper_deg=-30.0),
        "limit of 'hip_flexion_r': lower_deg and upper_deg must ascend, got 120.0 and -30.0",
    ),
    "limit without transition": (
        element("limits", 0, transition_deg=0.0),
        "limit of 'hip_flexion_r': transition_deg must be a positive number, got 0.0",
    ),
    "spring of a missing coordinate": (
        element("springs", 0, coordinate="lumbar_flexion"),
        "spring of 'lumbar_flexion': coordinate 'lumbar_flexion' does not exist; did you mean 'lumbar_extension'?",
    ),
    "spring that drives": (
        element("springs", 0, damping_nm_s_rad=-1.0),
        "spring of 'lumbar_extension': damping_nm_s_rad must be a number and not negative, got -1.0",
    ),
    "reflex of a missing coordinate": (
        element("reflexes", 0, coordinate="arm_flex"),
        "torque reflex of 'arm_flex': coordinate 'arm_flex' does not exist; did you mean 'arm_flex_r'?",
    ),
    "reflex that senses nothing": (
        element("reflexes", 0, driver="hip_l"),
        "torque reflex of 'arm_flex_r': driver 'hip_l' does not exist; there are pelvis_tilt, pelvis_tx",
    ),
    "reflex without strength": (
        element("reflexes", 0, max_torque_nm=0.0),
        "torque reflex of 'arm_flex_r': max_torque_nm must be a positive number, got 0.0",
    ),
    "range reversed": (
        coordinate(2, 0, range_rad_or_m=(0.17, -2.44)),
        "coordinate 'knee_angle_r' of joint 'knee_r': range_rad_or_m must ascend, got 0.17 and -2.44",
    ),
    "range of a point": (
        coordinate(2, 0, range_rad_or_m=(0.1, 0.1)),
        "coordinate 'knee_angle_r' of joint 'knee_r': range_rad_or_m must ascend, got 0.1 and 0.1",
    ),
    "motion of no kind": (
        coordinate(2, 0, kind="screw"),
        "coordinate 'knee_angle_r' of joint 'knee_r': kind must be one of rotation, translation; got 'screw'",
    ),
    "axis of no length": (
        coordinate(2, 0, axis=(0.0, 0.0, 0.0)),
        "coordinate 'knee_angle_r' of joint 'knee_r': axis must have unit length, got (0.0, 0.0, 0.0)",
    ),
    "child before its parent": (
        child_first, "joint 'knee_r': comes before the joint of 'femur_r', which carries 'tibia_r'; put parents first"
    ),
    "joint of no body": (
        element("joints", 1, body="thigh_r"), "joint 'hip_r': body 'thigh_r' does not exist; there are pelvis, femur_r"
    ),
    "body without a joint": (
        neckless, "body 'head': has no joint; give it one, without coordinates if it is welded"
    ),
    "two joints for one body": (
        hung_twice, "joint 'again': 'radius_l' hangs on another joint already; a body has one joint"
    ),
    "joint name twice": (element("joints", 2, name="hip_r"), "joint 'hip_r': occurs 2 times; names must be unique"),
    "coordinate name twice": (
        coordinate(2, 0, name="hip_flexion_r"), "coordinate 'hip_flexion_r': occurs 2 times; names must be unique"
    ),
    "muscle name twice": (
        element("muscles", 7, name="vasti_r"), "muscle 'vasti_r': occurs 2 times; names must be unique"
    ),
    "sphere name twice": (
        element("spheres", 0, name="heel_l"), "contact sphere 'heel_l': occurs 2 times; names must be unique"
    ),
    "two limits of one joint": (
        element("limits", 0, coordinate="hip_flexion_l"),
        "limit of 'hip_flexion_l': occurs 2 times; names must be unique",
    ),
    "excitation before its cause": (hasty, "excitation lag: rise_s must not be negative, got -0.01"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_refused_with_the_name_of_the_part(fault: str) -> None:
    """What follows from a fault (a missing coordinate's muscles) may be named beside it, but nothing twice."""
    change, message = FAULTS[fault]
    faults = refused(change(sound()))
    assert any(found.startswith(message) for found in faults), faults
    assert len(set(faults)) == len(faults)


def test_every_fault_is_in_one_message() -> None:
    description = sound()
    for name in ("negative mass", "no strength", "sphere on a missing body", "limit upside down"):
        description = FAULTS[name][0](description)
    assert [fault.split(":")[0] for fault in refused(description)] == [
        "body 'head'", "muscle 'soleus_r'", "contact sphere 'heel_r'", "limit of 'hip_flexion_r'"
    ]  # fmt: skip


def test_error_survives_the_way_between_processes() -> None:
    error = DescriptionError(["body 'head': mass_kg must be a positive number, got 0.0"])
    assert isinstance(error, GaitfarmError)
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), back.faults) == (str(error), error.faults)


@pytest.mark.parametrize("field", ["muscles", "spheres", "limits", "springs", "reflexes"])
def test_a_bare_body_is_allowed(field: str) -> None:
    check(dataclasses.replace(sound(), **{field: ()}))


def test_a_plate_is_allowed() -> None:
    """Flat bodies meet the triangle inequality with equality; rounding must not refuse them."""
    check(body("pelvis", inertia=(0.1, 0.2, 0.1 + 0.2))(sound()))


@settings(max_examples=12, deadline=None)
@given(
    body_model=st.sampled_from(tuple(BODY_PLANS)),
    stature=st.floats(1.40, 2.10),
    index=st.floats(15.0, 45.0),
    proportions=st.tuples(*(st.floats(0.92, 1.08) for _ in range(5))),
    sex=st.sampled_from(["female", "male"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_people_pass(
    body_model: BodyModel, stature: float, index: float, proportions: tuple[float, ...], sex: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    count = len(BODY_PLANS[body_model].muscles)
    names = ("thigh_proportion", "shank_proportion", "foot_proportion", "trunk_proportion", "arm_proportion")
    person = GaitParameters(
        body_model=body_model,
        sex=sex,
        stature_m=stature,
        mass_kg=index * stature**2,
        strength=rng.uniform(0.1, 2.0, count),
        fiber_length=rng.uniform(0.5, 1.5, count),
        tendon_length=rng.uniform(0.8, 1.2, count),
        activation_time_s=float(rng.uniform(0.010, 0.025)),
        deactivation_time_s=float(rng.uniform(0.040, 0.080)),
        trunk_lean_rad=float(rng.uniform(-0.1, 0.4)),
        **dict(zip(names, proportions, strict=True)),
    )
    check(describe(person))


@settings(max_examples=60, deadline=None)
@given(
    collection=st.sampled_from(["muscles", "spheres", "limits", "springs", "reflexes"]),
    index=st.integers(0, 100),
    field=st.integers(0, 100),
)
def test_no_number_may_be_nan(collection: str, index: int, field: int) -> None:
    items = getattr(sound(), collection)
    index %= len(items)
    numbers = [f.name for f in dataclasses.fields(items[index]) if isinstance(getattr(items[index], f.name), float)]
    name = numbers[field % len(numbers)]
    part = getattr(items[index], "name", None) or items[index].coordinate
    faults = refused(element(collection, index, **{name: math.nan})(sound()))
    assert len(faults) == 1
    assert repr(part) in faults[0]
    assert name in faults[0]
