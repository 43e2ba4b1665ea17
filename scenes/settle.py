"""Finds room for what stands around, and lets furniture settle there.

Pieces are dropped near their wall, where nobody walks and no camera looks through. A
piece that would touch another, somebody's way, a wall, the walkway or a line of sight
is left out, as is one that topples. pybullet steps alike each time, so the same
drawing settles to the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from scenes.furniture import Part, PieceDraw, parts_of
from scenes.panel import RoomBox
from scenes.physics_engine import pybullet
from scenes.surface import Array

WALKWAY_MARGIN_M = 0.30
"""Free floor on each side of everything that the walker's body passes."""

APART_M = 0.03
_BEYOND_ENDS_M = 0.60
_ABOVE_FLOOR_M = 0.05
"""From here up the walkway is kept free: lower, everything would touch it."""

_SEAT_M = 0.35
"""Free room on each side of a camera."""

_DROP_M = 0.035
_STEPS = 100
_LEAN = 0.99
"""Cosine between a piece's axis and the vertical at which it counts as toppled."""

_MASS_KG = 15.0


@dataclass(frozen=True)
class Spot:
    """A place on the floor (m), and the turn about the vertical from facing +z."""

    x: float
    z: float
    yaw_rad: float


@dataclass(frozen=True)
class Standing:
    """A piece that came to rest: its parts in its own axes, and `world_from_piece` `[4, 4]`."""

    draw: PieceDraw
    parts: tuple[Part, ...]
    world_from_piece: Array

    def world(self, points: Array) -> Array:
        """Points `[P, 3]` of the piece in world axes."""
        return np.asarray(points @ self.world_from_piece[:3, :3].T + self.world_from_piece[:3, 3])


class Ground:
    """The floor of one setting while it is being furnished; close it (or use `with`) to free pybullet's memory.

    Whoever asks first gets the room: what would touch anything that was there before is refused.
    """

    def __init__(self, box: RoomBox, *, outline: Array, eyes: Array) -> None:
        """Args:
        outline: `[F, P, 3]` m, points that bound the walker in every picture.
        eyes: `[C, F, 3]` m, where each camera is in each picture.
        """
        self._client = pybullet.connect(pybullet.DIRECT)
        pybullet.setGravity(0.0, -9.81, 0.0, physicsClientId=self._client)
        self._box = box
        self._floor = _static_box(self._client, [0.0, -0.5, 0.0], [200.0, 0.5, 200.0])
        walk = walkway(outline)
        self._taken = [*_walls(self._client, box), _between(self._client, *walk)]
        self._taken += [
            _between(self._client, track.min(axis=0) - _SEAT_M, track.max(axis=0) + _SEAT_M) for track in eyes
        ]
        self._sights = [_sight(self._client, outline, track) for track in eyes]
        self._dropped: list[tuple[int, PieceDraw, tuple[Part, ...]]] = []

    def __enter__(self) -> Ground:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the pybullet world; a second call does nothing."""
        if self._client >= 0:
            pybullet.disconnect(physicsClientId=self._client)
            self._client = -1

    def keep(self, low: Array, high: Array, *, before: int | None = None) -> bool:
        """Keep a box (corners `[3]`, m) free for somebody, if it is.

        Args:
            before: Number of the camera between which and the walk this may be; None for none.
        """
        body = _between(self._client, low, high)
        if not self._is_free(body, before):
            pybullet.removeBody(body, physicsClientId=self._client)
            return False
        self._taken.append(body)
        return True

    def drop(self, draw: PieceDraw, spot: Spot | None = None, *, before: int | None = None) -> bool:
        """Let a piece fall on its place at its wall, or on a spot, if that is free.

        Args:
            before: As in `keep`.
        """
        parts = tuple(parts_of(draw))
        piece = _drop(self._client, draw, parts, spot or at_wall(draw, parts, self._box))
        if not self._is_free(piece, before):
            pybullet.removeBody(piece, physicsClientId=self._client)
            return False
        self._dropped.append((piece, draw, parts))
        return True

    def settle(self) -> tuple[Standing, ...]:
        """Let what was dropped come to rest; those that stand."""
        for _ in range(_STEPS if self._dropped else 0):
            pybullet.stepSimulation(physicsClientId=self._client)
        standing = []
        for piece, draw, parts in self._dropped:
            place, turn = pybullet.getBasePositionAndOrientation(piece, physicsClientId=self._client)
            pose = np.eye(4)
            pose[:3, :3] = np.reshape(pybullet.getMatrixFromQuaternion(turn), (3, 3))
            pose[:3, 3] = np.array(place) - pose[:3, :3] @ _mass_centre(parts)
            touches = pybullet.getContactPoints(piece, self._floor, physicsClientId=self._client)
            if (pose[1, 1] > _LEAN or draw.kind == "ball") and touches:
                standing.append(Standing(draw, parts, pose))
        return tuple(standing)

    def _is_free(self, body: int, before: int | None) -> bool:
        others = [*self._taken, *(piece for piece, _, _ in self._dropped)]
        others += [sight for camera, sight in enumerate(self._sights) if camera != before]
        return not any(
            pybullet.getClosestPoints(body, other, APART_M, physicsClientId=self._client) for other in others
        )


def walkway(outline: Array) -> tuple[Array, Array]:
    """Low and high corners `[3]` (m) of what is kept free around the walk of `outline` `[F, P, 3]`."""
    points = outline.reshape(-1, 3)
    beside = np.array([_BEYOND_ENDS_M, 0.10, WALKWAY_MARGIN_M])
    low, high = points.min(axis=0) - beside, points.max(axis=0) + beside
    low[1] = max(low[1], _ABOVE_FLOOR_M)
    return low, high


def at_wall(draw: PieceDraw, parts: Sequence[Part], box: RoomBox) -> Spot:
    """Where a piece stands that was drawn for a wall."""
    every = np.concatenate([part.vertices for part in parts])
    low, high = every.min(axis=0), every.max(axis=0)
    half = 0.5 * float(high[0] - low[0]) + 0.15
    x = box.x0 + half + draw.along * max(0.0, box.x1 - box.x0 - 2 * half)
    z = box.z0 + draw.gap_m - low[2] if draw.wall < 0 else box.z1 - draw.gap_m + low[2]
    return Spot(x, float(z), float(np.deg2rad(draw.turn_deg) + (0.0 if draw.wall < 0 else np.pi)))


def _drop(client: int, draw: PieceDraw, parts: Sequence[Part], spot: Spot) -> int:
    """Make a piece's body just above its place."""
    every = np.concatenate([part.vertices for part in parts])
    lift = _mass_centre(parts)
    if draw.kind == "ball":
        radius = float(np.ptp(every[:, 1])) / 2
        shape = pybullet.createCollisionShape(pybullet.GEOM_SPHERE, radius=radius, physicsClientId=client)
    else:
        corners = [(part.vertices.min(axis=0) - lift, part.vertices.max(axis=0) - lift) for part in parts]
        shape = pybullet.createCollisionShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * len(parts),
            halfExtents=[np.maximum((b - a) / 2, 0.003).tolist() for a, b in corners],
            collisionFramePositions=[((a + b) / 2).tolist() for a, b in corners],
            physicsClientId=client,
        )
    body = pybullet.createMultiBody(
        _MASS_KG,
        shape,
        basePosition=[spot.x, _DROP_M + lift[1], spot.z],
        baseOrientation=[0.0, float(np.sin(spot.yaw_rad / 2)), 0.0, float(np.cos(spot.yaw_rad / 2))],
        physicsClientId=client,
    )
    pybullet.changeDynamics(
        body,
        -1,
        lateralFriction=0.9,
        rollingFriction=0.02,
        restitution=0.0,
        linearDamping=0.3,
        angularDamping=0.5,
        physicsClientId=client,
    )
    return int(body)


def _mass_centre(parts: Sequence[Part]) -> Array:
    """About which a piece turns, in its own axes: low, as most of its mass is."""
    every = np.concatenate([part.vertices for part in parts])
    round_one = all(part.round for part in parts)
    return np.array([0.0, (0.5 if round_one else 0.3) * float(every[:, 1].max()), 0.0])


def _static_box(client: int, centre: Sequence[float], half: Sequence[float]) -> int:
    shape = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=list(half), physicsClientId=client)
    return int(pybullet.createMultiBody(0, shape, basePosition=list(centre), physicsClientId=client))


def _walls(client: int, box: RoomBox) -> list[int]:
    middle_x, middle_z = (box.x0 + box.x1) / 2, (box.z0 + box.z1) / 2
    wide, deep = (box.x1 - box.x0) / 2, (box.z1 - box.z0) / 2
    return [
        _static_box(client, [box.x0 - 0.5, 2.0, middle_z], [0.5, 2.0, deep]),
        _static_box(client, [box.x1 + 0.5, 2.0, middle_z], [0.5, 2.0, deep]),
        _static_box(client, [middle_x, 2.0, box.z0 - 0.5], [wide, 2.0, 0.5]),
        _static_box(client, [middle_x, 2.0, box.z1 + 0.5], [wide, 2.0, 0.5]),
    ]


def _between(client: int, low: Array, high: Array) -> int:
    return _static_box(client, ((low + high) / 2).tolist(), ((high - low) / 2).tolist())


def _sight(client: int, outline: Array, track: Array) -> int:
    """The room between a camera, which is on `track` `[F, 3]`, and everywhere that the walker comes."""
    points = outline.reshape(-1, 3)
    low, high = points.min(axis=0) - 0.10, points.max(axis=0) + 0.10
    walk = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    around = np.array([[x, y, z] for x in (-0.2, 0.2) for y in (-0.2, 0.2) for z in (-0.2, 0.2)])
    hull = np.concatenate([walk, track.min(axis=0) + around, track.max(axis=0) + around])
    hull[:, 1] = np.maximum(hull[:, 1], _ABOVE_FLOOR_M)
    shape = pybullet.createCollisionShape(pybullet.GEOM_MESH, vertices=hull.tolist(), physicsClientId=client)
    return int(pybullet.createMultiBody(0, shape, physicsClientId=client))
