"""What a walker holds: a cane that is planted beside the other leg, or a frame on wheels.

They are pictured on top of the gait and move with it, as figures of their own:
no label is of them, they only come between a camera and the walker.

A cane's grip stays in the hand, its tip stands on the floor while the leg on the
other side does, under the middle of the hand's way, and is swung to its next place
while that leg swings; it is two tubes that slide, as a hand does not keep its height.
A frame rolls upright with both hands, between which its grips are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from farm.records import GaitLabels
from scenes.aids import Aids
from scenes.body import BONES, BodyMesh
from scenes.colours import Rgb
from scenes.figure import GRIP_GENERIC_M, Figure
from scenes.motion import Motion
from scenes.passer_by import PasserBy
from scenes.surface import Array

TIP_OUT_M = 0.05
"""How far outside the hand a cane's tip is planted."""

LIFTED_SHARE = 0.8
"""Of the other leg's stance, after which a cane is lifted: before the hand has left it far behind."""

TIP_LIFT_M = 0.035
"""How high it is swung."""

GRIP_HALF_M = 0.09
"""Half length of a frame's grips, along which hands that swing a little slide."""

_UP, _LEVEL = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0])

_BLACK: Rgb = (0.09, 0.09, 0.10)
_STRIDE_TIME_S = 1.1
"""Taken for the stride of a film that has no two steps of a foot."""

_MOMENTS = 9
"""Of a stance, at which the hand's way is looked at."""


_WHEEL_HALF_M = 0.014

_Shape = tuple[Array, Array, NDArray[np.int32]]
"""Vertices `[V, 3]` m, normals `[V, 3]`, faces `[T, 3]`."""


@dataclass(frozen=True)
class _Solid:
    """One stiff piece, in the axes of the bone that moves it."""

    shape: _Shape
    colour: Rgb
    gloss: float


def carried(figure: Figure, aids: Aids, motion: Motion, labels: GaitLabels) -> tuple[PasserBy, ...]:
    """What the walker holds, to be drawn beside him or her."""
    if aids.frame:
        return (_frame(figure, aids, motion, labels),)
    if aids.cane != "none":
        return (_cane(figure, aids, motion, labels),)
    return ()


# --- a cane ----------------------------------------------------------------------------------------------------


def _cane(figure: Figure, aids: Aids, motion: Motion, labels: GaitLabels) -> PasserBy:
    side = aids.cane[0]
    begin, end = stances(labels, "l" if side == "r" else "r")
    end = begin + LIFTED_SHARE * (end - begin)
    hand = _hand(figure, motion, side)
    sign = 1.0 if side == "r" else -1.0
    heading = _heading(motion, labels.frame_time)
    outward = sign * np.cross(heading, _UP)
    plants = np.array([
        hand(np.linspace(first, last, _MOMENTS)).mean(axis=0) * _LEVEL + TIP_OUT_M * outward
        for first, last in zip(begin, end, strict=True)
    ]).reshape(-1, 3)  # fmt: skip
    if len(plants):
        plants, begin, end = _beyond(plants, begin, end, _velocity(motion, labels.frame_time))

    def tip(times: Array) -> Array:
        if not len(plants):  # the film has no step: the cane is carried
            return np.asarray(hand(times) * _LEVEL + TIP_LIFT_M * _UP)
        return planted(times, plants, begin, end)

    def bones_at(times: Array) -> Array:
        grip, ground = hand(times), tip(times)
        up = grip - ground
        up /= np.linalg.norm(up, axis=-1, keepdims=True)
        ahead = heading - (up @ heading)[:, None] * up
        ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
        turn = np.stack([ahead, up, np.cross(ahead, up)], axis=-1)
        return _bones([_pose(turn, grip), _pose(turn, ground)], len(times))

    length = float(np.linalg.norm(hand(labels.frame_time) - tip(labels.frame_time), axis=-1).mean())
    return _figure(_cane_pieces(length, aids.held_colour), labels.frame_time, bones_at)


def stances(labels: GaitLabels, side: str) -> tuple[Array, Array]:
    """When one foot was put down and lifted, the film's beginning and end taken for what they cut off: `[S]`, `[S]` s.

    Events are taken as they are stored (float32), so that a gait that was read is filmed as when it was made.
    """
    time = labels.event_time.astype(np.float32).astype(float)
    strike, off = (time[labels.event_type == number] for number in ((0, 1) if side == "r" else (2, 3)))
    first, last = float(labels.frame_time[0]), float(labels.frame_time[-1])
    if len(off) and (not len(strike) or off[0] < strike[0]):
        strike = np.concatenate([[min(first, off[0])], strike])
    if len(strike) > len(off):
        off = np.concatenate([off, [max(last, strike[-1])]])
    return strike, off


def _beyond(plants: Array, begin: Array, end: Array, velocity: Array) -> tuple[Array, Array, Array]:
    """With one stance more at each end, as the walk would go on: the film may begin and end in a swing."""
    stride_time = float(np.diff(begin).mean()) if len(begin) > 1 else _STRIDE_TIME_S
    swing = max(stride_time - float((end - begin).mean()), 0.2)
    step = velocity * stride_time
    return (
        np.concatenate([plants[:1] - step, plants, plants[-1:] + step]),
        np.concatenate([begin[:1] - stride_time, begin, end[-1:] + swing]),
        np.concatenate([begin[:1] - swing, end, end[-1:] + stride_time]),
    )


def planted(times: Array, plants: Array, begin: Array, end: Array) -> Array:
    """Where a tip is that stands at each of `plants` `[S, 3]` m from `begin` to `end` `[S]` s, and is swung between.

    Returns:
        `[T, 3]` m.
    """
    stand = np.clip(np.searchsorted(begin, times, side="right") - 1, 0, len(begin) - 1)
    following = np.minimum(stand + 1, len(begin) - 1)
    swing = np.maximum(begin[following] - end[stand], 1e-9)
    share = np.clip((times - end[stand]) / swing, 0.0, 1.0) * (following > stand)
    eased = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
    place = plants[stand] + eased[:, None] * (plants[following] - plants[stand])
    place[:, 1] += TIP_LIFT_M * 16.0 * (share * (1.0 - share)) ** 2
    return np.asarray(place)


def _cane_pieces(length: float, colour: Rgb) -> list[list[_Solid]]:
    """Handle with the upper tube, from the grip; the lower tube, from the tip."""
    upper = [
        _Solid(_rod((-0.045, 0.0, 0.0), (0.075, 0.0, 0.0), 0.0115), _BLACK, 0.1),
        _Solid(_rod((0.0, 0.0, 0.0), (0.0, -0.55 * length, 0.0), 0.0105), colour, 0.4),
    ]
    lower = [
        _Solid(_rod((0.0, 0.03, 0.0), (0.0, 0.62 * length, 0.0), 0.0085), colour, 0.4),
        _Solid(_rod((0.0, 0.0, 0.0), (0.0, 0.035, 0.0), 0.016), _BLACK, 0.05),
    ]
    return [upper, lower]


# --- a frame -----------------------------------------------------------------------------------------------------


def _frame(figure: Figure, aids: Aids, motion: Motion, labels: GaitLabels) -> PasserBy:
    hands = {side: _hand(figure, motion, side) for side in "rl"}
    heading = _heading(motion, labels.frame_time)
    right = np.cross(heading, _UP)
    turn = np.stack([heading, _UP, right], axis=-1)
    at = {side: hand(labels.frame_time) for side, hand in hands.items()}
    half = 0.5 * float(((at["r"] - at["l"]) @ right).mean())
    height = 0.5 * float((at["r"] + at["l"])[:, 1].mean())

    def bones_at(times: Array) -> Array:
        middle = 0.5 * (hands["r"](times) + hands["l"](times)) * _LEVEL
        return _bones([_pose(np.broadcast_to(turn, (len(times), 3, 3)), middle)] * len(pieces), len(times))

    pieces = [[piece] for piece in _frame_pieces(half, height, aids.held_colour)]
    return _figure(pieces, labels.frame_time, bones_at)


def _frame_pieces(half: float, height: float, colour: Rgb) -> list[_Solid]:
    """Each rod and wheel by itself, x forward from between the grips, y up from the floor."""
    wheel, tube = 0.085, 0.0125
    ahead, behind = 0.40, -0.06
    pieces = []
    for z in (half, -half):
        front, rear = (ahead, wheel, z), (behind, wheel, z)
        bend = (GRIP_HALF_M + 0.03, height - 0.02, z)
        pieces += [
            _Solid(_rod((-GRIP_HALF_M, height, z), (GRIP_HALF_M, height, z), 0.016), _BLACK, 0.1),
            _Solid(_rod((GRIP_HALF_M, height, z), front, tube), colour, 0.4),
            _Solid(_rod(_between(bend, front, 0.35), rear, tube), colour, 0.4),
            _Solid(_wheel(front, wheel), _BLACK, 0.1),
            _Solid(_wheel(rear, wheel), _BLACK, 0.1),
        ]
    for share in (0.45, 0.80):
        ends = [_between((GRIP_HALF_M, height, z), (ahead, wheel, z), share) for z in (half, -half)]
        pieces.append(_Solid(_rod(ends[0], ends[1], tube), colour, 0.4))
    return pieces


# --- both --------------------------------------------------------------------------------------------------------


def _hand(figure: Figure, motion: Motion, side: str) -> Callable[[Array], Array]:
    """Where the grip is that one hand closes on, at times `[T]` s: `[T, 3]` m."""
    grip = figure.body.point(f"radius_{side}", GRIP_GENERIC_M[side])

    def at(times: Array) -> Array:
        bone = motion.bones(times)[:, BONES.index(f"radius_{side}")]
        return np.asarray(bone[:, :3, :3] @ grip + bone[:, :3, 3])

    return at


def _velocity(motion: Motion, times: Array) -> Array:
    """Level and mean `[3]` m/s of the way from the film's beginning to its end."""
    ends = motion.bones(times[[0, -1]])[:, BONES.index("pelvis"), :3, 3]
    return np.asarray((ends[1] - ends[0]) * _LEVEL / max(times[-1] - times[0], 1e-9))


def _heading(motion: Motion, times: Array) -> Array:
    """The same as a unit vector; forward where the film is a single picture."""
    velocity = _velocity(motion, times)
    speed = np.linalg.norm(velocity)
    return np.asarray(velocity / speed if speed > 0 else np.array([1.0, 0.0, 0.0]))


def _pose(turn: Array, place: Array) -> Array:
    """`[T, 4, 4]` from rotations `[T, 3, 3]` and places `[T, 3]`."""
    pose = np.tile(np.eye(4), (len(place), 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = turn, place
    return pose


def _bones(poses: Sequence[Array], count: int) -> Array:
    """Those poses as the first bones of a person, whose other bones move nothing."""
    bones = np.tile(np.eye(4), (count, len(BONES), 1, 1))
    for number, pose in enumerate(poses):
        bones[:, number] = pose
    return bones


def _figure(pieces: Sequence[Sequence[_Solid]], time: Array, bones_at: Callable[[Array], Array]) -> PasserBy:
    """A figure of stiff pieces, each list of which has a bone."""
    solids = [(bone, solid) for bone, moved in enumerate(pieces) for solid in moved]
    shapes = [solid.shape for _, solid in solids]
    counts = [len(vertices) for vertices, _, _ in shapes]
    first = np.cumsum([0, *counts[:-1]])
    total = sum(counts)

    def each(values: Sequence[object]) -> NDArray[np.float64]:
        return np.repeat(np.array(values, dtype=float), counts, axis=0)

    mesh = BodyMesh(
        vertices=np.concatenate([vertices for vertices, _, _ in shapes]),
        normals=np.concatenate([normals for _, normals, _ in shapes]),
        faces=np.concatenate([faces + np.int32(at) for at, (_, _, faces) in zip(first, shapes, strict=True)]),
        colours=each([solid.colour for _, solid in solids]),
        cloth=np.zeros((total, 3)),
        accents=np.zeros((total, 3)),
        part=np.zeros(total, np.uint8),
        gloss=each([solid.gloss for _, solid in solids]),
        weights=each([np.eye(len(BONES))[bone] for bone, _ in solids]),
        node=np.full(total, -1),
        bind=np.tile(np.eye(4), (len(BONES), 1, 1)),
        shoe=np.zeros(total, bool),
    )
    return PasserBy(mesh, bones_at(time), True, bones_at)


def _between(a: Sequence[float], b: Sequence[float], share: float) -> tuple[float, float, float]:
    x, y, z = (1.0 - share) * np.array(a) + share * np.array(b)
    return (float(x), float(y), float(z))


def _rod(a: Sequence[float], b: Sequence[float], radius: float, *, sides: int = 10) -> _Shape:
    made = trimesh.creation.cylinder(radius, segment=np.array([a, b]), sections=sides)
    return (np.array(made.vertices), np.array(made.vertex_normals), np.array(made.faces, np.int32))


def _wheel(middle: Sequence[float], radius: float) -> _Shape:
    x, y, z = middle
    return _rod((x, y, z - _WHEEL_HALF_M), (x, y, z + _WHEEL_HALF_M), radius, sides=20)
