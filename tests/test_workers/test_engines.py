"""Both engines through one door: the same walk, the same words, and OpenSim's answers at the twin's states."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import opensim as osim
import pytest

from farm.config import Engine
from farm.control.archive import archive
from farm.control.reflex import gain_names
from farm.gait.labels import gait_labels
from farm.records import BodyModel, GaitParameters, Trajectory
from farm.sampling.anatomy import GENERIC_MASS_KG, GENERIC_STATURE_M, anatomy
from farm.sampling.impaired import impaired
from workers.simulate.description import describe
from workers.simulate.engines import simulate
from workers.simulate.forward import Rollout
from workers.simulate.model import build
from workers.simulate.record import activation_order, opensim_states, replay

DURATION_S = 1.0


def healthy(body_model: BodyModel = "planar", **changes: object) -> GaitParameters:
    """The walker of the generic man nearest to 1.2 m/s: it walks on where others, and a map's odd ones, stumble."""
    rows = [row for row in archive(body_model) if row.condition == "healthy" and row.source.startswith("cmaes")]
    row = min(rows, key=lambda r: abs(r.speed_m_s - 1.2))
    person = GaitParameters(
        body_model=body_model, stature_m=GENERIC_STATURE_M, mass_kg=GENERIC_MASS_KG,
        target_speed_m_s=row.target_speed_m_s, motor_noise=0.02,
        reflex_gain_names=gain_names(body_model), reflex_gains=row.gains,
    )  # fmt: skip
    return dataclasses.replace(person, **changes)  # type: ignore[arg-type]


def walk(engine: Engine, duration_s: float = DURATION_S, **changes: object) -> Trajectory:
    return simulate(healthy(**changes), engine=engine, seed=3, duration_s=duration_s, budget_s=300.0)


@pytest.fixture(scope="module")
def twin() -> Trajectory:
    return walk("twin")


@pytest.fixture(scope="module")
def truth() -> Trajectory:
    return walk("opensim")


def digest(trajectory: Trajectory) -> str:
    """Of every array of a trajectory."""
    whole = hashlib.sha256()
    for item in dataclasses.fields(trajectory):
        value = getattr(trajectory, item.name)
        if isinstance(value, np.ndarray):
            whole.update(np.ascontiguousarray(value).tobytes())
    return whole.hexdigest()


def test_both_end_alike_and_say_who_they_are(twin: Trajectory, truth: Trajectory) -> None:
    assert (twin.end, twin.engine) == ("completed", "twin")
    assert (truth.end, truth.engine) == ("completed", "opensim")
    for name in ("bodies", "coordinate_names", "muscles"):
        assert getattr(twin, name) == getattr(truth, name)
    for item in dataclasses.fields(Trajectory):
        value = getattr(twin, item.name)
        if isinstance(value, np.ndarray):
            assert value.shape == getattr(truth, item.name).shape, item.name


def test_everything_that_is_recorded_agrees_while_the_walks_do(twin: Trajectory, truth: Trajectory) -> None:
    """Until the second foot lands nothing has amplified rounding errors (test_twin.py)."""
    half = twin.n_samples // 2
    for item in dataclasses.fields(Trajectory):
        value = getattr(twin, item.name)
        if isinstance(value, np.ndarray):
            other = getattr(truth, item.name)[:half]
            size = max(1.0, float(np.nanmax(np.abs(other))))
            np.testing.assert_allclose(value[:half], other, atol=1e-5 * size, err_msg=item.name)


def test_replay_reads_the_states_that_the_twin_reached(twin: Trajectory) -> None:
    """Poses belong to the coordinates, forces to the activations: OpenSim was set to the twin's own states."""
    from workers.simulate.twin.engine import TwinWalk

    engine = TwinWalk(healthy(), seed=3)
    rollout = engine.run(duration_s=DURATION_S)
    count = len(engine.description.coordinate_names)
    assert np.array_equal(twin.coordinates, rollout.coordinates)
    assert np.array_equal(twin.muscle_activation, rollout.states[:, 2 * count :])
    pelvis = twin.pose("pelvis")
    np.testing.assert_allclose(pelvis[:, 0], twin.coordinate("pelvis_tx"), atol=1e-12)
    np.testing.assert_allclose(pelvis[:, 1], twin.coordinate("pelvis_ty"), atol=1e-12)
    np.testing.assert_allclose(
        twin.ground_reaction[:, :, 1] / (engine.description.anatomy.mass_kg * 9.80665), rollout.loads, atol=1e-6
    )


BODY_MODELS: tuple[BodyModel, ...] = ("planar", "3d")


@pytest.mark.parametrize("body_model", BODY_MODELS)
def test_states_are_set_by_name(body_model: BodyModel) -> None:
    """Every number lands where OpenSim itself says that it belongs."""
    description = describe(GaitParameters(body_model=body_model))
    model = build(description)
    model.initSystem()
    names, muscles = description.coordinate_names, tuple(m.name for m in description.muscles)
    rng = np.random.default_rng(4)
    q, u = rng.uniform(-0.5, 0.5, (2, 1, len(names)))
    a = rng.uniform(0.02, 0.98, (1, len(muscles)))
    y = opensim_states(model, description, q, u, a)[0]
    state = osim.State(model.getWorkingState())
    vector = osim.Vector(len(y), 0.0)
    for i, value in enumerate(y.tolist()):
        vector.set(i, value)
    state.setY(vector)
    coordinates = model.getCoordinateSet()
    assert [coordinates.get(name).getValue(state) for name in names] == q[0].tolist()
    assert [coordinates.get(name).getSpeedValue(state) for name in names] == u[0].tolist()
    assert [model.getMuscles().get(name).getActivation(state) for name in muscles] == a[0].tolist()
    assert len(set(activation_order(model, muscles).tolist())) == len(muscles)


@pytest.mark.parametrize("body_model", BODY_MODELS)
def test_replay_keeps_the_books_of_power(body_model: BodyModel) -> None:
    """Joint moments times joint speeds = muscle forces times shortening speeds, at any state (virtual work)."""
    description = describe(GaitParameters(body_model=body_model))
    model = build(description)
    model.initSystem()
    rng = np.random.default_rng(5)
    count, muscles = 5, len(description.muscles)
    rollout = Rollout(
        end="completed",
        detail="",
        times_s=np.arange(count) / 100.0,
        states=np.empty((count, 0)),  # an engine's own business
        coordinates=rng.uniform(-0.3, 0.3, (count, len(description.coordinate_names))),
        speeds=rng.uniform(-2.0, 2.0, (count, len(description.coordinate_names))),
        controls=rng.uniform(0.05, 0.95, (count, muscles + len(description.reflexes))),
        loads=np.zeros((count, 2)),
        wall_s=0.0,
    )
    activations = rng.uniform(0.05, 0.95, (count, muscles))
    made = replay(model, description, rollout, activations, engine="twin")
    state, coordinates = osim.State(model.getWorkingState()), model.getCoordinateSet()
    for i in range(count):
        for name, q, u in zip(made.coordinate_names, made.coordinates[i], made.coordinate_speeds[i], strict=True):
            coordinates.get(name).setValue(state, float(q), False)
            coordinates.get(name).setSpeedValue(state, float(u))
        model.realizeVelocity(state)
        shortening = [-model.getMuscles().get(name).getLengtheningSpeed(state) for name in made.muscles]
        power = float(made.muscle_force[i] @ np.array(shortening))
        assert made.joint_moment[i] @ made.coordinate_speeds[i] == pytest.approx(power, rel=1e-9)
        assert made.muscle_activation[i] == pytest.approx(activations[i], abs=1e-12)


def test_a_model_with_states_that_replay_would_forget_is_refused() -> None:
    description = describe(healthy())
    model = build(description)
    model.initSystem()
    fewer = dataclasses.replace(description, muscles=description.muscles[:-1])
    nobody = np.zeros((1, len(description.coordinate_names)))
    with pytest.raises(RuntimeError, match="replay would leave the others"):
        opensim_states(model, fewer, nobody, nobody, np.zeros((1, len(fewer.muscles))))


def test_a_fall_is_a_fall_in_both() -> None:
    weak = np.full(len(healthy().strength), 0.05)
    for engine in ("twin", "opensim"):
        fallen = walk(engine, 3.0, strength=weak)  # type: ignore[arg-type]
        assert fallen.end == "fell"
        assert "the pelvis dropped below" in fallen.end_detail
        assert 0 < fallen.n_samples < 300


ELSEWHERE = """
from tests.test_workers.test_engines import digest, walk
walk("opensim", 0.1, sample_id=9)  # OpenSim has been at work in this process before
print(digest(walk("twin")))
"""


def test_the_twins_walk_is_the_same_in_any_process(twin: Trajectory) -> None:
    assert digest(walk("twin")) == digest(twin)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == digest(twin)


@pytest.mark.slow
@pytest.mark.parametrize("body_model", ["planar", "3d"])
def test_gait_labels_of_ten_seconds_agree(body_model: BodyModel) -> None:
    """Within 2 % over ten seconds, the share to which chaos may let the walks part."""
    person = healthy(body_model, motor_noise=0.0)
    labels = {}
    for engine in ("twin", "opensim"):
        made = simulate(person, engine=engine, seed=3, duration_s=10.0, budget_s=300.0)  # type: ignore[arg-type]
        assert made.end == "completed", f"{engine}: {made.end_detail}"
        labels[engine] = gait_labels(made, anatomy(person), frame_rate_hz=30.0).values
    for name in ("gait_speed", "step_length", "step_time", "cadence"):
        assert labels["twin"][name] == pytest.approx(labels["opensim"][name], rel=0.02), name
    assert labels["twin"]["n_strides"] >= 8


TO_A_SIDE = ("pelvis_list", "pelvis_rotation", "pelvis_tz", "lumbar_bending", "lumbar_rotation")
"""Coordinates of the middle that change their sign in a mirror."""


def mirrored(walked: Trajectory) -> np.ndarray:
    """`[T, Q]` coordinates as a mirror shows them."""
    swap = {"r": "l", "l": "r"}
    names = walked.coordinate_names
    columns = []
    for name in names:
        stem, _, side = name.rpartition("_")
        source = walked.coordinate(f"{stem}_{swap[side]}" if side in swap else name)
        columns.append(-source if name in TO_A_SIDE else source)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("body_model", ["planar", "3d"])
@pytest.mark.parametrize("engine", ["opensim", "twin"])
def test_the_left_is_the_mirror_image_of_the_right(engine: Engine, body_model: BodyModel) -> None:
    gains = healthy(body_model).reflex_gains * np.array([[1.0], [1.02]])
    hurt = healthy(body_model, motor_noise=0.0)
    right, left = (
        simulate(
            dataclasses.replace(impaired(hurt, "foot_drop", 0.5, side), reflex_gains=legs),
            engine=engine, seed=3, duration_s=DURATION_S, budget_s=300.0,
        )
        for side, legs in (("right", gains), ("left", gains[::-1]))
    )  # fmt: skip
    assert right.end == left.end == "completed"
    np.testing.assert_allclose(mirrored(left), right.coordinates, atol=1e-6)
    assert np.max(np.abs(left.coordinates - right.coordinates)) > 0.1
