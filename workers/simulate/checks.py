"""Whether a description can be built, asked before an engine is.

OpenSim says of most faults which C++ line threw, and takes others silently: a
coordinate limit upside down pushes, an impossible inertia moves. The compiled
twin reads arrays and checks nothing. So the plain value is checked once, for both,
and every fault is named with the part that has it.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from farm.errors import DescriptionError
from workers.simulate.description import Joint, ModelDescription, Muscle
from workers.simulate.paths import MAX_RMS_ERROR_M, exponents

_KINDS = ("rotation", "translation")
_SIDES = ("r", "l")

_TRIANGLE_SLACK = 1e-9
"""Relative. A flat plate's inertias meet the triangle inequality with equality."""

_UNIT_SLACK = 1e-6
"""By how much an axis may differ from unit length: written with six digits, it is meant as one."""

_LAG_SLACK_S = 1e-9
"""As `describe` allows: a time constant less its own default, in floating point."""


def check(description: ModelDescription) -> None:
    """Refuse a description that no engine can build, or that would move as no body does.

    Raises:
        DescriptionError: Every fault, a line each, with the name of the part.
    """
    faults = [
        *_bodies(description),
        *_joints(description),
        *_muscles(description),
        *_contact(description),
        *_passive(description),
        *_reflexes(description),
        *_twice(description),
    ]
    if faults:
        raise DescriptionError(faults)


def _bodies(description: ModelDescription) -> Iterator[str]:
    for name, segment in description.anatomy.segments.items():
        part = f"body {name!r}"
        if segment.name != name:
            yield f"{part}: is called {segment.name!r} in its own field `name`; give both one name"
        if segment.parent is not None:
            yield from _known(part, "parent", segment.parent, description.anatomy.segments)
        yield from _positive(part, "mass_kg", segment.mass_kg)
        for field in ("mass_center", "joint_in_parent", "joint_in_body"):
            yield from _finite(part, field, getattr(segment, field))
        least, middle, largest = sorted(segment.inertia)
        if not (_all_finite(segment.inertia) and least > 0.0):
            yield f"{part}: inertia {segment.inertia!r} must be three positive moments (kg m^2)"
        elif largest > (least + middle) * (1.0 + _TRIANGLE_SLACK):
            yield (
                f"{part}: inertia {segment.inertia!r} is of no body: the largest moment must be at most the sum of "
                f"the other two, {least + middle:.6g} kg m^2"
            )


def _joints(description: ModelDescription) -> Iterator[str]:
    segments = description.anatomy.segments
    carried: list[str] = []
    for joint in description.joints:
        part = f"joint {joint.name!r}"
        yield from _known(part, "body", joint.body, segments)
        if joint.body in segments:
            parent = segments[joint.body].parent
            if parent in segments and parent not in carried:
                yield f"{part}: comes before the joint of {parent!r}, which carries {joint.body!r}; put parents first"
        if joint.body in carried:
            yield f"{part}: {joint.body!r} hangs on another joint already; a body has one joint"
        carried.append(joint.body)
        yield from _coordinates(joint)
    for name in segments:
        if name not in carried:
            yield f"body {name!r}: has no joint; give it one, without coordinates if it is welded"


def _coordinates(joint: Joint) -> Iterator[str]:
    for coordinate in joint.coordinates:
        part = f"coordinate {coordinate.name!r} of joint {joint.name!r}"
        if coordinate.kind not in _KINDS:
            yield f"{part}: kind must be one of {', '.join(_KINDS)}; got {coordinate.kind!r}"
        if not abs(math.hypot(*coordinate.axis) - 1.0) <= _UNIT_SLACK:
            yield f"{part}: axis must have unit length, got {coordinate.axis!r}"
        yield from _ascending(part, "range_rad_or_m", *coordinate.range_rad_or_m)


def _muscles(description: ModelDescription) -> Iterator[str]:
    names = description.coordinate_names
    for muscle in description.muscles:
        part = f"muscle {muscle.name!r}"
        for field in (
            "max_isometric_force_n", "optimal_fiber_length_m", "tendon_slack_length_m", "passive_strain",
            "max_contraction_velocity",
        ):  # fmt: skip
            yield from _positive(part, field, getattr(muscle, field))
        if not 0.0 <= muscle.pennation_rad < math.pi / 2:
            yield f"{part}: pennation_rad must be at least 0 and below pi/2, got {muscle.pennation_rad!r}"
        if muscle.side in _SIDES:
            for coordinate in muscle.path.coordinates:
                yield from _known(part, "path coordinate", f"{coordinate}_{muscle.side}", names)
        else:
            yield f"{part}: side must be one of {', '.join(_SIDES)}; got {muscle.side!r}"
        yield from _path(part, muscle)


def _path(part: str, muscle: Muscle) -> Iterator[str]:
    path = muscle.path
    if not path.coordinates:
        yield f"{part}: its path crosses no coordinate; such a muscle moves nothing"
        return
    needed = len(exponents(len(path.coordinates), path.order))
    if len(path.coefficients) != needed:
        yield (
            f"{part}: a polynomial of order {path.order} in {len(path.coordinates)} coordinates has {needed} "
            f"coefficients, got {len(path.coefficients)}"
        )
    yield from _finite(part, "path coefficients", path.coefficients)
    if len(set(path.coordinates)) < len(path.coordinates):
        yield f"{part}: its path names a coordinate twice: {', '.join(path.coordinates)}"
    if not 0.0 <= path.rms_error_m <= MAX_RMS_ERROR_M:
        yield (
            f"{part}: the path's polynomial is off by {path.rms_error_m * 1e3:.3g} mm RMS, "
            f"at most {MAX_RMS_ERROR_M * 1e3:.3g} mm is allowed"
        )


def _contact(description: ModelDescription) -> Iterator[str]:
    for sphere in description.spheres:
        part = f"contact sphere {sphere.name!r}"
        yield from _known(part, "body", sphere.body, description.anatomy.segments)
        yield from _finite(part, "center", sphere.center)
        yield from _positive(part, "radius_m", sphere.radius_m)
    material, part = description.material, "contact material"
    for field in ("stiffness_pa", "dissipation_s_m", "transition_velocity_m_s"):  # a zero would divide or carry nothing
        yield from _positive(part, field, getattr(material, field))
    for field in ("static_friction", "dynamic_friction", "viscous_friction_s_m"):
        yield from _not_negative(part, field, getattr(material, field))


def _passive(description: ModelDescription) -> Iterator[str]:
    names = description.coordinate_names
    for limit in description.limits:
        part = f"limit of {limit.coordinate!r}"
        yield from _known(part, "coordinate", limit.coordinate, names)
        yield from _ascending(part, "lower_deg and upper_deg", limit.lower_deg, limit.upper_deg)
        yield from _not_negative(part, "stiffness_nm_deg", limit.stiffness_nm_deg)
        yield from _not_negative(part, "damping_nm_s_deg", limit.damping_nm_s_deg)
        yield from _positive(part, "transition_deg", limit.transition_deg)
    for spring in description.springs:
        part = f"spring of {spring.coordinate!r}"
        yield from _known(part, "coordinate", spring.coordinate, names)
        yield from _not_negative(part, "stiffness_nm_rad", spring.stiffness_nm_rad)
        yield from _not_negative(part, "damping_nm_s_rad", spring.damping_nm_s_rad)
        yield from _finite(part, "rest_rad", (spring.rest_rad,))


def _reflexes(description: ModelDescription) -> Iterator[str]:
    names = description.coordinate_names
    for reflex in description.reflexes:
        part = f"torque reflex of {reflex.coordinate!r}"
        yield from _known(part, "coordinate", reflex.coordinate, names)
        yield from _known(part, "driver", reflex.driver, names)
        yield from _finite(part, "gain and offset_rad", (reflex.gain, reflex.offset_rad))
        yield from _not_negative(part, "stiffness_nm_rad", reflex.stiffness_nm_rad)
        yield from _not_negative(part, "damping_nm_s_rad", reflex.damping_nm_s_rad)
        yield from _positive(part, "max_torque_nm", reflex.max_torque_nm)
    for field in ("rise_s", "fall_s"):
        value = getattr(description.lag, field)
        if not (math.isfinite(value) and value >= -_LAG_SLACK_S):
            yield f"excitation lag: {field} must not be negative, got {value!r}"


def _twice(description: ModelDescription) -> Iterator[str]:
    """Names that OpenSim would refuse or, worse, change; and parts of which a coordinate has one."""
    named: dict[str, Iterable[str]] = {
        "joint": (joint.name for joint in description.joints),
        "coordinate": description.coordinate_names,
        "muscle": (muscle.name for muscle in description.muscles),
        "contact sphere": (sphere.name for sphere in description.spheres),
        "limit of": (limit.coordinate for limit in description.limits),
        "spring of": (spring.coordinate for spring in description.springs),
        "torque reflex of": (reflex.coordinate for reflex in description.reflexes),
    }
    for kind, names in named.items():
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{kind} {name!r}: occurs {count} times; names must be unique"


# --- one fault each ------------------------------------------------------------------------------------------


def _known(part: str, field: str, name: str, known: Collection[str]) -> Iterator[str]:
    if name not in known:
        alike = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {alike[0]!r}?" if alike else f"; there are {', '.join(known)}"
        yield f"{part}: {field} {name!r} does not exist{hint}"


def _positive(part: str, field: str, value: float) -> Iterator[str]:
    if not (math.isfinite(value) and value > 0.0):
        yield f"{part}: {field} must be a positive number, got {value!r}"


def _not_negative(part: str, field: str, value: float) -> Iterator[str]:
    if not (math.isfinite(value) and value >= 0.0):
        yield f"{part}: {field} must be a number and not negative, got {value!r}"


def _ascending(part: str, field: str, lower: float, upper: float) -> Iterator[str]:
    if not (_all_finite((lower, upper)) and lower < upper):
        yield f"{part}: {field} must ascend, got {lower!r} and {upper!r}"


def _finite(part: str, field: str, values: Sequence[float]) -> Iterator[str]:
    if not _all_finite(values):
        yield f"{part}: {field} must be finite, got {tuple(values)!r}"


def _all_finite(values: Sequence[float]) -> bool:
    return all(math.isfinite(value) for value in values)
