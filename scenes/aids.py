"""What a walker wears and carries against an impairment, and how that is drawn.

Aids are pictured on top of the gait, which knows nothing of them: an orthosis
holds no ankle, and who would need one is drawn by condition alone.
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

_STRAP_COLOURS: tuple[str, ...] = ("f0efec", "1f2023", "2d3b55", "8c8f94")


@dataclass(frozen=True)
class Aids:
    """A walker's aids.

    Attributes:
        orthosis: Legs that wear an ankle-foot orthosis.
        orthosis_shell, orthosis_strap: Its colours, also where nobody wears one.
    """

    orthosis: Side
    orthosis_shell: Rgb
    orthosis_strap: Rgb

    @property
    def orthosis_sides(self) -> str:
        """Sides with an orthosis: "", "r", "l" or "rl"."""
        return {"none": "", "right": "r", "left": "l", "both": "rl"}[self.orthosis]


NO_AIDS = Aids(orthosis="none", orthosis_shell=(0.9, 0.9, 0.9), orthosis_strap=(0.1, 0.1, 0.1))


def aids_rand(rng: np.random.Generator, variation: AidsVariation, condition: str, side: Side) -> Aids:
    """Draw the aids of a walker with this condition.

    Each kind is drawn apart, so that another share of one leaves the others as they are.

    Args:
        side: The affected legs; where none is, one of them is chosen by chance.
    """
    (orthosis_rng,) = branch(rng, ["ankle_orthosis"])
    kinds: tuple[AidKind, ...] = variation.kinds
    wears = orthosis_rng.uniform() < _share(variation.ankle_orthosis, condition) and "ankle_orthosis" in kinds
    either: Side = "right" if orthosis_rng.uniform() < 0.5 else "left"
    return Aids(
        orthosis=(either if side == "none" else side) if wears else "none",
        orthosis_shell=pick(orthosis_rng, _SHELL_COLOURS),
        orthosis_strap=pick(orthosis_rng, _STRAP_COLOURS),
    )


def _share(shares: Sequence[AidShare], condition: str) -> float:
    """Of the walkers with a condition; the last entry counts, if one is named twice."""
    return {entry.condition: entry.share for entry in shares}.get(condition, 0.0)
