"""Muscle paths as polynomials of the joint angles, fitted to one person's scaled geometry.

Path points are scaled with the bones that carry them, the length over the bones
is computed on a grid of joint angles, and a polynomial is fitted to it. A
polynomial costs a fraction of a path over points, is smooth where conditional
points switch, and gives moment arms as its exact derivatives.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from farm.errors import GaitfarmError
from farm.records import BodyPlan
from farm.sampling.anatomy import Anatomy
from workers.simulate.musculature import KNEE_SPLINES, MUSCLE_SPECS, MuscleSpec, PathPoint

FIT_RANGE_RAD: Mapping[str, tuple[float, float]] = {
    "hip_flexion": (-0.70, 1.75),
    "hip_adduction": (-0.60, 0.50),
    "knee_angle": (-2.20, 0.12),
    "ankle_angle": (-0.85, 0.65),
}
"""Joint angles over which a path is fitted: walking, and the stumbles on its margin."""

ORDER = {1: 6, 2: 5, 3: 4}
"""Polynomial order by number of coordinates; the next order gains less than 0.1 mm."""

MAX_RMS_ERROR_M = 0.001
"""A fit worse than this is refused: 1 mm is 2% of the shortest optimal fibre (soleus)."""

_GRID = {1: 121, 2: 31, 3: 17}


class PathFitError(GaitfarmError):
    """A muscle's path cannot be described by the polynomial well enough."""


@dataclass(frozen=True)
class PathPolynomial:
    """Length of one musculotendon unit over its coordinates.

    Attributes:
        coordinates: One to three coordinate names, without side.
        coefficients: In the order of OpenSim's MultivariatePolynomialFunction.
        rms_error_m: Of the length, over the fitted range.
        moment_arm_rms_error_m: Of the moment arms, over the fitted range.
    """

    coordinates: tuple[str, ...]
    order: int
    coefficients: tuple[float, ...]
    rms_error_m: float
    moment_arm_rms_error_m: float

    def length(self, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Length `[...]` (m) at joint angles `[..., D]` (rad)."""
        powers = exponents(len(self.coordinates), self.order)
        return np.asarray(np.einsum("...k,k->...", _monomials(angles, powers), np.asarray(self.coefficients)))

    def moment_arms(self, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Moment arms `[..., D]` (m): minus the length's derivative, as OpenSim defines them."""
        powers = exponents(len(self.coordinates), self.order)
        columns = [
            -np.einsum("...k,k->...", _monomials(angles, powers, derivative=axis), np.asarray(self.coefficients))
            for axis in range(len(self.coordinates))
        ]
        return np.stack(columns, axis=-1)


@cache
def exponents(dimension: int, order: int) -> tuple[tuple[int, ...], ...]:
    """Exponents of each coefficient, in OpenSim's order: the last variable runs fastest."""
    return tuple(powers for powers in itertools.product(range(order + 1), repeat=dimension) if sum(powers) <= order)


def _monomials(
    angles: NDArray[np.float64], powers: tuple[tuple[int, ...], ...], *, derivative: int | None = None
) -> NDArray[np.float64]:
    """Every monomial, or its derivative by one variable, at `[..., D]` angles: `[..., len(powers)]`."""
    angles = np.asarray(angles, dtype=float)
    columns = []
    for exponent in powers:
        term = np.ones(angles.shape[:-1])
        for axis, power in enumerate(exponent):
            if axis == derivative:
                term = term * (power * angles[..., axis] ** (power - 1) if power else 0.0)
            else:
                term = term * angles[..., axis] ** power
        columns.append(term)
    return np.stack(columns, axis=-1)


def fit_paths(body: Anatomy, side: str, plan: BodyPlan) -> dict[str, PathPolynomial]:
    """Fit all muscle paths of one leg ("r" or "l") of one person, over the coordinates that the body plan has.

    Raises:
        PathFitError: Naming the muscle, if a fit is worse than `MAX_RMS_ERROR_M`.
    """
    moves = {name[:-2] for name in plan.coordinates if name.endswith(f"_{side}")}
    return {
        group: _fit(group, tuple(name for name in MUSCLE_SPECS[group].coordinates if name in moves), body, side)
        for group in plan.muscle_groups
    }


def _fit(group: str, names: tuple[str, ...], body: Anatomy, side: str) -> PathPolynomial:
    dimension = len(names)
    axes = [np.linspace(*FIT_RANGE_RAD[name], _GRID[dimension]) for name in names]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    lengths = path_length(MUSCLE_SPECS[group], body, side, {name: grid[..., i] for i, name in enumerate(names)})
    powers = exponents(dimension, ORDER[dimension])
    design = _monomials(grid, powers).reshape(-1, len(powers))
    coefficients, *_ = np.linalg.lstsq(design, lengths.ravel(), rcond=None)
    polynomial = PathPolynomial(names, ORDER[dimension], tuple(map(float, coefficients)), 0.0, 0.0)
    rms = float(np.sqrt(np.mean((polynomial.length(grid) - lengths) ** 2)))
    true_arms = np.stack([-np.gradient(lengths, axes[i], axis=i) for i in range(dimension)], axis=-1)
    arm_rms = float(np.sqrt(np.mean((polynomial.moment_arms(grid) - true_arms) ** 2)))
    if rms > MAX_RMS_ERROR_M:
        raise PathFitError(
            f"{group}_{side}: the path's polynomial is off by {rms * 1e3:.1f} mm RMS, "
            f"at most {MAX_RMS_ERROR_M * 1e3:.1f} mm is allowed"
        )
    return PathPolynomial(names, ORDER[dimension], polynomial.coefficients, rms, arm_rms)


def path_length(
    spec: MuscleSpec, body: Anatomy, side: str, angles: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Length `[...]` (m) of the muscle over its points at broadcast joint angles (rad).

    Args:
        angles: By coordinate name without side; missing ones are zero.
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in angles.values()))
    full = {name: np.broadcast_to(angles.get(name, 0.0), shape) for name in FIT_RANGE_RAD}
    origins, turns = _leg_frames(body, side, full)
    total = np.zeros(shape)
    previous: NDArray[np.float64] | None = None
    # A conditional point is dropped by letting the path run straight past it: the segment's start stays behind.
    for point in spec.path:
        at = origins[point.body] + np.einsum(
            "...ij,...j->...i", turns[point.body], _local(point, body, side, full["knee_angle"])
        )
        if previous is None:
            previous = at
            continue
        step = np.linalg.norm(at - previous, axis=-1)
        if point.only_while is None:
            total = total + step
            previous = at
        else:
            name, low, high = point.only_while
            active = (full[name] >= low) & (full[name] <= high)
            total = total + np.where(active, step, 0.0)
            previous = np.where(active[..., None], at, previous)
    return total


def _local(point: PathPoint, body: Anatomy, side: str, knee: NDArray[np.float64]) -> NDArray[np.float64]:
    """A path point in its own body's axes, scaled, `[..., 3]`."""
    sign = 1.0 if side == "r" else -1.0
    x, y = np.full(knee.shape, point.at[0]), np.full(knee.shape, point.at[1])
    if point.moves_with is not None:
        x, y = (spline(knee) for spline in _knee_splines(point.moves_with))
    name = point.body if point.body == "pelvis" else f"{point.body}_{side}"
    return np.stack([x, y, np.full(knee.shape, sign * point.at[2])], axis=-1) * body.scale(name)


def _leg_frames(
    body: Anatomy, side: str, angles: Mapping[str, NDArray[np.float64]]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Origins `[..., 3]` and rotations `[..., 3, 3]` of the leg's bones in pelvis axes."""
    shape = angles["hip_flexion"].shape
    turn = {"pelvis": np.broadcast_to(np.eye(3), (*shape, 3, 3))}
    origin = {"pelvis": np.zeros((*shape, 3))}
    femur, calcn = (body.segments[f"{name}_{side}"] for name in ("femur", "calcn"))
    inwards = 1.0 if side == "r" else -1.0
    turn["femur"] = _about_z(angles["hip_flexion"]) @ _about_x(inwards * angles["hip_adduction"])
    origin["femur"] = np.broadcast_to(np.asarray(femur.joint_in_parent), (*shape, 3))
    slide = [spline(angles["knee_angle"]) * femur.scale for spline in _knee_splines("tibia")]
    knee_center = np.stack([*slide, np.zeros(shape)], axis=-1)
    origin["tibia"] = origin["femur"] + np.einsum("...ij,...j->...i", turn["femur"], knee_center)
    turn["tibia"] = turn["femur"] @ _about_z(angles["knee_angle"])
    turn["calcn"] = turn["tibia"] @ _about_z(angles["ankle_angle"])
    ankle = origin["tibia"] + turn["tibia"] @ np.asarray(calcn.joint_in_parent)
    origin["calcn"] = ankle - turn["calcn"] @ np.asarray(calcn.joint_in_body)
    return origin, turn


def _about_z(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    zero, one = np.zeros_like(c), np.ones_like(c)
    return np.stack([np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1), np.stack([zero, zero, one], -1)], -2)


def _about_x(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    zero, one = np.zeros_like(c), np.ones_like(c)
    return np.stack([np.stack([one, zero, zero], -1), np.stack([zero, c, -s], -1), np.stack([zero, s, c], -1)], -2)


@cache
def _knee_splines(name: str) -> tuple[CubicSpline, CubicSpline]:
    """Natural cubic splines of x and y over the knee angle, as OpenSim's SimmSpline."""
    (knots_x, x), (knots_y, y) = KNEE_SPLINES[name]
    return CubicSpline(knots_x, x, bc_type="natural"), CubicSpline(knots_y, y, bc_type="natural")
