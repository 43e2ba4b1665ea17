"""Can this machine draw? One small picture of which every pixel is known."""

from __future__ import annotations

import os

import numpy as np

from workers.render.context import device_order, egl_devices, gl_context

SIZE = 16
WALL_DISTANCE_M = 3.0
DEPTH_TOLERANCE_M = 1e-3


def drawn_by() -> str:
    """Draw a wall that fills the picture, look at it, and name who drew it.

    Raises:
        MissingDependencyError: There is no EGL or no driver; the message says what to install.
        RuntimeError: There is, but what it draws is wrong.
    """
    context = gl_context()
    import pyrender
    import trimesh

    wide = 2.0 * WALL_DISTANCE_M
    corners = [[x, y, -WALL_DISTANCE_M] for x, y in ((-wide, -wide), (wide, -wide), (wide, wide), (-wide, wide))]
    wall = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)
    scene = pyrender.Scene(bg_color=[0.0, 0.0, 0.0, 1.0], ambient_light=[1.0, 1.0, 1.0])
    scene.add(pyrender.Mesh.from_trimesh(wall, smooth=False))
    scene.add(pyrender.PerspectiveCamera(yfov=np.pi / 3.0, aspectRatio=1.0), pose=np.eye(4))
    renderer = context.offscreen
    renderer.viewport_width = renderer.viewport_height = SIZE
    colour, depth = renderer.render(scene)
    if not colour.min() > 0 or not np.allclose(depth, WALL_DISTANCE_M, atol=DEPTH_TOLERANCE_M):
        raise RuntimeError(
            f"{context.renderer} drew a wall {WALL_DISTANCE_M:g} m ahead as {depth.min():.3f} to {depth.max():.3f} m, "
            f"colours from {colour.min()}; update the graphics driver"
        )
    kind = "drawn by the processor" if context.software else "drawn by the graphics card"
    drawn = f"{context.renderer}, OpenGL {context.version.split()[0]}, EGL device {context.device}: {kind}"
    return f"{drawn}; {devices_of_workers()}"


def devices_of_workers() -> str:
    """Which EGL device each worker of this machine draws on, unless Ray sets one aside for it."""
    devices = egl_devices()
    first = [device_order(os.environ, devices, worker)[0] for worker in range(len(devices))]
    used = list(dict.fromkeys(first))
    if len(used) == 1:
        return f"every worker draws on {devices[used[0]]}"
    return "workers draw in turn on " + ", ".join(str(devices[number]) for number in used)
