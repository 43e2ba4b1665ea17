"""A picture's bytes and the light that they stand for.

Everything is drawn in gamma 2 (`workers.render.shaders`): a byte is the root of
linear light. What happens to light on its way to the sensor, such as motion blur
and noise, happens to the squares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float32]

_LIGHT: Light = (np.arange(256, dtype=np.float32) / np.float32(255.0)) ** 2


def light_of(picture: NDArray[np.uint8]) -> Light:
    """Linear light, 1 at white, of a picture's bytes."""
    return np.take(_LIGHT, picture)


def picture_of(light: Light) -> NDArray[np.uint8]:
    """The bytes of linear light; darker than black is black, brighter than white is white."""
    root = np.sqrt(np.clip(light, np.float32(0.0), np.float32(1.0)))
    return np.asarray(root * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
