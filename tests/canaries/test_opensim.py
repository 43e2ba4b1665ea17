"""What we rely on in OpenSim beyond its documentation. If one of these fails after an upgrade, start there."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import opensim
import pytest

GRAVITY_M_S2 = 9.80665


@pytest.fixture(autouse=True)
def _quiet() -> None:
    opensim.Logger.setLevelString("off")


def falling_ball(*, floor: bool) -> opensim.Model:
    """A 1 kg ball of 0.1 m radius that moves in the plane, with or without a floor at y = 0."""
    model = opensim.Model()
    model.setGravity(opensim.Vec3(0.0, -GRAVITY_M_S2, 0.0))
    ball = opensim.Body("ball", 1.0, opensim.Vec3(0.0), opensim.Inertia(0.004, 0.004, 0.004))
    joint = opensim.PlanarJoint("plane", model.getGround(), ball)
    model.addBody(ball)
    model.addJoint(joint)
    for i, name in enumerate(("turn", "x", "y")):
        joint.updCoordinate(i).setName(name)
    if floor:
        ground = opensim.ContactHalfSpace(opensim.Vec3(0), opensim.Vec3(0, 0, -math.pi / 2), model.getGround(), "floor")
        sphere = opensim.ContactSphere(0.1, opensim.Vec3(0), ball, "sphere")
        model.addContactGeometry(ground)
        model.addContactGeometry(sphere)
        contact = opensim.SmoothSphereHalfSpaceForce("contact", sphere, ground)
        contact.set_stiffness(1e6)
        contact.set_dissipation(2.0)
        model.addForce(contact)
    model.finalizeConnections()
    return model


def manager_of(model: opensim.Model, state: opensim.State) -> opensim.Manager:
    manager = opensim.Manager(model)
    manager.setIntegratorMethod(opensim.Manager.IntegratorMethod_SemiExplicitEuler2)
    manager.setIntegratorFixedStepSize(0.001)
    manager.setWriteToStorage(False)
    manager.setPerformAnalyses(False)
    manager.setRecordStatesTrajectory(False)
    manager.initialize(state)
    return manager


def test_planar_joint_orders_turn_then_x_then_y() -> None:
    model = falling_ball(floor=False)
    state = model.initSystem()
    kinds = [model.getCoordinateSet().get(name).getMotionType() for name in ("turn", "x", "y")]
    assert kinds == [opensim.Coordinate.Rotational, opensim.Coordinate.Translational, opensim.Coordinate.Translational]
    model.getCoordinateSet().get("y").setValue(state, 2.0, False)
    model.realizePosition(state)
    assert model.getBodySet().get("ball").getPositionInGround(state).to_numpy() == pytest.approx([0.0, 2.0, 0.0])


def test_fixed_step_integration_returns_the_new_state_and_falls_freely() -> None:
    model = falling_ball(floor=False)
    state = model.initSystem()
    manager = manager_of(model, state)
    for step in range(1, 21):
        state = manager.integrate(0.01 * step)
    assert state.getTime() == pytest.approx(0.2, abs=1e-12)
    height = model.getCoordinateSet().get("y").getValue(state)
    assert height == pytest.approx(-0.5 * GRAVITY_M_S2 * 0.2**2, rel=0.01)


def test_half_space_turned_by_minus_90_degrees_is_the_floor() -> None:
    """The ball comes to rest on it, and the contact's record says that it carries the weight, upwards."""
    model = falling_ball(floor=True)
    state = model.initSystem()
    model.getCoordinateSet().get("y").setValue(state, 0.1, False)
    manager = manager_of(model, state)
    for step in range(1, 101):
        state = manager.integrate(0.01 * step)
    # The smoothed force begins about a millimetre above the floor: so light a ball rests there.
    assert model.getCoordinateSet().get("y").getValue(state) == pytest.approx(0.1, abs=0.0015)
    contact = opensim.SmoothSphereHalfSpaceForce.safeDownCast(model.getForceSet().get("contact"))
    model.realizeDynamics(state)
    assert contact.getRecordValues(state).get(1) == pytest.approx(GRAVITY_M_S2, rel=1e-3)  # force on the sphere, y


def test_state_vector_is_coordinates_then_speeds() -> None:
    model = falling_ball(floor=False)
    state = model.initSystem()
    for i, name in enumerate(("turn", "x", "y")):
        coordinate = model.getCoordinateSet().get(name)
        coordinate.setValue(state, 1.0 + i, False)
        coordinate.setSpeedValue(state, 11.0 + i)
    assert sorted(state.getY().to_numpy()[:3]) == [1.0, 2.0, 3.0]
    assert sorted(state.getY().to_numpy()[3:]) == [11.0, 12.0, 13.0]


def test_controls_set_on_the_model_reach_an_actuator_without_a_controller() -> None:
    model = falling_ball(floor=False)
    push = opensim.CoordinateActuator("x")
    push.setName("push")
    push.setOptimalForce(1.0)
    model.addForce(push)
    model.finalizeConnections()
    state = model.initSystem()
    manager = manager_of(model, state)
    model.setDefaultControls(opensim.Vector(1, 3.0))
    state = manager.integrate(0.1)
    # 3 N on 1 kg; the new control counts from the second half of the first integration step on
    assert model.getCoordinateSet().get("x").getSpeedValue(state) == pytest.approx(3.0 * (0.1 - 0.0005), rel=1e-6)


def test_tables_go_through_numpy_and_files(tmp_path: Path) -> None:
    times, labels = opensim.StdVectorDouble(), opensim.StdVectorString()
    for i in range(3):
        times.append(0.1 * i)
    for name in ("a", "b"):
        labels.append(name)
    numbers = np.array([[1.0, -2.0], [math.pi, 4e-9], [5e7, 6.0]])
    table = opensim.TimeSeriesTable(times, opensim.Matrix.createFromMat(numbers), labels)
    table.addTableMetaDataString("inDegrees", "yes")
    opensim.STOFileAdapter.write(table, str(tmp_path / "t.mot"))
    back = opensim.TimeSeriesTable(str(tmp_path / "t.mot"))
    np.testing.assert_allclose(back.getMatrix().to_numpy(), numbers, rtol=1e-14)
    assert back.getTableMetaDataAsString("inDegrees") == "yes"
    assert opensim.Storage(str(tmp_path / "t.mot")).getSize() == 3  # the older reader, which the GUI uses


def test_polynomial_paths_survive_the_osim_file(tmp_path: Path) -> None:
    """Muscles on polynomial paths, written and read again, have the same length and the same moment arm."""
    from farm.records import GaitParameters
    from workers.simulate.model import opensim_model

    model = opensim_model(GaitParameters())
    model.printToXML(str(tmp_path / "m.osim"))
    lengths = []
    for candidate in (model, opensim.Model(str(tmp_path / "m.osim"))):
        state = candidate.initSystem()
        candidate.getCoordinateSet().get("ankle_angle_r").setValue(state, 0.2, False)
        candidate.realizePosition(state)
        soleus = candidate.getMuscles().get("soleus_r")
        ankle = candidate.getCoordinateSet().get("ankle_angle_r")
        lengths.append((soleus.getLength(state), soleus.computeMomentArm(state, ankle)))
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-12)
    assert -0.08 < lengths[0][1] < -0.02  # the Achilles tendon's moment arm, plantarflexing (Maganaris 2004: 4 to 6 cm)


SHARED_TIME_CONSTANTS = """
import opensim as osim

def rate(activation_time_s):
    model = osim.Model()
    osim.Logger.setLevelString("off")
    body = osim.Body("body", 1.0, osim.Vec3(0), osim.Inertia(1.0))
    model.addBody(body)
    model.addJoint(osim.SliderJoint("slider", model.getGround(), body))
    muscle = osim.DeGrooteFregly2016Muscle()
    muscle.setName("muscle")
    muscle.set_ignore_tendon_compliance(True)
    muscle.set_tendon_slack_length(0.1)
    muscle.set_activation_time_constant(activation_time_s)
    muscle.addNewPathPoint("origin", model.updGround(), osim.Vec3(-0.2, 0, 0))
    muscle.addNewPathPoint("insertion", body, osim.Vec3(0))
    model.addForce(muscle)
    state = model.initSystem()
    model.setDefaultControls(osim.Vector(1, 1.0))
    model.realizeAcceleration(state)
    return muscle.getStateVariableDerivativeValue(state, "activation")

print(rate(0.010), rate(0.030))
"""


def test_one_process_has_one_activation_time_constant() -> None:
    """OpenSim 4.6 keeps the first muscle's time constants for all; `ExcitationLag` exists because of it.

    When this fails OpenSim has mended it: give every muscle its own constants again.
    """
    run = subprocess.run([sys.executable, "-c", SHARED_TIME_CONSTANTS], capture_output=True, text=True, check=True)
    first, second = map(float, run.stdout.split())
    assert first > 0.0
    assert second == first
