"""A person who walks with somebody else's gains."""

from __future__ import annotations

import math
from dataclasses import replace

from farm.control.archived import ArchivedController
from farm.control.reflex import gain_names
from farm.control.similarity import rescale_gains
from farm.records import GaitParameters, Side
from farm.sampling.impaired import impaired


def walking_as(
    healthy: GaitParameters,
    condition: str,
    severity: float,
    side: Side,
    teacher: ArchivedController,
    leg_length_m: float,
) -> GaitParameters:
    """A person with a condition and the gains of a walker of the archive, rescaled to their size.

    Args:
        healthy: Without gains.
        side: Of the person; gains of the archive's right-sided walkers are mirrored for the left.
        leg_length_m: Of the person.
    """
    ratio = leg_length_m / teacher.leg_length_m
    return replace(
        impaired(healthy, condition, severity, side),
        target_speed_m_s=teacher.target_speed_m_s * math.sqrt(ratio),
        controller=teacher.name,
        reflex_gain_names=gain_names(healthy.body_model),
        reflex_gains=rescale_gains(
            teacher.mirrored() if side == "left" else teacher.gains.copy(), leg_length_ratio=ratio
        ),
    )
