"""The compiled twin: the same equations as OpenSim, part by part and whole; the same controller; the same walk."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import opensim as osim
import pytest
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.control.reflex import CONTROL_STEP_S, GAIN_NAMES, GAINS, SENSES, LegGains, ReflexController
from farm.records import MUSCLES, GaitParameters
from workers.simulate.description import ModelDescription, describe
from workers.simulate.model import build, coordinate_order
from workers.simulate.twin.dynamics import Scratch, gather, scratch
from workers.simulate.twin.engine import TwinWalk
from workers.simulate.twin.forces import path_geometry
from workers.simulate.twin.loop import derivatives
from workers.simulate.twin.pack import TwinModel, pack
from workers.simulate.twin.reflex import delayed, delays, fresh_phases, physical_gains, reflexes

Floats = NDArray[np.float64]
STATES = 200
Q, M = 14, len(MUSCLES)


def person() -> GaitParameters:
    """Nobody's symmetric generic man: another sex and size, each muscle another strength and fibre."""
    return GaitParameters(
        sex="female", stature_m=1.68, mass_kg=61.0, thigh_proportion=1.03, trunk_lean_rad=0.05,
        strength=np.linspace(0.6, 1.2, M), fiber_length=np.linspace(0.9, 1.1, M),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """One random state: what went in and what OpenSim says."""

    q: Floats
    u: Floats
    activation: Floats
    control: Floats
    udot: Floats
    muscle_force: Floats
    contact_force: Floats  # [C, 2] x, y
    path_length: Floats
    moment_arm: dict[tuple[int, int], float]
    limit_force: Floats


@pytest.fixture(scope="module")
def description() -> ModelDescription:
    return describe(person())


@pytest.fixture(scope="module")
def twin(description: ModelDescription) -> TwinModel:
    return pack(description)


@pytest.fixture(scope="module")
def work(twin: TwinModel) -> Scratch:
    return scratch(twin)


@pytest.fixture(scope="module")
def cases(description: ModelDescription) -> list[Case]:
    """Postures that a fall may reach, at walking and stumbling speeds, feet above, on and in the floor."""
    model = build(description)
    state = model.initSystem()
    order = coordinate_order(model, description.coordinate_names)
    forces, coordinates = model.getForceSet(), model.getCoordinateSet()
    muscles = [osim.DeGrooteFregly2016Muscle.safeDownCast(forces.get(m.name)) for m in description.muscles]
    contacts = [forces.get(f"contact_{sphere.name}") for sphere in description.spheres]
    contacts = [osim.SmoothSphereHalfSpaceForce.safeDownCast(contact) for contact in contacts]
    limits = [
        osim.CoordinateLimitForce.safeDownCast(forces.get(f"{limit.coordinate}_limit")) for limit in description.limits
    ]
    rng = np.random.default_rng(1)
    made = []
    for number in range(STATES):
        q, u = rng.uniform(-1.0, 1.0, Q), rng.uniform(-6.0, 6.0, Q)
        q[2] = rng.uniform(0.75, 1.0)
        activation = rng.uniform(0.01, 1.0, M)
        control = np.concatenate([rng.uniform(0.01, 1.0, M), rng.uniform(-1.0, 1.0, 2)])
        y = state.updY()
        for i in range(Q):
            y.set(int(order[i]), q[i])
            y.set(Q + int(order[i]), u[i])
        for muscle, value in zip(muscles, activation.tolist(), strict=True):
            muscle.setActivation(state, value)
        vector = osim.Vector(len(control), 0.0)
        for i, value in enumerate(control.tolist()):
            vector.set(i, value)
        model.setDefaultControls(vector)
        model.realizeAcceleration(state)
        arms = {}
        if number < 5:  # asking OpenSim for a moment arm is slow
            for m, spec in enumerate(description.muscles):
                for name in spec.path.coordinates:
                    full = f"{name}_{spec.side}"
                    arm = muscles[m].getPath().computeMomentArm(state, coordinates.get(full))
                    arms[m, description.coordinate_names.index(full)] = arm
        records = [contact.getRecordValues(state) for contact in contacts]
        made.append(
            Case(
                q,
                u,
                activation,
                control,
                udot=state.getYDot().to_numpy()[Q + order],
                muscle_force=np.array([muscle.getActuation(state) for muscle in muscles]),
                contact_force=np.array([(record.get(0), record.get(1)) for record in records]),
                path_length=np.array([muscle.getLength(state) for muscle in muscles]),
                moment_arm=arms,
                limit_force=np.array([limit.calcLimitForce(state) for limit in limits]),
            )
        )
    assert sum(np.any(case.contact_force[:, 1] > 100.0) for case in made) > 20, "the states must touch the floor"
    assert sum(np.any(np.abs(case.limit_force) > 10.0) for case in made) > 20, "the states must reach the stops"
    return made


def only(twin: TwinModel, part: str) -> TwinModel:
    """The model with no force but one kind."""
    silent = {
        "muscles": {"muscles": twin.muscles * (np.arange(10) > 0)},
        "limits": {"limits": twin.limits * np.array([1.0, 1.0, 0.0, 0.0, 1.0])},
        "springs": {"springs": twin.springs * 0.0},
        "contact": {"sphere_shapes": twin.sphere_shapes * np.array([1.0, 1.0, 1.0, 0.0])},
    }
    for name, change in silent.items():
        if name != part:
            twin = twin._replace(**change)
    return twin


def test_muscle_forces(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    for case in cases:
        gather(twin, case.q, case.u, case.activation, work)
        np.testing.assert_allclose(work.muscle_force, case.muscle_force, rtol=1e-10, atol=1e-8)


def test_path_lengths_and_moment_arms(cases: list[Case], twin: TwinModel) -> None:
    compared = 0
    for case in cases:
        for m in range(M):
            dimension, order, i, j = twin.paths[m].tolist()
            length, by_x, by_y = path_geometry(twin.path, m, dimension, order, case.q[i], case.q[j])
            assert length == pytest.approx(case.path_length[m], rel=1e-12)
            if (m, i) in case.moment_arm:
                assert -by_x == pytest.approx(case.moment_arm[m, i], abs=1e-10)
                compared += 1
            if dimension == 2 and (m, j) in case.moment_arm:
                assert -by_y == pytest.approx(case.moment_arm[m, j], abs=1e-10)
                compared += 1
    assert compared == 5 * 2 * 12


def test_contact_forces(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    for case in cases:
        gather(twin, case.q, case.u, case.activation, work)
        for side in range(2):
            mine = case.contact_force[twin.spheres[:, 1] == side]
            foot = twin.spheres[twin.spheres[:, 1] == side, 0][0]
            np.testing.assert_allclose(work.wrench[foot, 1:], mine.sum(axis=0), rtol=1e-9, atol=1e-8)
            assert work.load[side] == pytest.approx(mine[:, 1].sum(), rel=1e-9, abs=1e-8)


def test_limit_forces(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    stops = only(twin, "limits")
    for case in cases:
        gather(stops, case.q, case.u, case.activation, work)
        np.testing.assert_allclose(work.torque[twin.limit_coordinates], case.limit_force, rtol=1e-10, atol=1e-10)


def test_accelerations_under_everything_together(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    udot, adot = np.zeros(Q), np.zeros(M)
    for case in cases:
        derivatives(twin, case.q, case.u, case.activation, case.control, work, udot, adot)
        assert np.max(np.abs(udot - case.udot)) < 1e-10 * np.max(np.abs(case.udot))


def test_free_fall(twin: TwinModel, work: Scratch) -> None:
    """Far above the floor, straight joints at rest, no muscle: everything falls at g and nothing turns."""
    silent = only(twin, "nothing")
    q, udot, adot = np.zeros(Q), np.zeros(Q), np.zeros(M)
    q[2] = 5.0
    derivatives(silent, q, np.zeros(Q), np.full(M, 0.5), np.zeros(M + 2), work, udot, adot)
    expected = np.zeros(Q)
    expected[2] = -GRAVITY_M_S2
    np.testing.assert_allclose(udot, expected, atol=1e-9)


def test_controller_steps_like_the_reflex_controller() -> None:
    """The senses are random walks that cross every threshold; the gains differ by leg; a delay is no whole step."""
    rng = np.random.default_rng(2)
    gains = rng.uniform(-1.0, 3.0, (2, len(GAIN_NAMES)))
    scale = 1.3
    truth = ReflexController(
        gains=(LegGains.from_normalised(gains[0]), LegGains.from_normalised(gains[1])),
        control_step_s=CONTROL_STEP_S, delay_scale=scale,
    )  # fmt: skip
    whole, part = delays(CONTROL_STEP_S, scale)
    assert np.any(part > 0.0)
    ring, phases = np.zeros((int(whole.max()) + 2, len(SENSES))), fresh_phases()
    arrived, stimulation, now = np.zeros(len(SENSES)), np.zeros(M), -1
    seen = np.zeros((2, 5), dtype=bool)
    level = rng.standard_normal(len(SENSES))
    for _ in range(4000):
        level = 0.97 * level + 0.24 * rng.standard_normal(len(SENSES))
        senses = level + 1.5
        senses[[4, 14]] -= 1.4  # loads cross the contact threshold
        now = delayed(ring, now, whole, part, senses, arrived)
        reflexes(arrived, physical_gains(gains), phases, stimulation)
        np.testing.assert_allclose(stimulation, truth.step(senses), rtol=1e-13, atol=1e-13)
        seen |= phases > 0.0
    assert seen.all(), "some phase of some leg was never entered"


def test_gains_keep_their_names() -> None:
    """One gain at a time is moved: the twin reads it from the place at which the controller's table has it."""
    normalised = np.zeros((2, len(GAIN_NAMES)))
    for index, name in enumerate(GAIN_NAMES):
        normalised[1, index] = 1.0
        assert physical_gains(normalised)[1, index] == pytest.approx(sum(GAINS[name]))
        assert physical_gains(normalised)[0, index] == pytest.approx(GAINS[name][1])
        normalised[1, index] = 0.0


WALKER = """
import numpy as np
from farm.control.archive import archive
from farm.control.reflex import GAIN_NAMES
from farm.records import GaitParameters
from workers.simulate.forward import Walk
from workers.simulate.twin.engine import TwinWalk
from workers.simulate.twin.loop import derivatives

row = next(row for row in archive() if row.condition == "healthy")
someone = GaitParameters(
    activation_time_s=0.012, deactivation_time_s=0.05, target_speed_m_s=row.speed_m_s, motor_noise=0.02,
    reflex_gain_names=GAIN_NAMES, reflex_gains=row.gains,
)
walk = Walk(someone, seed=3)
truth = walk.run(duration_s=1.0, budget_s=200.0)
twin = TwinWalk(someone, seed=3).run(duration_s=1.0)
assert truth.end == twin.end == "completed", (truth.detail, twin.detail)
np.testing.assert_allclose(twin.times_s, truth.times_s, atol=1e-12)
half = len(truth.times_s) // 2
for name in ("coordinates", "speeds", "controls", "loads"):
    mine, its = getattr(twin, name), getattr(truth, name)
    assert mine.shape == its.shape, name
    # Before the second foot lands nothing has amplified rounding errors.
    np.testing.assert_allclose(mine[:half], its[:half], atol=1e-8, err_msg=name)
angles = np.degrees(np.abs(twin.coordinates - truth.coordinates)[:, 3:]).max()
assert angles < 0.1, angles
print(f"{angles:.6f}")
"""


def test_one_second_of_walking_stays_close_to_opensim() -> None:
    """Joint angles within 0.1 degree over a second.

    In a process of its own: OpenSim 4.6 keeps the activation times of the first
    muscle that a process ever evaluates and uses them for all later models
    (function-local statics in DeGrooteFregly2016Muscle::computeStateVariableDerivatives).
    """
    done = subprocess.run([sys.executable, "-c", WALKER], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_walk_is_the_same_twice_and_gains_are_per_run() -> None:
    someone = dataclasses.replace(
        person(), reflex_gain_names=GAIN_NAMES, reflex_gains=np.zeros((2, len(GAIN_NAMES))), motor_noise=0.1
    )
    walk = TwinWalk(someone, seed=0)
    first = walk.run(duration_s=2.0)
    other = walk.run(duration_s=2.0, gains=np.ones((2, len(GAIN_NAMES))))
    again = walk.run(duration_s=2.0)
    assert not np.array_equal(first.controls[: len(other.controls)], other.controls[: len(first.controls)])
    assert np.array_equal(first.states, again.states)
    assert np.array_equal(first.states[:, :Q], first.coordinates)


def test_falling_and_diverging_end_with_a_name() -> None:
    someone = dataclasses.replace(person(), reflex_gain_names=GAIN_NAMES, reflex_gains=np.zeros((2, len(GAIN_NAMES))))
    fallen = TwinWalk(someone, seed=0).run(duration_s=5.0)
    assert fallen.end == "fell"
    assert "the pelvis dropped below 68% of its height" in fallen.detail
    assert len(fallen.times_s) == len(fallen.states) < 501
    walk = TwinWalk(someone, seed=0, substep_s=CONTROL_STEP_S)  # far too long a step for the contact
    assert walk.run(duration_s=5.0).end == "diverged"


def test_a_joint_that_the_twin_does_not_know_is_refused(description: ModelDescription) -> None:
    knee = next(joint for joint in description.joints if joint.name == "knee_r")
    odd = dataclasses.replace(knee, coordinates=(dataclasses.replace(knee.coordinates[0], axis=(1.0, 0.0, 0.0)),))
    joints = tuple(odd if joint is knee else joint for joint in description.joints)
    with pytest.raises(ValueError, match="joint 'knee_r': the planar twin knows"):
        pack(dataclasses.replace(description, joints=joints))
