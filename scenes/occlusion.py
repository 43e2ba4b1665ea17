"""Which keypoints a camera sees: rays against the pictured body and everything around it.

Each body part is the convex hull of its pictured, dressed mesh, and moves with
its bone in a pybullet world without physics. A keypoint inside flesh, as joint
centres are, is not hidden by the flesh around it, but by everything else:
other limbs, the far side of its own trunk or head, walls, furniture, passers-by.

Cloth that hangs from the hips has another shape in every picture; rays meet its
triangles themselves. It hides what is not of the part that it covers, and what is
deeper under it than its own flesh may be, as a knee in a wide skirt.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from farm.gait.keypoints import OWN_FLESH
from farm.sampling.anatomy import KEYPOINTS
from scenes.body import BONES, PARTS, BodyMesh
from scenes.cameras import Camera
from scenes.panel import RoomBox
from scenes.passer_by import PasserBy
from scenes.physics_engine import pybullet
from scenes.surface import Array

OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2

_HULL_POINTS = 400
_WALL_M = 0.1
_MAX_RAYS = 8192
"""Rays in one call (pybullet refuses more than 16384)."""


class _Person:
    """One dressed person's convex hulls in a pybullet world, one for each bone that has flesh."""

    def __init__(self, client: int, mesh: BodyMesh) -> None:
        self._client = client
        self._bones: list[int] = []
        self.body_of: dict[int, str] = {}
        owner = mesh.owner()
        bone_from_bind = np.linalg.inv(mesh.bind)
        for number, bone in enumerate(BONES):
            points = mesh.vertices[owner == number]
            if len(points) < 4:
                continue
            local = points @ bone_from_bind[number, :3, :3].T + bone_from_bind[number, :3, 3]
            self.body_of[_add_hull(client, _extreme(local))] = bone
            self._bones.append(number)
        self._hulls = tuple(self.body_of)
        self._places: list[list[list[float]]] = []
        self._turns: list[list[list[float]]] = []

    def learn(self, bones: Array) -> None:
        """Take over the poses `[F, J, 4, 4]` (world from bone) of all pictures."""
        mine = bones[:, self._bones]
        self._places = mine[..., :3, 3].tolist()
        self._turns = _quaternions_xyzw(mine[..., :3, :3]).tolist()

    def stand(self, frame: int) -> None:
        """Move the hulls to where they are in one picture."""
        for hull, place, turn in zip(self._hulls, self._places[frame], self._turns[frame], strict=True):
            pybullet.resetBasePositionAndOrientation(hull, place, turn, physicsClientId=self._client)


class _Cloth:
    """Outer sides of a walker's drapes, picture by picture."""

    def __init__(self, mesh: BodyMesh, bones: Array, size: float) -> None:
        """Args:
        bones: `[F, B, 4, 4]` world from bone.
        size: Scales the depths of `OWN_FLESH`.
        """
        nodes = mesh.with_nodes(bones)[:, len(BONES) :, :3, 3]
        sheet, first = [], 0
        for drape in mesh.drapes:
            sheet.append(drape.triangles() + first)
            first += drape.nodes
        self._triangles = nodes[:, np.concatenate(sheet)]  # [F, T, 3, 3]
        part = np.zeros(first, int)
        part[mesh.node[mesh.node >= 0] - len(BONES)] = mesh.part[mesh.node >= 0]
        part = part[np.concatenate(sheet)[:, 0]]
        flesh = [OWN_FLESH[name] for name in KEYPOINTS]
        own = np.array([[PARTS[number] in parts for number in part] for parts, _ in flesh])
        self._allowed = np.where(own, size * np.array([[reach] for _, reach in flesh]), 0.005)  # [K, T] m

    def hides(self, frame: int, eyes: Array, keypoints: Array) -> NDArray[np.bool_]:
        """Whether cloth hides each keypoint `[K, 3]` from each eye `[V, 3]`: `[V, K]`.

        Rays against triangles after Moller and Trumbore (1997).
        """
        corner, ray = self._triangles[frame], keypoints - eyes[:, None]  # [T, 3, 3], [V, K, 3]
        one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
        normal = np.cross(one, two)
        from_eye = eyes[:, None] - corner[:, 0]  # [V, T, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = 1.0 / -np.einsum("vki,ti->vkt", ray, normal)
            turned = np.cross(from_eye[:, None], ray[:, :, None])  # [V, K, T, 3]
            u = np.einsum("vkti,ti->vkt", turned, two) * scale
            v = -np.einsum("vkti,ti->vkt", turned, one) * scale
            way = np.einsum("vti,ti->vt", from_eye, normal)[:, None] * scale
            crossed = (u >= 0) & (v >= 0) & (u + v <= 1) & (way > 0) & (way < 1)
            depth = (1.0 - way) * np.linalg.norm(ray, axis=-1)[..., None]
            hides = crossed & (depth > self._allowed)
        return np.asarray(hides.any(axis=-1))


class OcclusionWorld:
    """The walker's hulls and all that may hide them; close it (or use `with`) to free pybullet's memory."""

    def __init__(
        self,
        mesh: BodyMesh,
        box: RoomBox,
        *,
        solids: Sequence[Array] = (),
        passers_by: Sequence[PasserBy] = (),
        size: float = 1.0,
    ) -> None:
        """Args:
        solids: Convex point sets `[P, 3]` (m, world axes) of what stands around.
        passers_by: Other people; what is asked of the world's visibility is asked at their pictures.
        size: Stature relative to the generic body; scales the depths of `OWN_FLESH`.
        """
        self._client = pybullet.connect(pybullet.DIRECT)
        self._size = size
        self._walker = _Person(self._client, mesh)
        self._mesh = mesh
        for centre, half in _walls(box):
            shape = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, physicsClientId=self._client)
            pybullet.createMultiBody(0, shape, basePosition=centre, physicsClientId=self._client)
        for points in solids:
            _add_hull(self._client, points)
        self._passers_by = [(person, _Person(self._client, person.mesh)) for person in passers_by]
        for person, hulls in self._passers_by:
            hulls.learn(person.bones)
            hulls.stand(0)

    def __enter__(self) -> OcclusionWorld:
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

    def visibility(
        self, bones: Array, keypoints: Array, cameras: Sequence[Camera], pixels: Sequence[Array] | None = None
    ) -> list[NDArray[np.uint8]]:
        """What each camera sees of each keypoint.

        Args:
            bones: `[F, J, 4, 4]` world from bone of the walker (`scenes.body.bone_transforms`).
            keypoints: `[F, K, 3]` m, order of `KEYPOINTS`.
            pixels: `[F, K, 2]` of each camera, where these are not `camera.project`'s: rows of a rolling shutter
                have moments of their own.

        Returns:
            One `[F, K]` array for each camera: 0 outside the picture, 1 occluded, 2 visible.
        """
        self._walker.learn(bones)
        cloth = _Cloth(self._mesh, bones, self._size) if self._mesh.drapes else None
        moving = [self._walker, *(hulls for person, hulls in self._passers_by if person.moves)]
        hidden = np.zeros((len(cameras), *keypoints.shape[:2]), dtype=bool)
        for frame in range(len(bones)):
            for figure in moving:
                figure.stand(frame)
            pybullet.performCollisionDetection(physicsClientId=self._client)
            eyes = np.stack([camera.world_from_camera[frame, :3, 3] for camera in cameras])
            hidden[:, frame] = self._hidden(eyes, keypoints[frame])
            if cloth is not None:
                hidden[:, frame] |= cloth.hides(frame, eyes, keypoints[frame])
        result = []
        seen = pixels if pixels is not None else [camera.project(keypoints)[0] for camera in cameras]
        for camera, covered, place in zip(cameras, hidden, seen, strict=True):
            limit = np.array(camera.image_size) - 0.5
            with np.errstate(invalid="ignore"):  # NaN, which is outside, for what is behind the camera
                inside = ((place >= -0.5) & (place < limit)).all(axis=-1)
            result.append(np.where(inside, np.where(covered, OCCLUDED, VISIBLE), OUTSIDE).astype(np.uint8))
        return result

    def _hidden(self, eyes: Array, keypoints: Array) -> NDArray[np.bool_]:
        """Whether something lies between each eye `[V, 3]` and each keypoint `[K, 3]`: `[V, K]`."""
        start = np.repeat(eyes, len(keypoints), axis=0)
        end = np.tile(keypoints, (len(eyes), 1))
        length = np.linalg.norm(end - start, axis=1)
        hidden = np.zeros(len(start), dtype=bool)
        for first in range(0, len(start), _MAX_RAYS):
            last = min(first + _MAX_RAYS, len(start))
            hits = pybullet.rayTestBatch(
                start[first:last].tolist(), end[first:last].tolist(), numThreads=1, physicsClientId=self._client
            )
            for ray, (hit, _, fraction, _, _) in enumerate(hits, start=first):
                if hit < 0:
                    continue
                flesh, reach = OWN_FLESH[KEYPOINTS[ray % len(keypoints)]]
                depth = (1.0 - fraction) * length[ray]
                allowed = reach * self._size if self._walker.body_of.get(hit, "room") in flesh else 0.005
                hidden[ray] = depth > allowed
        return hidden.reshape(len(eyes), len(keypoints))


def _add_hull(client: int, points: Array) -> int:
    """Add the convex hull of points `[P, 3]`, at the world's origin."""
    shape = pybullet.createCollisionShape(pybullet.GEOM_MESH, vertices=points.tolist(), physicsClientId=client)
    if shape < 0:
        raise RuntimeError(f"pybullet refused a hull of {len(points)} points")
    return int(pybullet.createMultiBody(0, shape, physicsClientId=client))


def _extreme(points: Array) -> Array:
    """At most `_HULL_POINTS` points: those farthest along evenly spread directions (a close inner hull)."""
    number = np.arange(_HULL_POINTS)
    y = 1 - 2 * (number + 0.5) / _HULL_POINTS
    turn = number * np.pi * (3 - np.sqrt(5.0))
    ring = np.sqrt(1 - y * y)
    directions = np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1)
    return np.asarray(points[np.unique(np.argmax(points @ directions.T, axis=0))])


def _walls(box: RoomBox) -> list[tuple[list[float], list[float]]]:
    """Centre and half extents of the four walls."""
    middle_x, middle_z, h = (box.x0 + box.x1) / 2, (box.z0 + box.z1) / 2, box.height / 2
    half_x, half_z = (box.x1 - box.x0) / 2, (box.z1 - box.z0) / 2
    t = _WALL_M / 2
    return [
        ([box.x0 - t, h, middle_z], [t, h, half_z]),
        ([box.x1 + t, h, middle_z], [t, h, half_z]),
        ([middle_x, h, box.z0 - t], [half_x, h, t]),
        ([middle_x, h, box.z1 + t], [half_x, h, t]),
    ]


def _quaternions_xyzw(rotation: Array) -> Array:
    """Unit quaternions in pybullet's order from rotation matrices `[..., 3, 3]`."""
    m = rotation
    w = np.sqrt(np.maximum(0.0, 1 + m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2])) / 2
    x = np.sqrt(np.maximum(0.0, 1 + m[..., 0, 0] - m[..., 1, 1] - m[..., 2, 2])) / 2
    y = np.sqrt(np.maximum(0.0, 1 - m[..., 0, 0] + m[..., 1, 1] - m[..., 2, 2])) / 2
    z = np.sqrt(np.maximum(0.0, 1 - m[..., 0, 0] - m[..., 1, 1] + m[..., 2, 2])) / 2
    x = np.copysign(x, m[..., 2, 1] - m[..., 1, 2])
    y = np.copysign(y, m[..., 0, 2] - m[..., 2, 0])
    z = np.copysign(z, m[..., 1, 0] - m[..., 0, 1])
    return np.stack([x, y, z, w], axis=-1)
