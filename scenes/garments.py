"""The visible pieces of a dressed person: skin, hair, face, shirt, trousers, shoes.

Each piece is a closed surface of its own with one colouring, and overlaps the
next one under a hem, as clothes do: colour borders are real edges and nothing
gapes when a joint bends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from farm.scene_config import SleeveCut
from scenes.colours import Rgb
from scenes.figure import SIDES, Figure, smooth_step
from scenes.patterns import Cloth, Tube, repeats_around
from scenes.surface import Array, Distance, Ellipsoid, Surface, polygonise, union
from scenes.wardrobe import Clothes

ALL_GROUPS: tuple[str, ...] = ("trunk", "leg_r", "leg_l", "arm_r", "arm_l")


@dataclass(frozen=True)
class Piece:
    """One closed surface of the dressed person, in bind axes.

    Attributes:
        distance: Signed distance (m).
        low, high: `[3]` box that contains it (m).
        cell_m: Fineness of its polygons.
        colour: sRGB `[..., 3]` at points `[..., 3]`.
        gloss: 0 to 1.
        groups: Trunk and limbs that may move it.
        is_shoe: Whether the floor flattens it.
        cloth: Its pattern, if it has one.
    """

    name: str
    distance: Distance
    low: Array
    high: Array
    cell_m: float
    colour: Callable[[Array], Array]
    gloss: float
    groups: tuple[str, ...]
    is_shoe: bool = False
    cloth: Cloth | None = None

    def surface(self) -> Surface:
        """Its polygons."""
        return polygonise(self.distance, self.low, self.high, self.cell_m)


def pieces(
    figure: Figure,
    clothes: Clothes,
    cell_m: float,
    *,
    rolled_up: str = "",
    holding: str = "",
    coat: Rgb | None = None,
) -> Iterator[Piece]:
    """All pieces of one dressed person but what hangs from the hips (`scenes.drapery`).

    Args:
        rolled_up: Sides ("r", "l", "rl") whose long trouser leg is rolled up to the knee, as over an orthosis.
        holding: Sides whose hand is closed around something.
        coat: Colour of the coat above the hips, if one is worn.
    """
    yield from _head(figure, clothes, cell_m)
    if coat is None:
        yield _shirt(figure, clothes, cell_m)
    else:  # of the shirt only the breast is seen, and nothing must come through the coat where polygons are coarse
        yield _shirt(figure, replace(clothes, sleeves="cap", shirt_ease_m=0.002), cell_m)
        yield _coat(figure, clothes, coat, cell_m)
    skirt = clothes.lower_kind == "skirt"
    yield _briefs(figure, clothes, cell_m) if skirt else _trousers(figure, clothes, cell_m, rolled_up)
    for side, _ in SIDES:
        yield _arm(figure, clothes, side, cell_m, closed=side in holding)
        if skirt or clothes.lower_kind == "short_trousers" or side in rolled_up:
            yield _shank(figure, clothes, side, cell_m, bare_thigh=skirt)
        yield from _shoe(figure, clothes, side, cell_m)


def _plain(colour: Rgb) -> Callable[[Array], Array]:
    return lambda points: np.broadcast_to(np.array(colour), points.shape)


def _box(figure: Figure, low: tuple[float, float, float], high: tuple[float, float, float]) -> tuple[Array, Array]:
    """A box given for the generic figure, widened for this one."""
    grow = figure.size * max(1.0, figure.body.girth) * 1.12
    middle = (np.array(low) + np.array(high)) / 2
    half = (np.array(high) - np.array(low)) / 2
    return middle * figure.size - half * grow, middle * figure.size + half * grow


def _around(points: Array, margin: float) -> tuple[Array, Array]:
    return points.min(axis=0) - margin, points.max(axis=0) + margin


def _head(figure: Figure, clothes: Clothes, cell_m: float) -> Iterator[Piece]:
    k = figure.body.scale("head")
    origin = figure.origins["head"]
    collar = figure.point("torso", (0.0, 0.405, 0.0))[1]
    low = origin + k * np.array([-0.16, -0.12, -0.16])
    high = origin + k * np.array([0.16, 0.29, 0.16])
    low[1] = collar - 0.02 * k

    def skin(points: Array) -> Array:
        return np.asarray(np.maximum(figure.head(points), collar - points[..., 1]))

    yield Piece("head", skin, low, high, 0.6 * cell_m, _plain(clothes.skin), 0.25, ("trunk",))
    if clothes.hair_style != "bald":
        style = clothes.hair_style
        yield Piece(
            "hair", lambda points: figure.hair(points, style), low - 0.03 * k, high + 0.03 * k, 0.6 * cell_m,
            _plain(clothes.hair), 0.35, ("trunk",),
        )  # fmt: skip
    dark = _shade(clothes.skin, 0.55)
    features: list[tuple[str, tuple[float, float, float], tuple[float, float, float], Rgb]] = [
        ("mouth", (0.090, 0.068, 0.0), (0.010, 0.0065, 0.024), (dark[0], dark[1] * 0.82, dark[2] * 0.82)),
    ]
    for side, sign in SIDES:
        brow = _shade(clothes.hair if clothes.hair_style != "bald" else clothes.skin, 0.6)
        features.append((f"eye_{side}", (0.086, 0.142, sign * 0.033), (0.008, 0.0075, 0.013), (0.12, 0.09, 0.08)))
        features.append((f"brow_{side}", (0.087, 0.163, sign * 0.034), (0.008, 0.0045, 0.018), brow))
    for name, centre, radii, colour in features:
        place = origin + k * np.array(centre)
        place[0] = _front(figure, place) - 0.35 * radii[0] * k
        ball = Ellipsoid(place, k * np.array(radii))
        margin = k * np.array(radii) + 0.006
        cell = k * min(radii)
        yield Piece(name, ball, place - margin, place + margin, cell, _plain(colour), 0.3, ("trunk",))


def _front(figure: Figure, place: Array) -> float:
    """Where the face's surface is in front of a point: x (m)."""
    x = figure.origins["head"][0] + figure.body.scale("head") * np.linspace(0.03, 0.14, 221)
    ray = np.stack([x, np.full_like(x, place[1]), np.full_like(x, place[2])], axis=1)
    return float(x[np.flatnonzero(figure.head(ray) < 0)[-1]])


def _shade(colour: Rgb, factor: float) -> Rgb:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _folds(points: Array, phase: float, depth_m: float) -> Array:
    """Slight creases of cloth, mostly across the limb (m)."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    first = np.sin(y * 61.0 + 2.2 * np.sin(9.0 * z + phase) + 9.0 * x + phase)
    second = np.sin(y * 37.0 - 21.0 * z + 17.0 * x + 2.0 * phase)
    return np.asarray(depth_m * (0.6 * first + 0.4 * second))


WAIST_Y_M = 0.055
"""Top of trousers above the pelvis' origin, generic metres."""

TUCKED_M = 0.009
"""How far a waistband stands off the skin with a shirt under it."""

ROLL_M = 0.006
"""How much thicker a trouser leg is where it is rolled up."""

TRUNK_RADIUS_M, ARM_RADIUS_M, THIGH_RADIUS_M = 0.135, 0.048, 0.078
"""Mean radii of the generic body, by which patterns go around a whole number of times."""

YOKE_TILE_M = 1.0
"""Height of the tile that is one colour below the chest and another above it."""

SLEEVE_END = {"cap": 0.24, "short": 0.62}
"""Hem of the sleeve as a share of the upper arm; long sleeves end at the wrist."""


COAT_HEM_Y_M = -0.03
"""Where a coat's upper part ends and what hangs begins, above the pelvis' origin, generic metres."""

_COAT_OVER_SHIRT_M = 0.007


def coat_ease_m(figure: Figure, clothes: Clothes) -> float:
    """How far a coat stands off the body at the hips (m): more than the widest shirt under it."""
    return 1.25 * clothes.shirt_ease_m * figure.size + 0.006 + _COAT_OVER_SHIRT_M


def _sleeve_end_y(figure: Figure, sleeves: SleeveCut, side: str) -> float:
    shoulder, elbow = figure.origins[f"humerus_{side}"][1], figure.origins[f"radius_{side}"][1]
    if sleeves == "long":
        return float(figure.point(f"radius_{side}", (0.0, -0.232, 0.0))[1])
    return float(shoulder + SLEEVE_END[sleeves] * (elbow - shoulder))


def _shirt(figure: Figure, clothes: Clothes, cell_m: float) -> Piece:
    hem = float(figure.point("pelvis", (0.0, 0.02 if clothes.tucked else -0.015, 0.0))[1])
    distance, low, high = _top(figure, clothes, hem, clothes.sleeves, tucked=clothes.tucked, over_m=0.0, open_m=0.0)
    return Piece(
        "shirt", distance, low, high, cell_m, _plain(clothes.shirt), 0.0, ALL_GROUPS,
        cloth=_shirt_cloth(figure, clothes),
    )  # fmt: skip


def _coat(figure: Figure, clothes: Clothes, colour: Rgb, cell_m: float) -> Piece:
    """A coat down to the hips, over the shirt, which shows at the open neck."""
    hem = float(figure.point("pelvis", (0.0, COAT_HEM_Y_M, 0.0))[1])
    distance, low, high = _top(
        figure, clothes, hem, "long", tucked=False, over_m=_COAT_OVER_SHIRT_M, open_m=_COAT_OPEN_M
    )
    return Piece("coat", distance, low, high, cell_m, _plain(colour), 0.02, ALL_GROUPS)


_COAT_OPEN_M = 0.09
"""How far down its front a coat shows what is under it, beside the neck."""


def _top(
    figure: Figure, clothes: Clothes, hem: float, sleeves: SleeveCut, *, tucked: bool, over_m: float, open_m: float
) -> tuple[Distance, Array, Array]:
    """Distance to a shirt, or to a coat `over_m` outside it; and the box that holds it."""
    waist = figure.point("pelvis", (0.0, WAIST_Y_M, 0.0))[1]
    collar = figure.point("torso", (-0.015, 0.466, 0.0))
    ease = clothes.shirt_ease_m * figure.size * (0.7 if figure.sex == "female" else 1.0)

    def distance(points: Array) -> Array:
        up = np.clip((points[..., 1] - hem) / (collar[1] - hem), 0.0, 1.0)
        loose = ease * (1.25 - 0.85 * up**3) + 0.006 * (1.0 - up)
        if tucked:  # it bulges over the waistband, and is flat where that holds it
            loose = 0.002 + (loose - 0.002) * smooth_step(waist - 0.005, waist + 0.06 * figure.size, points[..., 1])
        trunk = figure.trunk(points)
        arms = []
        for side, _ in SIDES:
            straight = figure.straight(points, "arm", side)
            end = _sleeve_end_y(figure, sleeves, side)
            flare = 0.35 * ease if sleeves == "short" else 0.0
            arms.append(np.maximum(figure.arm(straight, side) - flare, end - straight[..., 1] - ease))
        cloth = union([trunk, *arms], 0.05 * figure.size) - loose - over_m - _folds(points, clothes.fold_phase, 0.0016)
        neckline = (points[..., 1] - collar[1]) * 0.94 + (points[..., 0] - collar[0]) * 0.34
        if open_m:  # a V in front
            v = (points[..., 1] - collar[1] + open_m * figure.size - 1.6 * np.abs(points[..., 2])) * 0.53
            neckline = np.maximum(neckline, np.minimum(v, points[..., 0] - collar[0]))
        return np.asarray(np.maximum.reduce([cloth, hem - points[..., 1], neckline]))

    reach = [figure.bind(figure.point(f"radius_{s}", (0.0, -0.25, 0.0)), "arm", s) for s, _ in SIDES]
    if sleeves != "long":
        reach = [figure.bind(figure.origins[f"radius_{s}"], "arm", s) for s, _ in SIDES]
    low, high = _box(figure, (-0.29, -0.05, -0.25), (0.11, 0.56, 0.25))
    low, high = np.minimum(low, np.min(reach, axis=0) - 0.07), np.maximum(high, np.max(reach, axis=0) + 0.07)
    low[1] = min(hem - 0.02, float(np.min(reach, axis=0)[1]) - 0.07)
    return distance, low - over_m, high + over_m


def _shirt_cloth(figure: Figure, clothes: Clothes) -> Cloth | None:
    """The shirt's pattern: around the trunk, and along each sleeve to its armhole."""
    if clothes.shirt_pattern == "plain":
        return None
    zero_m, repeat_m = 0.0, clothes.shirt_pattern_m
    if clothes.shirt_pattern == "yoke":  # its tile reaches from below the hem to above the collar
        zero_m, repeat_m = float(figure.point("torso", (0.0, 0.30, 0.0))[1]) - YOKE_TILE_M / 2, YOKE_TILE_M

    def tube(straight: Callable[[Array], Array], middle: Array, radius_m: float) -> Tube:
        return Tube(straight, middle[[0, 2]], repeats_around(radius_m, repeat_m), repeat_m, zero_m)

    def part(points: Array) -> NDArray[np.int64]:
        arms = [figure.arm(figure.straight(points, "arm", side), side) for side, _ in SIDES]
        return np.asarray(np.argmin([figure.trunk(points), *arms], axis=0))

    trunk = tube(lambda points: points, figure.origins["torso"], TRUNK_RADIUS_M * figure.width(1.0))
    arms = [
        tube(_straightened(figure, "arm", side), figure.origins[f"humerus_{side}"], ARM_RADIUS_M * figure.width(0.8))
        for side, _ in SIDES
    ]
    return Cloth(clothes.shirt_pattern, clothes.shirt_accent, (trunk, *arms), part)


def _trouser_cloth(figure: Figure, clothes: Clothes) -> Cloth | None:
    """The trousers' pattern: each leg's own, up to the waist, with seams between the legs."""
    if clothes.lower_pattern == "plain":
        return None
    radius_m = THIGH_RADIUS_M * figure.width(1.0)
    legs = tuple(
        Tube(
            _straightened(figure, "leg", side),
            figure.origins[f"femur_{side}"][[0, 2]],
            repeats_around(radius_m, clothes.lower_pattern_m),
            clothes.lower_pattern_m,
        )
        for side, _ in SIDES
    )
    return Cloth(clothes.lower_pattern, clothes.lower_accent, legs, lambda points: np.where(points[..., 2] > 0.0, 0, 1))


def _straightened(figure: Figure, limb: str, side: str) -> Callable[[Array], Array]:
    return lambda points: figure.straight(points, limb, side)


def _trousers(figure: Figure, clothes: Clothes, cell_m: float, rolled_up: str) -> Piece:
    waist = figure.point("pelvis", (0.0, WAIST_Y_M, 0.0))[1]
    over_shirt = TUCKED_M if clothes.tucked else 0.0
    ease = clothes.lower_ease_m * figure.size
    long = {side: clothes.lower_kind == "long_trousers" and side not in rolled_up for side, _ in SIDES}
    end = {
        side: float(
            figure.origins[f"calcn_{side}"][1] + 0.035 * figure.size
            if long[side]
            else figure.origins[f"tibia_{side}"][1] + 0.03 * figure.size
        )
        for side, _ in SIDES
    }

    def distance(points: Array) -> Array:
        legs = []
        for side, _ in SIDES:
            straight = figure.straight(points, "leg", side)
            knee = figure.origins[f"tibia_{side}"][1]
            below = np.clip((knee + 0.1 - straight[..., 1]) / 0.45, 0.0, 1.0)
            loose = ease * (0.4 + 1.1 * below) if long[side] else ease * (0.4 + 1.3 * below) + 0.004
            if side in rolled_up and clothes.lower_kind == "long_trousers":
                above = (straight[..., 1] - end[side]) / figure.size
                loose = loose + ROLL_M * smooth_step(-0.055, -0.045, -above)
            leg = figure.leg(straight, side) - loose - _folds(straight, clothes.fold_phase + 1.0, 0.0022) * below
            legs.append(np.maximum(leg, end[side] - straight[..., 1]))
        both = np.minimum(legs[0], legs[1])
        cloth = union([both, figure.trunk(points) - np.maximum(0.5 * ease + 0.002, over_shirt)], 0.03 * figure.size)
        return np.asarray(np.maximum(cloth, points[..., 1] - waist))

    last = {side: f"calcn_{side}" if long[side] else f"tibia_{side}" for side, _ in SIDES}
    lower = np.array([figure.bind(figure.origins[last[side]], "leg", side) for side, _ in SIDES])
    low, high = _box(figure, (-0.28, -0.20, -0.23), (0.09, 0.08, 0.23))
    low, high = np.minimum(low, lower.min(axis=0) - 0.11), np.maximum(high, lower.max(axis=0) + 0.11)
    groups = ("trunk", "leg_r", "leg_l")
    return Piece(
        "trousers", distance, low, high, cell_m, _plain(clothes.lower), 0.0, groups,
        cloth=_trouser_cloth(figure, clothes),
    )  # fmt: skip


def _briefs(figure: Figure, clothes: Clothes, cell_m: float) -> Piece:
    """What is under a skirt, so that hips and thighs are there for whatever looks for them."""
    waist = figure.point("pelvis", (0.0, WAIST_Y_M, 0.0))[1]
    end = {side: float(figure.origins[f"femur_{side}"][1] - 0.10 * figure.size) for side, _ in SIDES}

    def distance(points: Array) -> Array:
        legs = []
        for side, _ in SIDES:
            straight = figure.straight(points, "leg", side)
            legs.append(np.maximum(figure.leg(straight, side), end[side] - straight[..., 1]))
        cloth = union([np.minimum(legs[0], legs[1]), figure.trunk(points)], 0.03 * figure.size)
        return np.asarray(np.maximum(cloth, points[..., 1] - waist))

    low, high = _box(figure, (-0.28, -0.30, -0.26), (0.09, 0.08, 0.26))
    return Piece("briefs", distance, low, high, cell_m, _plain(clothes.lower), 0.0, ("trunk", "leg_r", "leg_l"))


def _arm(figure: Figure, clothes: Clothes, side: str, cell_m: float, *, closed: bool) -> Piece:
    """Skin from under the sleeve to the fingertips."""
    radius = f"radius_{side}"
    top = _sleeve_end_y(figure, clothes.sleeves, side) + 0.035 * figure.size

    def distance(points: Array) -> Array:
        straight = figure.straight(points, "arm", side)
        shape = union([figure.arm(straight, side), figure.hand(straight, side, closed=closed)], 0.016 * figure.size)
        return np.asarray(np.maximum(shape, straight[..., 1] - top))

    ends = np.stack([
        figure.bind(np.array([figure.origins[radius][0], top, figure.origins[f"humerus_{side}"][2]]), "arm", side),
        figure.bind(figure.point(radius, (0.0, -0.43, 0.0)), "arm", side),
    ])  # fmt: skip
    low, high = _around(ends, 0.085 * figure.size * max(1.0, figure.body.girth))
    return Piece(f"arm_{side}", distance, low, high, 0.62 * cell_m, _plain(clothes.skin), 0.2, (f"arm_{side}",))


def _shank(figure: Figure, clothes: Clothes, side: str, cell_m: float, *, bare_thigh: bool) -> Piece:
    """Skin of the lower leg under short trousers or, with the thigh's, a skirt; a sock's end is hidden in the shoe."""
    knee = figure.origins[f"tibia_{side}"][1]
    top = figure.origins[f"femur_{side}"][1] - 0.07 * figure.size if bare_thigh else knee + 0.09 * figure.size
    bottom = float(figure.origins[f"calcn_{side}"][1] + 0.02 * figure.size)

    def distance(points: Array) -> Array:
        straight = figure.straight(points, "leg", side)
        ends = np.maximum(straight[..., 1] - top, bottom - straight[..., 1])
        return np.asarray(np.maximum(figure.leg(straight, side), ends))

    hip = figure.origins[f"tibia_{side}"]
    ends = np.stack([
        figure.bind(np.array([hip[0], top, hip[2]]), "leg", side),
        figure.bind(np.array([hip[0], bottom, hip[2]]), "leg", side),
    ])  # fmt: skip
    low, high = _around(ends, 0.10 * figure.size * max(1.0, figure.body.girth))
    sock = figure.origins[f"calcn_{side}"][1] + 0.115 * figure.size
    skin, socks = np.array(clothes.skin), np.array(clothes.socks)

    def colour(points: Array) -> Array:
        y = figure.straight(points, "leg", side)[..., 1:2]
        return np.asarray(np.where(y > sock, skin, socks))

    return Piece(f"shank_{side}", distance, low, high, 0.8 * cell_m, colour, 0.15, (f"leg_{side}",))


def _shoe(figure: Figure, clothes: Clothes, side: str, cell_m: float) -> Iterator[Piece]:
    k = figure.body.scale(f"calcn_{side}")
    corners = figure.origins[f"calcn_{side}"] + k * np.array(
        [[x, y, z] for x in (-0.05, 0.275) for y in (-0.045, 0.075) for z in (-0.075, 0.075)]
    )
    low, high = _around(figure.bind(corners, "leg", side), 0.0)
    for name, shape, colour in (
        ("shoe", figure.shoe, clothes.shoes),
        ("sole", figure.outsole, clothes.soles),
    ):

        def distance(points: Array, shape: Callable[[Array, str], Array] = shape) -> Array:
            return shape(figure.straight(points, "leg", side), side)

        yield Piece(
            f"{name}_{side}", distance, low, high, 0.6 * cell_m, _plain(colour), 0.3, (f"leg_{side}",), is_shoe=True
        )
