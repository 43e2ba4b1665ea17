"""When a picture's rows are exposed, and by which drawn moments that is shown.

The time from the first row's opening to the last row's closing is cut into equal
cells, and the scene is drawn at the middle of each. A row shows the mean of the
cells that its own exposure covers, each by how much of it is covered: with a
global shutter the mean of all, with a rolling one a band that sinks through them.
Masks and depth show, of each row, the cell that holds the middle of its exposure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.cameras import Camera
from scenes.motion import Motion
from scenes.surface import Array
from workers.render.tone import Light

STEP_PX = 1.5
"""Most that something moves from one drawn moment to the next (98 of 100 keypoints), or edges would show as steps."""

MOST_CELLS = 9
"""What is drawn for one picture at most. Odd, as every number of cells: the picture's own moment is one of them."""

_MOST_MOVE_PERCENT = 98.0


@dataclass(frozen=True)
class Exposure:
    """The cells of one view's pictures.

    Attributes:
        offsets: `[N]` s, middles of the cells, from the picture's moment.
        shutter: `[2]` s, exposure and readout.
    """

    offsets: Array
    shutter: Array

    @property
    def middle(self) -> int:
        """The cell at the picture's moment."""
        return len(self.offsets) // 2

    def shares(self, delay: Array) -> Light:
        """What each cell gives to pixels whose row is exposed `delay` `[...]` s late: `[N, ...]`, 1 in sum."""
        if len(self.offsets) == 1:
            return np.ones((1, *delay.shape), np.float32)
        exposed, half_cell = float(self.shutter[0]), 0.5 * float(self.offsets[1] - self.offsets[0])
        at = self.offsets.reshape(-1, *(1,) * delay.ndim)
        if exposed < 1e-9:
            return np.asarray(np.arange(len(at)).reshape(at.shape) == self.cell(delay), dtype=np.float32)
        begin = np.maximum(at - half_cell, delay - 0.5 * exposed)
        end = np.minimum(at + half_cell, delay + 0.5 * exposed)
        covered = np.maximum(end - begin, 0.0)
        return np.asarray(covered / covered.sum(axis=0), dtype=np.float32)

    def cell(self, delay: Array) -> NDArray[np.int64]:
        """The cell that holds `delay` `[...]` s."""
        if len(self.offsets) == 1:
            return np.zeros(delay.shape, np.int64)
        step = float(self.offsets[1] - self.offsets[0])
        return np.clip(np.rint(delay / step).astype(np.int64) + self.middle, 0, len(self.offsets) - 1)


def exposure_of(camera: Camera, motion: Motion, keypoints: int) -> Exposure:
    """As many cells as what moves in these pictures asks for: walker and, where the camera moves, all else."""
    span = float(camera.shutter.sum())
    cells = 1
    if span > 0:
        ends = [np.full((len(camera.time), keypoints), share * span) for share in (-0.5, 0.5)]
        moment = np.repeat(camera.time[:, None], keypoints, axis=1)
        walker, still = [], []
        for delay in ends:
            seen = camera.poses(delay)
            walker.append(camera.project_by(motion.keypoints(moment + delay), seen)[0])
            still.append(camera.project_by(motion.keypoints(moment), seen)[0])
        moved = np.stack([np.linalg.norm(pair[1] - pair[0], axis=-1) for pair in (walker, still)])
        seen_moves = moved[np.isfinite(moved)]
        most = float(np.percentile(seen_moves, _MOST_MOVE_PERCENT)) if len(seen_moves) else 0.0
        cells = int(np.clip(np.ceil(most / STEP_PX), 1, MOST_CELLS))
        cells += 1 - cells % 2
    return Exposure(((np.arange(cells) + 0.5) / cells - 0.5) * span, camera.shutter)
