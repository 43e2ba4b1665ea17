"""The skeleton of a description as URDF: masses, mass centres, inertias and joints, for any other engine to read.

No engine is imported and none had a hand in it, so that whoever reads the file
has a third opinion on the mechanics: `tools/third_opinion.py` asks pybullet.
Muscles, passive stops and contact have no place in URDF and are left out.

Axes are the model's: x forward, y up, z right, gravity along -y; metres, kilograms,
radians. A URDF link's frame lies in the joint that carries it, so that the points of
`calcn`, whose origin lies under the heel, move by its `joint_in_body`.

A URDF joint moves in one coordinate. A joint with several becomes a chain through
links that have neither mass nor inertia: translations first, along the axes of the
parent, then rotations in their order, each about its axis as turned by those before.
The zeros are written out: a link without inertial data is given 1 kg by pybullet. Its
inverse dynamics takes zeros exactly (its stepping does not: give the links a millionth
of a kilogram to simulate with it).
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from farm.sampling.anatomy import Vec3
from workers.simulate.description import Joint, JointCoordinate, ModelDescription

GROUND = "ground"

_ORIGIN: Vec3 = (0.0, 0.0, 0.0)
_JOINT_TYPES = {"rotation": "revolute", "translation": "prismatic"}

_EFFORT = 0.0
"""URDF demands the largest effort of a joint's motor: there is none, muscles act."""

_MAX_SPEED = 200.0
"""rad/s or m/s, demanded by URDF: where the farm calls a simulation diverged."""


def urdf(description: ModelDescription, *, name: str = "gaitfarm") -> str:
    """The skeleton as the text of a URDF file.

    Links are named as bodies, joints as coordinates, in the description's order but
    for joints of several coordinates, whose translations come first.
    """
    robot = ElementTree.Element("robot", name=name)
    _add_link(robot, GROUND)
    for joint in description.joints:
        _add_joint(robot, description, joint)
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding="unicode") + "\n"


def motion_order(joint: Joint) -> tuple[JointCoordinate, ...]:
    """The coordinates of a joint as they act from the parent outwards: translations, then rotations.

    Raises:
        ValueError: A coordinate that is neither.
    """
    for coordinate in joint.coordinates:
        if coordinate.kind not in _JOINT_TYPES:
            raise ValueError(
                f"coordinate {coordinate.name!r} must be one of {', '.join(_JOINT_TYPES)}; got {coordinate.kind!r}"
            )
    return tuple(sorted(joint.coordinates, key=lambda coordinate: coordinate.kind == "rotation"))


def _add_joint(robot: ElementTree.Element, description: ModelDescription, joint: Joint) -> None:
    segment = description.segment(joint)
    parent, at = GROUND, segment.joint_in_parent
    if segment.parent is not None:
        parent = segment.parent
        at = _minus(at, description.anatomy.segments[parent].joint_in_body)
    for element, child in _chain(joint):
        _add_link_ends(element, parent, child, at)
        robot.append(element)
        if child != joint.body:
            _add_link(robot, child)
        parent, at = child, _ORIGIN
    _add_link(robot, joint.body, segment.mass_kg, _minus(segment.mass_center, segment.joint_in_body), segment.inertia)


def _chain(joint: Joint) -> Iterator[tuple[ElementTree.Element, str]]:
    """The URDF joints of one joint, each with the link that it carries; the last carries the body."""
    coordinates = motion_order(joint)
    if not coordinates:
        yield ElementTree.Element("joint", name=joint.name, type="fixed"), joint.body
    for coordinate in coordinates:
        element = ElementTree.Element("joint", name=coordinate.name, type=_JOINT_TYPES[coordinate.kind])
        ElementTree.SubElement(element, "axis", xyz=_numbers(coordinate.axis))
        lower, upper = coordinate.range_rad_or_m
        ElementTree.SubElement(
            element, "limit", lower=repr(float(lower)), upper=repr(float(upper)), effort=repr(_EFFORT),
            velocity=repr(_MAX_SPEED),
        )  # fmt: skip
        yield element, joint.body if coordinate is coordinates[-1] else f"{joint.body}_by_{coordinate.name}"


def _add_link_ends(element: ElementTree.Element, parent: str, child: str, at: Vec3) -> None:
    ElementTree.SubElement(element, "parent", link=parent)
    ElementTree.SubElement(element, "child", link=child)
    ElementTree.SubElement(element, "origin", xyz=_numbers(at), rpy=_numbers(_ORIGIN))


def _add_link(
    robot: ElementTree.Element, name: str, mass_kg: float = 0.0, mass_center: Vec3 = _ORIGIN, inertia: Vec3 = _ORIGIN
) -> None:
    inertial = ElementTree.SubElement(ElementTree.SubElement(robot, "link", name=name), "inertial")
    ElementTree.SubElement(inertial, "origin", xyz=_numbers(mass_center), rpy=_numbers(_ORIGIN))
    ElementTree.SubElement(inertial, "mass", value=repr(float(mass_kg)))
    ixx, iyy, izz = (repr(float(value)) for value in inertia)
    ElementTree.SubElement(inertial, "inertia", ixx=ixx, ixy="0.0", ixz="0.0", iyy=iyy, iyz="0.0", izz=izz)


def _minus(point: Vec3, origin: Vec3) -> Vec3:
    return (point[0] - origin[0], point[1] - origin[1], point[2] - origin[2])


def _numbers(vector: Vec3) -> str:
    """Every digit: a double comes back as it was."""
    return " ".join(repr(float(value)) for value in vector)
