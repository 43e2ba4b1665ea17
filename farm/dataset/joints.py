"""A gait's joints as others expect them: another skeleton's order, in world or camera axes, or in a view's pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.dataset.gaits import Gait, GaitBatch
from farm.errors import UserError
from farm.joint_orders import joint_order
from farm.projection import in_camera, project

Gaits = Gait | GaitBatch


def joints_3d(gaits: Gaits, order: str | None = None, view: str | None = None) -> NDArray[np.float32]:
    """Joints `[F, J, 3]` m of a gait, or `[B, F, J, 3]` of a batch.

    Args:
        gaits: Read with "keypoints_3d", and with "world_from_camera" where a `view` is named.
        order: One of `farm.joint_orders.JOINT_ORDERS`; None for the dataset's own keypoints.
        view: Axes of this view's camera at each picture (x right, y down, z into the scene); None for the world's.

    Raises:
        UserError: An array was not read, or there is no such order.
    """
    points = _array(gaits, "keypoints_3d").astype(float)
    if order is not None:
        points = joint_order(order).points(points, _names(gaits))
    if view is not None:
        poses = _array(gaits, f"views/{view}/world_from_camera").astype(float)
        lead = points.shape[:-2]
        points = in_camera(points.reshape(-1, *points.shape[-2:]), poses.reshape(-1, 4, 4)).reshape(*lead, -1, 3)
    return points.astype(np.float32)


def joints_2d(gaits: Gaits, view: str, order: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Pixels `[..., F, J, 2]` and visibility `[..., F, J]` (0 outside, 1 occluded, 2 visible) of another skeleton.

    A joint that is one keypoint has that keypoint's exact pixels. One that lies between several is projected from the
    picture's moment (a rolling shutter's delay is left out), and is as visible as the least visible of them.

    Args:
        gaits: Read with "keypoints_2d", "keypoints_3d", "visibility", "world_from_camera", "intrinsics", "distortion".

    Raises:
        UserError: An array was not read, or there is no such order.
    """
    skeleton, names = joint_order(order), _names(gaits)
    matrix = skeleton.matrix(names)
    points = np.asarray(matrix @ _array(gaits, "keypoints_3d").astype(float))
    poses, intrinsics, distortion = (
        _array(gaits, f"views/{view}/{name}").astype(float)
        for name in ("world_from_camera", "intrinsics", "distortion")
    )
    if isinstance(gaits, Gait):
        pixels = project(points, poses, intrinsics, distortion)[0]
    else:
        every = zip(points, poses, intrinsics, distortion, strict=True)
        pixels = np.stack([project(*one)[0] for one in every])
    stored = _array(gaits, f"views/{view}/keypoints_2d")
    same = [row for row, mix in enumerate(skeleton.joints.values()) if len(mix) == 1]
    pixels[..., same, :] = stored[..., np.argmax(matrix[same], axis=1), :]
    visibility = skeleton.visibility(_array(gaits, f"views/{view}/visibility"), names)
    visibility[~np.isfinite(pixels).all(axis=-1)] = 0
    return pixels.astype(np.float32), visibility


def _names(gaits: Gaits) -> tuple[str, ...]:
    return tuple(map(str, gaits.attributes["keypoints"]))


def _array(gaits: Gaits, path: str) -> NDArray[Any]:
    if path not in gaits.arrays:
        field = path.rpartition("/")[2]
        raise UserError(f"these gaits were read without {path!r}; name {field!r} among the fields, and its view")
    return gaits.arrays[path]
