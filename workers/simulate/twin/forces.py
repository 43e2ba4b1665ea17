"""The forces of the model, stated as OpenSim 4.6 computes them.

Muscle: De Groote et al. 2016 (Ann Biomed Eng 44:2922), rigid tendon, in the form
of OpenSim's DeGrooteFregly2016Muscle (fibre damping 0). Contact: Serrancoli et
al. 2019, OpenSim's SmoothSphereHalfSpaceForce. Passive stops:
CoordinateLimitForce. All constants are OpenSim's.
"""

from __future__ import annotations

import math

import numpy as np

from workers.simulate.twin.compiled import compiled, inlined
from workers.simulate.twin.pack import PATH_ORDERS, Floats, TwinModel

_B11, _B21, _B31, _B41 = 0.8150671134243542, 1.055033428970575, 0.162384573599574, 0.063303448465465
_B12, _B22, _B32, _B42 = 0.433004984392647, 0.716775413397760, -0.029947116970696, 0.200356847296188
_B13, _B23, _B33, _B43 = 0.1, 1.0, 0.353553390593274, 0.0
_D1, _D2, _D3, _D4 = -0.3211346127989808, -8.149, -0.374, 0.8825327733249912

ACTIVATION_STEEPNESS = 0.1
"""OpenSim's b in 0.5 tanh(b (e - a)): so flat that activation and deactivation blend nearly half and half."""

CONSTANT_CONTACT_FORCE, HERTZ_SMOOTHING, HUNT_CROSSLEY_SMOOTHING = 1e-5, 300.0, 50.0

_ORDER_1, _ORDER_2, _ORDER_3 = PATH_ORDERS

_TURN = 2.0 * math.pi

_NO_CONTACT = -20.0
"""tanh of this is -1 in double precision: the smooth contact force is exactly zero."""


@inlined
def activation_rates(model: TwinModel, excitation: Floats, activation: Floats, rates: Floats) -> None:
    """Rates of activation `[M]` (1/s)."""
    muscles = model.muscles
    for m in range(len(rates)):
        change = excitation[m] - activation[m]
        z = 0.5 + 1.5 * activation[m]
        f = 0.5 * _tanh_of_little(ACTIVATION_STEEPNESS * change)
        rates[m] = ((f + 0.5) / (muscles[8, m] * z) + (0.5 - f) * z / muscles[9, m]) * change


@compiled
def _tanh_of_little(x: float) -> float:
    """Hyperbolic tangent by its series, to 1e-15 for |x| <= 0.1: excitation and activation lie between 0 and 1."""
    y = x * x
    return x * (1.0 + y * (-1 / 3 + y * (2 / 15 + y * (-17 / 315 + y * (62 / 2835 + y * (-1382 / 155925))))))


@compiled
def exponential(x: float) -> float:
    """exp(x) to 1e-14 for -40 <= x <= 20, and almost 0 below.

    Arithmetic alone, so that a loop over it becomes vector instructions, which a call of the mathematical library
    never does: the series of exp(x / 256) - 1, and eight times exp(2 y) - 1 = e (2 + e).
    """
    y = max(x, -40.0) * (1.0 / 256.0)
    e = y * (
        1.0 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + y * (1 / 720 + y * (1 / 5040 + y / 40320))))))
    )
    e *= 2.0 + e
    e *= 2.0 + e
    e *= 2.0 + e
    e *= 2.0 + e
    e *= 2.0 + e
    e *= 2.0 + e
    e *= 2.0 + e
    e *= 2.0 + e
    return 1.0 + e


@compiled
def sine_and_cosine(x: float) -> tuple[float, float]:
    """sin(x) and cos(x) to 1e-15, by arithmetic alone: series at an eighth of the angle, doubled three times."""
    y = (x - _TURN * np.floor(x / _TURN + 0.5)) * 0.125
    z = y * y
    s = y * (
        1.0 + z * (-1 / 6 + z * (1 / 120 + z * (-1 / 5040 + z * (1 / 362880 + z * (-1 / 39916800 + z / 6227020800)))))
    )
    c = 1.0 + z * (-1 / 2 + z * (1 / 24 + z * (-1 / 720 + z * (1 / 40320 + z * (-1 / 3628800 + z / 479001600)))))
    s, c = 2.0 * s * c, 1.0 - 2.0 * s * s
    s, c = 2.0 * s * c, 1.0 - 2.0 * s * s
    return 2.0 * s * c, 1.0 - 2.0 * s * s


@compiled
def path_geometry(
    path: Floats, start: int, dimension: int, x: float, y: float, z: float
) -> tuple[float, float, float, float]:
    """Length (m) of a musculotendon unit and its derivatives by its one to three coordinates x, y, z (m/rad).

    Horner's scheme over all powers whose sum is at most the order of `PATH_ORDERS`; the loops have fixed lengths so
    that the compiler unrolls them.

    Args:
        path: As `TwinModel.path`, of which this unit's coefficients begin at `start`.
    """
    at = start
    length, by_x, by_y, by_z = 0.0, 0.0, 0.0, 0.0
    if dimension == 1:
        for _ in range(_ORDER_1 + 1):
            by_x = by_x * x + length
            length = length * x + path[at]
            at += 1
    elif dimension == 2:
        for i in range(_ORDER_2 + 1):
            row, row_by_y = 0.0, 0.0
            for _ in range(i + 1):
                row_by_y = row_by_y * y + row
                row = row * y + path[at]
                at += 1
            by_x = by_x * x + length
            length = length * x + row
            by_y = by_y * x + row_by_y
    else:
        for i in range(_ORDER_3 + 1):
            sheet, sheet_by_y, sheet_by_z = 0.0, 0.0, 0.0
            for j in range(i + 1):
                row, row_by_z = 0.0, 0.0
                for _ in range(j + 1):
                    row_by_z = row_by_z * z + row
                    row = row * z + path[at]
                    at += 1
                sheet_by_y = sheet_by_y * y + sheet
                sheet = sheet * y + row
                sheet_by_z = sheet_by_z * y + row_by_z
            by_x = by_x * x + length
            length = length * x + sheet
            by_y = by_y * x + sheet_by_y
            by_z = by_z * x + sheet_by_z
    return length, by_x, by_y, by_z


@inlined
def tendon_forces(model: TwinModel, activation: Floats, unit: Floats, curves: Floats, force: Floats) -> None:
    """Forces `[M]` (N) along the tendons, from what `unit` holds: see `dynamics.Scratch`.

    All exponentials stand in one array, over which the loop is vector instructions.
    """
    muscles, count = model.muscles, len(force)
    for m in range(count):
        along = unit[0, m] - muscles[2, m]
        fiber = math.sqrt(along * along + muscles[3, m] * muscles[3, m])
        cosine = along / fiber
        unit[2, m] = cosine
        v = _D2 * unit[1, m] * cosine / muscles[4, m] + _D3
        unit[3, m] = _D1 * math.log(v + math.sqrt(v * v + 1.0)) + _D4
        x = fiber / muscles[1, m]
        r1 = (x - _B21) / (_B31 + _B41 * x)
        r2 = (x - _B22) / (_B32 + _B42 * x)
        r3 = (x - _B23) / (_B33 + _B43 * x)
        curves[m], curves[count + m], curves[2 * count + m] = -0.5 * r1 * r1, -0.5 * r2 * r2, -0.5 * r3 * r3
        curves[3 * count + m] = muscles[5, m] * (x - 1.0)
    for n in range(len(curves)):
        curves[n] = exponential(curves[n])
    for m in range(count):
        active = _B11 * curves[m] + _B12 * curves[count + m] + _B13 * curves[2 * count + m]
        passive = (curves[3 * count + m] - muscles[6, m]) * muscles[7, m]
        force[m] = muscles[0, m] * (activation[m] * active * unit[3, m] + passive) * unit[2, m]


@compiled
def contact_force(
    indentation: float, sinking: float, slip_x: float, slip_z: float, hertz: float, dissipation: float,
    static: float, dynamic: float, viscous: float, transition: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Force (N) of the floor on a sphere: along x, upwards, along z.

    Args:
        indentation: Depth (m), negative above the floor.
        sinking: Speed of the contact point into the floor (m/s).
        slip_x, slip_z: Velocity of the contact point along the floor (m/s).
        hertz: Hertz constant, as in `TwinModel.sphere_shapes`; then the values of `TwinModel.contact`.
    """
    if HERTZ_SMOOTHING * indentation < _NO_CONTACT:
        return 0.0, 0.0, 0.0
    depth = math.sqrt(indentation * indentation + CONSTANT_CONTACT_FORCE)
    up = hertz * depth * math.sqrt(depth) * (0.5 + 0.5 * math.tanh(HERTZ_SMOOTHING * indentation))
    up *= 1.0 + 1.5 * dissipation * sinking
    up *= 0.5 + 0.5 * math.tanh(HUNT_CROSSLEY_SMOOTHING * (sinking + 2.0 / (3.0 * dissipation)))
    slip_speed = math.sqrt(slip_x * slip_x + slip_z * slip_z + CONSTANT_CONTACT_FORCE)
    relative = slip_speed / transition
    friction = min(relative, 1.0) * (dynamic + 2.0 * (static - dynamic) / (1.0 + relative * relative))
    drag = -up * (friction + viscous * slip_speed) / slip_speed
    return drag * slip_x, up, drag * slip_z


@compiled
def _step_up(x: float) -> float:
    """Simbody's smooth step from 0 to 1 over x in 0 to 1."""
    x = min(max(x, 0.0), 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


@compiled
def limit_torque(
    q: float, u: float, lower: float, upper: float, stiffness: float, damping: float, transition: float
) -> float:
    """Torque (N m) of a passive stop with the values of a row of `TwinModel.limits`."""
    above = _step_up((q - upper) / transition)
    below = _step_up((lower - q) / transition)
    return stiffness * (below * (lower - q) - above * (q - upper)) - damping * (above + below) * u
