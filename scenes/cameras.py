"""Where the cameras stand, where they look, and what they see of a point.

Axes are OpenCV's: x right, y down, z into the scene. Pixel (0, 0) is the centre
of the top-left pixel, so a picture of W x H pixels spans [-0.5, W - 0.5] and its
middle is ((W - 1) / 2, (H - 1) / 2).

A picture's moment is the middle of its middle row's exposure. With a rolling
shutter, row v is exposed `readout * (v / (H - 1) - 1/2)` later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from farm.lens import PINHOLE, undistort
from farm.projection import project as project
from farm.projection import project_each
from farm.projection import unproject as unproject
from scenes.camera_path import CameraPath
from scenes.camera_path import look as look
from scenes.shake import Shake
from scenes.viewpoint import CameraDraw

Array = NDArray[np.float64]

FRAME_MARGIN = 0.05
"""Share of the picture's half height and half breadth that the walk keeps free on each side."""

NEAREST_M = 0.6
"""No camera is nearer than this to the walker, in the plane, whatever was drawn."""

_STEP_BACK = 1.04
_MAX_STEPS = 90
_FOLLOW_S = 0.35
"""A camera operator follows the walker, not each step: time constant of the smoothing, forwards and backwards."""

_CLOSED_WALK_M = 0.5
"""A walk that ends nearer to its start than this has no direction from the one to the other."""

_ROW_STEPS = 4
"""Of the fixed-point iteration for a rolling shutter. Each shrinks the error by the pixels that a point moves while the
picture is read, over the picture's height: some twentyfold."""

_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Camera:
    """One view's camera over all pictures.

    Attributes:
        world_from_camera: `[F, 4, 4]`.
        intrinsics: `[3, 3]` pixels.
        image_size: Width and height in pixels.
        distortion: `[5]` of `farm.lens`.
        shutter: `[2]` s, exposure of a row, and readout from the first row to the last.
        time: `[F]` s of the pictures; needed where the shutter is not zero.
        path: Where the camera is between pictures; None where it never moves.
    """

    name: str
    world_from_camera: Array
    intrinsics: Array
    image_size: tuple[int, int]
    distortion: Array = field(default_factory=PINHOLE.copy)
    shutter: Array = field(default_factory=lambda: np.zeros(2))
    time: Array = field(default_factory=lambda: np.empty(0))
    path: CameraPath | None = None

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels `[F, ..., 2]` and depth `[F, ...]` (m along the optical axis) of world points `[F, ..., 3]`.

        All at the pictures' moments, also under a rolling shutter: see `project_moving`.
        Pixels are NaN for points that are not in front of the camera, or so far aside that no lens
        of this distortion sees them.
        """
        return project(points, self.world_from_camera, self.intrinsics, self.distortion)

    def project_by(self, points: Array, poses: Array) -> tuple[Array, Array]:
        """The same of `[..., 3]` points, each by its own pose of `[..., 4, 4]`."""
        return project_each(points, poses, self.intrinsics, self.distortion)

    def unproject(self, pixels: Array, depth: Array) -> Array:
        """World points `[F, ..., 3]` of pixels `[F, ..., 2]` at `depth` `[F, ...]`: the inverse of `project`."""
        return unproject(pixels, depth, self.world_from_camera, self.intrinsics, self.distortion)

    @property
    def rolls(self) -> bool:
        """Whether rows are exposed one after the other."""
        return bool(self.shutter[1] > 0)

    def delay(self, rows: Array) -> Array:
        """How much later (s) than the picture's moment `rows` `[...]` are exposed; rows outside as the nearest edge."""
        height = self.image_size[1]
        share = np.clip(rows, -0.5, height - 0.5) / max(height - 1, 1) - 0.5
        return np.where(np.isfinite(share), self.shutter[1] * share, 0.0)

    def poses(self, delay: Array) -> Array:
        """World from camera `[F, ..., 4, 4]` at `delay` `[F, ...]` s after the pictures' moments."""
        lead = (len(delay),) + (1,) * (delay.ndim - 1)
        if self.path is None:
            steady = self.world_from_camera.reshape(*lead, 4, 4)
            return np.broadcast_to(steady, (*delay.shape, 4, 4))
        return self.path.at(self.time.reshape(lead) + delay)

    def project_moving(self, points_at: Callable[[Array], Array], count: int) -> tuple[Array, Array]:
        """Pixels `[F, P, 2]` and depth `[F, P]` of points, each at the moment at which its own row is exposed.

        Args:
            points_at: World points `[F, P, 3]` at moments `[F, P]` s.
            count: P.
        """
        moment = np.repeat(self.time[:, None], count, axis=1)
        pixels, depth = self.project(points_at(moment))
        for _ in range(_ROW_STEPS if self.rolls else 0):
            delay = self.delay(pixels[..., 1])
            pixels, depth = self.project_by(points_at(moment + delay), self.poses(delay))
        return pixels, depth

    def project_swept(self, points: Array) -> tuple[Array, Array]:
        """As `project_moving`, of points `[3, F, P, 3]` known at `sweep` after the pictures' moments: a parabola
        through the three places in the picture, good to a hundredth of a pixel."""
        offsets = np.broadcast_to(self.sweep[:, None, None], points.shape[:3])
        poses = np.stack([self.poses(offset[:, :1]) for offset in offsets])
        pixels, depth = self.project_by(points, poses)
        before, now, after = pixels
        result = now
        for _ in range(_ROW_STEPS if self.rolls else 0):
            u = (self.delay(result[..., 1]) / self.sweep[2])[..., None]
            result = now + 0.5 * u * (after - before) + 0.5 * u * u * (after - 2 * now + before)
        return result, depth[1]

    @property
    def sweep(self) -> Array:
        """`[3]` s: the first row's delay, none, and the last row's."""
        return np.asarray(0.5 * self.shutter[1] * np.array([-1.0, 0.0, 1.0]))


def intrinsics_matrix(image_size: tuple[int, int], vertical_fov_deg: float) -> Array:
    """Square pixels, principal point in the middle: `[3, 3]`."""
    width, height = image_size
    focal = 0.5 * height / np.tan(np.deg2rad(vertical_fov_deg) / 2)
    return np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])


def place_camera(
    draw: CameraDraw, *, outline: Array, pelvis: Array, time: Array, image_size: tuple[int, int]
) -> Camera:
    """Put one camera where it was drawn, and back from there as far as the whole walk needs.

    Args:
        outline: `[F, P, 3]` m, points that bound the walker in every picture.
        pelvis: `[F, 3]` m, whom a panning camera follows.
        time: `[F]` s.

    Returns:
        The camera. Its jitter is what was drawn, less what would cut the walker off; all of it with `keep_in_view`
        off, but for a clearance of `NEAREST_M`.
    """
    middle = 0.5 * (pelvis.min(axis=0) + pelvis.max(axis=0))
    heading = _heading(pelvis)
    azimuth = np.deg2rad(draw.azimuth_deg)
    towards = np.cos(azimuth) * heading + np.sin(azimuth) * np.cross(heading, _UP)
    reach = float(((pelvis - middle) @ towards).max()) if draw.view.kind == "fixed" else 0.0
    followed = _smoothed(pelvis, time)
    along = draw.follow * (followed - middle)
    along[:, 1] = 0.0
    camera = Camera(
        draw.view.name,
        np.empty((0, 4, 4)),
        intrinsics_matrix(image_size, draw.vertical_fov_deg),
        image_size,
        np.array([draw.k1, draw.k2, draw.p1, draw.p2, 0.0]),
        np.array([draw.exposure_s, draw.readout_s]),
        np.asarray(time, dtype=float),
    )
    distance = draw.distance_m
    for _ in range(_MAX_STEPS):
        stand = middle + (reach + distance) * towards
        stand[1] = draw.height_m
        placed, fits = _aimed(draw, camera, stand + along, outline, followed)
        if fits:
            break
        distance *= _STEP_BACK
    return placed


def _aimed(draw: CameraDraw, camera: Camera, position: Array, outline: Array, followed: Array) -> tuple[Camera, bool]:
    """`camera` at `position` `[F, 3]`, turned so as to keep `outline` in the picture, and whether it does."""
    offset = outline - position[:, None]
    bearing = np.arctan2(offset[..., 2], offset[..., 0])
    level = np.hypot(offset[..., 0], offset[..., 2])
    elevation = np.arctan2(offset[..., 1], level)
    half_h, half_v = (angle * (1 - FRAME_MARGIN) for angle in _half_angles(camera))
    free = np.inf if not draw.view.keep_in_view else 0.0
    if draw.view.kind == "fixed":
        middle = np.arctan2(np.sin(bearing).mean(), np.cos(bearing).mean())
        around = _wrapped(bearing - middle)
        yaw = np.full(len(outline), middle + 0.5 * (around.min() + around.max()))
    else:
        yaw = np.unwrap(np.arctan2(followed[:, 2] - position[:, 2], followed[:, 0] - position[:, 0]))
    around = _wrapped(bearing - yaw[:, None])
    yaw = yaw + _within(np.deg2rad(draw.yaw_offset_deg), around.min() + half_h + free, around.max() - half_h - free)
    if draw.view.kind == "phone":
        tilt = _smoothed(0.5 * (elevation.min(axis=1) + elevation.max(axis=1))[:, None], camera.time)[:, 0]
    else:
        tilt = np.full(len(outline), 0.5 * (elevation.min() + elevation.max()))
    slack = max(0.0, half_v - float(np.abs(elevation - tilt[:, None]).max())) + free
    pitch = tilt + np.clip(np.deg2rad(draw.pitch_offset_deg), -slack, slack)
    path = CameraPath(
        camera.time, position, yaw, pitch, float(np.deg2rad(draw.roll_deg)),
        Shake(draw.shake, draw.shake_key) if draw.shake > 0 else None,
    )  # fmt: skip
    moves = draw.view.kind != "fixed" or path.shake is not None
    poses = path.at(camera.time)
    placed = replace(camera, world_from_camera=poses, path=path if moves else None)
    clear = bool(level.min() > NEAREST_M)
    if not draw.view.keep_in_view:
        return placed, clear
    pixels, depth = placed.project(outline)
    half = 0.5 * np.array(camera.image_size)
    inside = np.abs(pixels - camera.intrinsics[:2, 2]) <= half * (1 - 0.5 * FRAME_MARGIN)
    return placed, clear and bool(np.all(inside) and np.all(depth > 0.3))


def _heading(pelvis: Array) -> Array:
    """Level unit vector `[3]` from the walk's start to its end; where both are one place, along its longest extent."""
    way = (pelvis[-1] - pelvis[0]) * [1.0, 0.0, 1.0]
    if np.linalg.norm(way) <= _CLOSED_WALK_M:
        spread = (pelvis - pelvis.mean(axis=0)) * [1.0, 0.0, 1.0]
        if np.ptp(spread, axis=0).max() <= _CLOSED_WALK_M:
            return np.array([1.0, 0.0, 0.0])
        longest = np.linalg.svd(spread, full_matrices=False)[2][0]
        away = spread[np.argmax(np.linalg.norm(pelvis - pelvis[0], axis=1))] - spread[0]
        way = longest * (np.sign(longest @ away) or 1.0)
    return np.asarray(way / np.linalg.norm(way))


def _half_angles(camera: Camera) -> tuple[float, float]:
    """Angles (rad) from the optical axis to the middle of the picture's nearer side edge, and of its upper or lower."""
    half = 0.5 * np.array(camera.image_size) / [camera.intrinsics[0, 0], camera.intrinsics[1, 1]]
    edges = np.array([[half[0], 0.0], [-half[0], 0.0], [0.0, half[1]], [0.0, -half[1]]])
    reach = np.abs(undistort(edges, camera.distortion))
    return float(np.arctan(reach[:2, 0].min())), float(np.arctan(reach[2:, 1].min()))


def _wrapped(angle: Array) -> Array:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _within(offset: float, highest: float, lowest: float) -> float:
    """`offset` cut to [lowest, highest]; the middle where there is no such range, because the walk does not fit."""
    return float(np.clip(offset, lowest, highest)) if lowest <= highest else 0.5 * (lowest + highest)


def _smoothed(track: Array, time: Array) -> Array:
    """`track` `[F, D]` after an exponential filter forwards and backwards (no lag)."""
    result = track.astype(float).copy()
    if len(time) < 2:
        return result
    share = 1.0 - np.exp(-float(np.diff(time).mean()) / _FOLLOW_S)
    for order in (range(1, len(track)), range(len(track) - 2, -1, -1)):
        step = 1 if order.step > 0 else -1
        for i in order:
            result[i] = result[i - step] + share * (result[i] - result[i - step])
    return result
