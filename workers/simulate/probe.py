"""Does OpenSim work here? A pendulum, integrated for a moment and held against its closed form."""

from __future__ import annotations

import math

from farm.axes import GRAVITY_M_S2
from workers.simulate.opensim_library import osim as opensim

START_ANGLE_RAD = 0.05
"""Small enough for the closed form of the linear pendulum to hold to a few microradians over 0.1 s."""

LENGTH_M = 1.0


def opensim_version() -> str:
    """Version of the engine that is really loaded, not of the package that claims to bring it."""
    return str(opensim.GetVersion())


def pendulum_error_rad(duration_s: float = 0.1) -> float:
    """How far OpenSim's point pendulum is from `start * cos(sqrt(g / length) * t)` after `duration_s`.

    The small-angle form itself errs by less than `start**3 / 16 * (w t)**2`, 8e-7 rad after 0.1 s.
    """
    opensim.Logger.setLevelString("off")
    model = opensim.Model()
    model.setGravity(opensim.Vec3(0.0, -GRAVITY_M_S2, 0.0))
    almost_a_point = opensim.Inertia(1e-9, 1e-9, 1e-9)
    bob = opensim.Body("bob", 1.0, opensim.Vec3(0.0), almost_a_point)
    at_pivot, no_turn = opensim.Vec3(0.0), opensim.Vec3(0.0)
    pivot = opensim.PinJoint(
        "pivot", model.getGround(), at_pivot, no_turn, bob, opensim.Vec3(0.0, LENGTH_M, 0.0), no_turn
    )
    model.addBody(bob)
    model.addJoint(pivot)
    angle = pivot.updCoordinate()
    angle.setDefaultValue(START_ANGLE_RAD)
    state = model.initSystem()
    manager = opensim.Manager(model)
    manager.setIntegratorAccuracy(1e-9)
    manager.initialize(state)
    state = manager.integrate(duration_s)
    expected = START_ANGLE_RAD * math.cos(math.sqrt(GRAVITY_M_S2 / LENGTH_M) * duration_s)
    return abs(float(angle.getValue(state)) - expected)
