"""Stages that crash, hang and raise for chosen samples, in real worker processes.

`stages` is a factory as `workers.stages.stages` is one; a run is pointed at it by
its import path. Which sample does what is read from the JSON file that
`FAULTS_VARIABLE` names: sample id -> fault, or [fault, number of attempts that
it strikes]. All others walk by the published norm curves, at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from pathlib import Path

from farm.config import Campaign, Engine
from farm.errors import SimulationDiverged
from farm.gait.resample import PosedWalk
from farm.pipeline import Stages
from farm.records import FrameSet, GaitLabels, GaitParameters, Trajectory
from farm.sampling.anatomy import Anatomy
from tests import samples
from tests.norm_walk import norm_walk

FAULTS_VARIABLE = "GAITFARM_TEST_FAULTS"
THIS = "tests.test_workers.faulty:stages"
ON_STUCK_STORAGE = "tests.test_workers.faulty:stages_on_stuck_storage"
STUCK_TIMES = 3
"""As often as a sample may fail by its own fault."""
ALWAYS = 10**6


def write_faults(path: Path, faults: dict[int, str | tuple[str, int]]) -> dict[str, str]:
    """Write the file and return the environment that points to it."""
    path.write_text(json.dumps({str(sample_id): fault for sample_id, fault in faults.items()}), "utf-8")
    return {FAULTS_VARIABLE: str(path)}


def attempts(path: Path, sample_id: int) -> int:
    """How often a sample was begun, over all workers and runs."""
    log = Path(f"{path}.{sample_id}")
    return log.stat().st_size if log.exists() else 0


def stages() -> Stages:
    return Stages(simulate=simulate, film=film)


def stages_on_stuck_storage() -> Stages:
    """Sample 0 is made, and the first `STUCK_TIMES` times its writing to a folder never ends: a dead network disk."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        tried = attempts(Path(os.environ[FAULTS_VARIABLE]), 0)
        if "/staging/" in name and "/000000000/" in name and tried <= STUCK_TIMES:
            time.sleep(1e6)
        real(descriptor)

    os.fsync = fsync
    return stages()


def simulate(
    parameters: GaitParameters, *, engine: Engine, seed: int, duration_s: float, budget_s: float
) -> Trajectory:
    path = Path(os.environ[FAULTS_VARIABLE])
    with Path(f"{path}.{parameters.sample_id}").open("ab") as log:
        log.write(b".")
    fault = json.loads(path.read_text("utf-8")).get(str(parameters.sample_id))
    if fault is not None:
        name, times = fault if isinstance(fault, list) else (fault, ALWAYS)
        if attempts(path, parameters.sample_id) <= times:
            strike(name)
    return norm_walk(parameters, duration_s=duration_s)


def film(
    campaign: Campaign, parameters: GaitParameters, body: Anatomy, walk: PosedWalk, labels: GaitLabels
) -> FrameSet:
    made = samples.make_samples_for(campaign, [parameters.sample_id], n_samples=[len(walk.body_pose)])
    frames = made[0].frames
    assert frames is not None
    return frames


def strike(fault: str) -> None:
    match fault:
        case "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            time.sleep(1e6)
        case "hang with the lock":
            # PyDLL keeps the interpreter's lock: no Python thread of this process runs any more.
            ctypes.PyDLL(None).sleep(10**6)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise ZeroDivisionError("a bug of one sample")
        case "diverge":
            raise SimulationDiverged("state became NaN", time_s=1.5, coordinate="knee_angle_r")
        case "slow":
            time.sleep(5.0)
        case _:
            raise ValueError(f"there is no fault {fault!r}")
