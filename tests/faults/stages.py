"""The stages of a run under faults: real labels and packing around norm walks, and a fault where the order has one.

Every sample has a length of its own, some diverge and one of each campaign crashes whenever it is tried, in the
undisturbed run too: rejection with a reason is part of what must survive.
"""

from __future__ import annotations

from pathlib import Path

from farm.config import Engine
from farm.errors import SimulationDiverged
from farm.pipeline import Stages
from farm.records import GaitParameters, Trajectory
from tests.faults.hooks import prepare_process
from tests.faults.orders import Order
from tests.faults.strikes import note
from tests.norm_walk import norm_walk
from tests.test_workers.faulty import film, strike

THIS = "tests.faults.stages:stages"

DIVERGES_EVERY, DIVERGES_AT = 7, 3
CRASHES_ALWAYS = 5
"""Sample id that segfaults in each attempt of every run, so that it is rejected by design."""


def stages() -> Stages:
    order = Order.here()
    prepare_process(order, "worker")

    def simulate(
        parameters: GaitParameters, *, engine: Engine, seed: int, duration_s: float, budget_s: float
    ) -> Trajectory:
        tried = _begin(Path(order.folder), parameters.sample_id)
        fault, times = order.sample_faults.get(str(parameters.sample_id), ("", 0))
        if tried <= times:
            note(f"worker: {fault}", f"sample {parameters.sample_id}, attempt {tried}")
            strike(fault)
        if parameters.sample_id % DIVERGES_EVERY == DIVERGES_AT:
            raise SimulationDiverged("state became NaN", time_s=1.5, coordinate="knee_angle_r")
        return norm_walk(parameters, duration_s=duration_s - 0.25 * (parameters.sample_id % 4))

    return Stages(simulate=simulate, film=film)


def attempts(folder: Path) -> dict[int, int]:
    """How often each sample was begun, over all workers and runs."""
    return {int(path.name.removeprefix("tried-")): path.stat().st_size for path in folder.glob("tried-*")}


def _begin(folder: Path, sample_id: int) -> int:
    path = folder / f"tried-{sample_id}"
    with path.open("ab") as log:
        log.write(b".")
    return path.stat().st_size
