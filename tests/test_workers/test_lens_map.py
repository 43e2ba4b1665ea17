"""The bent picture: held against OpenCV, and exact where surfaces are plane."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from farm.lens import undistort
from scenes.cameras import Camera, intrinsics_matrix
from workers.render.lens_map import LensMap

SIZE = (96, 64)
LENSES = [(-0.10, 0.02, 0.0, 0.0, 0.0), (-0.05, 0.01, 0.004, -0.006, 0.0), (0.08, 0.0, 0.0, 0.0, 0.0)]


def camera(lens: tuple[float, ...], size: tuple[int, int] = SIZE) -> Camera:
    return Camera("test", np.eye(4)[None], intrinsics_matrix(size, 65.0), size, np.array(lens))


def pixels(size: tuple[int, int]) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1).astype(float)


@pytest.mark.parametrize("lens", LENSES)
def test_each_pixel_shows_the_ray_that_opencv_sends_there(lens: tuple[float, ...]) -> None:
    """A straight picture whose colours are its own coordinates tells where each bent pixel looked."""
    view = camera(lens)
    bend = LensMap(view)
    places = pixels(bend.size)
    looked = bend.colours(np.concatenate([places, places[..., :1]], axis=-1).astype(np.float32))[..., :2]
    focal, centre = view.intrinsics[0, 0], bend.intrinsics[:2, 2]
    rays = np.concatenate([(looked - centre) / focal, np.ones((*SIZE[::-1], 1))], axis=-1).reshape(-1, 1, 3)
    back, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), view.intrinsics, np.array(lens))
    assert np.abs(back.reshape(*SIZE[::-1], 2) - pixels(SIZE)).max() < 0.01
    assert bend.size[0] < 1.4 * SIZE[0], "no larger than needed"


@pytest.mark.parametrize("lens", LENSES)
def test_a_straight_line_bends_and_a_pinhole_leaves_it(lens: tuple[float, ...]) -> None:
    bend = LensMap(camera(lens))
    width, height = bend.size
    row = int(bend.intrinsics[1, 2]) - 26
    light = np.zeros((height, width, 3), np.float32)
    light[row] = 1.0
    bent = bend.colours(light)[..., 0]
    middles = (bent * np.arange(SIZE[1])[:, None]).sum(axis=0) / np.maximum(bent.sum(axis=0), 1e-6)
    inner = middles[4:-4]
    assert np.ptp(inner) > 0.8
    straight = LensMap(camera((0.0,) * 5))
    assert straight.size == SIZE
    assert straight.colours(light) is light


def test_part_ids_are_the_nearest_and_never_mixed() -> None:
    view = camera(LENSES[0])
    bend = LensMap(view)
    parts = (1 + 4 * (np.arange(bend.size[0]) % 2)).astype(np.uint8)[None].repeat(bend.size[1], axis=0)
    bent = bend.ids(parts)
    assert set(np.unique(bent)) == {1, 5}
    rays = undistort((pixels(SIZE) - view.intrinsics[:2, 2]) / view.intrinsics[0, 0], view.distortion)
    column = np.rint(rays[..., 0] * view.intrinsics[0, 0] + bend.intrinsics[0, 2]).astype(int)
    assert np.array_equal(bent, parts[0][column])


def test_distances_are_exact_on_a_plane_and_keep_edges() -> None:
    """A floor 1.2 m below the camera, up to 6 m away, and a wall's edge before it."""
    size = (384, 256)
    view = camera(LENSES[0], size)
    bend = LensMap(view)
    local = (pixels(bend.size) - bend.intrinsics[:2, 2]) / view.intrinsics[0, 0]
    with np.errstate(divide="ignore"):
        floor = np.where(local[..., 1] > 0.2, 1.2 / local[..., 1], 0.0)
    drawn = np.where(local[..., 0] > 0.2, 0.9, floor).astype(np.float32)
    bent = bend.distances(drawn)
    place = view.unproject(pixels(size)[None], bent[None].astype(float))[0]
    wall = np.abs(bent - 0.9) < 1e-3
    ground = (bent > 0) & ~wall
    assert wall.sum() > 3000
    assert ground.sum() > 10000
    inner = ground & np.roll(ground, 2, axis=0) & np.roll(ground, -2, axis=1)
    assert np.abs(place[inner][:, 1] - 1.2).max() < 0.001
    assert set(np.unique(np.round(bent[wall], 3))) == {np.float32(0.9)}
