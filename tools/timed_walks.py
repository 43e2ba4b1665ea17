"""Walks with a stopwatch: one person, one engine, in this process; what `bench_physics.py` starts once for each row.

Every task waits at a barrier after it has built and warmed up what it times, so
that tasks in several processes are timed at the same moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from farm.control.archive import archive
from farm.control.reflex import CONTROL_STEP_S, GAIN_NAMES, GAIN_NAMES_3D
from farm.records import BodyModel, GaitParameters
from farm.sampling.anatomy import GENERIC_MASS_KG, GENERIC_STATURE_M

if TYPE_CHECKING:
    from workers.simulate.forward import Rollout
    from workers.simulate.opensim_library import osim

FRONTAL_START = {
    "theta_tgt_f": 0.0, "c0_f": 1.5, "cv_f": 0.5, "HAB_3_PG": 1.0, "HAB_3_DG": 1.0, "HAB_6_PG": 1.0,
    "HAD_3_PG": 1.0, "HAD_3_DG": 1.0, "HAD_6_PG": 1.0,
}  # fmt: skip
"""Normalised frontal gains where the archive has none: feet under the hips, every reflex at its scale. Upright for
longer than the second that is compared, but nobody's gait."""

EVALUATIONS_A_TURN = 40

WARM_UP_S = 0.2

MIN_WALK_S = 0.05
"""A walker that ends earlier is broken, not a faller."""

BARRIER_TIMEOUT_S = 600.0

_barrier: Any = None


def wait_at(barrier: Any) -> None:
    """Initialise a process: its task will start timing when all others are ready."""
    global _barrier
    _barrier = barrier


def _all_ready() -> None:
    if _barrier is not None:
        try:
            _barrier.wait(BARRIER_TIMEOUT_S)
        except BrokenBarrierError:
            raise RuntimeError("another process of this row failed before it could be timed") from None


def guarded(task: Callable[..., Timing], *arguments: Any) -> Timing:
    """Run a task; if it fails, do not leave the others waiting at the barrier."""
    try:
        return task(*arguments)
    except BaseException:
        if _barrier is not None:
            _barrier.abort()
        raise


@dataclass(frozen=True)
class Timing:
    """What some seconds of simulated walking cost.

    Attributes:
        simulated_s: Walked, over all starts.
        wall_s, cpu_s: Of the integration with its control, without building the model. CPU is this process's.
        evaluations: Of the accelerations, by the integrator; None where it cannot be asked.
        starts: Walks begun: more than one if the walker falls before the time is full.
        end: How the last one ended.
    """

    simulated_s: float
    wall_s: float
    cpu_s: float
    evaluations: int | None
    starts: int
    end: str

    @property
    def real_time_factor(self) -> float:
        """Simulated over wall-clock time."""
        return self.simulated_s / self.wall_s

    @property
    def cpu_real_time_factor(self) -> float:
        """Simulated over this process's CPU time: what the wall clock would show on a core of its own."""
        return self.simulated_s / self.cpu_s


def walker(body_model: BodyModel, name: str | None = None) -> GaitParameters:
    """The archive's healthy walker nearest 1.25 m/s, or the named one, as the generic person.

    In three dimensions a planar one with `FRONTAL_START` if the archive has none (of that name).

    Raises:
        ValueError: The archive has no walker of that name.
    """
    rows = [row for row in archive(body_model) if name is None or row.name == name]
    if not rows and body_model == "3d":
        rows = [row for row in archive("planar") if name is None or row.name == name]
    if not rows:
        known = sorted(row.name for body in get_args(BodyModel) for row in archive(body))
        raise ValueError(f"no walker {name!r} for body {body_model!r} in the archive; it has {', '.join(known)}")
    row = min(rows, key=lambda row: (row.condition != "healthy", abs(row.speed_m_s - 1.25)))
    names = GAIN_NAMES_3D if body_model == "3d" else GAIN_NAMES
    gains = row.gains
    if gains.shape[1] != len(names):
        frontal = [FRONTAL_START[name] for name in names[len(GAIN_NAMES) :]]
        gains = np.concatenate([gains, np.tile(frontal, (2, 1))], axis=1)
    return GaitParameters(
        body_model=body_model, stature_m=GENERIC_STATURE_M, mass_kg=GENERIC_MASS_KG,
        target_speed_m_s=row.target_speed_m_s, reflex_gain_names=names, reflex_gains=gains,
    )  # fmt: skip


def _walked_s(rollout: Rollout) -> float:
    """Simulated time of a walk.

    Raises:
        RuntimeError: It ended where it began, so that no number of starts fills any time.
    """
    walked_s = float(rollout.times_s[-1])
    if walked_s < MIN_WALK_S:
        raise RuntimeError(f"the walk that is to be timed {rollout.end} after {walked_s:.2f} s: {rollout.detail}")
    return walked_s


def evaluation_us(evaluators: Mapping[str, Callable[[], None]], *, turns: int) -> dict[str, float]:
    """Microseconds of CPU time of each evaluator, taking turns; the fastest turn of each."""
    fastest = dict.fromkeys(evaluators, np.inf)
    for _ in range(turns):
        for name, evaluate in evaluators.items():
            start = time.process_time()
            for _ in range(EVALUATIONS_A_TURN):
                evaluate()
            fastest[name] = min(fastest[name], (time.process_time() - start) / EVALUATIONS_A_TURN)
    return {name: seconds * 1e6 for name, seconds in fastest.items()}


def evaluator(model: osim.Model, state: osim.State) -> Callable[[], None]:
    """One evaluation of a model's accelerations, from the positions on."""

    def evaluate() -> None:
        state.updQ()  # says that positions have changed, so that everything is computed anew
        model.realizeAcceleration(state)

    return evaluate


# Each engine is imported where it is timed: a process loads what it times and nothing else, and the peer finds OpenSim
# as any user of it does.


def time_opensim(person: GaitParameters, seconds: float) -> Timing:
    """`seconds` of walking in OpenSim, with as many starts as they take."""
    from workers.simulate.forward import INTEGRATION_STEP_S, Walk

    Walk(person, seed=0).run(duration_s=WARM_UP_S, budget_s=600.0)
    walk = Walk(person, seed=0)
    _all_ready()
    simulated_s = wall_s = cpu_s = 0.0
    starts = 0
    while True:
        wall, cpu = time.perf_counter(), time.process_time()
        rollout = walk.run(duration_s=seconds - simulated_s, budget_s=3600.0)
        cpu_s += time.process_time() - cpu
        wall_s += time.perf_counter() - wall
        starts += 1
        simulated_s += _walked_s(rollout)
        if simulated_s >= seconds - CONTROL_STEP_S:
            break
        walk = Walk(person, seed=0)
    # SemiExplicitEuler2 evaluates twice a step; the senses are read from one more.
    evaluations = round(simulated_s / CONTROL_STEP_S) * (2 * round(CONTROL_STEP_S / INTEGRATION_STEP_S) + 1)
    return Timing(simulated_s, wall_s, cpu_s, evaluations, starts, rollout.end)


def time_twin(person: GaitParameters, seconds: float) -> Timing:
    """The same in the compiled twin."""
    from workers.simulate.forward import INTEGRATION_STEP_S
    from workers.simulate.twin.engine import TwinWalk

    walk = TwinWalk(person, seed=0)
    walk.run(duration_s=WARM_UP_S)  # compiles, or loads what was compiled
    _all_ready()
    simulated_s, starts = 0.0, 0
    wall, cpu = time.perf_counter(), time.process_time()
    while simulated_s < seconds - CONTROL_STEP_S:
        rollout = walk.run(duration_s=seconds - simulated_s)
        simulated_s += _walked_s(rollout)
        starts += 1
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    evaluations = round(simulated_s / CONTROL_STEP_S) * 2 * round(CONTROL_STEP_S / INTEGRATION_STEP_S)
    return Timing(simulated_s, wall_s, cpu_s, evaluations, starts, rollout.end)


def time_peer(model_path: Path, seconds: float) -> Timing:
    """The public model in the public environment's settings."""
    from peer_walk import PeerWalk

    PeerWalk(model_path).run(WARM_UP_S)
    peer = PeerWalk(model_path)
    _all_ready()
    rollout = peer.run(seconds)
    return Timing(rollout.walked_s, rollout.wall_s, rollout.cpu_s, rollout.evaluations, 1, rollout.end)


def peer_evaluation_us(model_path: Path, turns: int) -> float:
    """Microseconds of one evaluation of the public model."""
    from peer_walk import PeerWalk

    peer = PeerWalk(model_path)
    return evaluation_us({"peer": evaluator(peer.model, peer.state)}, turns=turns)["peer"]
