"""The setting of one walk: everything around the walker, made from what was drawn for the place.

A setting knows where the walk goes and where the cameras stand, so that nothing
stands in the way of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenes.body import BodyMesh
from scenes.cameras import Camera
from scenes.panel import Panel
from scenes.place import Place
from scenes.room import RoomBox, room_box, room_panels
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


@dataclass(frozen=True)
class Setting:
    """What is around the walker.

    Attributes:
        box: The walls, which end every view.
        panels: What stands still, to be drawn.
        solids: Convex point sets `[P, 3]` (m, world axes) that may hide the walker: furniture and the like.
        passers_by: Other people.
    """

    box: RoomBox
    panels: tuple[Panel, ...]
    solids: tuple[Array, ...]
    passers_by: tuple[PasserBy, ...]


def make_setting(place: Place, *, outline: Array, cameras: Sequence[Camera]) -> Setting:
    """Build the place around a walk.

    Args:
        outline: `[F, P, 3]` m, points that bound the walker in every picture.
    """
    stations = [camera.world_from_camera[:, :3, 3] for camera in cameras]
    box = room_box(place, places=np.concatenate([outline.reshape(-1, 3), *stations]))
    return Setting(box, room_panels(place, box), (), ())
