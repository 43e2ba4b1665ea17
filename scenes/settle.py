"""Lets furniture settle: pieces are dropped near their wall, where nobody walks and no camera looks through.

A piece that would touch another, a wall, the walkway or a line of sight is left
out, as is one that topples. pybullet steps alike each time, so the same drawing
settles to the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenes.furniture import Part, PieceDraw, parts_of
from scenes.panel import RoomBox
from scenes.physics_engine import pybullet
from scenes.surface import Array

WALKWAY_MARGIN_M = 0.30
"""Free floor on each side of everything that the walker's body passes."""

APART_M = 0.03
_DROP_M = 0.035
_STEPS = 100
_LEAN = 0.99
"""Cosine between a piece's axis and the vertical at which it counts as toppled."""

_MASS_KG = 15.0


@dataclass(frozen=True)
class Standing:
    """A piece that came to rest: its parts in its own axes, and `world_from_piece` `[4, 4]`."""

    draw: PieceDraw
    parts: tuple[Part, ...]
    world_from_piece: Array

    def world(self, points: Array) -> Array:
        """Points `[P, 3]` of the piece in world axes."""
        return np.asarray(points @ self.world_from_piece[:3, :3].T + self.world_from_piece[:3, 3])


def settle(draws: Sequence[PieceDraw], box: RoomBox, *, outline: Array, eyes: Array) -> tuple[Standing, ...]:
    """Drop the pieces one by one, then let all of them come to rest.

    Args:
        outline: `[F, P, 3]` m, points that bound the walker in every picture.
        eyes: `[C, F, 3]` m, where each camera is in each picture.

    Returns:
        Those that stand.
    """
    client = pybullet.connect(pybullet.DIRECT)
    try:
        pybullet.setGravity(0.0, -9.81, 0.0, physicsClientId=client)
        floor = _static_box(client, [0.0, -0.5, 0.0], [200.0, 0.5, 200.0])
        taken = _walls(client, box) + _kept_free(client, outline, eyes)
        dropped: list[tuple[int, PieceDraw, tuple[Part, ...]]] = []
        for draw in draws:
            parts = tuple(parts_of(draw))
            piece = _drop(client, draw, parts, box)
            if any(
                pybullet.getClosestPoints(piece, other, APART_M, physicsClientId=client)
                for other in (*taken, *(number for number, _, _ in dropped))
            ):
                pybullet.removeBody(piece, physicsClientId=client)
                continue
            dropped.append((piece, draw, parts))
        for _ in range(_STEPS):
            pybullet.stepSimulation(physicsClientId=client)
        standing = []
        for piece, draw, parts in dropped:
            place, turn = pybullet.getBasePositionAndOrientation(piece, physicsClientId=client)
            pose = np.eye(4)
            pose[:3, :3] = np.reshape(pybullet.getMatrixFromQuaternion(turn), (3, 3))
            pose[:3, 3] = np.array(place) - pose[:3, :3] @ _mass_centre(parts)
            touches = pybullet.getContactPoints(piece, floor, physicsClientId=client)
            if (pose[1, 1] > _LEAN or draw.kind == "ball") and touches:
                standing.append(Standing(draw, parts, pose))
        return tuple(standing)
    finally:
        pybullet.disconnect(physicsClientId=client)


def _drop(client: int, draw: PieceDraw, parts: Sequence[Part], box: RoomBox) -> int:
    """Make a piece's body just above its place."""
    every = np.concatenate([part.vertices for part in parts])
    low, high = every.min(axis=0), every.max(axis=0)
    half = 0.5 * float(high[0] - low[0]) + 0.15
    x = box.x0 + half + draw.along * max(0.0, box.x1 - box.x0 - 2 * half)
    z = box.z0 + draw.gap_m - low[2] if draw.wall < 0 else box.z1 - draw.gap_m + low[2]
    yaw = np.deg2rad(draw.turn_deg) + (0.0 if draw.wall < 0 else np.pi)
    lift = _mass_centre(parts)
    if draw.kind == "ball":
        radius = float(high[1] - low[1]) / 2
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
        basePosition=[x, _DROP_M + lift[1], z],
        baseOrientation=[0.0, float(np.sin(yaw / 2)), 0.0, float(np.cos(yaw / 2))],
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


def _kept_free(client: int, outline: Array, eyes: Array) -> list[int]:
    """The walkway, and the room between each camera and everywhere that the walker comes."""
    points = outline.reshape(-1, 3)
    low, high = points.min(axis=0) - 0.10, points.max(axis=0) + 0.10
    low[1] = max(low[1], 0.05)
    walk = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    middle, half = (low + high) / 2, (high - low) / 2 + np.array([0.5, 0.0, WALKWAY_MARGIN_M - 0.10])
    bodies = [_static_box(client, middle.tolist(), half.tolist())]
    for track in eyes:
        around = np.array([[x, y, z] for x in (-0.2, 0.2) for y in (-0.2, 0.2) for z in (-0.2, 0.2)])
        seats = np.concatenate([track.min(axis=0) + around, track.max(axis=0) + around])
        hull = np.concatenate([walk, seats])
        hull[:, 1] = np.maximum(hull[:, 1], 0.05)
        shape = pybullet.createCollisionShape(pybullet.GEOM_MESH, vertices=hull.tolist(), physicsClientId=client)
        bodies.append(int(pybullet.createMultiBody(0, shape, physicsClientId=client)))
    return bodies
