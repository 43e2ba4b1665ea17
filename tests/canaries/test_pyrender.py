"""What the pictures rely on in pyrender (the maintained fork, imported under the same name) and PyOpenGL."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

PICTURE = """
import os
os.environ["PYOPENGL_PLATFORM"] = "egl"
import numpy as np, pyrender, trimesh
camera = pyrender.IntrinsicsCamera(fx=100.0, fy=100.0, cx=31.5, cy=23.5, znear=0.05, zfar=50.0)
wall = trimesh.Trimesh([[-9, -9, -3], [9, -9, -3], [9, 9, -3], [-9, 9, -3]], [[0, 1, 2], [0, 2, 3]], process=False)
scene = pyrender.Scene(bg_color=[0.0, 0.0, 0.0, 1.0], ambient_light=[1.0, 1.0, 1.0])
scene.add(pyrender.Mesh.from_trimesh(wall, smooth=False))
print("bounds", np.isfinite(scene.bounds).all())
scene.add(camera, pose=np.eye(4))
renderer = pyrender.OffscreenRenderer(64, 48)
colour, depth = renderer.render(scene)
again, _ = renderer.render(scene)
print("depth", colour.shape, float(depth.min()), float(depth.max()))
print("same", np.array_equal(colour, again))
renderer.delete()
"""


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """Drawn in a process of its own: a GL context belongs to one process, and this one may have another."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PICTURE], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_bounds_work_under_numpy_2(drawn: dict[str, str]) -> None:
    """The original pyrender reads np.infty, which numpy 2 removed."""
    assert drawn["bounds"] == "True"


def test_depth_is_metres_along_the_optical_axis(drawn: dict[str, str]) -> None:
    """A wall 3 m ahead, square to the axis, is 3 m deep in every pixel, not 3 m over the cosine in the corners."""
    shape, low, high = drawn["depth"].rsplit(" ", 2)
    assert shape == "(48, 64, 3)"
    assert [float(low), float(high)] == pytest.approx([3.0, 3.0], abs=1e-3)


def test_drawing_twice_gives_the_same_bytes(drawn: dict[str, str]) -> None:
    assert drawn["same"] == "True"


def test_the_fork_is_what_is_installed() -> None:
    """Both projects write the folder `pyrender`; with the original on top its pin of PyOpenGL 3.1.0 returns."""
    assert metadata.version("scikit-robot-pyrender")
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("pyrender")


def test_pictures_need_none_of_x11s_libraries() -> None:
    """pyrender's viewer is a pyglet window, which asks for X11's libraries where pyglet is not told otherwise."""
    code = (
        "import sys; from workers.render.context import gl_context; gl_context(); "
        "print(*(name for name in sys.modules if name.startswith('pyglet.libs.x11')))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
