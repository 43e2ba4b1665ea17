"""The OpenSim model against mechanics, not against yesterday's output."""

from __future__ import annotations

import dataclasses

import numpy as np
import opensim as osim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.axes import GRAVITY_M_S2
from farm.records import COORDINATES, MUSCLES, GaitParameters
from farm.sampling.anatomy import GENERIC_MASS_KG, GENERIC_STATURE_M, anatomy
from workers.simulate.description import describe
from workers.simulate.model import build, coordinate_order
from workers.simulate.musculature import MUSCLE_SPECS
from workers.simulate.paths import FIT_RANGE_RAD, fit_paths, path_length

GENERIC = GaitParameters(stature_m=GENERIC_STATURE_M, mass_kg=GENERIC_MASS_KG)


def skeleton() -> osim.Model:
    """The body without muscles, springs, limits: what only gravity and the floor move."""
    bare = dataclasses.replace(describe(GENERIC), muscles=(), limits=(), springs=(), reflexes=())
    return build(bare)


def posed(model: osim.Model, rng: np.random.Generator, *, height_m: float) -> osim.State:
    state = model.initSystem()
    coordinates = model.getCoordinateSet()
    for name in COORDINATES:
        coordinate = coordinates.get(name)
        coordinate.setValue(state, float(rng.uniform(-0.3, 0.3)), False)
        coordinate.setSpeedValue(state, float(rng.uniform(-2.0, 2.0)))
    coordinates.get("pelvis_ty").setValue(state, height_m, False)
    return state


def test_a_body_in_the_air_falls_at_g() -> None:
    model = skeleton()
    for seed in range(5):
        state = posed(model, np.random.default_rng(seed), height_m=5.0)
        model.realizeAcceleration(state)
        acceleration = model.calcMassCenterAcceleration(state).to_numpy()
        # Contact is smooth: five metres up it still pushes with a few millinewtons.
        np.testing.assert_allclose(acceleration, [0.0, -GRAVITY_M_S2, 0.0], atol=1e-3)


def test_a_passive_body_keeps_its_energy_in_the_air() -> None:
    model = skeleton()
    state = posed(model, np.random.default_rng(3), height_m=20.0)
    manager = osim.Manager(model)
    manager.setIntegratorAccuracy(1e-8)
    manager.setWriteToStorage(False)
    manager.initialize(state)

    def energy(at: osim.State) -> float:
        model.realizeDynamics(at)
        return float(model.calcKineticEnergy(at) + model.calcPotentialEnergy(at))

    before = energy(state)
    after = energy(manager.integrate(1.0))
    assert after == pytest.approx(before, rel=1e-5)


def test_muscles_move_nothing_but_the_joints() -> None:
    """Internal forces cannot accelerate the centre of mass of a body in the air."""
    model = build(describe(GENERIC))
    state = posed(model, np.random.default_rng(1), height_m=5.0)
    for name in MUSCLES:
        osim.DeGrooteFregly2016Muscle.safeDownCast(model.getMuscles().get(name)).setActivation(state, 0.6)
    model.realizeAcceleration(state)
    acceleration = model.calcMassCenterAcceleration(state).to_numpy()
    np.testing.assert_allclose(acceleration, [0.0, -GRAVITY_M_S2, 0.0], atol=1e-3)


def test_the_floor_carries_a_dropped_body_at_rest() -> None:
    """A body frozen in its joints by springs settles on the floor with its weight under its feet."""
    stiff = describe(GENERIC)
    spring = stiff.springs[0]
    held = tuple(
        dataclasses.replace(spring, coordinate=name, rest_rad=0.0, stiffness_nm_rad=4000.0, damping_nm_s_rad=200.0)
        for name in COORDINATES
        if name not in ("pelvis_tx", "pelvis_ty")
    )
    description = dataclasses.replace(stiff, muscles=(), limits=(), reflexes=(), springs=held)
    model = build(description)
    state = model.initSystem()
    model.getCoordinateSet().get("pelvis_ty").setValue(state, 0.95, False)
    manager = osim.Manager(model)
    manager.setIntegratorAccuracy(1e-5)
    manager.setWriteToStorage(False)
    manager.initialize(state)
    state = manager.integrate(2.0)
    model.realizeDynamics(state)
    vertical = sum(
        osim.SmoothSphereHalfSpaceForce.safeDownCast(model.getForceSet().get(f"contact_{sphere.name}"))
        .getRecordValues(state)
        .get(1)
        for sphere in description.spheres
    )
    assert vertical == pytest.approx(GENERIC_MASS_KG * GRAVITY_M_S2, rel=0.02)


@settings(max_examples=20, deadline=None)
@given(
    stature=st.floats(1.45, 2.0), index=st.floats(17.0, 40.0), thigh=st.floats(0.93, 1.07), trunk=st.floats(0.93, 1.07),
    sex=st.sampled_from(["female", "male"]),
)  # fmt: skip
def test_a_scaled_body_has_its_stature_and_mass(
    stature: float, index: float, thigh: float, trunk: float, sex: str
) -> None:
    mass = index * stature**2
    parameters = GaitParameters(
        stature_m=stature,
        mass_kg=mass,
        thigh_proportion=thigh,
        trunk_proportion=trunk,
        sex=sex,  # type: ignore[arg-type]
    )
    body = anatomy(parameters)
    assert sum(s.mass_kg for s in body.segments.values()) == pytest.approx(mass)
    foot = body.segments["calcn_r"]
    upright = (
        (foot.joint_in_body[1] + 0.03 * foot.scale)
        - foot.joint_in_parent[1]
        - body.segments["tibia_r"].joint_in_parent[1]
        - body.segments["femur_r"].joint_in_parent[1]
        + body.segments["torso"].joint_in_parent[1]
        + body.segments["head"].joint_in_parent[1]
        + 0.2543 * body.scale("head")
    )
    assert upright == pytest.approx(stature, abs=1e-3)


def test_polynomial_paths_follow_the_scaled_geometry() -> None:
    body = anatomy(GaitParameters(stature_m=1.58, mass_kg=55.0, thigh_proportion=1.05, shank_proportion=0.96))
    rng = np.random.default_rng(0)
    angles = {name: rng.uniform(*span, 400) for name, span in FIT_RANGE_RAD.items()}
    for side in "rl":
        for group, polynomial in fit_paths(body, side).items():
            q = np.stack([angles[name] for name in polynomial.coordinates], axis=-1)
            true = path_length(MUSCLE_SPECS[group], body, side, angles)
            assert np.max(np.abs(polynomial.length(q) - true)) < 1.0e-3, group
            step = 1e-6
            for i in range(len(polynomial.coordinates)):
                ahead = q.copy()
                ahead[:, i] += step
                slope = (polynomial.length(ahead) - polynomial.length(q)) / step
                np.testing.assert_allclose(polynomial.moment_arms(q)[:, i], -slope, atol=1e-5)


def test_opensim_evaluates_the_same_polynomial() -> None:
    description = describe(GENERIC)
    model = build(description)
    state = model.initSystem()
    rng = np.random.default_rng(5)
    coordinates = model.getCoordinateSet()
    pose = {name: float(rng.uniform(-0.5, 0.1)) for name in COORDINATES}
    for name, value in pose.items():
        coordinates.get(name).setValue(state, value, False)
    model.realizePosition(state)
    for muscle in description.muscles:
        q = np.array([pose[f"{name}_{muscle.side}"] for name in muscle.path.coordinates])
        assert model.getMuscles().get(muscle.name).getLength(state) == pytest.approx(
            float(muscle.path.length(q)), abs=1e-9
        )
        for i, name in enumerate(muscle.path.coordinates):
            arm = model.getMuscles().get(muscle.name).computeMomentArm(state, coordinates.get(f"{name}_{muscle.side}"))
            assert arm == pytest.approx(float(muscle.path.moment_arms(q)[i]), abs=1e-6)


def test_stronger_longer_muscles_are_stronger_and_longer() -> None:
    strength, fiber = np.ones(len(MUSCLES)), np.ones(len(MUSCLES))
    strength[MUSCLES.index("soleus_l")] = 0.25
    fiber[MUSCLES.index("gastroc_r")] = 0.7
    weak = dataclasses.replace(GENERIC, strength=strength, fiber_length=fiber)
    normal, changed = (build(describe(p)) for p in (GENERIC, weak))

    def muscle(model: osim.Model, name: str) -> osim.Muscle:
        return model.getMuscles().get(name)

    assert muscle(changed, "soleus_l").getMaxIsometricForce() == pytest.approx(
        0.25 * muscle(normal, "soleus_l").getMaxIsometricForce()
    )
    assert muscle(changed, "gastroc_r").getOptimalFiberLength() == pytest.approx(
        0.7 * muscle(normal, "gastroc_r").getOptimalFiberLength()
    )
    assert muscle(changed, "soleus_r").getMaxIsometricForce() == muscle(normal, "soleus_r").getMaxIsometricForce()


def test_the_order_of_coordinates_is_found() -> None:
    model = build(describe(GENERIC))
    state = model.initSystem()
    order = coordinate_order(model, COORDINATES)
    assert sorted(order.tolist()) == list(range(len(COORDINATES)))
    model.getCoordinateSet().get("ankle_angle_l").setValue(state, 0.321, False)
    assert state.getQ().to_numpy()[order[COORDINATES.index("ankle_angle_l")]] == pytest.approx(0.321)
    assert model.getNumCoordinates() == len(COORDINATES)
    assert state.getNQErr() == 0  # no constraint, so no locked coordinate
