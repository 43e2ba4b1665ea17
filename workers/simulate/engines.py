"""Which engine walks: OpenSim itself, or its compiled twin, whose walk OpenSim is then asked about.

Both state the same equations (tests/test_workers/test_twin.py holds their
accelerations together), so a state that the twin reached is one that OpenSim
can be set to, and everything that is recorded (poses, forces, fibre lengths) is
OpenSim's answer at that state, whichever engine integrated.
"""

from __future__ import annotations

from farm.config import Engine
from farm.records import GaitParameters, Trajectory
from workers.simulate.forward import Walk
from workers.simulate.model import build
from workers.simulate.record import activation_order, replay


def simulate(
    parameters: GaitParameters, *, engine: Engine, seed: int, duration_s: float, budget_s: float
) -> Trajectory:
    """One sample's walk, sampled at 100 Hz with everything that the labels need.

    A fall, a divergence or a spent budget is not an exception: the trajectory
    ends there and says why in `end` ("completed", "fell", "diverged", "stuck") and
    `end_detail`.

    Args:
        engine: "opensim" or "twin".
        seed: Campaign seed; with the sample id it fixes the motor noise.
        duration_s: How long to walk.
        budget_s: Wall-clock limit of OpenSim's integration. The twin needs none and is never "stuck": its step is
            fixed, so that a walk is a number of operations known beforehand, at tens of times real time.

    Raises:
        PathFitError: A muscle path that no polynomial describes, named.
    """
    if engine == "twin":
        return _twin(parameters, seed=seed, duration_s=duration_s)
    return _opensim(parameters, seed=seed, duration_s=duration_s, budget_s=budget_s)


def _opensim(parameters: GaitParameters, *, seed: int, duration_s: float, budget_s: float) -> Trajectory:
    walk = Walk(parameters, seed=seed)
    rollout = walk.run(duration_s=duration_s, budget_s=budget_s)
    places = activation_order(walk.model, tuple(m.name for m in walk.description.muscles))
    return replay(walk.model, walk.description, rollout, rollout.states[:, places], engine="opensim")


def _twin(parameters: GaitParameters, *, seed: int, duration_s: float) -> Trajectory:
    from workers.simulate.twin.engine import TwinWalk  # loads numba, which OpenSim's walks do without

    walk = TwinWalk(parameters, seed=seed)
    rollout = walk.run(duration_s=duration_s)
    model = build(walk.description, name=f"gaitfarm_{parameters.sample_id}")
    model.initSystem()
    activations = rollout.states[:, 2 * len(walk.description.coordinate_names) :]
    return replay(model, walk.description, rollout, activations, engine="twin")
