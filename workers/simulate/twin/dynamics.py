"""The skeleton: forces gathered, accelerations by the articulated-body method.

Featherstone's algorithm (Rigid Body Dynamics Algorithms, 2008, ch. 7) with all
vectors in world axes and each link referred to its own joint centre, so that
inertias are shifted from joint to joint, but never turned. Between a link's
acceleration (angular alpha, joint centre a) and what the joint must transmit
(torque n about the joint centre, force f) stand its articulated inertia and bias:

    n = J alpha + H a + n0,    f = H^T alpha + M a + f0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from workers.simulate.twin.compiled import compiled
from workers.simulate.twin.forces import contact_force, limit_torque, path_geometry, tendon_force
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
        torque: `[Q]` generalised force; muscle_force: `[M]` N; load: `[2]` N, right and left.
    """

    motion: Floats
    bias: Floats
    wrench: Floats
    inertia: Floats
    force: Floats
    joint: Floats
    acceleration: Floats
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
        torque=np.zeros(links),
        muscle_force=np.zeros(len(model.muscles)),
        load=np.zeros(2),
    )


@compiled
def place(model: TwinModel, q: Floats, u: Floats, motion: Floats) -> None:
    """Positions and velocities of all links: `Scratch.motion`."""
    links, shapes = model.links, model.shapes
    for b in range(len(links)):
        parent, i, k = links[b, 0], links[b, 1], links[b, 3]
        m, shape = motion[b], shapes[b]
        if links[b, 2] == TRANSLATION:
            for j in range(24):
                m[j] = 0.0
            m[0], m[4], m[8] = 1.0, 1.0, 1.0
            for j in range(3):
                m[12 + j] = shape[j] + (motion[parent, 12 + j] if parent >= 0 else 0.0)
                m[15 + j] = motion[parent, 15 + j] if parent >= 0 else 0.0
            m[12 + k] += shape[3] * q[i]
            m[15 + k] += shape[3] * u[i]
            m[18 + k] = shape[3]
            continue
        p = motion[parent]
        c, s = math.cos(q[i]), shape[3] * math.sin(q[i])
        first, second = 3 * ((k + 1) % 3), 3 * ((k + 2) % 3)
        for j in range(3):
            own, one, two = p[3 * k + j], p[first + j], p[second + j]
            m[3 * k + j] = own
            m[first + j] = c * one + s * two
            m[second + j] = c * two - s * one
            m[18 + j] = shape[3] * own
            m[9 + j] = p[9 + j] + shape[3] * own * u[i]
        if links[b, 4] == 0:
            for j in range(12, 18):
                m[j] = p[j]
            continue
        x, y, z = _turned(p, shape[0], shape[1], shape[2])
        m[21], m[22], m[23] = x, y, z
        m[12], m[13], m[14] = p[12] + x, p[13] + y, p[14] + z
        vx, vy, vz = _cross(p[9], p[10], p[11], x, y, z)
        m[15], m[16], m[17] = p[15] + vx, p[16] + vy, p[17] + vz


@compiled
def _turned(m: Floats, x: float, y: float, z: float) -> tuple[float, float, float]:
    """A vector given in the axes of the link that moves as `m`, in world axes."""
    return m[0] * x + m[3] * y + m[6] * z, m[1] * x + m[4] * y + m[7] * z, m[2] * x + m[5] * y + m[8] * z


@compiled
def _cross(ax: float, ay: float, az: float, bx: float, by: float, bz: float) -> tuple[float, float, float]:
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@compiled
def gather(model: TwinModel, q: Floats, u: Floats, activation: Floats, work: Scratch) -> None:
    """Everything that acts on the skeleton but the shoulders' torques: see `Scratch`."""
    torque = work.torque
    place(model, q, u, work.motion)
    for i in range(len(torque)):
        torque[i] = 0.0
    paths, muscles = model.paths, model.muscles
    for m in range(len(muscles)):
        dimension, i, j, k = paths[m, 0], paths[m, 2], paths[m, 3], paths[m, 4]
        length, by_x, by_y, by_z = path_geometry(model.path, paths[m, 5], dimension, paths[m, 1], q[i], q[j], q[k])
        force = tendon_force(
            length, by_x * u[i] + by_y * u[j] + by_z * u[k], activation[m], muscles[m, 0], muscles[m, 1],
            muscles[m, 2], muscles[m, 3], muscles[m, 4], muscles[m, 5], muscles[m, 6], muscles[m, 7],
        )  # fmt: skip
        work.muscle_force[m] = force
        torque[i] -= by_x * force
        torque[j] -= by_y * force
        torque[k] -= by_z * force
    limits = model.limits
    for n in range(len(limits)):
        i = model.limit_coordinates[n]
        torque[i] += limit_torque(q[i], u[i], limits[n, 0], limits[n, 1], limits[n, 2], limits[n, 3], limits[n, 4])
    for n in range(len(model.springs)):
        i = model.spring_coordinates[n]
        torque[i] -= model.springs[n, 0] * (q[i] - model.springs[n, 2]) + model.springs[n, 1] * u[i]
    _touch(model, work)


@compiled
def _touch(model: TwinModel, work: Scratch) -> None:
    """Forces of the floor on the feet."""
    wrench, load, shapes, contact = work.wrench, work.load, model.sphere_shapes, model.contact
    wrench[:] = 0.0
    load[:] = 0.0
    for c in range(len(shapes)):
        b = model.spheres[c, 0]
        m = work.motion[b]
        x, y, z = _turned(m, shapes[c, 0], shapes[c, 1], shapes[c, 2])
        depth = shapes[c, 3] - (m[13] + y)
        # The contact point lies midway between the sphere's lowest point and the floor.
        y = -0.5 * depth - m[13]
        vx, vy, vz = _cross(m[9], m[10], m[11], x, y, z)
        fx, fy, fz = contact_force(
            depth, -(m[16] + vy), m[15] + vx, m[17] + vz, shapes[c, 4], contact[0], contact[1], contact[2],
            contact[3], contact[4],
        )  # fmt: skip
        nx, ny, nz = _cross(x, y, z, fx, fy, fz)
        w = wrench[b]
        w[0] += nx
        w[1] += ny
        w[2] += nz
        w[3] += fx
        w[4] += fy
        w[5] += fz
        load[model.spheres[c, 1]] += fy


@compiled
def accelerate(model: TwinModel, u: Floats, work: Scratch, udot: Floats) -> None:
    """Accelerations `[Q]` of the coordinates under what `gather` left in `work`."""
    links = model.links
    for b in range(len(links)):
        _isolate(links[b], model.shapes[b], u, work.motion, work.bias[b], work.wrench[b], work.inertia[b], work.force[b], b)
    for b in range(len(links) - 1, -1, -1):
        if links[b, 2] == TRANSLATION:
            _carry_slide(links[b], model.shapes[b, 3], work, b)
        else:
            _carry_hinge(links[b], work, b)
    _release(model, work, udot)


@compiled
def _isolate(
    link: Floats, shape: Floats, u: Floats, motion: Floats, bias: Floats, wrench: Floats, inertia: Floats,
    force: Floats, b: int,
) -> None:  # fmt: skip
    """Inertia and bias wrench of one link alone, about its joint centre, and its bias acceleration."""
    m = motion[b]
    wx, wy, wz = m[9], m[10], m[11]
    if link[2] != TRANSLATION:
        p = motion[link[0]]
        rate = u[link[1]]
        bias[0], bias[1], bias[2] = _cross(p[9], p[10], p[11], m[18] * rate, m[19] * rate, m[20] * rate)
        if link[4] == 1:
            x, y, z = _cross(p[9], p[10], p[11], m[21], m[22], m[23])
            bias[3], bias[4], bias[5] = _cross(p[9], p[10], p[11], x, y, z)
    mass = shape[4]
    if mass == 0.0:
        for i in range(21):
            inertia[i] = 0.0
        for i in range(6):
            force[i] = -wrench[i]
        return
    cx, cy, cz = _turned(m, shape[5], shape[6], shape[7])
    # R I R^T, column by column of R I.
    ax, ay, az = _turned(m, shape[8], shape[11], shape[12])
    bx, by, bz = _turned(m, shape[11], shape[9], shape[13])
    dx, dy, dz = _turned(m, shape[12], shape[13], shape[10])
    jxx = ax * m[0] + bx * m[3] + dx * m[6] + mass * (cy * cy + cz * cz)
    jxy = ax * m[1] + bx * m[4] + dx * m[7] - mass * cx * cy
    jxz = ax * m[2] + bx * m[5] + dx * m[8] - mass * cx * cz
    jyy = ay * m[1] + by * m[4] + dy * m[7] + mass * (cx * cx + cz * cz)
    jyz = ay * m[2] + by * m[5] + dy * m[8] - mass * cy * cz
    jzz = az * m[2] + bz * m[5] + dz * m[8] + mass * (cx * cx + cy * cy)
    inertia[0], inertia[1], inertia[2], inertia[3], inertia[4], inertia[5] = jxx, jxy, jxz, jyy, jyz, jzz
    inertia[6], inertia[7], inertia[8] = 0.0, -mass * cz, mass * cy
    inertia[9], inertia[10], inertia[11] = mass * cz, 0.0, -mass * cx
    inertia[12], inertia[13], inertia[14] = -mass * cy, mass * cx, 0.0
    inertia[15], inertia[16], inertia[17], inertia[18], inertia[19], inertia[20] = mass, 0.0, 0.0, mass, 0.0, mass
    nx, ny, nz = _cross(
        wx, wy, wz,
        jxx * wx + jxy * wy + jxz * wz, jxy * wx + jyy * wy + jyz * wz, jxz * wx + jyz * wy + jzz * wz,
    )  # fmt: skip
    x, y, z = _cross(wx, wy, wz, cx, cy, cz)
    fx, fy, fz = _cross(wx, wy, wz, x, y, z)
    force[0], force[1], force[2] = nx - wrench[0], ny - wrench[1], nz - wrench[2]
    force[3], force[4], force[5] = mass * fx - wrench[3], mass * fy - wrench[4], mass * fz - wrench[5]


@compiled
def _carry_slide(link: Floats, sense: float, work: Scratch, b: int) -> None:
    """What a link that translates hands to its parent, which does not turn: mass and force alone."""
    e, f, joint, k = work.inertia[b], work.force[b], work.joint[b], link[3]
    if k == 0:
        x, y, z = e[15], e[16], e[17]
    elif k == 1:
        x, y, z = e[16], e[18], e[19]
    else:
        x, y, z = e[17], e[19], e[20]
    x, y, z = sense * x, sense * y, sense * z
    inertia = e[15] if k == 0 else (e[18] if k == 1 else e[20])
    drive = work.torque[link[1]] - sense * f[3 + k]
    joint[3], joint[4], joint[5], joint[6], joint[7] = x, y, z, inertia, drive
    if link[0] < 0:
        return
    to, g, d = work.inertia[link[0]], work.force[link[0]], 1.0 / inertia
    to[15] += e[15] - x * x * d
    to[16] += e[16] - x * y * d
    to[17] += e[17] - x * z * d
    to[18] += e[18] - y * y * d
    to[19] += e[19] - y * z * d
    to[20] += e[20] - z * z * d
    g[3] += f[3] + x * drive * d
    g[4] += f[4] + y * drive * d
    g[5] += f[5] + z * drive * d


@compiled
def _carry_hinge(link: Floats, work: Scratch, b: int) -> None:
    """What a link that turns hands to its parent: its articulated inertia and bias, seen from the parent's joint."""
    e, f, m, c, joint = work.inertia[b], work.force[b], work.motion[b], work.bias[b], work.joint[b]
    sx, sy, sz = m[18], m[19], m[20]
    jxx, jxy, jxz, jyy, jyz, jzz = e[0], e[1], e[2], e[3], e[4], e[5]
    hxx, hxy, hxz, hyx, hyy, hyz, hzx, hzy, hzz = e[6], e[7], e[8], e[9], e[10], e[11], e[12], e[13], e[14]
    mxx, mxy, mxz, myy, myz, mzz = e[15], e[16], e[17], e[18], e[19], e[20]
    ux, uy, uz = jxx * sx + jxy * sy + jxz * sz, jxy * sx + jyy * sy + jyz * sz, jxz * sx + jyz * sy + jzz * sz
    vx, vy, vz = hxx * sx + hyx * sy + hzx * sz, hxy * sx + hyy * sy + hzy * sz, hxz * sx + hyz * sy + hzz * sz
    inertia = sx * ux + sy * uy + sz * uz
    drive = work.torque[link[1]] - (sx * f[0] + sy * f[1] + sz * f[2])
    joint[0], joint[1], joint[2], joint[3], joint[4], joint[5], joint[6], joint[7] = ux, uy, uz, vx, vy, vz, inertia, drive
    d = 1.0 / inertia
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
    cx, cy, cz = c[0], c[1], c[2]
    nx = f[0] + jxx * cx + jxy * cy + jxz * cz + ax * drive
    ny = f[1] + jxy * cx + jyy * cy + jyz * cz + ay * drive
    nz = f[2] + jxz * cx + jyz * cy + jzz * cz + az * drive
    fx = f[3] + hxx * cx + hyx * cy + hzx * cz + bx * drive
    fy = f[4] + hxy * cx + hyy * cy + hzy * cz + by * drive
    fz = f[5] + hxz * cx + hyz * cy + hzz * cz + bz * drive
    to, g = work.inertia[link[0]], work.force[link[0]]
    if link[4] == 1:
        lx, ly, lz = c[3], c[4], c[5]
        nx += hxx * lx + hxy * ly + hxz * lz
        ny += hyx * lx + hyy * ly + hyz * lz
        nz += hzx * lx + hzy * ly + hzz * lz
        fx += mxx * lx + mxy * ly + mxz * lz
        fy += mxy * lx + myy * ly + myz * lz
        fz += mxz * lx + myz * ly + mzz * lz
        dx, dy, dz = m[21], m[22], m[23]
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
    to[0] += jxx
    to[1] += jxy
    to[2] += jxz
    to[3] += jyy
    to[4] += jyz
    to[5] += jzz
    to[6] += hxx
    to[7] += hxy
    to[8] += hxz
    to[9] += hyx
    to[10] += hyy
    to[11] += hyz
    to[12] += hzx
    to[13] += hzy
    to[14] += hzz
    to[15] += mxx
    to[16] += mxy
    to[17] += mxz
    to[18] += myy
    to[19] += myz
    to[20] += mzz
    g[0] += nx
    g[1] += ny
    g[2] += nz
    g[3] += fx
    g[4] += fy
    g[5] += fz


@compiled
def _release(model: TwinModel, work: Scratch, udot: Floats) -> None:
    """From the ground outwards: every link's acceleration, and its coordinate's.

    The ground accelerates upwards at g, which is the same as gravity on every link.
    """
    links = model.links
    for b in range(len(links)):
        parent = links[b, 0]
        a, joint, m, c = work.acceleration[b], work.joint[b], work.motion[b], work.bias[b]
        if links[b, 2] == TRANSLATION:
            for i in range(3):
                a[i] = 0.0
                a[3 + i] = work.acceleration[parent, 3 + i] if parent >= 0 else 0.0
            if parent < 0:
                a[4] = model.gravity
            rate = (joint[7] - joint[3] * a[3] - joint[4] * a[4] - joint[5] * a[5]) / joint[6]
            a[3 + links[b, 3]] += model.shapes[b, 3] * rate
            udot[links[b, 1]] = rate
            continue
        p = work.acceleration[parent]
        alpha_x, alpha_y, alpha_z = p[0] + c[0], p[1] + c[1], p[2] + c[2]
        ax, ay, az = p[3], p[4], p[5]
        if links[b, 4] == 1:
            x, y, z = _cross(p[0], p[1], p[2], m[21], m[22], m[23])
            ax, ay, az = ax + x + c[3], ay + y + c[4], az + z + c[5]
        rate = (
            joint[7] - joint[0] * alpha_x - joint[1] * alpha_y - joint[2] * alpha_z
            - joint[3] * ax - joint[4] * ay - joint[5] * az
        ) / joint[6]  # fmt: skip
        a[0], a[1], a[2] = alpha_x + m[18] * rate, alpha_y + m[19] * rate, alpha_z + m[20] * rate
        a[3], a[4], a[5] = ax, ay, az
        udot[links[b, 1]] = rate
