"""Stages that make no gait, for measuring what the farm itself costs: factories as `workers.stages.stages`.

Every sample is turned down: it is drawn, recorded, staged, gathered into its
shard and committed as any rejected sample is, by the real code.
"""

from __future__ import annotations

import os
import time
from typing import Any, NoReturn

from farm.errors import RejectedSample
from farm.pipeline import Stages

SECONDS_VARIABLE = "GAITFARM_BENCH_SECONDS"
"""How long a sample sleeps, which stands for its computing; workers inherit it from the driver that starts Ray."""


def stages() -> Stages:
    """Stages that sleep as long as the environment says, 0 s if it says nothing, and turn the sample down."""
    seconds = float(os.environ.get(SECONDS_VARIABLE, "0"))

    def simulate(*_: Any, **__: Any) -> NoReturn:
        time.sleep(seconds)
        raise RejectedSample("made for a measurement")

    def film(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("a sample that is turned down is not filmed")

    return Stages(simulate=simulate, film=film)
