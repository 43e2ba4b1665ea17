"""All labels of one walk: events, gait parameters, keypoints, virtual sensors."""

from __future__ import annotations

import numpy as np

from farm.gait.events import force_events
from farm.gait.imu import virtual_imus
from farm.gait.keypoints import keypoints_3d
from farm.gait.observation import observe
from farm.gait.parameters import LABEL_COLUMNS, gait_parameters
from farm.gait.resample import body_pose_at, frame_times
from farm.records import GaitLabels, Trajectory
from farm.sampling.anatomy import KEYPOINTS, Anatomy


def gait_labels(trajectory: Trajectory, body: Anatomy, *, frame_rate_hz: float) -> GaitLabels:
    """Label a walk, also one that ended early: what cannot be measured is NaN.

    Args:
        frame_rate_hz: Rate of the pictures, for which keypoints are wanted.
    """
    times = frame_times(trajectory, frame_rate_hz)
    if trajectory.n_samples < 2:
        values = {column.name: float("nan") for column in LABEL_COLUMNS} | {"n_strides": 0.0}
        event_time, event_type = np.empty(0), np.empty(0, dtype=np.uint8)
    else:
        events = force_events(trajectory.time, trajectory.ground_reaction[:, :, 1])
        event_time, event_type = events.flat()
        values = gait_parameters(observe(trajectory, body), events)
    if len(times):
        keypoints = keypoints_3d(body, body_pose_at(trajectory, times), trajectory.bodies)
    else:
        keypoints = np.empty((0, len(KEYPOINTS), 3))
    force, rate = virtual_imus(
        body, trajectory.bodies, trajectory.body_pose, trajectory.body_velocity, trajectory.body_acceleration
    )
    return GaitLabels(
        event_time=event_time,
        event_type=event_type,
        values=values,
        frame_rate_hz=frame_rate_hz,
        frame_time=times,
        keypoints_3d=keypoints,
        imu_acceleration=force,
        imu_angular_velocity=rate,
    )
