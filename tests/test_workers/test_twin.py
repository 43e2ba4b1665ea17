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
from farm.control.reflex import (
    BASE_STIMULATION,
    CONTROL_STEP_S,
    FRONTAL_GAINS,
    GAIN_NAMES,
    GAIN_NAMES_3D,
    GAINS,
    SENSES,
    SENSES_3D,
    STRETCH_DELAY_S,
    STRETCH_THRESHOLD,
    LegGains,
    ReflexController,
    StretchReflex,
)
from farm.records import BODY_PLANS, BodyModel, GaitParameters
from workers.simulate.agreement import body_states_rand
from workers.simulate.description import ModelDescription, describe
from workers.simulate.model import build, coordinate_order
from workers.simulate.twin.dynamics import Scratch, gather, place, scratch
from workers.simulate.twin.engine import TwinWalk, walk_batch
from workers.simulate.twin.forces import exponential, path_geometry, sine_and_cosine
from workers.simulate.twin.loop import derivatives, lengthening
from workers.simulate.twin.pack import TwinModel, pack
from workers.simulate.twin.reflex import (
    delayed,
    delays,
    fresh_phases,
    physical_gains,
    reflexes,
    stretch_delays,
    stretch_reflex,
)

Floats = NDArray[np.float64]
STATES = 200


def person(body_model: BodyModel) -> GaitParameters:
    """Nobody's symmetric generic man: another sex and size, a short leg, each muscle another strength and fibre."""
    muscles = len(BODY_PLANS[body_model].muscles)
    return GaitParameters(
        body_model=body_model, sex="female", stature_m=1.68, mass_kg=61.0, thigh_proportion=1.03, trunk_lean_rad=0.05,
        leg_length_difference_m=0.03,
        strength=np.linspace(0.6, 1.2, muscles), fiber_length=np.linspace(0.9, 1.1, muscles),
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
    contact_force: Floats  # [C, 3]
    path_length: Floats
    moment_arm: dict[tuple[int, int], float]
    limit_force: Floats
    lengthening: Floats  # optimal fibre lengths per second


@pytest.fixture(scope="module", params=["planar", "3d"])
def description(request: pytest.FixtureRequest) -> ModelDescription:
    return describe(person(request.param))


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
    drawn = body_states_rand(description, np.random.default_rng(1), STATES)
    made = []
    for number in range(STATES):
        q, u, activation, control = (
            values[number] for values in (drawn.coordinates, drawn.speeds, drawn.activations, drawn.controls)
        )
        y = state.updY()
        for i in range(len(q)):
            y.set(int(order[i]), q[i])
            y.set(len(q) + int(order[i]), u[i])
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
                udot=state.getYDot().to_numpy()[len(q) + order],
                muscle_force=np.array([muscle.getActuation(state) for muscle in muscles]),
                contact_force=np.array([[record.get(k) for k in range(3)] for record in records]),
                path_length=np.array([muscle.getLength(state) for muscle in muscles]),
                moment_arm=arms,
                limit_force=np.array([limit.calcLimitForce(state) for limit in limits]),
                lengthening=np.array([m.getFiberVelocity(state) / m.getOptimalFiberLength() for m in muscles]),
            )
        )
    assert sum(np.any(case.contact_force[:, 1] > 100.0) for case in made) > 20, "the states must touch the floor"
    assert sum(np.any(np.abs(case.limit_force) > 10.0) for case in made) > 20, "the states must reach the stops"
    return made


def only(twin: TwinModel, part: str) -> TwinModel:
    """The model with no force but one kind."""
    silent = {
        "muscles": {"muscles": twin.muscles * (np.arange(10) > 0)[:, None]},
        "limits": {"limits": twin.limits * np.array([1.0, 1.0, 0.0, 0.0, 1.0])},
        "springs": {"springs": twin.springs * 0.0},
        "contact": {"sphere_shapes": twin.sphere_shapes * np.array([1.0, 1.0, 1.0, 1.0, 0.0])},
    }
    for name, change in silent.items():
        if name != part:
            twin = twin._replace(**change)
    return twin


def test_muscle_forces(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    for case in cases:
        gather(twin, case.q, case.u, case.activation, work)
        np.testing.assert_allclose(work.muscle_force, case.muscle_force, rtol=1e-10, atol=1e-8)


def test_functions_by_arithmetic_alone_are_those_of_the_library() -> None:
    x = np.linspace(-39.0, 15.0, 20001)
    mine = np.array([exponential(value) for value in x])
    np.testing.assert_allclose(mine, np.exp(x), rtol=1e-12, atol=1e-15)
    assert abs(exponential(-1e6)) < 1e-15
    angles = np.linspace(-12.0, 12.0, 20001)
    mine = np.array([sine_and_cosine(value) for value in angles])
    np.testing.assert_allclose(mine, np.stack([np.sin(angles), np.cos(angles)], axis=1), atol=4e-15)


def test_path_lengths_and_moment_arms(cases: list[Case], twin: TwinModel) -> None:
    compared = 0
    for case in cases:
        for m in range(len(twin.paths)):
            dimension, start, *columns = twin.paths[m].tolist()
            length, *slopes = path_geometry(twin.path, start, dimension, *case.q[columns])
            assert length == pytest.approx(case.path_length[m], rel=1e-12)
            for column, slope in list(zip(columns, slopes, strict=True))[:dimension]:
                if (m, column) in case.moment_arm:
                    assert -slope == pytest.approx(case.moment_arm[m, column], abs=1e-10)
                    compared += 1
    assert compared == 5 * twin.paths[:, 0].sum()


def test_contact_forces(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    for case in cases:
        gather(twin, case.q, case.u, case.activation, work)
        for side in range(2):
            mine = case.contact_force[twin.spheres[:, 1] == side]
            foot = twin.spheres[twin.spheres[:, 1] == side, 0][0]
            np.testing.assert_allclose(work.wrench[foot, 3:], mine.sum(axis=0), rtol=1e-9, atol=1e-8)
            assert work.load[side] == pytest.approx(mine[:, 1].sum(), rel=1e-9, abs=1e-8)


def test_limit_forces(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    stops = only(twin, "limits")
    for case in cases:
        gather(stops, case.q, case.u, case.activation, work)
        np.testing.assert_allclose(work.torque[twin.limit_coordinates], case.limit_force, rtol=1e-10, atol=1e-10)


def test_accelerations_under_everything_together(cases: list[Case], twin: TwinModel, work: Scratch) -> None:
    udot, adot = np.zeros(len(twin.links)), np.zeros(len(twin.paths))
    for case in cases:
        derivatives(twin, case.q, case.u, case.activation, case.control, work, udot, adot)
        assert np.max(np.abs(udot - case.udot)) < 1e-10 * np.max(np.abs(case.udot))


def test_free_fall(twin: TwinModel, work: Scratch) -> None:
    """Far above the floor, straight joints at rest, no muscle: everything falls at g and nothing turns."""
    silent = only(twin, "nothing")
    q, udot, adot = np.zeros(len(twin.links)), np.zeros(len(twin.links)), np.zeros(len(twin.paths))
    q[twin.height] = 5.0
    control = np.zeros(len(twin.paths) + len(twin.reflexes))
    derivatives(silent, q, np.zeros_like(q), np.full_like(adot, 0.5), control, work, udot, adot)
    expected = np.zeros_like(q)
    expected[twin.height] = -GRAVITY_M_S2
    np.testing.assert_allclose(udot, expected, atol=1e-9)


def energy(twin: TwinModel, q: Floats, u: Floats, work: Scratch) -> float:
    """Kinetic and potential energy (J) of the skeleton, from the links' own motion."""
    place(twin, q, u, work.turn, work.motion, work.bias)
    total = 0.0
    for shape, motion in zip(twin.shapes, work.motion, strict=True):
        turn, spin = motion[:9].reshape(3, 3).T, motion[9:12]
        arm = turn @ shape[5:8]
        velocity = motion[15:18] + np.cross(spin, arm)
        xx, yy, zz, xy, xz, yz = shape[8:]
        inertia = turn @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ turn.T
        total += 0.5 * shape[4] * velocity @ velocity + 0.5 * spin @ inertia @ spin
        total += shape[4] * twin.gravity * (motion[13] + arm[1])
    return total


def test_a_passive_swing_conserves_energy(twin: TwinModel, work: Scratch) -> None:
    """The whole body tumbles through the air for a second, no force but gravity: Runge-Kutta keeps its energy."""
    silent = only(twin, "nothing")
    rng = np.random.default_rng(3)
    q, u = rng.uniform(-0.5, 0.5, len(twin.links)), rng.uniform(-2.0, 2.0, len(twin.links))
    q[twin.height] = 20.0
    muscles = np.full(len(twin.paths), 0.5)
    control, adot = np.zeros(len(twin.paths) + len(twin.reflexes)), np.zeros(len(twin.paths))

    def rates(q: Floats, u: Floats) -> tuple[Floats, Floats]:
        udot = np.zeros_like(u)
        derivatives(silent, q, u, muscles, control, work, udot, adot)
        return u, udot

    before, step = energy(twin, q, u, work), 2e-3
    for _ in range(500):
        a = rates(q, u)
        b = rates(q + 0.5 * step * a[0], u + 0.5 * step * a[1])
        c = rates(q + 0.5 * step * b[0], u + 0.5 * step * b[1])
        d = rates(q + step * c[0], u + step * c[1])
        q = q + step / 6 * (a[0] + 2 * b[0] + 2 * c[0] + d[0])
        u = u + step / 6 * (a[1] + 2 * b[1] + 2 * c[1] + d[1])
    moved = energy(twin, q, u, work)
    kinetic = abs(moved - before) / (0.5 * 9.0**2 * float(twin.shapes[:, 4].sum()))
    assert kinetic < 1e-6, "energy drifted by more than a millionth of what the fall turned over"


@pytest.mark.parametrize("body_model", ["planar", "3d"])
def test_a_body_at_rest_loads_its_feet_with_its_weight(body_model: BodyModel) -> None:
    """Dropped on the floor, all joints and the posture held by springs: it settles, and the floor carries it."""
    description = describe(dataclasses.replace(person(body_model), leg_length_difference_m=0.0))
    twin = pack(description)
    names = description.coordinate_names
    held = [i for i, name in enumerate(names) if name not in ("pelvis_tx", "pelvis_ty", "pelvis_tz")]
    standing = only(twin, "contact")._replace(
        spring_coordinates=np.array(held), springs=np.tile([3000.0, 30.0, 0.0], (len(held), 1))
    )
    work, step = scratch(standing), 2e-4
    q, u, udot = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    adot = np.zeros(len(twin.paths))
    control = np.zeros(len(twin.paths) + len(twin.reflexes))
    q[twin.height] = 0.93 * description.anatomy.stature_m / 1.80
    for _ in range(20000):
        derivatives(standing, q, u, np.zeros(len(adot)), control, work, udot, adot)
        u += step * udot
        q += step * u
    assert work.load.sum() == pytest.approx(twin.weight, rel=0.02)
    assert work.load[0] == pytest.approx(work.load[1], rel=0.05)
    assert abs(u[twin.height]) < 0.01


@pytest.mark.parametrize(("names", "senses_of"), [(GAIN_NAMES, SENSES), (GAIN_NAMES_3D, SENSES_3D)])
def test_controller_steps_like_the_reflex_controller(names: tuple[str, ...], senses_of: tuple[str, ...]) -> None:
    """The senses are random walks that cross every threshold; the gains differ by leg; a delay is no whole step."""
    rng = np.random.default_rng(2)
    gains = rng.uniform(-1.0, 3.0, (2, len(names)))
    scale = 1.3
    truth = ReflexController(
        gains=(LegGains.from_normalised(gains[0]), LegGains.from_normalised(gains[1])),
        control_step_s=CONTROL_STEP_S, delay_scale=scale,
    )  # fmt: skip
    frontal = names == GAIN_NAMES_3D
    whole, part = delays(CONTROL_STEP_S, scale, frontal=frontal)
    assert np.any(part > 0.0)
    ring, phases = np.zeros((int(whole.max()) + 2, len(senses_of))), fresh_phases()
    arrived, now = np.zeros(len(senses_of)), -1
    stimulation = np.zeros(len(BODY_PLANS["3d" if frontal else "planar"].muscles))
    seen = np.zeros((2, 5), dtype=bool)
    called = np.zeros(len(stimulation), dtype=bool)
    level = rng.standard_normal(len(senses_of))
    for _ in range(4000):
        level = 0.97 * level + 0.24 * rng.standard_normal(len(senses_of))
        senses = level + 1.5
        senses[[4, 14]] -= 1.4  # loads cross the contact threshold
        senses[len(SENSES) :] -= 1.5
        now = delayed(ring, now, whole, part, senses, arrived)
        reflexes(arrived, physical_gains(gains), phases, stimulation)
        np.testing.assert_allclose(stimulation, truth.step(senses), rtol=1e-13, atol=1e-13)
        seen |= phases > 0.0
        called |= (stimulation > BASE_STIMULATION) & (stimulation < 1.0)
    assert seen.all(), "some phase of some leg was never entered"
    assert called.all(), "some muscle was never called, or always fully"


def test_the_stretch_reflex_steps_like_its_law() -> None:
    rng = np.random.default_rng(3)
    muscles, scale = 18, 1.3
    gains = rng.uniform(0.0, 0.3, muscles)
    truth = StretchReflex(gains, CONTROL_STEP_S, scale)
    whole, part = stretch_delays(CONTROL_STEP_S, scale, muscles)
    ring, arrived, now = np.zeros((int(whole.max()) + 2, muscles)), np.zeros(muscles), -1
    added = False
    for _ in range(500):
        speed, stimulation = rng.uniform(-4.0, 4.0, muscles), rng.uniform(0.01, 1.0, muscles)
        law = truth.added_to(stimulation, speed)
        assert np.all(law >= stimulation)
        added |= bool(np.any((law > stimulation) & (law < 1.0)))
        now = delayed(ring, now, whole, part, speed, arrived)
        stretch_reflex(gains, arrived, stimulation)
        np.testing.assert_array_equal(stimulation, law)
    assert added


def test_a_stretch_is_answered_after_its_delay_and_beyond_its_threshold_only() -> None:
    reflex = StretchReflex(np.array([0.5, 0.0]), CONTROL_STEP_S)
    rest = np.array([0.01, 0.01])
    for _ in range(20):  # slow stretch, and shortening however fast, call nothing
        np.testing.assert_array_equal(reflex.added_to(rest, np.array([STRETCH_THRESHOLD, -9.0])), rest)
    fast = np.array([STRETCH_THRESHOLD + 1.0, 9.0])
    answers = [reflex.added_to(rest, fast) for _ in range(20)]
    first = next(step for step, answer in enumerate(answers) if answer[0] > rest[0])
    assert first * CONTROL_STEP_S == pytest.approx(STRETCH_DELAY_S)
    np.testing.assert_allclose(answers[first], [0.51, 0.01])


def test_fibres_lengthen_as_fast_as_in_opensim(
    cases: list[Case], twin: TwinModel, work: Scratch, description: ModelDescription
) -> None:
    speed = np.zeros(len(description.muscles))
    for case in cases:
        gather(twin, case.q, case.u, case.activation, work)
        lengthening(twin, work, speed)
        np.testing.assert_allclose(speed, case.lengthening, rtol=1e-9, atol=1e-9)


def test_gains_keep_their_names() -> None:
    """One gain at a time is moved: the twin reads it from the place at which the controller's table has it."""
    scales = GAINS | FRONTAL_GAINS
    normalised = np.zeros((2, len(GAIN_NAMES_3D)))
    for index, name in enumerate(GAIN_NAMES_3D):
        normalised[1, index] = 1.0
        assert physical_gains(normalised)[1, index] == pytest.approx(sum(scales[name]))
        assert physical_gains(normalised)[0, index] == pytest.approx(scales[name][1])
        normalised[1, index] = 0.0


WALKER = """
from dataclasses import replace
import numpy as np
from farm.control.archive import archive
from farm.control.reflex import gain_names
from farm.records import GaitParameters
from workers.simulate.forward import Walk
from workers.simulate.twin.engine import TwinWalk

row = next(row for row in archive("BODY_MODEL") if row.condition == "healthy")
someone = GaitParameters(
    body_model="BODY_MODEL", activation_time_s=0.012, deactivation_time_s=0.05, target_speed_m_s=row.target_speed_m_s,
    motor_noise=0.02, reflex_gain_names=gain_names("BODY_MODEL"), reflex_gains=row.gains,
)
calf = [muscle.startswith(("soleus", "gastroc")) for muscle in someone.plan.muscles]
calm, someone = someone, replace(someone, stretch_reflex=0.1 * np.array(calf))
walk = Walk(someone, seed=3)
truth = walk.run(duration_s=1.0, budget_s=200.0)
twin = TwinWalk(someone, seed=3).run(duration_s=1.0)
assert truth.end == twin.end == "completed", (truth.detail, twin.detail)
assert np.abs(TwinWalk(calm, seed=3).run(duration_s=1.0).controls[:100] - twin.controls[:100]).max() > 0.05
np.testing.assert_allclose(twin.times_s, truth.times_s, atol=1e-12)
half = len(truth.times_s) // 2
for name in ("coordinates", "speeds", "controls", "loads"):
    mine, its = getattr(twin, name), getattr(truth, name)
    assert mine.shape == its.shape, name
    # Before the second foot lands nothing has amplified rounding errors.
    np.testing.assert_allclose(mine[:half], its[:half], atol=1e-8, err_msg=name)
angular = [not name.startswith("pelvis_t") or name == "pelvis_tilt" for name in walk.description.coordinate_names]
angles = np.degrees(np.abs(twin.coordinates - truth.coordinates)[:, angular]).max()
assert angles < 0.1, angles
print(f"{angles:.6f}")
"""


@pytest.mark.parametrize("body_model", list(BODY_PLANS))
def test_one_second_of_walking_stays_close_to_opensim(body_model: BodyModel) -> None:
    """Joint angles within 0.1 degree over a second, of somebody whose calf is spastic.

    In a process of its own: OpenSim 4.6 keeps the activation times of the first
    muscle that a process ever evaluates and uses them for all later models
    (function-local statics in DeGrooteFregly2016Muscle::computeStateVariableDerivatives).
    """
    script = WALKER.replace("BODY_MODEL", body_model)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_walk_is_the_same_twice_and_gains_are_per_run() -> None:
    someone = dataclasses.replace(
        person("planar"), reflex_gain_names=GAIN_NAMES, reflex_gains=np.zeros((2, len(GAIN_NAMES))), motor_noise=0.1
    )
    walk = TwinWalk(someone, seed=0)
    first = walk.run(duration_s=2.0)
    other = walk.run(duration_s=2.0, gains=np.ones((2, len(GAIN_NAMES))))
    again = walk.run(duration_s=2.0)
    assert not np.array_equal(first.controls[: len(other.controls)], other.controls[: len(first.controls)])
    assert np.array_equal(first.states, again.states)
    assert np.array_equal(first.states[:, : first.coordinates.shape[1]], first.coordinates)


def test_a_batch_walks_as_each_alone() -> None:
    """Also where one person walks on several threads at once, each time with other gains and with noise."""
    rng = np.random.default_rng(6)
    names = {"planar": GAIN_NAMES, "3d": GAIN_NAMES_3D}
    people = [
        TwinWalk(
            dataclasses.replace(
                person(model), motor_noise=0.1, reflex_gain_names=names[model],
                reflex_gains=np.zeros((2, len(names[model]))),
            ),
            seed=0,
        )
        for model in BODY_PLANS
    ]  # fmt: skip
    walks = people * 4
    gains = [rng.uniform(0.0, 1.5, walk.parameters.reflex_gains.shape) for walk in walks]
    together = walk_batch(walks, duration_s=1.5, gains=gains, threads=3)
    for walk, legs, rollout in zip(walks, gains, together, strict=True):
        alone = walk.run(duration_s=1.5, gains=legs)
        assert alone.end == rollout.end
        assert np.array_equal(alone.states, rollout.states)
    with pytest.raises(ValueError, match="2 walks and 1 sets of gains"):
        walk_batch(people, duration_s=1.0, gains=gains[:1])


def test_falling_and_diverging_end_with_a_name() -> None:
    someone = dataclasses.replace(
        person("planar"), reflex_gain_names=GAIN_NAMES, reflex_gains=np.zeros((2, len(GAIN_NAMES)))
    )
    fallen = TwinWalk(someone, seed=0).run(duration_s=5.0)
    assert fallen.end == "fell"
    assert "the pelvis dropped below 68% of its height" in fallen.detail
    assert len(fallen.times_s) == len(fallen.states) < 501
    walk = TwinWalk(someone, seed=0, substep_s=CONTROL_STEP_S)  # far too long a step for the contact
    assert walk.run(duration_s=5.0).end == "diverged"


@pytest.mark.parametrize(
    ("axis", "kind", "words"),
    [
        ((0.0, 0.6, 0.8), "rotation", "joint 'knee_r': the twin's axes are x, y or z"),
        ((1.0, 0.0, 0.0), "translation", "joint 'knee_r': the twin translates only between ground and pelvis"),
    ],
)
def test_a_joint_that_the_twin_does_not_know_is_refused(
    description: ModelDescription, axis: tuple[float, float, float], kind: str, words: str
) -> None:
    knee = next(joint for joint in description.joints if joint.name == "knee_r")
    odd = dataclasses.replace(knee, coordinates=(dataclasses.replace(knee.coordinates[0], axis=axis, kind=kind),))
    joints = tuple(odd if joint is knee else joint for joint in description.joints)
    with pytest.raises(ValueError, match=words):
        pack(dataclasses.replace(description, joints=joints))
