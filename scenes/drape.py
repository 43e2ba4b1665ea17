"""Cloth that hangs from the hips over both legs: skirts, and what of a coat is below the waist.

A drape has no simulation of its own. At every moment it is the tightest convex
cloth around what carries it: a column that hangs from the hips and grows wider
downwards as the cloth is cut, the thighs and shanks, and plumb lines from the
knees. So no leg comes through it, a stride spreads it, a lifted thigh lifts its
front, and a standing person's hangs straight. It does not swing or flutter.

Each ring around it follows from the support points of its carriers (farthest in a
horizontal direction), which a soft maximum joins into the straight stretches
between legs. Nodes lie evenly on the rings; each is a bone of the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from farm.sampling.anatomy import BODIES
from scenes.figure import SIDES, Figure
from scenes.surface import Array

COLUMNS = 36
"""Nodes around, from the front to the right and back."""

DIRECTIONS = 48
"""In which a ring's support points are looked for, before nodes are laid evenly on it."""

SOFTNESS_M = 0.003
"""How sharply the farthest carrier wins."""

HIP_Y_M = -0.06
"""Height of the ring from which a drape hangs, in the generic pelvis: about where it is widest."""

FOLDS = 6
"""Folds around a hem."""

_CORNER_M = 0.002
"""Radius, about, by which a contour's corners are rounded."""

_STEEPEST = 0.4
"""Sine of the flattest slope that a leg's slice is computed for."""

_FOLDED_M = 0.010
"""Cloth lies looser by so much over knee and calf, where a bent leg folds it; and from so far above the knee on."""

_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Cut:
    """How a drape is cut.

    Attributes:
        top_y_m: Its upper edge above the pelvis' origin, generic metres.
        length_m: Of the cloth below the hips (m).
        waist_ease_m, ease_m: Distance from the body above the hips, and from what it covers below them (m).
        flare: Metres by which its radius grows for each metre below the hips.
        fold_m: Depth of the folds at the hem (m).
        row_m: Greatest distance between its rings (m).
    """

    top_y_m: float
    length_m: float
    waist_ease_m: float
    ease_m: float
    flare: float
    fold_m: float
    row_m: float = 0.045


class Drape:
    """One person's drape: where its nodes are at any pose.

    Attributes:
        height: `[R]` m of cloth below the hips of each ring, negative above them, ascending.
    """

    def __init__(self, figure: Figure, cut: Cut) -> None:
        size = figure.size
        hips, top = (float(figure.point("pelvis", (0.0, y, 0.0))[1]) for y in (HIP_Y_M, cut.top_y_m))
        above = np.linspace(top, hips, max(2, round((top - hips) / cut.row_m) + 1))[:-1]
        below = np.linspace(0.0, cut.length_m, max(2, round(cut.length_m / cut.row_m) + 1))
        self.height = np.concatenate([hips - above, below])
        self._cut = cut
        self._below = below
        contours = [_contour(figure, np.array([y])) for y in above]
        column = _contour(figure, hips + size * np.array([0.03, 0.01, -0.015, -0.04]))
        self._above = np.stack(
            [_spread(contour, cut.waist_ease_m, y) for contour, y in zip(contours, above, strict=True)]
        )
        self._column = _support(column, hips)
        self._legs = {side: _Leg.of(figure, side, below) for side, _ in SIDES}
        turn = np.arange(COLUMNS) * (2 * np.pi / COLUMNS)
        self._folds = cut.fold_m * (below / cut.length_m)[:, None] ** 2 * np.cos(FOLDS * turn)

    @property
    def rows(self) -> int:
        """Rings."""
        return len(self.height)

    @property
    def nodes(self) -> int:
        """Nodes, ring by ring from the top."""
        return self.rows * COLUMNS

    def triangles(self) -> NDArray[np.int64]:
        """Nodes at the corners of its outer side's triangles, `[T, 3]`, wound outwards."""
        node = np.arange(self.nodes).reshape(self.rows, COLUMNS)
        a, b = node[:-1].ravel(), np.roll(node, -1, axis=1)[:-1].ravel()
        below_a, below_b = a + COLUMNS, b + COLUMNS
        return np.concatenate([np.stack([a, b, below_b], axis=1), np.stack([a, below_b, below_a], axis=1)])

    def transforms(self, bones: Array) -> Array:
        """World from node `[F, nodes, 4, 4]`: x out of the cloth, y up along it.

        Args:
            bones: `[F, J, 4, 4]` world from bone, of which the first are `BODIES`.
        """
        pelvis = bones[:, BODIES.index("pelvis")]
        ahead = pelvis[:, :3, 0] * np.array([1.0, 0.0, 1.0])
        ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
        upper = np.einsum("fij,rkj->frki", pelvis[:, :3, :3], self._above) + pelvis[:, None, None, :3, 3]
        rings = self._rings(bones, pelvis, ahead, np.cross(ahead, _UP))
        lower = _laid_evenly(rings)
        lower = lower + self._folds[..., None] * _outward(lower)
        place = np.concatenate([upper, lower], axis=1)  # [F, R, COLUMNS, 3]
        return _frames(place).reshape(len(bones), self.nodes, 4, 4)

    def _rings(self, bones: Array, pelvis: Array, ahead: Array, right: Array) -> Array:
        """Rings from the hips down `[F, R, DIRECTIONS, 3]`, not yet evenly spaced."""
        angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
        out = np.cos(angle)[:, None] * ahead[:, None] + np.sin(angle)[:, None] * right[:, None]  # [F, D, 3]
        column = np.einsum("fij,dj->fdi", pelvis[:, :3, :3], self._column) + pelvis[:, None, :3, 3]
        reach = self._cut.ease_m + self._cut.flare * self._below
        carriers = [column[:, None] + reach[:, None, None] * out[:, None] - self._below[:, None, None] * _UP]
        for side, _ in SIDES:
            carriers += self._legs[side].support(bones, out, self._cut.ease_m)
        points = np.stack(carriers, axis=-2)  # [F, R, D, carriers, 3]
        far = np.einsum("frdci,fdi->frdc", points, out)
        share = softmax(far / SOFTNESS_M, axis=-1)
        return np.asarray(np.einsum("frdc,frdci->frdi", share, points))


@dataclass(frozen=True)
class _Leg:
    """What of one leg carries cloth.

    Attributes:
        side: "r" or "l".
        below: `[R]` m of cloth below the hips.
        to_knee: Length of the thigh (m).
        knee: `[3]` in the thigh's axes (m).
        radius: `[R, 2]` half axes of the leg's section there, in x and z (m).
        middle: `[R, 2]` its middle's x and z, in the axes of thigh or shank (m).
    """

    side: str
    below: Array
    to_knee: float
    knee: Array
    radius: Array
    middle: Array

    @classmethod
    def of(cls, figure: Figure, side: str, below: Array) -> _Leg:
        hip, knee = figure.origins[f"femur_{side}"], figure.origins[f"tibia_{side}"]
        to_knee = float(hip[1] - knee[1])
        section = figure.leg_section(hip[1] - below, side)
        origin = np.where((below <= to_knee)[:, None], hip[[0, 2]], knee[[0, 2]])
        return cls(side, below, to_knee, knee - hip, section[:, :2], section[:, 2:] - origin)

    def support(self, bones: Array, out: Array, ease_m: float) -> list[Array]:
        """Outermost points `[F, R, D, 3]` in directions `out` `[F, D, 3]`: the leg, and a plumb line from its knee."""
        thigh, shank = (bones[:, BODIES.index(f"{name}_{self.side}")] for name in ("femur", "tibia"))
        on_thigh = (self.below <= self.to_knee)[None, :, None]
        x, z = self.middle.T
        centre = np.where(
            on_thigh,
            _at(thigh, np.stack([x, -self.below, z], axis=-1)),
            _at(shank, np.stack([x, self.to_knee - self.below, z], axis=-1)),
        )
        axes = np.where(on_thigh[..., None], thigh[:, None, :3, :3], shank[:, None, :3, :3])
        ease = ease_m + np.where(self.below <= self.to_knee - _FOLDED_M, 0.0, _FOLDED_M)
        reach = self._slice(axes, out) + ease[:, None, None] * out[:, None]
        points = [centre[:, :, None] + reach]
        if on_thigh.all():
            return points
        fallen = np.maximum(self.below - self.to_knee, 0.0)
        plumb = np.where(on_thigh, centre, _at(thigh, self.knee[None]) - fallen[:, None] * _UP)
        at_knee = self.radius[np.argmin(np.abs(self.below - self.to_knee))].max() + ease_m + _FOLDED_M
        return [*points, plumb[:, :, None] + np.where(on_thigh[..., None], reach, at_knee * out[:, None])]

    def _slice(self, axes: Array, out: Array) -> Array:
        """From the middle of the leg's level slice to its outermost point in each direction: `[F, R, D, 3]`.

        Thigh and shank are elliptic cylinders along y of `axes` `[F, R, 3, 3]`, their slices other ellipses, which
        end at hip and knee. One that lies flatter than `_STEEPEST` is taken as that steep.
        """
        along = axes[..., 1]  # [F, R, 3]
        rise = np.maximum(np.abs(along[..., 1]), _STEEPEST)[..., None]
        normal = out[:, None] - (np.einsum("frj,fdj->frd", along, out) / rise)[..., None] * _UP
        across = [np.einsum("frj,frdj->frd", axes[..., i], normal) for i in (0, 2)]
        squares = [(self.radius[:, i] ** 2)[:, None] * across[i] for i in (0, 1)]
        size = np.sqrt(np.maximum(squares[0] * across[0] + squares[1] * across[1], 1e-12))
        point = (squares[0][..., None] * axes[..., None, :, 0] + squares[1][..., None] * axes[..., None, :, 2]) / size[
            ..., None
        ]
        climb = -point[..., 1] / (rise * np.where(along[..., 1:2] < 0, -1.0, 1.0))
        past_knee = self.below - self.to_knee
        climb = np.clip(
            climb,
            np.where(past_knee < 0, past_knee, -np.inf)[:, None],
            np.where(past_knee < 0, self.below, past_knee)[:, None],
        )
        return np.asarray(point + climb[..., None] * along[:, :, None])


def _at(bone: Array, stations: Array) -> Array:
    """World places `[F, R, 3]` of stations `[R, 3]` of a bone `[F, 4, 4]`."""
    return np.asarray(np.einsum("fij,rj->fri", bone[:, :3, :3], stations) + bone[:, None, :3, 3])


def _contour(figure: Figure, heights: Array) -> Array:
    """Outermost of trunk and straight legs over some heights, by direction from the hips' middle: `[180, 2]` x, z m."""
    angle = np.arange(180) * (2 * np.pi / 180)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    middle = figure.point("pelvis", (-0.088, 0.0, 0.0))[[0, 2]]
    reach = np.linspace(0.02, 0.45, 216) * figure.size
    ground = middle + reach[:, None, None] * ray  # [S, 180, 2]
    found = np.zeros(180)
    for y in heights:
        points = np.stack([ground[..., 0], np.full(ground.shape[:2], y), ground[..., 1]], axis=-1)
        inside = np.minimum.reduce([figure.trunk(points), *(figure.leg(points, side) for side, _ in SIDES)]) < 0
        last = len(reach) - 1 - np.argmax(inside[::-1], axis=0)
        found = np.maximum(found, reach[last])
    return np.asarray(middle + found[:, None] * ray)


def _support(contour: Array, y: float) -> Array:
    """The contour's farthest point in each of the directions: `[DIRECTIONS, 3]` m, pelvis axes."""
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    out = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    ahead = np.exp((contour @ out.T - (contour @ out.T).max(axis=0)) / _CORNER_M)  # soft: no point jumps
    point = (ahead / ahead.sum(axis=0)).T @ contour
    return np.stack([point[:, 0], np.full(DIRECTIONS, y), point[:, 1]], axis=-1)


def _spread(contour: Array, ease_m: float, y: float) -> Array:
    """A contour eased and laid evenly: `[COLUMNS, 3]` m, pelvis axes."""
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    ring = _support(contour, y)
    ring[:, [0, 2]] += ease_m * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.asarray(_laid_evenly(ring[None, None])[0, 0])


def _laid_evenly(rings: Array) -> Array:
    """`COLUMNS` points on each closed ring `[F, R, D, 3]`, as far apart from each other on each side of the body.

    The first stays in front and the middle one behind, so that no cloth slips around.
    """
    half = rings.shape[2] // 2
    closed = np.concatenate([rings, rings[:, :, :1]], axis=2)
    sides = [_evenly(closed[:, :, : half + 1]), _evenly(closed[:, :, half:])]
    return np.concatenate([sides[0][:, :, :-1], sides[1][:, :, :-1]], axis=2)


def _evenly(line: Array) -> Array:
    """`COLUMNS / 2 + 1` points at equal distances along lines `[F, R, P, 3]`, ends included."""
    step = np.linalg.norm(np.diff(line, axis=2), axis=-1)
    way = np.concatenate([np.zeros_like(step[..., :1]), np.cumsum(step, axis=-1)], axis=-1)
    wanted = np.linspace(0.0, 1.0, COLUMNS // 2 + 1) * way[..., -1:]
    before = np.clip((way[..., None, :] <= wanted[..., None]).sum(axis=-1) - 1, 0, step.shape[-1] - 1)
    begin = np.take_along_axis(way, before, axis=-1)
    share = (wanted - begin) / np.maximum(np.take_along_axis(step, before, axis=-1), 1e-9)
    first = np.take_along_axis(line, before[..., None], axis=2)
    second = np.take_along_axis(line, before[..., None] + 1, axis=2)
    return np.asarray(first + share[..., None] * (second - first))


def _outward(place: Array) -> Array:
    """Unit vectors out of rings `[F, R, C, 3]`, level."""
    around = np.roll(place, -1, axis=2) - np.roll(place, 1, axis=2)
    out = np.cross(_UP, around)
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-9))


def _frames(place: Array) -> Array:
    """World from node `[F, R, C, 4, 4]` for places `[F, R, C, 3]`: x out of the cloth, y up along it, z around it."""
    around = np.roll(place, -1, axis=2) - np.roll(place, 1, axis=2)
    up = -np.gradient(place, axis=1)
    out = np.cross(up, around)
    out /= np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-9)
    up -= (up * out).sum(axis=-1, keepdims=True) * out
    up /= np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-9)
    world = np.tile(np.eye(4), (*place.shape[:3], 1, 1))
    world[..., :3, 0], world[..., :3, 1], world[..., :3, 2] = out, up, np.cross(out, up)
    world[..., :3, 3] = place
    return np.asarray(world)
