"""The planar skeleton: forces gathered, accelerations by the articulated-body method.

Featherstone's algorithm (Rigid Body Dynamics Algorithms, 2008, ch. 7) in the
plane, with all vectors in world axes and each body referred to its own joint
centre. A hinge passes on no rotational inertia, so what a body hands to its
parent is a symmetric 2x2 matrix, a force, and the hinge's torque.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from workers.simulate.twin.compiled import compiled
from workers.simulate.twin.forces import contact_force, limit_torque, path_geometry, tendon_force
from workers.simulate.twin.pack import Floats, TwinModel


class Scratch(NamedTuple):
    """Work space of one simulation, so that the loop allocates nothing.

    Attributes:
        motion: `[B, 10]` cosine, sine of the body's angle, angular velocity, angle; joint centre x, y and its
            velocity; arm from the parent's joint centre to the own, world axes.
        wrench: `[B, 3]` external torque about the joint centre, force x, y.
        articulated: `[B, 10]` inertia rr, rx, ry, xx, xy, yy; bias torque, force x, y; hinge torque less bias torque.
        acceleration: `[B, 3]` angular, and of the joint centre.
        torque: `[Q]` generalised force; muscle_force: `[M]` N; load: `[2]` N, right and left.
    """

    motion: Floats
    wrench: Floats
    articulated: Floats
    acceleration: Floats
    torque: Floats
    muscle_force: Floats
    load: Floats


def scratch(model: TwinModel) -> Scratch:
    """Work space for one model."""
    bodies = len(model.links)
    return Scratch(
        motion=np.zeros((bodies, 10)),
        wrench=np.zeros((bodies, 3)),
        articulated=np.zeros((bodies, 10)),
        acceleration=np.zeros((bodies, 3)),
        torque=np.zeros(bodies + 2),
        muscle_force=np.zeros(len(model.muscles)),
        load=np.zeros(2),
    )


@compiled
def place(model: TwinModel, q: Floats, u: Floats, motion: Floats) -> None:
    """Positions and velocities of all joints: `Scratch.motion`."""
    bodies = model.bodies
    for b in range(len(bodies)):
        p = model.links[b, 0]
        if p < 0:
            angle, spin = q[0], u[0]
            x, y, vx, vy = bodies[b, 0] + q[1], bodies[b, 1] + q[2], u[1], u[2]
        else:
            i = model.links[b, 1]
            angle, spin = motion[p, 3] + q[i], motion[p, 2] + u[i]
            dx = motion[p, 0] * bodies[b, 0] - motion[p, 1] * bodies[b, 1]
            dy = motion[p, 1] * bodies[b, 0] + motion[p, 0] * bodies[b, 1]
            x, y = motion[p, 4] + dx, motion[p, 5] + dy
            vx, vy = motion[p, 6] - motion[p, 2] * dy, motion[p, 7] + motion[p, 2] * dx
            motion[b, 8], motion[b, 9] = dx, dy
        motion[b, 0], motion[b, 1], motion[b, 2], motion[b, 3] = math.cos(angle), math.sin(angle), spin, angle
        motion[b, 4], motion[b, 5], motion[b, 6], motion[b, 7] = x, y, vx, vy


@compiled
def gather(model: TwinModel, q: Floats, u: Floats, activation: Floats, work: Scratch) -> None:
    """Everything that acts on the skeleton but the shoulders' torques: see `Scratch`."""
    motion, torque, wrench, load = work.motion, work.torque, work.wrench, work.load
    place(model, q, u, motion)
    for i in range(len(torque)):
        torque[i] = 0.0
    for b in range(len(wrench)):
        wrench[b, 0], wrench[b, 1], wrench[b, 2] = 0.0, 0.0, 0.0
    load[0], load[1] = 0.0, 0.0
    paths, muscles = model.paths, model.muscles
    for m in range(len(muscles)):
        dimension, i, j = paths[m, 0], paths[m, 2], paths[m, 3]
        length, by_x, by_y = path_geometry(model.path, m, dimension, paths[m, 1], q[i], q[j])
        force = tendon_force(
            length, by_x * u[i] + by_y * u[j], activation[m], muscles[m, 0], muscles[m, 1], muscles[m, 2],
            muscles[m, 3], muscles[m, 4], muscles[m, 5], muscles[m, 6], muscles[m, 7],
        )  # fmt: skip
        work.muscle_force[m] = force
        torque[i] -= by_x * force
        torque[j] -= by_y * force
    limits = model.limits
    for n in range(len(limits)):
        i = model.limit_coordinates[n]
        torque[i] += limit_torque(q[i], u[i], limits[n, 0], limits[n, 1], limits[n, 2], limits[n, 3], limits[n, 4])
    for n in range(len(model.springs)):
        i = model.spring_coordinates[n]
        torque[i] -= model.springs[n, 0] * (q[i] - model.springs[n, 2]) + model.springs[n, 1] * u[i]
    shapes, contact = model.sphere_shapes, model.contact
    for c in range(len(shapes)):
        b = model.spheres[c, 0]
        cx = motion[b, 0] * shapes[c, 0] - motion[b, 1] * shapes[c, 1]
        cy = motion[b, 1] * shapes[c, 0] + motion[b, 0] * shapes[c, 1]
        depth = shapes[c, 2] - (motion[b, 5] + cy)
        # The contact point lies midway between the sphere's lowest point and the floor.
        cy = -0.5 * depth - motion[b, 5]
        slip = motion[b, 6] - motion[b, 2] * cy
        sinking = -(motion[b, 7] + motion[b, 2] * cx)
        along, up = contact_force(
            depth, sinking, slip, shapes[c, 3], contact[0], contact[1], contact[2], contact[3], contact[4]
        )
        wrench[b, 0] += cx * up - cy * along
        wrench[b, 1] += along
        wrench[b, 2] += up
        load[model.spheres[c, 1]] += up


@compiled
def accelerate(model: TwinModel, work: Scratch, udot: Floats) -> None:
    """Accelerations `[Q]` of the coordinates under what `gather` left in `work`."""
    links, motion, a, moved = model.links, work.motion, work.articulated, work.acceleration
    _isolate(model, motion, work.wrench, a)
    for b in range(len(links) - 1, 0, -1):
        p = links[b, 0]
        torque = work.torque[links[b, 1]]
        drive = torque - a[b, 6]
        a[b, 9] = drive
        rr, rx, ry = a[b, 0], a[b, 1], a[b, 2]
        xx, xy, yy = a[b, 3] - rx * rx / rr, a[b, 4] - rx * ry / rr, a[b, 5] - ry * ry / rr
        dx, dy = motion[b, 8], motion[b, 9]
        spin = -motion[p, 2] * motion[p, 2]
        fx = a[b, 7] + spin * (xx * dx + xy * dy) + rx * drive / rr
        fy = a[b, 8] + spin * (xy * dx + yy * dy) + ry * drive / rr
        hx, hy = xy * dx - xx * dy, yy * dx - xy * dy
        a[p, 0] += dx * hy - dy * hx
        a[p, 1] += hx
        a[p, 2] += hy
        a[p, 3] += xx
        a[p, 4] += xy
        a[p, 5] += yy
        a[p, 6] += torque + dx * fy - dy * fx
        a[p, 7] += fx
        a[p, 8] += fy
    moved[0, 0], moved[0, 1], moved[0, 2] = _float_free(
        a[0, 0], a[0, 1], a[0, 2], a[0, 3], a[0, 4], a[0, 5],
        work.torque[0] - a[0, 6], work.torque[1] - a[0, 7], work.torque[2] - a[0, 8],
    )  # fmt: skip
    udot[0], udot[1], udot[2] = moved[0, 0], moved[0, 1], moved[0, 2]
    for b in range(1, len(links)):
        p = links[b, 0]
        dx, dy = motion[b, 8], motion[b, 9]
        spin = motion[p, 2] * motion[p, 2]
        ax = moved[p, 1] - moved[p, 0] * dy - spin * dx
        ay = moved[p, 2] + moved[p, 0] * dx - spin * dy
        turning = (a[b, 9] - a[b, 1] * ax - a[b, 2] * ay) / a[b, 0]
        udot[links[b, 1]] = turning - moved[p, 0]
        moved[b, 0], moved[b, 1], moved[b, 2] = turning, ax, ay


@compiled
def _isolate(model: TwinModel, motion: Floats, wrench: Floats, a: Floats) -> None:
    """Inertia and bias wrench of each body alone, about its joint centre."""
    bodies = model.bodies
    for b in range(len(bodies)):
        mass = bodies[b, 2]
        cx = motion[b, 0] * bodies[b, 4] - motion[b, 1] * bodies[b, 5]
        cy = motion[b, 1] * bodies[b, 4] + motion[b, 0] * bodies[b, 5]
        pull = motion[b, 2] * motion[b, 2] * mass
        weight = mass * model.gravity
        a[b, 0], a[b, 1], a[b, 2] = bodies[b, 3] + mass * (cx * cx + cy * cy), -mass * cy, mass * cx
        a[b, 3], a[b, 4], a[b, 5] = mass, 0.0, mass
        a[b, 6], a[b, 7], a[b, 8] = (
            cx * weight - wrench[b, 0],
            -pull * cx - wrench[b, 1],
            weight - pull * cy - wrench[b, 2],
        )


@compiled
def _float_free(
    rr: float, rx: float, ry: float, xx: float, xy: float, yy: float, torque: float, fx: float, fy: float
) -> tuple[float, float, float]:
    """Angular and linear acceleration of the pelvis: three equations, the translations eliminated first."""
    det = xx * yy - xy * xy
    gx, gy = (rx * yy - ry * xy) / det, (ry * xx - rx * xy) / det
    turning = (torque - gx * fx - gy * fy) / (rr - gx * rx - gy * ry)
    fx -= rx * turning
    fy -= ry * turning
    return turning, (fx * yy - fy * xy) / det, (fy * xx - fx * xy) / det
