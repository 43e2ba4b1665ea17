"""A walk at any moment, between pictures as well: what shutters that are open for a time see of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.gait.keypoints import keypoints_3d
from farm.gait.resample import PosedWalk, body_pose_at
from farm.sampling.anatomy import Anatomy
from scenes.body import bone_transforms

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """One person's walk; before its first moment and after its last the person stands as there."""

    body: Anatomy
    walk: PosedWalk

    def bones(self, times: Array) -> Array:
        """World from bone `[F, J, 4, 4]` at `times` `[F]` s."""
        return bone_transforms(self.body, body_pose_at(self.walk, times), self.walk.bodies)

    def keypoints(self, times: Array) -> Array:
        """Keypoints `[F, K, 3]` m, each at its own moment of `times` `[F, K]` s."""
        columns = []
        for column, moments in enumerate(np.moveaxis(np.asarray(times), 1, 0)):
            pose = body_pose_at(self.walk, moments)
            columns.append(keypoints_3d(self.body, pose, self.walk.bodies)[:, column])
        return np.stack(columns, axis=1)
