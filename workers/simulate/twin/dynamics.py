"""The skeleton: forces gathered, accelerations by the articulated-body method.

Featherstone's algorithm (Rigid Body Dynamics Algorithms, 2008, ch. 7) with all
vectors in world axes and each link referred to its own joint centre, so that
inertias are shifted from joint to joint, but never turned. Between a link's
acceleration (angular alpha, joint centre a) and what the joint must transmit
(torque n about the joint centre, force f) stand its articulated inertia and bias:

    n = J alpha + H a + n0,    f = H^T alpha + M a + f0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workers.simulate.twin.compiled import compiled, inlined
from workers.simulate.twin.forces import contact_force, limit_torque, path_geometry, sine_and_cosine, tendon_forces
from workers.simulate.twin.pack import TRANSLATION, Floats, TwinModel

HEIGHT, HEIGHT_OF_X, HEIGHT_OF_Y, HEIGHT_OF_Z = 13, 1, 4, 7
"""In a row of `Scratch.motion`: height of the joint centre, and what each of the link's own axes adds to it."""


class Scratch(NamedTuple):
    """Work space of one simulation, so that the loop allocates nothing.

    Attributes:
        motion: `[L, 24]` of each link, world axes: its x, y and z axis (0-8), angular velocity (9-11), joint centre
            (12-14) and its velocity (15-17), joint axis (18-20), arm from the parent's joint centre (21-23).
        bias: `[L, 6]` angular and linear acceleration that the parent's motion alone gives a link.
        wrench: `[L, 6]` external torque about the joint centre, and force.
        inertia: `[L, 21]` J xx xy xz yy yz zz (0-5), H by rows (6-14), M xx xy xz yy yz zz (15-20).
        force: `[L, 6]` n0, f0.
        joint: `[L, 8]` J and H^T times the joint axis (0-5), their inertia about it (6), torque that is left (7).
        acceleration: `[L, 6]` angular, and of the joint centre less gravity.
        turn: `[2, Q]` sine and cosine of every coordinate.
        unit: `[7, M]` of each musculotendon unit its length (m), lengthening speed (m/s), cosine of the pennation,
            force-velocity factor, and the length's derivatives by its coordinates.
        curves: `[4 M]` exponentials of the three active and the passive force-length curve.
        torque: `[Q]` generalised force; muscle_force: `[M]` N; load: `[2]` N, right and left.
    """

    motion: Floats
    bias: Floats
    wrench: Floats
    inertia: Floats
    force: Floats
    joint: Floats
    acceleration: Floats
    turn: Floats
    unit: Floats
    curves: Floats
    torque: Floats
    muscle_force: Floats
    load: Floats


def scratch(model: TwinModel) -> Scratch:
    """Work space for one model."""
    links = len(model.links)
    return Scratch(
        motion=np.zeros((links, 24)),
        bias=np.zeros((links, 6)),
        wrench=np.zeros((links, 6)),
        inertia=np.zeros((links, 21)),
        force=np.zeros((links, 6)),
        joint=np.zeros((links, 8)),
        acceleration=np.zeros((links, 6)),
        turn=np.zeros((2, links)),
        unit=np.zeros((7, len(model.paths))),
        curves=np.zeros(4 * len(model.paths)),
        torque=np.zeros(links),
        muscle_force=np.zeros(len(model.paths)),
        load=np.zeros(2),
    )


@inlined
def place(model: TwinModel, q: Floats, u: Floats, turn: Floats, motion: Floats, bias: Floats) -> None:
    """Positions, velocities, velocity-dependent accelerations: `turn`, `motion` and `bias` of `Scratch`."""
    links, shapes = model.links, model.shapes
    for i in range(len(q)):
        turn[0, i], turn[1, i] = sine_and_cosine(q[i])
    for b in range(len(links)):
        parent, i, k = links[b, 0], links[b, 1], links[b, 3]
        if links[b, 2] == TRANSLATION:
            for j in range(24):
                motion[b, j] = 0.0
            motion[b, 0], motion[b, 4], motion[b, 8] = 1.0, 1.0, 1.0
            for j in range(3):
                motion[b, 12 + j] = shapes[b, j] + (motion[parent, 12 + j] if parent >= 0 else 0.0)
                motion[b, 15 + j] = motion[parent, 15 + j] if parent >= 0 else 0.0
            motion[b, 12 + k] += shapes[b, 3] * q[i]
            motion[b, 15 + k] += shapes[b, 3] * u[i]
            motion[b, 18 + k] = shapes[b, 3]
            continue
        s, c = shapes[b, 3] * turn[0, i], turn[1, i]
        rate = shapes[b, 3] * u[i]
        wx, wy, wz = motion[parent, 9], motion[parent, 10], motion[parent, 11]
        first, second = 3 * ((k + 1) % 3), 3 * ((k + 2) % 3)
        for j in range(3):
            own, one, two = motion[parent, 3 * k + j], motion[parent, first + j], motion[parent, second + j]
            motion[b, 3 * k + j] = own
            motion[b, first + j] = c * one + s * two
            motion[b, second + j] = c * two - s * one
            motion[b, 18 + j] = shapes[b, 3] * own
        ax, ay, az = motion[parent, 3 * k] * rate, motion[parent, 3 * k + 1] * rate, motion[parent, 3 * k + 2] * rate
        motion[b, 9], motion[b, 10], motion[b, 11] = wx + ax, wy + ay, wz + az
        bias[b, 0], bias[b, 1], bias[b, 2] = _cross(wx, wy, wz, ax, ay, az)
        if links[b, 4] == 0:
            for j in range(12, 18):
                motion[b, j] = motion[parent, j]
            continue
        x, y, z = _turned(parent, motion, shapes[b, 0], shapes[b, 1], shapes[b, 2])
        motion[b, 21], motion[b, 22], motion[b, 23] = x, y, z
        for j in range(3):
            motion[b, 12 + j] = motion[parent, 12 + j] + motion[b, 21 + j]
        vx, vy, vz = _cross(wx, wy, wz, x, y, z)
        motion[b, 15] = motion[parent, 15] + vx
        motion[b, 16] = motion[parent, 16] + vy
        motion[b, 17] = motion[parent, 17] + vz
        bias[b, 3], bias[b, 4], bias[b, 5] = _cross(wx, wy, wz, vx, vy, vz)


@compiled
def _turned(b: int, motion: Floats, x: float, y: float, z: float) -> tuple[float, float, float]:
    """A vector given in the axes of link `b`, in world axes."""
    return (
        motion[b, 0] * x + motion[b, 3] * y + motion[b, 6] * z,
        motion[b, 1] * x + motion[b, 4] * y + motion[b, 7] * z,
        motion[b, 2] * x + motion[b, 5] * y + motion[b, 8] * z,
    )


@compiled
def _cross(ax: float, ay: float, az: float, bx: float, by: float, bz: float) -> tuple[float, float, float]:
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@inlined
def gather(model: TwinModel, q: Floats, u: Floats, activation: Floats, work: Scratch) -> None:
    """Everything that acts on the skeleton but the shoulders' torques: see `Scratch`."""
    torque = work.torque
    place(model, q, u, work.turn, work.motion, work.bias)
    for i in range(len(torque)):
        torque[i] = 0.0
    paths, unit = model.paths, work.unit
    for m in range(len(paths)):
        i, j, k = paths[m, 2], paths[m, 3], paths[m, 4]
        length, by_x, by_y, by_z = path_geometry(model.path, paths[m, 1], paths[m, 0], q[i], q[j], q[k])
        unit[0, m] = length
        unit[1, m] = by_x * u[i] + by_y * u[j] + by_z * u[k]
        unit[4, m], unit[5, m], unit[6, m] = by_x, by_y, by_z
    tendon_forces(model, activation, unit, work.curves, work.muscle_force)
    for m in range(len(paths)):
        force = work.muscle_force[m]
        torque[paths[m, 2]] -= unit[4, m] * force
        torque[paths[m, 3]] -= unit[5, m] * force
        torque[paths[m, 4]] -= unit[6, m] * force
    limits = model.limits
    for n in range(len(limits)):
        i = model.limit_coordinates[n]
        torque[i] += limit_torque(q[i], u[i], limits[n, 0], limits[n, 1], limits[n, 2], limits[n, 3], limits[n, 4])
    for n in range(len(model.springs)):
        i = model.spring_coordinates[n]
        torque[i] -= model.springs[n, 0] * (q[i] - model.springs[n, 2]) + model.springs[n, 1] * u[i]
    _touch(model, work)


@inlined
def _touch(model: TwinModel, work: Scratch) -> None:
    """Forces of the floor on the feet."""
    wrench, load, motion = work.wrench, work.load, work.motion
    shapes, contact = model.sphere_shapes, model.contact
    wrench[:] = 0.0
    load[:] = 0.0
    for c in range(len(shapes)):
        b = model.spheres[c, 0]
        x, y, z = _turned(b, motion, shapes[c, 0], shapes[c, 1], shapes[c, 2])
        depth = shapes[c, 3] - (motion[b, 13] + y)
        # The contact point lies midway between the sphere's lowest point and the floor.
        y = -0.5 * depth - motion[b, 13]
        vx, vy, vz = _cross(motion[b, 9], motion[b, 10], motion[b, 11], x, y, z)
        fx, fy, fz = contact_force(
            depth, -(motion[b, 16] + vy), motion[b, 15] + vx, motion[b, 17] + vz, shapes[c, 4],
            contact[0], contact[1], contact[2], contact[3], contact[4],
        )  # fmt: skip
        nx, ny, nz = _cross(x, y, z, fx, fy, fz)
        wrench[b, 0] += nx
        wrench[b, 1] += ny
        wrench[b, 2] += nz
        wrench[b, 3] += fx
        wrench[b, 4] += fy
        wrench[b, 5] += fz
        load[model.spheres[c, 1]] += fy


@inlined
def accelerate(model: TwinModel, work: Scratch, udot: Floats) -> None:
    """Accelerations `[Q]` of the coordinates under what `gather` left in `work`."""
    links, shapes, torque = model.links, model.shapes, work.torque
    motion, bias, wrench, inertia, force, joint = (
        work.motion, work.bias, work.wrench, work.inertia, work.force, work.joint
    )  # fmt: skip
    for b in range(len(links)):
        if shapes[b, 4] > 0.0:
            _isolate(b, shapes, motion, wrench, inertia, force)
    for b in range(len(links) - 1, -1, -1):
        drive = torque[links[b, 1]]
        if links[b, 2] == TRANSLATION:
            _carry_slide(b, links[b, 0], links[b, 3], shapes[b, 3], drive, inertia, force, joint)
        else:
            _carry_hinge(b, links[b, 0], links[b, 4], links[b, 5], drive, motion, bias, inertia, force, joint)
    _release(model, motion, bias, joint, work.acceleration, udot)


@compiled
def _isolate(b: int, shapes: Floats, motion: Floats, wrench: Floats, inertia: Floats, force: Floats) -> None:
    """Inertia and bias wrench of one link alone, about its joint centre."""
    mass = shapes[b, 4]
    wx, wy, wz = motion[b, 9], motion[b, 10], motion[b, 11]
    cx, cy, cz = _turned(b, motion, shapes[b, 5], shapes[b, 6], shapes[b, 7])
    # R I R^T, column by column of R I.
    ax, ay, az = _turned(b, motion, shapes[b, 8], shapes[b, 11], shapes[b, 12])
    bx, by, bz = _turned(b, motion, shapes[b, 11], shapes[b, 9], shapes[b, 13])
    dx, dy, dz = _turned(b, motion, shapes[b, 12], shapes[b, 13], shapes[b, 10])
    jxx = ax * motion[b, 0] + bx * motion[b, 3] + dx * motion[b, 6] + mass * (cy * cy + cz * cz)
    jxy = ax * motion[b, 1] + bx * motion[b, 4] + dx * motion[b, 7] - mass * cx * cy
    jxz = ax * motion[b, 2] + bx * motion[b, 5] + dx * motion[b, 8] - mass * cx * cz
    jyy = ay * motion[b, 1] + by * motion[b, 4] + dy * motion[b, 7] + mass * (cx * cx + cz * cz)
    jyz = ay * motion[b, 2] + by * motion[b, 5] + dy * motion[b, 8] - mass * cy * cz
    jzz = az * motion[b, 2] + bz * motion[b, 5] + dz * motion[b, 8] + mass * (cx * cx + cy * cy)
    inertia[b, 0], inertia[b, 1], inertia[b, 2], inertia[b, 3], inertia[b, 4], inertia[b, 5] = (
        jxx,
        jxy,
        jxz,
        jyy,
        jyz,
        jzz,
    )
    inertia[b, 6], inertia[b, 7], inertia[b, 8] = 0.0, -mass * cz, mass * cy
    inertia[b, 9], inertia[b, 10], inertia[b, 11] = mass * cz, 0.0, -mass * cx
    inertia[b, 12], inertia[b, 13], inertia[b, 14] = -mass * cy, mass * cx, 0.0
    inertia[b, 15], inertia[b, 16], inertia[b, 17], inertia[b, 18], inertia[b, 19], inertia[b, 20] = (
        mass,
        0.0,
        0.0,
        mass,
        0.0,
        mass,
    )
    nx, ny, nz = _cross(
        wx, wy, wz,
        jxx * wx + jxy * wy + jxz * wz, jxy * wx + jyy * wy + jyz * wz, jxz * wx + jyz * wy + jzz * wz,
    )  # fmt: skip
    x, y, z = _cross(wx, wy, wz, cx, cy, cz)
    fx, fy, fz = _cross(wx, wy, wz, x, y, z)
    force[b, 0], force[b, 1], force[b, 2] = nx - wrench[b, 0], ny - wrench[b, 1], nz - wrench[b, 2]
    force[b, 3], force[b, 4], force[b, 5] = mass * fx - wrench[b, 3], mass * fy - wrench[b, 4], mass * fz - wrench[b, 5]


@compiled
def _carry_slide(
    b: int, parent: int, k: int, sense: float, torque: float, inertia: Floats, force: Floats, joint: Floats
) -> None:
    """What a link that translates hands to its parent, which does not turn: mass and force alone."""
    if k == 0:
        x, y, z = inertia[b, 15], inertia[b, 16], inertia[b, 17]
    elif k == 1:
        x, y, z = inertia[b, 16], inertia[b, 18], inertia[b, 19]
    else:
        x, y, z = inertia[b, 17], inertia[b, 19], inertia[b, 20]
    x, y, z = sense * x, sense * y, sense * z
    carried = inertia[b, 15] if k == 0 else (inertia[b, 18] if k == 1 else inertia[b, 20])
    drive = torque - sense * force[b, 3 + k]
    joint[b, 3], joint[b, 4], joint[b, 5], joint[b, 6], joint[b, 7] = x, y, z, carried, drive
    if parent < 0:
        return
    d = 1.0 / carried
    inertia[parent, 15] = inertia[b, 15] - x * x * d
    inertia[parent, 16] = inertia[b, 16] - x * y * d
    inertia[parent, 17] = inertia[b, 17] - x * z * d
    inertia[parent, 18] = inertia[b, 18] - y * y * d
    inertia[parent, 19] = inertia[b, 19] - y * z * d
    inertia[parent, 20] = inertia[b, 20] - z * z * d
    force[parent, 3] = force[b, 3] + x * drive * d
    force[parent, 4] = force[b, 4] + y * drive * d
    force[parent, 5] = force[b, 5] + z * drive * d


@compiled
def _carry_hinge(
    b: int, parent: int, shifted: int, alone: int, torque: float, motion: Floats, bias: Floats, inertia: Floats,
    force: Floats, joint: Floats,
) -> None:  # fmt: skip
    """What a link that turns hands to its parent: its articulated inertia and bias, seen from the parent's joint."""
    sx, sy, sz = motion[b, 18], motion[b, 19], motion[b, 20]
    jxx, jxy, jxz, jyy, jyz, jzz = (
        inertia[b, 0],
        inertia[b, 1],
        inertia[b, 2],
        inertia[b, 3],
        inertia[b, 4],
        inertia[b, 5],
    )
    hxx, hxy, hxz, hyx, hyy, hyz, hzx, hzy, hzz = (
        inertia[b, 6],
        inertia[b, 7],
        inertia[b, 8],
        inertia[b, 9],
        inertia[b, 10],
        inertia[b, 11],
        inertia[b, 12],
        inertia[b, 13],
        inertia[b, 14],
    )
    mxx, mxy, mxz, myy, myz, mzz = (
        inertia[b, 15],
        inertia[b, 16],
        inertia[b, 17],
        inertia[b, 18],
        inertia[b, 19],
        inertia[b, 20],
    )
    ux, uy, uz = jxx * sx + jxy * sy + jxz * sz, jxy * sx + jyy * sy + jyz * sz, jxz * sx + jyz * sy + jzz * sz
    vx, vy, vz = hxx * sx + hyx * sy + hzx * sz, hxy * sx + hyy * sy + hzy * sz, hxz * sx + hyz * sy + hzz * sz
    turned = sx * ux + sy * uy + sz * uz
    drive = torque - (sx * force[b, 0] + sy * force[b, 1] + sz * force[b, 2])
    joint[b, 0], joint[b, 1], joint[b, 2], joint[b, 3], joint[b, 4], joint[b, 5], joint[b, 6], joint[b, 7] = (
        ux,
        uy,
        uz,
        vx,
        vy,
        vz,
        turned,
        drive,
    )
    d = 1.0 / turned
    ax, ay, az, bx, by, bz = ux * d, uy * d, uz * d, vx * d, vy * d, vz * d
    jxx, jxy, jxz, jyy, jyz, jzz = (
        jxx - ux * ax, jxy - ux * ay, jxz - ux * az, jyy - uy * ay, jyz - uy * az, jzz - uz * az
    )  # fmt: skip
    hxx, hxy, hxz = hxx - ux * bx, hxy - ux * by, hxz - ux * bz
    hyx, hyy, hyz = hyx - uy * bx, hyy - uy * by, hyz - uy * bz
    hzx, hzy, hzz = hzx - uz * bx, hzy - uz * by, hzz - uz * bz
    mxx, mxy, mxz, myy, myz, mzz = (
        mxx - vx * bx, mxy - vx * by, mxz - vx * bz, myy - vy * by, myz - vy * bz, mzz - vz * bz
    )  # fmt: skip
    cx, cy, cz = bias[b, 0], bias[b, 1], bias[b, 2]
    nx = force[b, 0] + jxx * cx + jxy * cy + jxz * cz + ax * drive
    ny = force[b, 1] + jxy * cx + jyy * cy + jyz * cz + ay * drive
    nz = force[b, 2] + jxz * cx + jyz * cy + jzz * cz + az * drive
    fx = force[b, 3] + hxx * cx + hyx * cy + hzx * cz + bx * drive
    fy = force[b, 4] + hxy * cx + hyy * cy + hzy * cz + by * drive
    fz = force[b, 5] + hxz * cx + hyz * cy + hzz * cz + bz * drive
    if shifted == 1:
        lx, ly, lz = bias[b, 3], bias[b, 4], bias[b, 5]
        nx += hxx * lx + hxy * ly + hxz * lz
        ny += hyx * lx + hyy * ly + hyz * lz
        nz += hzx * lx + hzy * ly + hzz * lz
        fx += mxx * lx + mxy * ly + mxz * lz
        fy += mxy * lx + myy * ly + myz * lz
        fz += mxz * lx + myz * ly + mzz * lz
        dx, dy, dz = motion[b, 21], motion[b, 22], motion[b, 23]
        x, y, z = _cross(dx, dy, dz, fx, fy, fz)
        nx, ny, nz = nx + x, ny + y, nz + z
        # G = H + [d] M; then J - H [d] + [d] G^T, with [d] the matrix of d x.
        gxx, gyx, gzx = dy * mxz - dz * mxy, dz * mxx - dx * mxz, dx * mxy - dy * mxx
        gxy, gyy, gzy = dy * myz - dz * myy, dz * mxy - dx * myz, dx * myy - dy * mxy
        gxz, gyz, gzz = dy * mzz - dz * myz, dz * mxz - dx * mzz, dx * myz - dy * mxz
        gxx, gxy, gxz = gxx + hxx, gxy + hxy, gxz + hxz
        gyx, gyy, gyz = gyx + hyx, gyy + hyy, gyz + hyz
        gzx, gzy, gzz = gzx + hzx, gzy + hzy, gzz + hzz
        jxx += (hxz * dy - hxy * dz) + (dy * gxz - dz * gxy)
        jxy += (hxx * dz - hxz * dx) + (dy * gyz - dz * gyy)
        jxz += (hxy * dx - hxx * dy) + (dy * gzz - dz * gzy)
        jyy += (hyx * dz - hyz * dx) + (dz * gyx - dx * gyz)
        jyz += (hyy * dx - hyx * dy) + (dz * gzx - dx * gzz)
        jzz += (hzy * dx - hzx * dy) + (dx * gzy - dy * gzx)
        hxx, hxy, hxz, hyx, hyy, hyz, hzx, hzy, hzz = gxx, gxy, gxz, gyx, gyy, gyz, gzx, gzy, gzz
    if alone == 1:
        inertia[parent, 0] = jxx
        inertia[parent, 1] = jxy
        inertia[parent, 2] = jxz
        inertia[parent, 3] = jyy
        inertia[parent, 4] = jyz
        inertia[parent, 5] = jzz
        inertia[parent, 6] = hxx
        inertia[parent, 7] = hxy
        inertia[parent, 8] = hxz
        inertia[parent, 9] = hyx
        inertia[parent, 10] = hyy
        inertia[parent, 11] = hyz
        inertia[parent, 12] = hzx
        inertia[parent, 13] = hzy
        inertia[parent, 14] = hzz
        inertia[parent, 15] = mxx
        inertia[parent, 16] = mxy
        inertia[parent, 17] = mxz
        inertia[parent, 18] = myy
        inertia[parent, 19] = myz
        inertia[parent, 20] = mzz
        force[parent, 0] = nx
        force[parent, 1] = ny
        force[parent, 2] = nz
        force[parent, 3] = fx
        force[parent, 4] = fy
        force[parent, 5] = fz
    else:
        inertia[parent, 0] += jxx
        inertia[parent, 1] += jxy
        inertia[parent, 2] += jxz
        inertia[parent, 3] += jyy
        inertia[parent, 4] += jyz
        inertia[parent, 5] += jzz
        inertia[parent, 6] += hxx
        inertia[parent, 7] += hxy
        inertia[parent, 8] += hxz
        inertia[parent, 9] += hyx
        inertia[parent, 10] += hyy
        inertia[parent, 11] += hyz
        inertia[parent, 12] += hzx
        inertia[parent, 13] += hzy
        inertia[parent, 14] += hzz
        inertia[parent, 15] += mxx
        inertia[parent, 16] += mxy
        inertia[parent, 17] += mxz
        inertia[parent, 18] += myy
        inertia[parent, 19] += myz
        inertia[parent, 20] += mzz
        force[parent, 0] += nx
        force[parent, 1] += ny
        force[parent, 2] += nz
        force[parent, 3] += fx
        force[parent, 4] += fy
        force[parent, 5] += fz


@inlined
def _release(model: TwinModel, motion: Floats, bias: Floats, joint: Floats, acceleration: Floats, udot: Floats) -> None:
    """From the ground outwards: every link's acceleration, and its coordinate's.

    The ground accelerates upwards at g, which is the same as gravity on every link.
    """
    links = model.links
    for b in range(len(links)):
        parent = links[b, 0]
        if links[b, 2] == TRANSLATION:
            for i in range(3):
                acceleration[b, i] = 0.0
                acceleration[b, 3 + i] = acceleration[parent, 3 + i] if parent >= 0 else 0.0
            if parent < 0:
                acceleration[b, 4] = model.gravity
            rate = (
                joint[b, 7]
                - joint[b, 3] * acceleration[b, 3]
                - joint[b, 4] * acceleration[b, 4]
                - joint[b, 5] * acceleration[b, 5]
            ) / joint[b, 6]
            acceleration[b, 3 + links[b, 3]] += model.shapes[b, 3] * rate
            udot[links[b, 1]] = rate
            continue
        alpha_x, alpha_y, alpha_z = (
            acceleration[parent, 0] + bias[b, 0],
            acceleration[parent, 1] + bias[b, 1],
            acceleration[parent, 2] + bias[b, 2],
        )
        ax, ay, az = acceleration[parent, 3], acceleration[parent, 4], acceleration[parent, 5]
        if links[b, 4] == 1:
            x, y, z = _cross(
                acceleration[parent, 0],
                acceleration[parent, 1],
                acceleration[parent, 2],
                motion[b, 21],
                motion[b, 22],
                motion[b, 23],
            )
            ax, ay, az = ax + x + bias[b, 3], ay + y + bias[b, 4], az + z + bias[b, 5]
        rate = (
            joint[b, 7] - joint[b, 0] * alpha_x - joint[b, 1] * alpha_y - joint[b, 2] * alpha_z
            - joint[b, 3] * ax - joint[b, 4] * ay - joint[b, 5] * az
        ) / joint[b, 6]  # fmt: skip
        acceleration[b, 0], acceleration[b, 1], acceleration[b, 2] = (
            alpha_x + motion[b, 18] * rate,
            alpha_y + motion[b, 19] * rate,
            alpha_z + motion[b, 20] * rate,
        )
        acceleration[b, 3], acceleration[b, 4], acceleration[b, 5] = ax, ay, az
        udot[links[b, 1]] = rate
