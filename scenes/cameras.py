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
from scenes.viewpoint import CameraDraw

Array = NDArray[np.float64]

FRAME_MARGIN = 0.05
"""Share of the picture's half height and half breadth that the walk keeps free on each side."""

_STEP_BACK = 1.04
_MAX_STEPS = 60
_FOLLOW_S = 0.35
"""A camera operator follows the walker, not each step: time constant of the smoothing, forwards and backwards."""

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


def look(position: Array, forward: Array, roll_rad: float = 0.0) -> Array:
    """Poses `[..., 4, 4]` of cameras at `position` `[..., 3]` that look along `forward` `[..., 3]`, top upwards."""
    z = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    x = np.cross(z, np.broadcast_to(_UP, z.shape))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    y = np.cross(z, x)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    pose = np.zeros((*z.shape[:-1], 4, 4))
    pose[..., :3, 0] = c * x + s * y
    pose[..., :3, 1] = c * y - s * x
    pose[..., :3, 2] = z
    pose[..., :3, 3] = position
    pose[..., 3, 3] = 1.0
    return pose


def place_camera(
    draw: CameraDraw, *, outline: Array, pelvis: Array, frame_rate_hz: float, image_size: tuple[int, int]
) -> Camera:
    """Put one camera where it was drawn, and back from there as far as the whole walk needs.

    Args:
        outline: `[F, P, 3]` m, points that bound the walker in every picture.
        pelvis: `[F, 3]` m, whom a panning camera follows.

    Returns:
        The camera. Its jitter is what was drawn, less what would cut the walker off.
    """
    start, end = pelvis[0], pelvis[-1]
    middle = 0.5 * (pelvis.min(axis=0) + pelvis.max(axis=0))
    heading = np.array([end[0] - start[0], 0.0, end[2] - start[2]])
    length = float(np.linalg.norm(heading))
    heading = heading / length if length > 0.5 else np.array([1.0, 0.0, 0.0])
    right = np.cross(heading, _UP)
    azimuth = np.deg2rad(draw.azimuth_deg)
    towards = np.cos(azimuth) * heading + np.sin(azimuth) * right
    reach = 0.5 * length * abs(float(np.cos(azimuth))) if draw.view.kind == "fixed" else 0.0
    followed = _smoothed(pelvis, frame_rate_hz)
    intrinsics = intrinsics_matrix(image_size, draw.vertical_fov_deg)
    distance = draw.distance_m
    for _ in range(_MAX_STEPS):
        position = middle + (reach + distance) * towards
        position[1] = draw.height_m
        poses, fits = _aimed(draw, position, outline, followed, intrinsics, image_size)
        if fits:
            break
        distance *= _STEP_BACK
    return Camera(draw.view.name, poses, intrinsics, image_size)


def _aimed(
    draw: CameraDraw, position: Array, outline: Array, followed: Array, intrinsics: Array, image_size: tuple[int, int]
) -> tuple[Array, bool]:
    """Poses of a camera at `position` that keep `outline` in the picture, and whether they do."""
    offset = outline - position
    bearing = np.arctan2(offset[..., 2], offset[..., 0])
    level = np.hypot(offset[..., 0], offset[..., 2])
    elevation = np.arctan2(offset[..., 1], level)
    half_v = np.arctan((0.5 * image_size[1]) / intrinsics[1, 1]) * (1 - FRAME_MARGIN)
    half_h = np.arctan((0.5 * image_size[0]) / intrinsics[0, 0]) * (1 - FRAME_MARGIN)
    roll = np.deg2rad(draw.roll_deg)
    if draw.view.kind == "pan":
        yaw = np.unwrap(np.arctan2(followed[:, 2] - position[2], followed[:, 0] - position[0]))
    else:
        middle = np.arctan2(np.sin(bearing).mean(), np.cos(bearing).mean())
        around = _wrapped(bearing - middle)
        yaw = np.full(len(outline), middle + 0.5 * (around.min() + around.max()))
    around = _wrapped(bearing - yaw[:, None])
    yaw = yaw + _within(np.deg2rad(draw.yaw_offset_deg), around.min() + half_h, around.max() - half_h)
    pitch = 0.5 * (elevation.min() + elevation.max())
    slack = max(0.0, half_v - 0.5 * float(np.ptp(elevation)))
    pitch += float(np.clip(np.deg2rad(draw.pitch_offset_deg), -slack, slack))
    forward = np.stack([np.cos(yaw) * np.cos(pitch), np.full_like(yaw, np.sin(pitch)), np.sin(yaw) * np.cos(pitch)], 1)
    poses = look(np.broadcast_to(position, forward.shape), forward, roll)
    pixels, depth = project(outline, poses, intrinsics)
    half = np.array([0.5 * image_size[0], 0.5 * image_size[1]])
    inside = np.abs(pixels - intrinsics[:2, 2]) <= half * (1 - 0.5 * FRAME_MARGIN)
    return poses, bool(np.all(inside) and np.all(depth > 0.3))


def _wrapped(angle: Array) -> Array:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _within(offset: float, highest: float, lowest: float) -> float:
    """`offset` cut to [lowest, highest]; the middle where there is no such range, because the walk does not fit."""
    return float(np.clip(offset, lowest, highest)) if lowest <= highest else 0.5 * (lowest + highest)


def _smoothed(track: Array, frame_rate_hz: float) -> Array:
    """`track` `[F, 3]` after an exponential filter forwards and backwards (no lag)."""
    share = 1.0 - np.exp(-1.0 / (_FOLLOW_S * frame_rate_hz))
    result = track.astype(float).copy()
    for order in (range(1, len(track)), range(len(track) - 2, -1, -1)):
        step = 1 if order.step > 0 else -1
        for i in order:
            result[i] = result[i - step] + share * (result[i] - result[i - step])
    return result
