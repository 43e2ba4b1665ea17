"""Shutters: each row shows its own time, and labels are where the row's moment has them."""

from __future__ import annotations

import numpy as np
import pytest

from scenes.camera_path import CameraPath
from scenes.cameras import Camera, intrinsics_matrix
from workers.render.exposure import Exposure

SIZE = (128, 96)
TIME = np.array([0.0, 0.1, 0.2])


def turning(readout_s: float, exposure_s: float = 0.0, rate: float = 0.0) -> Camera:
    """A camera 4 m in front of the origin that turns at `rate` rad/s."""
    path = CameraPath(
        np.array([-1.0, 1.0]), np.array([[-4.0, 1.0, 0.0]] * 2), np.array([-rate, rate]), np.zeros(2), 0.0
    )
    return Camera(
        "test", path.at(TIME), intrinsics_matrix(SIZE, 45.0), SIZE, shutter=np.array([exposure_s, readout_s]),
        time=TIME, path=path,
    )  # fmt: skip


def moving(times: np.ndarray) -> np.ndarray:
    """Three points `[F, 3, 3]`: one falls, one rises and goes aside, one stays."""
    speed = np.array([[0.0, -3.0, 0.0], [0.0, 2.0, 4.0], [0.0, 0.0, 0.0]])
    return np.array([[0.0, 1.2, 0.1], [0.2, 0.6, -0.3], [0.0, 0.7, 0.3]]) + times[..., None] * speed


@pytest.mark.parametrize("rate", [0.0, 0.8])
def test_each_point_is_where_its_own_rows_moment_has_it(rate: float) -> None:
    camera = turning(0.03, rate=rate)
    pixels, depth = camera.project_moving(moving, 3)
    assert np.isfinite(pixels).all()
    delay = camera.delay(pixels[..., 1])
    assert np.abs(delay).max() > 0.003
    again, distance = camera.project_by(moving(TIME[:, None] + delay), camera.poses(delay))
    assert again == pytest.approx(pixels, abs=1e-4)
    assert distance == pytest.approx(depth, abs=1e-5)
    assert np.abs(pixels - camera.project(moving(np.repeat(TIME[:, None], 3, axis=1)))[0]).max() > 0.3
    swept = np.stack([moving(np.repeat(TIME[:, None] + late, 3, axis=1)) for late in camera.sweep])
    assert camera.project_swept(swept)[0] == pytest.approx(pixels, abs=0.02)


def test_a_falling_point_meets_the_row_that_is_read_just_then() -> None:
    """Rows are read downwards at H - 1 rows a readout; the point falls at v pixels a second: a hand's calculation."""
    camera = turning(0.03)
    camera_row, _ = camera.project(np.tile([0.0, 1.0, 0.0], (3, 1, 1)))
    fall = camera.intrinsics[1, 1] * 3.0 / 4.0  # pixels/s
    pixels, _ = camera.project_moving(
        lambda times: np.stack([0 * times, 1.1 - 3.0 * (times - TIME[:, None]), 0 * times], axis=-1), 1
    )
    row0 = camera_row[0, 0, 1] - camera.intrinsics[1, 1] * 0.1 / 4.0
    middle, rows = 0.5 * (SIZE[1] - 1), SIZE[1] - 1
    expected = (row0 - fall * 0.03 * middle / rows) / (1 - fall * 0.03 / rows)
    assert pixels[0, 0, 1] == pytest.approx(expected, abs=1e-3)


def test_without_readout_all_is_at_the_pictures_moment() -> None:
    camera = turning(0.0, exposure_s=0.02, rate=0.5)
    points = moving(np.repeat(TIME[:, None], 3, axis=1))
    assert np.array_equal(camera.project_moving(moving, 3)[0], camera.project(points)[0])


@pytest.mark.parametrize(("exposed", "readout"), [(0.02, 0.0), (0.01, 0.03), (0.0, 0.03), (0.0, 0.0)])
def test_rows_show_the_cells_that_their_exposure_covers(exposed: float, readout: float) -> None:
    cells = 5 if exposed + readout else 1
    offsets = ((np.arange(cells) + 0.5) / cells - 0.5) * (exposed + readout)
    exposure = Exposure(offsets, np.array([exposed, readout]))
    delay = turning(readout).delay(np.arange(SIZE[1], dtype=float))
    shares, cell = exposure.shares(delay), exposure.cell(delay)
    assert shares.sum(axis=0) == pytest.approx(1.0, abs=1e-6)
    assert shares.min() >= 0
    if exposed >= offsets[-1] - offsets[0] > 0:
        assert shares == pytest.approx(1 / cells, abs=1e-6), "a global shutter shows the mean of all"
    centre = (shares * offsets[:, None]).sum(axis=0)
    width = offsets[1] - offsets[0] if cells > 1 else 0.0
    assert np.abs(centre - delay).max() <= 0.51 * width
    assert np.abs(offsets[cell] - delay).max() <= 0.51 * width
    assert exposure.offsets[exposure.middle] == pytest.approx(0.0, abs=1e-12)
