"""The forces of the model, stated as OpenSim 4.6 computes them.

Muscle: De Groote et al. 2016 (Ann Biomed Eng 44:2922), rigid tendon, in the form
of OpenSim's DeGrooteFregly2016Muscle (fibre damping 0). Contact: Serrancoli et
al. 2019, OpenSim's SmoothSphereHalfSpaceForce. Passive stops:
CoordinateLimitForce. All constants are OpenSim's.
"""

from __future__ import annotations

import math

from workers.simulate.twin.compiled import compiled
from workers.simulate.twin.pack import PATH_ORDERS, Floats

_B11, _B21, _B31, _B41 = 0.8150671134243542, 1.055033428970575, 0.162384573599574, 0.063303448465465
_B12, _B22, _B32, _B42 = 0.433004984392647, 0.716775413397760, -0.029947116970696, 0.200356847296188
_B13, _B23, _B33, _B43 = 0.1, 1.0, 0.353553390593274, 0.0
_D1, _D2, _D3, _D4 = -0.3211346127989808, -8.149, -0.374, 0.8825327733249912

ACTIVATION_STEEPNESS = 0.1
"""OpenSim's b in 0.5 tanh(b (e - a)): so flat that activation and deactivation blend nearly half and half."""

CONSTANT_CONTACT_FORCE, HERTZ_SMOOTHING, HUNT_CROSSLEY_SMOOTHING = 1e-5, 300.0, 50.0

_ORDER_1, _ORDER_2, _ORDER_3 = PATH_ORDERS

_NO_CONTACT = -20.0
"""tanh of this is -1 in double precision: the smooth contact force is exactly zero."""


@compiled
def activation_rate(excitation: float, activation: float, activation_time: float, deactivation_time: float) -> float:
    """Rate of activation (1/s)."""
    z = 0.5 + 1.5 * activation
    f = 0.5 * _small_tanh(ACTIVATION_STEEPNESS * (excitation - activation))
    return ((f + 0.5) / (activation_time * z) + (0.5 - f) * z / deactivation_time) * (excitation - activation)


@compiled
def _small_tanh(x: float) -> float:
    """Hyperbolic tangent by its series: for |x| <= 0.1, all that activation asks for, exact to 1e-15, and faster."""
    if abs(x) > 0.1:
        return math.tanh(x)
    y = x * x
    return x * (1.0 + y * (-1 / 3 + y * (2 / 15 + y * (-17 / 315 + y * (62 / 2835 + y * (-1382 / 155925))))))


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


@compiled
def tendon_force(
    length: float, speed: float, activation: float, max_force: float, optimal_length: float, slack_length: float,
    width: float, max_speed: float, passive_gain: float, passive_offset: float, passive_scale: float,
) -> float:  # fmt: skip
    """Force (N) along the tendon of a unit of this length (m) and lengthening speed (m/s).

    Args:
        max_force: And what follows: as the columns of `TwinModel.muscles`.
    """
    along = length - slack_length
    fiber = math.sqrt(along * along + width * width)
    cosine = along / fiber
    x = fiber / optimal_length
    r1 = (x - _B21) / (_B31 + _B41 * x)
    r2 = (x - _B22) / (_B32 + _B42 * x)
    r3 = (x - _B23) / (_B33 + _B43 * x)
    active = _B11 * math.exp(-0.5 * r1 * r1) + _B12 * math.exp(-0.5 * r2 * r2) + _B13 * math.exp(-0.5 * r3 * r3)
    v = _D2 * speed * cosine / max_speed + _D3
    force_velocity = _D1 * math.log(v + math.sqrt(v * v + 1.0)) + _D4
    passive = (math.exp(passive_gain * (x - 1.0)) - passive_offset) * passive_scale
    return max_force * (activation * active * force_velocity + passive) * cosine


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
