"""The body's plan: segments, joints, landmarks and sensors, scaled to one person.

Everything that must agree to the millimetre (the OpenSim model, keypoints,
pictures, virtual sensors) reads this one table. Body axes are parallel to the
world's (x forward, y up, z right) when the person stands upright; a body's
origin is its proximal joint, except for `pelvis` (midway between the anterior
superior iliac spines, as in the generic model) and `calcn` (under the heel bone).

The generic body is OpenSim's gait14dof22musc (credits: A. Seth, D.G. Thelen,
F.C. Anderson, S.L. Delp; C. Ong; licence CC BY 3.0; segment data after Delp et
al. 1990, Anderson & Pandy 1999), with talus, calcaneus and toes merged into one
foot, and its lumped torso of 34.2 kg divided into trunk, head and arms after
Rajagopal et al. 2016 (arms) and de Leva 1996 (head).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from farm.records import GaitParameters

Vec3 = tuple[float, float, float]

SOLE_Y_M = -0.03
"""Height of the sole in the generic `calcn` axes: where the contact spheres end."""

MTP_X_M = 0.1788
"""Metatarsophalangeal axis in the generic `calcn` axes; the physics' foot is rigid there, the pictured toes bend."""

TOE_TIP_X_M = 0.245
"""Tip of the big toe in the generic `calcn` axes (foot length 0.152 of stature, Drillis & Contini 1966)."""


@dataclass(frozen=True)
class Segment:
    """One rigid segment of the generic 1.80 m, 75.2 kg man.

    Attributes:
        parent: Name of the proximal segment; None for the pelvis, which floats.
        joint_in_parent: Joint centre in the parent's axes (m).
        joint_in_body: The same joint centre in this body's own axes (m).
        mass_kg: Segment mass.
        mass_center: Centre of mass in body axes (m).
        inertia: Central moments of inertia about x, y, z (kg m^2).
        proportion: The `GaitParameters` field that scales this segment's length, or None.
        female_mass_ratio: Female over male segment mass fraction (de Leva 1996, tables 4).
    """

    parent: str | None
    joint_in_parent: Vec3
    joint_in_body: Vec3
    mass_kg: float
    mass_center: Vec3
    inertia: Vec3
    proportion: str | None
    female_mass_ratio: float


def _leg(side: str) -> dict[str, Segment]:
    s = 1.0 if side == "r" else -1.0
    return {
        f"femur_{side}": Segment(
            "pelvis",
            (-0.0707, -0.0661, s * 0.0835),
            (0.0, 0.0, 0.0),
            9.3014,
            (0.0, -0.17, 0.0),
            (0.1339, 0.0351, 0.1412),
            "thigh_proportion",
            0.1478 / 0.1416,
        ),
        f"tibia_{side}": Segment(
            f"femur_{side}",
            (-0.0045, -0.3958, 0.0),
            (0.0, 0.0, 0.0),
            3.7075,
            (0.0, -0.1867, 0.0),
            (0.0504, 0.0051, 0.0511),
            "shank_proportion",
            0.0481 / 0.0433,
        ),
        # talus (0.1 kg), calcaneus (1.25 kg) and toes (0.2166 kg) of the generic model, composed
        f"calcn_{side}": Segment(
            f"tibia_{side}",
            (0.0, -0.43, 0.0),
            (0.04877, 0.04195, -s * 0.00792),
            1.5666,
            (0.1124, 0.0272, -s * 0.0027),
            (0.0027, 0.0088, 0.0083),
            "foot_proportion",
            0.0129 / 0.0137,
        ),
    }


def _arm(side: str) -> dict[str, Segment]:
    s = 1.0 if side == "r" else -1.0
    return {
        f"humerus_{side}": Segment(
            "torso",
            (0.0032, 0.3715, s * 0.17),
            (0.0, 0.0, 0.0),
            2.0325,
            (0.0, -0.1645, 0.0),
            (0.0119, 0.0041, 0.0134),
            "arm_proportion",
            0.0255 / 0.0271,
        ),
        # ulna, radius and hand of Rajagopal et al. 2016, composed
        f"radius_{side}": Segment(
            f"humerus_{side}",
            (0.0131, -0.2863, s * 0.0096),
            (0.0, 0.0, 0.0),
            1.6725,
            (0.0, -0.1803, 0.0),
            (0.0180, 0.0020, 0.0180),
            "arm_proportion",
            (0.0138 + 0.0056) / (0.0162 + 0.0061),
        ),
    }


SEGMENTS: Mapping[str, Segment] = MappingProxyType(
    {
        "pelvis": Segment(
            None, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 11.777, (-0.0707, 0.0, 0.0),
            (0.1028, 0.0871, 0.0579), None, 0.1247 / 0.1117,
        ),
        **_leg("r"),
        **_leg("l"),
        "torso": Segment(
            "pelvis", (-0.1007, 0.0815, 0.0), (0.0, 0.0, 0.0), 21.6266, (-0.0396, 0.2455, 0.0),
            (0.70, 0.32, 0.66), "trunk_proportion", 0.3010 / 0.3229,
        ),
        "head": Segment(
            "torso", (0.0, 0.50, 0.0), (0.0, 0.0, 0.0), 5.20, (0.01, 0.13, 0.0),
            (0.0300, 0.0210, 0.0320), None, 0.0668 / 0.0694,
        ),
        **_arm("r"),
        **_arm("l"),
    }
)  # fmt: skip

BODIES: tuple[str, ...] = tuple(SEGMENTS)
HEAD_HEIGHT_M = 0.2543
"""From the neck's joint to the vertex, generic; makes the generic body 1.80 m tall."""

COCO_KEYPOINTS: tuple[str, ...] = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
KEYPOINTS: tuple[str, ...] = (
    *COCO_KEYPOINTS,
    "right_heel", "left_heel", "right_big_toe", "left_big_toe", "pelvis", "neck", "mid_trunk",
)  # fmt: skip


def _stations() -> dict[str, tuple[str, Vec3]]:
    stations: dict[str, tuple[str, Vec3]] = {
        "nose": ("head", (0.099, 0.115, 0.0)),
        "pelvis": ("pelvis", (-0.0707, -0.0661, 0.0)),  # midway between the hip centres
        "neck": ("torso", (0.0, 0.44, 0.0)),
        "mid_trunk": ("torso", (-0.02, 0.20, 0.0)),
    }
    for side, word, s in (("r", "right", 1.0), ("l", "left", -1.0)):
        stations |= {
            f"{word}_eye": ("head", (0.086, 0.145, s * 0.033)),
            f"{word}_ear": ("head", (0.005, 0.130, s * 0.069)),
            f"{word}_shoulder": (f"humerus_{side}", (0.0, 0.0, 0.0)),
            f"{word}_elbow": (f"radius_{side}", (0.0, 0.0, 0.0)),
            f"{word}_wrist": (f"radius_{side}", (0.0, -0.24, 0.0)),
            f"{word}_hip": (f"femur_{side}", (0.0, 0.0, 0.0)),
            f"{word}_knee": (f"tibia_{side}", (0.0, 0.0, 0.0)),
            f"{word}_ankle": (f"tibia_{side}", (0.0, -0.43, 0.0)),
            f"{word}_heel": (f"calcn_{side}", (0.016, 0.0, 0.0)),
            f"{word}_big_toe": (f"calcn_{side}", (TOE_TIP_X_M - 0.010, SOLE_Y_M + 0.018, -s * 0.02)),
        }
    return stations


KEYPOINT_STATIONS: Mapping[str, tuple[str, Vec3]] = MappingProxyType({name: _stations()[name] for name in KEYPOINTS})
"""Body and point (generic metres) of each keypoint; the big toe's is for straight toes.

Landmarks on the skin (nose, eyes, ears, heels, toes) lie 5 to 20 mm beneath it: on it, half of them would be beside the
body in pictures, by the rounding of pixels and of the mesh."""

IMU_STATIONS: Mapping[str, tuple[str, Vec3]] = MappingProxyType(
    {
        "waist": ("pelvis", (-0.17, 0.03, 0.0)),
        "chest": ("torso", (0.09, 0.30, 0.0)),
        "thigh_r": ("femur_r", (0.07, -0.22, 0.03)),
        "thigh_l": ("femur_l", (0.07, -0.22, -0.03)),
        "ankle_r": ("tibia_r", (0.0, -0.36, 0.04)),
        "ankle_l": ("tibia_l", (0.0, -0.36, -0.04)),
    }
)
"""Where a study straps its sensors (generic metres): sacrum, sternum, mid-thigh, above the lateral malleolus."""


@dataclass(frozen=True)
class ScaledSegment:
    """One person's segment: like `Segment`, in this person's metres and kilograms."""

    name: str
    parent: str | None
    joint_in_parent: Vec3
    joint_in_body: Vec3
    mass_kg: float
    mass_center: Vec3
    inertia: Vec3
    scale: float


@dataclass(frozen=True)
class Anatomy:
    """One person's dimensions.

    Attributes:
        segments: In the order of `BODIES`, parents before children.
        stature_m: Sole to vertex, standing on the longer leg.
        mass_kg: Sum of the segment masses.
        leg_length_m: Hip centre to sole of the longer leg, standing (the pendulum length of Hof 2005).
        girth: Cross-section scale of soft tissue relative to the generic body at equal stature
            (square root of relative body mass index); pictures use it, physics does not.
    """

    segments: Mapping[str, ScaledSegment]
    stature_m: float
    mass_kg: float
    leg_length_m: float
    girth: float

    def scale(self, body: str) -> float:
        """Length of `body` relative to the generic body."""
        return self.segments[body].scale

    def point(self, body: str, generic: Vec3) -> NDArray[np.float64]:
        """A point given in generic metres, in this person's metres: `[3]`, axes of `body`."""
        return np.asarray(generic, dtype=float) * self.segments[body].scale

    def keypoint(self, name: str) -> tuple[str, NDArray[np.float64]]:
        """Body and station `[3]` (m, body axes) of a keypoint, toes straight."""
        body, generic = KEYPOINT_STATIONS[name]
        return body, self.point(body, generic)

    def imu(self, name: str) -> tuple[str, NDArray[np.float64]]:
        """Body and station `[3]` (m, body axes) of a virtual accelerometer."""
        body, generic = IMU_STATIONS[name]
        return body, self.point(body, generic)


def _height(scale: Mapping[str, float]) -> tuple[float, float]:
    """Stature and hip height of a standing body whose segments are scaled so."""
    foot = SEGMENTS["calcn_r"].joint_in_body[1] - SOLE_Y_M
    hip = foot * scale["calcn_r"] + 0.43 * scale["tibia_r"] + 0.3958 * scale["femur_r"]
    pelvis = (0.0661 + SEGMENTS["torso"].joint_in_parent[1]) * scale["pelvis"]
    trunk = SEGMENTS["head"].joint_in_parent[1] * scale["torso"]
    return hip + pelvis + trunk + HEAD_HEIGHT_M * scale["head"], hip


GENERIC_STATURE_M, GENERIC_HIP_HEIGHT_M = _height(dict.fromkeys(BODIES, 1.0))
GENERIC_MASS_KG = sum(segment.mass_kg for segment in SEGMENTS.values())


def anatomy(parameters: GaitParameters) -> Anatomy:
    """Scale the generic body to one person.

    Segment lengths follow the drawn proportions and are then scaled together so
    that stature is exact; masses follow the generic fractions times the
    female/male ratios of de Leva (1996), scaled together so that body mass is
    exact; inertias scale with mass and length squared. Of legs of different
    length the longer one follows stature and proportions; the shorter one's
    thigh and shank are shorter, and lighter, by one factor, its foot is not.
    """
    proportion = {
        name: getattr(parameters, segment.proportion) if segment.proportion else 1.0
        for name, segment in SEGMENTS.items()
    }
    common = parameters.stature_m / _height(proportion)[0]
    scale = {name: common * value for name, value in proportion.items()}
    leg_length_m = _height(scale)[1]
    female = parameters.sex == "female"
    share = {
        name: segment.mass_kg * (segment.female_mass_ratio if female else 1.0) for name, segment in SEGMENTS.items()
    }
    for name, factor in _shortening(scale, parameters.leg_length_difference_m).items():
        scale[name] *= factor
        share[name] *= factor
    per_share = parameters.mass_kg / sum(share.values())
    segments = {}
    for name, segment in SEGMENTS.items():
        mass = share[name] * per_share
        k = scale[name]
        segments[name] = ScaledSegment(
            name=name,
            parent=segment.parent,
            joint_in_parent=_scaled(segment.joint_in_parent, scale[segment.parent] if segment.parent else 1.0),
            joint_in_body=_scaled(segment.joint_in_body, k),
            mass_kg=mass,
            mass_center=_scaled(segment.mass_center, k),
            inertia=_scaled(segment.inertia, k * k * mass / segment.mass_kg),
            scale=k,
        )
    generic_bmi = GENERIC_MASS_KG / GENERIC_STATURE_M**2
    return Anatomy(
        segments=MappingProxyType(segments),
        stature_m=parameters.stature_m,
        mass_kg=parameters.mass_kg,
        leg_length_m=leg_length_m,
        girth=float(np.sqrt(parameters.mass_kg / parameters.stature_m**2 / generic_bmi)),
    )


def _shortening(scale: Mapping[str, float], difference_m: float) -> dict[str, float]:
    """Factors on the shorter leg's thigh and shank, by segment; none for legs of one length.

    Args:
        scale: Of all segments, as if both legs were the longer one.
        difference_m: By how much the right leg is longer than the left.
    """
    if difference_m == 0.0:
        return {}
    side = "l" if difference_m > 0.0 else "r"
    bones = (f"femur_{side}", f"tibia_{side}")
    hip_to_ankle_m = 0.3958 * scale[bones[0]] + 0.43 * scale[bones[1]]
    return dict.fromkeys(bones, 1.0 - abs(difference_m) / hip_to_ankle_m)


def _scaled(vector: Vec3, factor: float) -> Vec3:
    return (vector[0] * factor, vector[1] * factor, vector[2] * factor)
