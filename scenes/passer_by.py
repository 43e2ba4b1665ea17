"""Other people in the picture: how they are drawn, look and move.

They stand, or walk past on a straight way of their own by healthy adults' mean
curves (`farm.gait.norm_walker`), so that standing feet stay where they are. They
are decoration: no label speaks of them, and where one is in front the mask is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from farm.gait.norm_walker import NormWalker, planar_poses
from farm.records import COORDINATES, GaitParameters, Sex
from farm.sampling.anatomy import BODIES, SOLE_Y_M, Anatomy, anatomy
from farm.scene_config import PeopleVariation
from scenes.body import BodyMesh, body_mesh, bone_transforms
from scenes.colours import choose
from scenes.figure import Figure
from scenes.surface import Array
from scenes.wardrobe import Clothes, clothes_rand

Arms = Literal["hanging", "phone", "folded"]

GIRTH_M = 0.36
"""Half breadth of the floor that somebody takes, with swinging arms."""

STRIDE_REACH_M = 0.50
"""How far a walker's feet reach before and behind the hips."""

TALLEST_M = 1.95

CELL_M = 0.042
"""Fineness of their meshes: they are seen from afar, or not sharply looked at."""

_GENERIC_STATURE_M = GaitParameters().stature_m
_PACES_M_S = (0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
"""Speeds of a man of 1.80 m: a few, because working out a walk's curves takes longer than all else about it."""

_ARM_ANGLES_DEG: dict[Arms, tuple[tuple[float, float], tuple[float, float]]] = {
    "hanging": ((2.0, 12.0), (4.0, 14.0)),
    "phone": ((28.0, 105.0), (3.0, 12.0)),
    "folded": ((22.0, 88.0), (26.0, 92.0)),
}
"""Shoulder and elbow flexion, right and left."""


@dataclass(frozen=True)
class PasserByDraw:
    """Somebody as drawn; where there is room for them follows from the place and the walk.

    Attributes:
        kind: "standing" or "walking".
        side: -1 or 1, the side of the walkway (in the sign of z) where room is looked for first.
        gap_m: Free floor between them and what the walker and the cameras need.
        along: 0 to 1 along the place, of the room that their way leaves.
        turn_deg: Standing: from looking straight at the walkway. Walking: 0 along x, 180 the other way.
        pace_m_s: Speed if they were 1.80 m tall; speed grows with stature.
        phase: 0 to 1 in the stride at the first moment.
        step_deg: Standing: how far the thighs are apart.
    """

    kind: Literal["standing", "walking"]
    sex: Sex
    age_years: float
    stature_m: float
    mass_kg: float
    clothes: Clothes
    side: int
    gap_m: float
    along: float
    turn_deg: float
    pace_m_s: float
    phase: float
    arms: Arms
    step_deg: float

    @property
    def speed_m_s(self) -> float:
        """Over the floor."""
        return self.pace_m_s * self.stature_m / _GENERIC_STATURE_M if self.kind == "walking" else 0.0


@dataclass(frozen=True)
class Way:
    """A straight way on the floor: where somebody is at time 0 (m), the heading as an angle from x to z, the speed."""

    x: float
    z: float
    heading_rad: float
    speed_m_s: float

    def world_from_local(self) -> Array:
        """`[4, 4]`: local axes have x along the way."""
        c, s = np.cos(self.heading_rad), np.sin(self.heading_rad)
        return np.array([[c, 0.0, -s, self.x], [0.0, 1.0, 0.0, 0.0], [s, 0.0, c, self.z], [0.0, 0.0, 0.0, 1.0]])

    def space(self, time: Array, height_m: float) -> tuple[Array, Array]:
        """Low and high corners `[T, 3]` (m, world) of the room that somebody takes at some moments `[T]`."""
        along = np.array([np.cos(self.heading_rad), 0.0, np.sin(self.heading_rad)])
        middle = np.array([self.x, 0.0, self.z]) + self.speed_m_s * np.asarray(time)[:, None] * along
        ahead = STRIDE_REACH_M if self.speed_m_s > 0.0 else GIRTH_M
        half = np.abs(along) * ahead + np.abs(along[[2, 1, 0]]) * GIRTH_M
        return middle - half, middle + half + np.array([0.0, height_m, 0.0])


@dataclass(frozen=True)
class PasserBy:
    """Somebody else in the picture, or something that moves: never labelled; the mask has 0 there.

    Attributes:
        mesh: Clothed, coarse.
        bones: `[F, J, 4, 4]` world from bone, one for each picture.
        moves: Whether `bones` differ from picture to picture.
        bones_at: The same at any moments: `[T]` s -> `[T, J, 4, 4]`.
    """

    mesh: BodyMesh
    bones: Array
    moves: bool
    bones_at: Callable[[Array], Array]


def passer_by_rand(rng: np.random.Generator, walking_share: float) -> PasserByDraw:
    """Draw somebody: any adult, in any clothes."""
    walking = bool(rng.uniform() < walking_share)
    sex: Sex = "female" if rng.uniform() < 0.5 else "male"
    age = float(rng.uniform(18.0, 85.0))
    stature = float(np.clip(rng.normal(1.75 if sex == "male" else 1.63, 0.065), 1.48, TALLEST_M))
    return PasserByDraw(
        kind="walking" if walking else "standing",
        sex=sex,
        age_years=age,
        stature_m=stature,
        mass_kg=float(np.clip(rng.normal(25.0, 3.5), 18.5, 36.0) * stature**2),
        clothes=clothes_rand(rng, PeopleVariation(), sex, age),
        side=int(rng.choice([-1, 1])),
        gap_m=float(rng.uniform(0.05, 1.5)),
        along=float(rng.uniform()),
        turn_deg=float(rng.choice([0.0, 180.0]) if walking else rng.normal(0.0, 55.0)),
        pace_m_s=float(rng.choice(_PACES_M_S)),
        phase=float(rng.uniform()),
        arms=choose(rng, {"hanging": 0.55, "phone": 0.25, "folded": 0.20}),
        step_deg=float(rng.uniform(-7.0, 7.0)),
    )


def passer_by(draw: PasserByDraw, way: Way, time: Array, *, cell_m: float = CELL_M) -> PasserBy:
    """Dress somebody and send them on their way.

    Args:
        time: `[F]` s, the pictures' moments.
    """
    body = anatomy(GaitParameters(sex=draw.sex, stature_m=draw.stature_m, mass_kg=draw.mass_kg))
    world = way.world_from_local()

    def bones_at(moments: Array) -> Array:
        coordinates = _walk(draw, body, moments) if draw.kind == "walking" else _stand(draw, body)
        local = bone_transforms(body, planar_poses(body, coordinates), BODIES)
        return np.asarray(world @ np.broadcast_to(local, (len(moments), *local.shape[1:])))

    mesh = body_mesh(Figure(body, draw.sex), draw.clothes, cell_m=cell_m)
    return PasserBy(mesh, bones_at(time), draw.kind == "walking", bones_at)


@cache
def _strolling(pace_m_s: float) -> NormWalker:
    return NormWalker(anatomy(GaitParameters()), pace_m_s)


def _walk(draw: PasserByDraw, body: Anatomy, time: Array) -> Array:
    """Coordinates `[T, Q]` of the walk; all bodies here have the generic proportions, so only lengths are scaled."""
    walker = _strolling(draw.pace_m_s)
    before = draw.phase * walker.stride_time_s
    coordinates = walker.coordinates(np.asarray(time) + before)
    along, up = COORDINATES.index("pelvis_tx"), COORDINATES.index("pelvis_ty")
    coordinates[:, along] -= walker.speed_m_s * before
    coordinates[:, [along, up]] *= body.stature_m / _GENERIC_STATURE_M
    return coordinates


def _stand(draw: PasserByDraw, body: Anatomy) -> Array:
    """Coordinates `[1, Q]`: upright, one foot a little before the other, both flat on the floor."""
    value = dict.fromkeys(COORDINATES, 0.0)
    for side, sign, (shoulder, elbow) in zip("rl", (1.0, -1.0), _ARM_ANGLES_DEG[draw.arms], strict=True):
        value[f"hip_flexion_{side}"] = sign * np.deg2rad(draw.step_deg)
        value[f"ankle_angle_{side}"] = -sign * np.deg2rad(draw.step_deg)
        value[f"arm_flex_{side}"], value[f"elbow_flex_{side}"] = np.deg2rad([shoulder, elbow])
    coordinates = np.array([[value[name] for name in COORDINATES]])
    poses = planar_poses(body, coordinates)
    lowest = min(
        float(poses[0, BODIES.index(f"calcn_{side}"), 1] + body.point(f"calcn_{side}", (0.0, SOLE_Y_M, 0.0))[1])
        for side in "rl"
    )
    coordinates[0, COORDINATES.index("pelvis_ty")] -= lowest
    return coordinates
