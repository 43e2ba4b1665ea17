"""What a walker wears and carries against an impairment, and how that is drawn.

Aids are pictured on top of the gait, which knows nothing of them: an orthosis
holds no ankle, a cane bears no weight, and who would need one is drawn by
condition alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farm.records import Side
from farm.scene_config import AidKind, AidShare, AidsVariation
from farm.seeds import branch
from scenes.colours import Rgb, pick

_SHELL_COLOURS: tuple[str, ...] = ("ebe8e0", "e3e1dc", "d8b894", "2a2b2e", "33405a")
"""White and translucent polypropylene, one of the skin's colour, carbon, and dyed plastic."""

_METAL_COLOURS: tuple[str, ...] = ("9c9ea2", "c8cacc", "26282b", "5c4632", "2c4a7a", "7a2a2e")
"""Of canes and frames: aluminium, black, wood, and lacquers."""

FRAME_ARM_SWING = 0.45
"""Whose arms swing more, relative to the generic, could not keep their hands on a frame's grips."""

_STRAP_COLOURS: tuple[str, ...] = ("f0efec", "1f2023", "2d3b55", "8c8f94")


@dataclass(frozen=True)
class Aids:
    """A walker's aids.

    Attributes:
        orthosis: Legs that wear an ankle-foot orthosis.
        orthosis_shell, orthosis_strap: Its colours, also where nobody wears one.
        cane: Hand that holds a cane: "right", "left", or "none".
        frame: Whether both hold a frame on wheels; then there is no cane.
        held_colour: Of cane or frame, also where there is neither.
    """

    orthosis: Side
    orthosis_shell: Rgb
    orthosis_strap: Rgb
    cane: Side
    frame: bool
    held_colour: Rgb

    @property
    def orthosis_sides(self) -> str:
        """Sides with an orthosis: "", "r", "l" or "rl"."""
        return {"none": "", "right": "r", "left": "l", "both": "rl"}[self.orthosis]

    @property
    def holding_sides(self) -> str:
        """Sides whose hand holds something: "", "r", "l" or "rl"."""
        return "rl" if self.frame else {"none": "", "right": "r", "left": "l", "both": "rl"}[self.cane]


NO_AIDS = Aids(
    orthosis="none", orthosis_shell=(0.9, 0.9, 0.9), orthosis_strap=(0.1, 0.1, 0.1),
    cane="none", frame=False, held_colour=(0.6, 0.6, 0.6),
)  # fmt: skip


def aids_rand(
    rng: np.random.Generator, variation: AidsVariation, condition: str, side: Side, arm_swing: float = 1.0
) -> Aids:
    """Draw the aids of a walker with this condition.

    Each kind is drawn apart, so that another share of one leaves the others as they are.

    Args:
        side: The affected legs; where none is, one of them is chosen by chance. A cane is held on the other side.
        arm_swing: Of the walker, relative to the generic; only arms that swing little can hold a frame.
    """
    orthosis_rng, cane_rng, frame_rng = branch(rng, ["ankle_orthosis", "cane", "walker_frame"])
    kinds: tuple[AidKind, ...] = variation.kinds
    wears = orthosis_rng.uniform() < _share(variation.ankle_orthosis, condition) and "ankle_orthosis" in kinds
    either: Side = "right" if orthosis_rng.uniform() < 0.5 else "left"
    leans = cane_rng.uniform() < _share(variation.cane, condition) and "cane" in kinds
    hand: Side = "right" if cane_rng.uniform() < 0.5 else "left"
    if side in ("right", "left"):
        hand = "left" if side == "right" else "right"
    rolls = frame_rng.uniform() < _share(variation.walker_frame, condition) and "walker_frame" in kinds
    frame = rolls and arm_swing <= FRAME_ARM_SWING
    return Aids(
        orthosis=(either if side == "none" else side) if wears else "none",
        orthosis_shell=pick(orthosis_rng, _SHELL_COLOURS),
        orthosis_strap=pick(orthosis_rng, _STRAP_COLOURS),
        cane=hand if leans and not frame else "none",
        frame=bool(frame),
        held_colour=pick(cane_rng, _METAL_COLOURS),
    )


def _share(shares: Sequence[AidShare], condition: str) -> float:
    """Of the walkers with a condition; the last entry counts, if one is named twice."""
    return {entry.condition: entry.share for entry in shares}.get(condition, 0.0)
