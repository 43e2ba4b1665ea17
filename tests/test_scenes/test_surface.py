"""Signed distances and their polygons, against solids whose volume and area are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scenes.surface import Ellipsoid, Loft, RoundCone, polygonise, union


def _volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(0.06, 0.2)] * 3))
@example((0.11772855653150947, 0.06, 0.06))  # its tip lies on a grid point, but for a rounding error
def test_an_ellipsoid_has_its_volume_and_is_closed(radii: tuple[float, float, float]) -> None:
    r = np.array(radii)
    surface = polygonise(Ellipsoid(np.zeros(3), r), -r - 0.03, r + 0.03, 0.012)
    assert _volume(surface.vertices, surface.faces) == pytest.approx(4 / 3 * np.pi * r.prod(), rel=0.03)
    edges = np.sort(surface.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, count = np.unique(edges, axis=0, return_counts=True)
    assert np.all(count == 2)
    outward = surface.vertices / r**2
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert np.min((surface.normals * outward).sum(axis=1)) > 0.9


def test_a_round_cone_is_as_far_as_its_spheres() -> None:
    cone = RoundCone(np.zeros(3), np.array([0.0, 1.0, 0.0]), 0.1, 0.2)
    distance = cone(np.array([[0.0, -0.3, 0.0], [0.0, 1.5, 0.0], [0.5, 0.0, 0.0]]))
    assert distance == pytest.approx([0.2, 0.3, 0.4])


def test_a_loft_passes_through_its_sections() -> None:
    y = np.array([0.0, 0.1, 0.3])
    loft = Loft(y, np.array([0.05, 0.08, 0.04]), np.array([0.03, 0.06, 0.02]), np.array([0.0, 0.01, 0.0]), np.zeros(3))
    on = np.array([[0.09, 0.1, 0.0], [-0.07, 0.1, 0.0], [0.01, 0.1, 0.06], [0.04, 0.2999999, 0.0]])
    assert loft(on) == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-6)
    assert loft(np.array([[0.0, 0.35, 0.0]])) == pytest.approx([0.05])


def test_a_soft_union_only_adds() -> None:
    a, b = np.array([0.5, 0.01, -0.2, 0.3]), np.array([0.6, 0.0, 0.4, -0.1])
    soft = union([a, b], 0.05)
    assert np.all(soft <= np.minimum(a, b))
    assert np.all(soft >= np.minimum(a, b) - 0.05 / 4)
    assert soft[2] == -0.2


def test_a_box_that_cuts_the_surface_is_refused() -> None:
    ball = Ellipsoid(np.zeros(3), np.full(3, 0.1))
    with pytest.raises(ValueError, match="leaves its box"):
        polygonise(ball, np.full(3, -0.05), np.full(3, 0.2), 0.01)
    with pytest.raises(ValueError, match="is empty"):
        polygonise(ball, np.full(3, 0.2), np.full(3, 0.3), 0.01)
