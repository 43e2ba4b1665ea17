"""Brown and Conrady's lens: OpenCV's own numbers, the way back, and where the polynomial ends."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.lens import PINHOLE, distort, undistort, valid_radius

LENSES = {
    "pinhole": [0.0, 0.0, 0.0, 0.0, 0.0],
    "barrel": [-0.12, 0.02, 0.0, 0.0, 0.0],
    "pincushion": [0.15, -0.02, 0.0, 0.0, 0.0],
    "tilted": [-0.05, 0.01, 0.004, -0.003, 0.001],
    "moustache": [-0.20, 0.15, 0.001, 0.001, -0.02],
}


@pytest.mark.parametrize("name", LENSES)
def test_it_is_opencvs_projection(name: str) -> None:
    lens = np.array(LENSES[name])
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, 13), np.linspace(-0.7, 0.7, 11))
    rays = np.stack([x.ravel(), y.ravel()], axis=-1)
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=-1)
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), lens)
    assert np.abs(distort(rays, lens) - theirs[:, 0]).max() < 1e-12


small = st.floats(-0.005, 0.005)


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-0.25, 0.3), st.floats(-0.05, 0.1), small, small, st.floats(-0.02, 0.02),
    st.floats(0.0, 0.95), st.floats(-np.pi, np.pi),
)  # fmt: skip
def test_there_and_back(k1: float, k2: float, p1: float, p2: float, k3: float, share: float, around: float) -> None:
    lens = np.array([k1, k2, p1, p2, k3])
    radius = share * min(1.2, 0.9 * valid_radius(lens))
    ray = radius * np.array([np.cos(around), np.sin(around)])
    assert undistort(distort(ray, lens), lens) == pytest.approx(ray, abs=1e-8)


@settings(max_examples=100, deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(-0.1, 0.1), st.floats(-0.02, 0.02))
def test_the_picture_grows_with_the_ray_up_to_the_valid_radius_and_no_further(k1: float, k2: float, k3: float) -> None:
    lens = np.array([k1, k2, 0.0, 0.0, k3])
    limit = valid_radius(lens)
    rays = np.linspace(0.0, min(limit, 5.0), 400, endpoint=False)
    placed = distort(np.stack([rays, np.zeros_like(rays)], axis=-1), lens)[:, 0]
    assert np.all(np.diff(placed) > 0)
    if np.isfinite(limit):
        beyond = np.array([[limit * 1.0001, 0.0], [0.0, -limit * 2]])
        assert np.isnan(distort(beyond, lens)).all()
        far = np.array([10.0 * placed.max() + 10.0, 0.0])
        assert np.isnan(undistort(far, lens)).all()


def test_a_barrel_pulls_in_and_a_pincushion_pushes_out() -> None:
    corner = np.array([0.6, 0.6])
    assert np.all(distort(corner, np.array(LENSES["barrel"])) < corner)
    assert np.all(distort(corner, np.array(LENSES["pincushion"])) > corner)
    assert np.array_equal(distort(corner, PINHOLE), corner)
