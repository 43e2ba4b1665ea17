"""What is worked out for pictures before anything is drawn: where each view looks, where in it people are, and which
of the room's panels their shadows touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.body import BodyMesh
from scenes.light import Light
from scenes.outline import Outline, soles
from scenes.panel import Panel
from scenes.surface import Array
from workers.render import shaders

SHADOW_REACH_M = 1.30
"""Half the breadth of the shadow map around a figure: who stands with arms out is 1.9 m at most."""

NEAR_M, FAR_M = 0.1, 80.0

_FEET_DARK_M = 0.27
"""How far from a foot the floor is visibly darker."""

_FLOOR_LEVEL_M = 0.01
"""What lies no higher is floor: feet darken it, and shadows lie where the lamp casts them on it."""

_OUTLINE_SLACK_M = 0.02
"""How far a figure may reach out of its outline's points."""

_CASTER_M = 0.8
"""Height above the floor, along the light, of what casts a shadow 1 m from the feet."""

_NARROWEST_EDGE, _BROADEST_EDGE = 0.0015, 0.025
"""Half breadth of a shadow's soft edge as a share of the shadow map; broader ones would show the taps."""

_NOWHERE = (1.0, 1.0, 0.0, 0.0)
"""Bounds of a shadow in which nothing is."""

_LEFT_HANDED = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL's camera axes (y up, z backwards) from OpenCV's."""

_TOP_FIRST = np.diag([1.0, -1.0, 1.0, 1.0])
"""GL counts rows from below. Drawn upside down, they are in memory as pictures have them, the top row first."""


@dataclass(frozen=True)
class Plan:
    """What is worked out for some moments. A window is x, y, width, height, y from the top.

    Attributes:
        shots: `[M, C]` records of `shaders.shot_record`.
        shadow: `[M, G, 4, 4]` clip space of each figure's shadow map from world.
        body: `[M, 8, 3]` corners of the walker's box (m).
        near: `[M, C, G, 4]` windows that each figure and its shadow may touch; without breadth where none is seen.
        figure: `[M, C, G, 4]` windows that each figure may touch itself, the walker first.
        shade: `[M, C, P, G, 4]` windows in which each panel may be darker for each figure; a part of `near`.
        levels: `[M, C]`.
        poses: `[M, C, 4, 4]` world from camera.
    """

    shots: NDArray[np.void]
    shadow: Array
    body: Array
    near: NDArray[np.int64]
    figure: NDArray[np.int64]
    shade: NDArray[np.int64]
    levels: NDArray[np.int64]
    poses: Array

    def part(self, some: slice) -> Plan:
        """The plan for some of the moments."""
        return Plan(**{name: value[some] for name, value in vars(self).items()})


def clip_from_camera(intrinsics: Array, image_size: tuple[int, int]) -> Array:
    """OpenGL's projection `[..., 4, 4]` for OpenCV axes; pixel (0, 0) is the centre of the top-left pixel."""
    width, height = image_size
    fx, fy, cx, cy = intrinsics[..., 0, 0], intrinsics[..., 1, 1], intrinsics[..., 0, 2], intrinsics[..., 1, 2]
    projection = np.zeros((*intrinsics.shape[:-2], 4, 4))
    projection[..., 0, 0] = 2 * fx / width
    projection[..., 1, 1] = 2 * fy / height
    projection[..., 0, 2] = 1 - (2 * cx + 1) / width  # +1: half a pixel, for GL counts from the pixel's corner
    projection[..., 1, 2] = (2 * cy + 1) / height - 1
    projection[..., 2, 2] = (FAR_M + NEAR_M) / (NEAR_M - FAR_M)
    projection[..., 2, 3] = 2 * FAR_M * NEAR_M / (NEAR_M - FAR_M)
    projection[..., 3, 2] = -1.0
    return np.asarray(projection @ _LEFT_HANDED)


class Planner:
    """Plans the pictures of one scene.

    Args:
        figures: The walker's coarsest mesh, then the passers-by.
        panels: What shadows fall on.
    """

    def __init__(
        self, figures: Sequence[BodyMesh], panels: Sequence[Panel], light: Light, image_size: tuple[int, int]
    ) -> None:
        self._meshes = tuple(figures)
        self._receivers = [Receiver(panel, light) for panel in panels]
        self._outlines = [Outline(mesh) for mesh in figures]
        self._light = light
        self._size = image_size

    def plan(
        self, bones: Sequence[Array], levels: NDArray[np.int64], world_from_camera: Array, intrinsics: Array
    ) -> Plan:
        """Plan all views of some moments.

        Args:
            bones: `[M, J, 4, 4]` of each figure, the walker first.
            levels, world_from_camera, intrinsics: As `Raster.draw` takes them.
        """
        clip = clip_from_camera(intrinsics, self._size) @ np.linalg.inv(world_from_camera)
        outlines = [outline.points(theirs) for outline, theirs in zip(self._outlines, bones, strict=True)]
        low = np.stack([points.min(axis=1) for points in outlines], axis=1).astype(float)  # [M, G, 3]
        high = np.stack([points.max(axis=1) for points in outlines], axis=1).astype(float)
        body = corners(low - _OUTLINE_SLACK_M, high + _OUTLINE_SLACK_M)  # [M, G, 8, 3]
        edge = shadow_edge(self._light)
        beyond = _OUTLINE_SLACK_M + 2 * SHADOW_REACH_M * edge
        around_feet = corners(low - _FEET_DARK_M, high + _FEET_DARK_M)
        cast = _cast(corners(low - beyond, high + beyond), self._light)
        on_floor = np.concatenate([around_feet * [1.0, 0.0, 1.0], cast], axis=2)
        reached = np.concatenate([around_feet, cast], axis=2)  # [M, G, 16, 3]
        near, figure, floor = (_windows(clip, points, self._size) for points in (reached, body, on_floor))
        touched = [receiver.touched(reached.min(axis=2), reached.max(axis=2)) for receiver in self._receivers]
        shade = np.zeros((*clip.shape[:2], len(touched), *near.shape[2:]), np.int64)
        for number, (anywhere, above_floor) in enumerate(touched):
            where = np.where(above_floor[:, None, :, None], near, floor)
            shade[:, :, number] = np.where(anywhere[:, None, :, None], where, 0)
        shadow = _shadow_clip(self._light, 0.5 * (low + high))
        texture_place = _TEXTURE_FROM_CLIP @ shadow
        place = np.einsum("mgij,mgpj->mgpi", texture_place[..., :2, :3], body) + texture_place[..., None, :2, 3]
        feet = np.stack([soles(mesh, theirs) for mesh, theirs in zip(self._meshes, bones, strict=True)], axis=1)
        stand = feet.mean(axis=2)
        shots = np.zeros(clip.shape[:2], shaders.shot_record(len(self._meshes)))
        shots["clip_from_world"] = _TOP_FIRST @ clip
        shots["eye"][..., :3] = world_from_camera[..., :3, 3]
        shots["shadow_from_world"] = texture_place[:, None]
        bounds = np.concatenate([place.min(axis=2) - edge, place.max(axis=2) + edge], axis=-1)
        shots["shadow_bounds"] = np.clip(bounds, 0.005, 0.995)[:, None]
        shots["feet"][..., :3] = feet[:, None]
        shots["stand"][..., :3] = stand[:, None]
        reach = np.abs(feet - stand[:, :, None])[..., [0, 2]].max(axis=(2, 3)) + _FEET_DARK_M
        shots["stand"][..., 3] = reach[:, None]
        unseen = near[..., 2:].min(axis=-1) <= 0
        shots["shadow_bounds"][unseen] = _NOWHERE
        shots["stand"][unseen, 3] = 0.0
        return Plan(
            shots=shots,
            shadow=shadow,
            body=body[:, 0],
            near=near,
            figure=figure,
            shade=shade,
            levels=levels,
            poses=world_from_camera,
        )


class Receiver:
    """Where a panel may receive shadows: its faces that the lamp can reach."""

    def __init__(self, panel: Panel, light: Light) -> None:
        lit = (panel.normals[panel.faces] @ np.array(light.direction) < 0.0).any(axis=1)
        corner = panel.vertices[panel.faces[lit]]
        self._low, self._high = corner.min(axis=1), corner.max(axis=1)

    def touched(self, low: Array, high: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether boxes `[M, G, 3]` (m, corners) touch such a face, and whether one above the floor: `[M, G]` each."""
        some = ((self._high >= low.min(axis=(0, 1))) & (self._low <= high.max(axis=(0, 1)))).all(axis=1)
        faces_low, faces_high = self._low[some], self._high[some]
        meet = ((faces_high >= low[..., None, :]) & (faces_low <= high[..., None, :])).all(axis=-1)  # [M, G, T]
        return meet.any(axis=-1), (meet & (faces_high[:, 1] > _FLOOR_LEVEL_M)).any(axis=-1)


def _windows(clip: Array, points: Array, size: tuple[int, int]) -> NDArray[np.int64]:
    """Pixels x, y, width, height that hulls of world `points` `[M, G, P, 3]` may touch in each view: `[M, C, G, 4]`."""
    extent = np.array(size)
    place = np.einsum("mcij,mgpj->mcgpi", clip[..., :3], points) + clip[:, :, None, None, :, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixel = (place[..., :2] / place[..., 3:] * [1.0, -1.0] + 1.0) * 0.5 * extent
    behind = place[..., 3] < NEAR_M
    pixel[behind.any(axis=-1)] = 0.0
    low = np.clip(np.floor(pixel.min(axis=3)).astype(int) - 2, 0, extent)
    high = np.clip(np.ceil(pixel.max(axis=3)).astype(int) + 2, 0, extent)
    low[behind.any(axis=-1)], high[behind.any(axis=-1)] = 0, extent
    high[behind.all(axis=-1)] = 0
    return np.concatenate([low, np.where((high > low).all(axis=-1, keepdims=True), high - low, 0)], axis=-1)


def overlap(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two windows (x, y, width, height) have a pixel in common."""
    return all(one[i] < other[i] + other[i + 2] and other[i] < one[i] + one[i + 2] for i in (0, 1))


def apart(windows: NDArray[np.int64]) -> list[tuple[int, int, int, int]]:
    """Windows `[G, 4]` without the empty ones, those that overlap joined to one around both, until none do."""
    left = [(x, y, w, h) for x, y, w, h in windows.tolist() if w > 0 and h > 0]
    joined: list[tuple[int, int, int, int]] = []
    while left:
        one = left.pop()
        other = next((window for window in joined if overlap(one, window)), None)
        if other is None:
            joined.append(one)
            continue
        joined.remove(other)
        x, y = min(one[0], other[0]), min(one[1], other[1])
        right, low = max(one[0] + one[2], other[0] + other[2]), max(one[1] + one[3], other[1] + other[3])
        left.append((x, y, right - x, low - y))
    return joined


def corners(low: Array, high: Array) -> Array:
    """Corners `[..., 8, 3]` of boxes from `low` to `high` `[..., 3]`."""
    ends = np.stack([low, high], axis=-2)
    return np.stack([ends[..., [i, j, k], [0, 1, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)], axis=-2)


def _cast(points: Array, light: Light) -> Array:
    """Where the lamp casts `points` `[..., 3]` on the floor."""
    direction = np.array(light.direction)
    return np.asarray(points - points[..., 1:2] / direction[1] * direction)


_TEXTURE_FROM_CLIP = np.array([[0.5, 0, 0, 0.5], [0, 0.5, 0, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1.0]])


def _shadow_clip(light: Light, middle: Array) -> Array:
    """Clip space of shadow maps around `middle` `[..., 3]`, as the lamp sees the world: `[..., 4, 4]`."""
    towards = -np.array(light.direction)
    side = np.cross([1.0, 0.0, 0.0] if abs(towards[0]) < 0.9 else [0.0, 0.0, 1.0], towards)
    side /= np.linalg.norm(side)
    turn = np.stack([side, np.cross(towards, side), towards]) / SHADOW_REACH_M * np.array([[1.0], [1.0], [-1.0]])
    clip = np.zeros((*middle.shape[:-1], 4, 4))
    clip[..., :3, :3] = turn
    clip[..., :3, 3] = -middle @ turn.T
    clip[..., 3, 3] = 1.0
    return clip


def shadow_edge(light: Light) -> float:
    """Half breadth of a shadow's soft edge 1 m from the feet, as a share of the shadow map."""
    half_m = _CASTER_M * np.tan(np.deg2rad(light.lamp_breadth_deg) / 2)
    return float(np.clip(half_m / (2 * SHADOW_REACH_M), _NARROWEST_EDGE, _BROADEST_EDGE))


def lamp_record(light: Light) -> NDArray[np.void]:
    towards = -np.array(light.direction)
    warm = np.array([1.0, 1.0, 1.0]) + light.warmth * np.array([0.05, 0.0, -0.07])
    cool = np.array([1.0, 1.0, 1.0]) - light.warmth * np.array([0.02, 0.0, -0.03])
    record = np.zeros(1, shaders.LAMP_RECORD)
    record["to_lamp"][:, :3] = towards
    gain = light.camera_gain()  # all light that reaches the camera is some share of these, so it may act here
    record["key"][:, :3] = gain * warm * light.key / towards[1]
    record["key"][:, 3] = shadow_edge(light)
    record["sky"][:, :3] = gain * cool * light.ambient
    record["ground"][:, :3] = gain * np.array([0.62, 0.60, 0.57]) * light.ambient
    record["to_fill"][:, :3] = -np.array(light.fill_direction)
    record["fill"][:, :3] = gain * cool * light.fill
    return record
