"""Lens distortion by Brown and Conrady: where the pinhole's ray comes to lie in the picture, and back.

Coefficients are `[5]`, in OpenCV's order k1, k2, p1, p2, k3, and act on normalised
coordinates (x/z, y/z in camera axes), before the focal lengths:

    radial = 1 + k1 r^2 + k2 r^4 + k3 r^6
    x' = x radial + 2 p1 x y + p2 (r^2 + 2 x^2)
    y' = y radial + p1 (r^2 + 2 y^2) + 2 p2 x y

The polynomial describes a lens only as far out as the picture's radius grows with
the ray's: beyond `valid_radius` it folds back, and a ray has no place in the picture.
Sources: Brown, Photogrammetric Engineering 32 (1966) 444; OpenCV, "Camera Calibration and 3D Reconstruction".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COEFFICIENTS = ("k1", "k2", "p1", "p2", "k3")
PINHOLE: Array = np.zeros(5)
PINHOLE.setflags(write=False)

_NEGLIGIBLE = 1e-12
"""A coefficient below this moves nothing by a pixel's millionth, and overflows a polynomial's roots."""

_NEWTON_STEPS = 60
_TOLERANCE = 1e-13
_DAMPING = 0.5


def valid_radius(distortion: Array) -> float:
    """The ray's radius (tangent of its angle to the optical axis) up to which the picture's grows with it.

    Infinite for a pinhole and wherever the radial polynomial never turns back.
    """
    k1, k2, k3 = (float(k) if abs(k) > _NEGLIGIBLE else 0.0 for k in (distortion[i] for i in (0, 1, 4)))
    squares = np.roots(np.array([7 * k3, 5 * k2, 3 * k1, 1.0]))  # of r^2, where the slope is zero
    turns = [root.real for root in squares if abs(root.imag) < 1e-12 and root.real > 0]
    return float(np.sqrt(min(turns))) if turns else float("inf")


def distort(rays: Array, distortion: Array) -> Array:
    """Normalised picture coordinates `[..., 2]` of rays `[..., 2]` (x/z, y/z); NaN beyond `valid_radius`."""
    rays = np.asarray(rays, dtype=float)
    if not np.any(distortion):
        return rays
    placed = _distorted(rays, distortion)
    with np.errstate(invalid="ignore"):
        beyond = np.hypot(rays[..., 0], rays[..., 1]) >= valid_radius(distortion)
    return np.where(beyond[..., None], np.nan, placed)


def undistort(places: Array, distortion: Array) -> Array:
    """Rays `[..., 2]` (x/z, y/z) of normalised picture coordinates `[..., 2]`: the inverse of `distort`.

    Solved by Newton's method to rounding; NaN where no ray within `valid_radius` comes to lie there.
    """
    places = np.asarray(places, dtype=float)
    if not np.any(distortion):
        return places
    limit = valid_radius(distortion)
    rays = _within(places, limit)
    for _ in range(_NEWTON_STEPS):
        off = _distorted(rays, distortion) - places
        a, b, c, d = _jacobian(rays, distortion)
        determinant = a * d - b * c
        with np.errstate(invalid="ignore", divide="ignore"):
            step = np.stack([d * off[..., 0] - b * off[..., 1], a * off[..., 1] - c * off[..., 0]], axis=-1)
            step /= determinant[..., None]
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        step *= np.minimum(1.0, _DAMPING / np.maximum(length, 1e-300))
        rays = _within(rays - step, limit)
        if not np.any(length > _TOLERANCE):
            break
    with np.errstate(invalid="ignore"):
        solved = np.abs(_distorted(rays, distortion) - places).max(axis=-1) < 1e-9
    return np.where(solved[..., None], rays, np.nan)


def _distorted(rays: Array, distortion: Array) -> Array:
    k1, k2, p1, p2, k3 = distortion
    x, y = rays[..., 0], rays[..., 1]
    square = x * x + y * y
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
            y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def _jacobian(rays: Array, distortion: Array) -> tuple[Array, Array, Array, Array]:
    """Derivatives of the picture's x by the ray's x and y, and of the picture's y by them."""
    k1, k2, p1, p2, k3 = distortion
    x, y = rays[..., 0], rays[..., 1]
    square = x * x + y * y
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    slope = 2 * (k1 + square * (2 * k2 + square * 3 * k3))  # of `radial` by r, over r
    across = slope * x * y + 2 * p1 * x + 2 * p2 * y
    return (
        radial + slope * x * x + 2 * p1 * y + 6 * p2 * x,
        across,
        across,
        radial + slope * y * y + 6 * p1 * y + 2 * p2 * x,
    )


def _within(rays: Array, limit: float) -> Array:
    """`rays`, those beyond `limit` moved inwards to just before it, where the polynomial still has a slope."""
    if not np.isfinite(limit):
        return rays
    radius = np.linalg.norm(rays, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(rays * np.minimum(1.0, 0.999 * limit / np.maximum(radius, 1e-300)))
