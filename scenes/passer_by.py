"""Other people in the picture."""

from __future__ import annotations

from dataclasses import dataclass

from scenes.body import BodyMesh
from scenes.surface import Array


@dataclass(frozen=True)
class PasserBy:
    """Somebody else in the picture: decoration, never labelled; the mask has 0 there.

    Attributes:
        mesh: Clothed, coarse.
        bones: `[F, J, 4, 4]` world from bone, one for each picture.
        moves: Whether `bones` differ from picture to picture.
    """

    mesh: BodyMesh
    bones: Array
    moves: bool
