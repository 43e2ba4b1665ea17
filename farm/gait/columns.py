"""Names, units and meaning of every gait parameter: the columns of the `labels` array, in stored order.

How each is computed stands in `farm.gait.parameters`.
"""

from __future__ import annotations

from farm.records import Column

LABEL_COLUMNS: tuple[Column, ...] = tuple(
    Column(*row)
    for row in (
        ("gait_speed", "m/s", "pelvis displacement along the line of progression over whole strides, by their time"),
        ("cadence", "1/min", "steps per minute: 60 x (foot strikes - 1) / time from first to last strike"),
        ("step_length", "m", "mean advance of a foot's heel over the other's, each at its own foot strike"),
        ("step_length_r", "m", "step length of steps that end in a right foot strike"),
        ("step_length_l", "m", "step length of steps that end in a left foot strike"),
        ("step_time", "s", "mean time between foot strikes of opposite feet"),
        ("step_time_r", "s", "step time of steps that end in a right foot strike"),
        ("step_time_l", "s", "step time of steps that end in a left foot strike"),
        ("stride_time", "s", "mean time between successive strikes of the same foot, both feet"),
        ("stride_length", "m", "mean advance of a heel between successive strikes of its foot, both feet"),
        ("step_width", "m", "distance between successive heels at foot strike, across the line of progression"),
        ("stance_fraction_r", "1", "right foot strike to right foot off over stride time"),
        ("stance_fraction_l", "1", "left foot strike to left foot off over stride time"),
        ("double_support_fraction", "1", "time with both feet on the floor over stride time"),
        ("swing_time_r", "s", "right foot off to next right foot strike"),
        ("swing_time_l", "s", "left foot off to next left foot strike"),
        ("step_length_asymmetry", "1", "(right - left) / (right + left) step length"),
        ("step_time_asymmetry", "1", "(right - left) / (right + left) step time"),
        ("stride_time_cv", "1", "standard deviation of stride time over its mean, both feet"),
        ("margin_of_stability_ml", "m", "least outward way, extrapolated centre of mass to ankle, mean over stances"),
        ("foot_clearance_min", "m", "least height of the sole in mid-swing, mean over swings of both feet"),
        ("walk_ratio", "m min", "step length over cadence"),
        ("peak_knee_flexion_r", "rad", "largest right knee flexion of a stride, mean over strides"),
        ("peak_knee_flexion_l", "rad", "largest left knee flexion of a stride, mean over strides"),
        ("hip_range_r", "rad", "range of right hip flexion of a stride, mean over strides"),
        ("hip_range_l", "rad", "range of left hip flexion of a stride, mean over strides"),
        ("ankle_range_r", "rad", "range of right ankle dorsiflexion of a stride, mean over strides"),
        ("ankle_range_l", "rad", "range of left ankle dorsiflexion of a stride, mean over strides"),
        ("cost_of_transport", "J/(kg m)", "metabolic energy per body mass and distance"),
        ("n_strides", "1", "whole strides after the first two steps, both feet, over which means are taken"),
        ("froude_number", "1", "speed squared over gravity times leg length"),
        ("trunk_lean_mean", "rad", "mean forward lean of the trunk from the vertical"),
        ("arm_swing_range_r", "rad", "range of the right upper arm's pitch against the trunk, mean over strides"),
        ("arm_swing_range_l", "rad", "range of the left upper arm's pitch against the trunk, mean over strides"),
        ("peak_vertical_force_r", "1", "largest right vertical ground force of a stance over body weight, mean"),
        ("peak_vertical_force_l", "1", "largest left vertical ground force of a stance over body weight, mean"),
        ("mean_vertical_force", "1", "vertical ground force of both feet over body weight, mean over whole strides"),
        ("event_disagreement", "s", "median distance between foot strikes from force and from kinematics (Zeni 2008)"),
        ("pelvis_vertical_range", "m", "vertical excursion of the hips' midpoint, mean over strides"),
    )
)  # fmt: skip
