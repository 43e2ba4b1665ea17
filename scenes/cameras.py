"""Where the cameras stand, where they look, and what they see of a point.

Axes are OpenCV's: x right, y down, z into the scene. Pixel (0, 0) is the centre
of the top-left pixel, so a picture of W x H pixels spans [-0.5, W - 0.5] and its
middle is ((W - 1) / 2, (H - 1) / 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from farm.lens import PINHOLE, distort, undistort
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
    """

    name: str
    world_from_camera: Array
    intrinsics: Array
    image_size: tuple[int, int]
    distortion: Array = field(default_factory=PINHOLE.copy)
    shutter: Array = field(default_factory=lambda: np.zeros(2))

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels `[F, ..., 2]` and depth `[F, ...]` (m along the optical axis) of world points `[F, ..., 3]`.

        Pixels are NaN for points that are not in front of the camera, or so far aside that no lens
        of this distortion sees them.
        """
        return project(points, self.world_from_camera, self.intrinsics, self.distortion)

    def unproject(self, pixels: Array, depth: Array) -> Array:
        """World points `[F, ..., 3]` of pixels `[F, ..., 2]` at `depth` `[F, ...]`: the inverse of `project`."""
        return unproject(pixels, depth, self.world_from_camera, self.intrinsics, self.distortion)


def project(
    points: Array, world_from_camera: Array, intrinsics: Array, distortion: Array = PINHOLE
) -> tuple[Array, Array]:
    """Pixels `[F, ..., 2]` and depths `[F, ...]` of world points `[F, ..., 3]` under poses `[F, 4, 4]`."""
    points = np.asarray(points, dtype=float)
    lead = (len(points),) + (1,) * (points.ndim - 2)
    turn = world_from_camera[:, :3, :3].reshape(*lead, 3, 3)
    offset = points - world_from_camera[:, :3, 3].reshape(*lead, 3)
    local = np.einsum("...ij,...i->...j", turn, offset)
    depth = local[..., 2]
    ahead = depth > 1e-6
    scaled = np.where(ahead[..., None], local[..., :2] / np.where(ahead, depth, 1.0)[..., None], np.nan)
    focal = np.array([intrinsics[0, 0], intrinsics[1, 1]])
    return distort(scaled, distortion) * focal + intrinsics[:2, 2], depth


def unproject(
    pixels: Array, depth: Array, world_from_camera: Array, intrinsics: Array, distortion: Array = PINHOLE
) -> Array:
    """World points `[F, ..., 3]` of pixels `[F, ..., 2]` at `depth` `[F, ...]`: the inverse of `project`."""
    focal = np.array([intrinsics[0, 0], intrinsics[1, 1]])
    rays = undistort((pixels - intrinsics[:2, 2]) / focal, distortion)
    local = np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1)
    lead = (len(local),) + (1,) * (local.ndim - 2)
    turn = world_from_camera[:, :3, :3].reshape(*lead, 3, 3)
    return np.asarray(
        np.einsum("...ij,...j->...i", turn, local) + world_from_camera[:, :3, 3].reshape(*lead, 3), dtype=float
    )


def intrinsics_matrix(image_size: tuple[int, int], vertical_fov_deg: float) -> Array:
    """Square pixels, principal point in the middle: `[3, 3]`."""
    width, height = image_size
    focal = 0.5 * height / np.tan(np.deg2rad(vertical_fov_deg) / 2)
    return np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])


def look(position: Array, forward: Array, roll_rad: float | Array = 0.0) -> Array:
    """Poses `[..., 4, 4]` of cameras at `position` `[..., 3]` that look along `forward` `[..., 3]`, top upwards.

    Args:
        roll_rad: Of all cameras, or `[...]` of each.
    """
    z = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    x = np.cross(z, np.broadcast_to(_UP, z.shape))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    y = np.cross(z, x)
    roll = np.broadcast_to(np.asarray(roll_rad, dtype=float), z.shape[:-1])[..., None]
    c, s = np.cos(roll), np.sin(roll)
    pose = np.zeros((*z.shape[:-1], 4, 4))
    pose[..., :3, 0] = c * x + s * y
    pose[..., :3, 1] = c * y - s * x
    pose[..., :3, 2] = z
    pose[..., :3, 3] = position
    pose[..., 3, 3] = 1.0
    return pose


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
    shake = Shake(draw.shake, draw.shake_key).at(time) if draw.shake > 0 else None
    intrinsics = intrinsics_matrix(image_size, draw.vertical_fov_deg)
    distance = draw.distance_m
    for _ in range(_MAX_STEPS):
        stand = middle + (reach + distance) * towards
        stand[1] = draw.height_m
        poses, fits = _aimed(draw, stand + along, shake, outline, followed, time, intrinsics, image_size)
        if fits:
            break
        distance *= _STEP_BACK
    return Camera(draw.view.name, poses, intrinsics, image_size)


def _aimed(
    draw: CameraDraw, position: Array, shake: tuple[Array, Array] | None, outline: Array, followed: Array, time: Array,
    intrinsics: Array, image_size: tuple[int, int],
) -> tuple[Array, bool]:  # fmt: skip
    """Poses of a camera at `position` `[F, 3]` that keep `outline` in the picture, and whether they do."""
    offset = outline - position[:, None]
    bearing = np.arctan2(offset[..., 2], offset[..., 0])
    level = np.hypot(offset[..., 0], offset[..., 2])
    elevation = np.arctan2(offset[..., 1], level)
    half_v = np.arctan((0.5 * image_size[1]) / intrinsics[1, 1]) * (1 - FRAME_MARGIN)
    half_h = np.arctan((0.5 * image_size[0]) / intrinsics[0, 0]) * (1 - FRAME_MARGIN)
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
        tilt = _smoothed(0.5 * (elevation.min(axis=1) + elevation.max(axis=1))[:, None], time)[:, 0]
    else:
        tilt = np.full(len(outline), 0.5 * (elevation.min() + elevation.max()))
    slack = max(0.0, half_v - float(np.abs(elevation - tilt[:, None]).max())) + free
    pitch = tilt + np.clip(np.deg2rad(draw.pitch_offset_deg), -slack, slack)
    poses = _held(position, yaw, pitch, float(np.deg2rad(draw.roll_deg)), shake)
    clear = bool(level.min() > NEAREST_M)
    if not draw.view.keep_in_view:
        return poses, clear
    pixels, depth = project(outline, poses, intrinsics)
    half = 0.5 * np.array(image_size)
    inside = np.abs(pixels - intrinsics[:2, 2]) <= half * (1 - 0.5 * FRAME_MARGIN)
    return poses, clear and bool(np.all(inside) and np.all(depth > 0.3))


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


def _held(position: Array, yaw: Array, pitch: Array, roll_rad: float, shake: tuple[Array, Array] | None) -> Array:
    """Poses `[F, 4, 4]` of a camera that stands and aims as given, with the hand's shifts and turns on top.

    Args:
        yaw: `[F]` rad about the vertical, 0 along world x and positive towards z.
        pitch: `[F]` rad, up.
        shake: `scenes.shake.Shake.at` of the pictures' moments; None for a tripod.
    """
    if shake is None:
        return look(position, _forward(yaw, pitch), roll_rad)
    shift, turn = shake
    poses = look(position, _forward(yaw + turn[:, 0], pitch + turn[:, 1]), roll_rad + turn[:, 2])
    poses[:, :3, 3] += np.einsum("fij,fj->fi", poses[:, :3, :3], shift)
    return poses


def _forward(yaw: Array, pitch: Array) -> Array:
    """Unit vectors `[F, 3]`."""
    return np.stack([np.cos(yaw) * np.cos(pitch), np.sin(pitch), np.sin(yaw) * np.cos(pitch)], axis=-1)


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
