"""The GL context: one for each process, the right device, a useful message where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farm.errors import MissingDependencyError
from scenes.cameras import intrinsics_matrix, look, project
from workers.render.context import device_order, gl_context
from workers.render.plan import clip_from_camera
from workers.render.program import Program


def _no_cuda(device: int) -> int | None:
    return None


def test_there_is_one_context_and_it_names_itself() -> None:
    context = gl_context()
    assert gl_context() is context
    assert context.pid == os.getpid()
    assert context.renderer
    assert context.software == any(word in context.renderer.lower() for word in ("llvmpipe", "softpipe", "swrast"))


def test_devices_are_tried_in_a_sensible_order() -> None:
    assert device_order({}, 3, _no_cuda) == [0, 1, 2]
    assert device_order({"EGL_DEVICE_ID": "2"}, 3, _no_cuda) == [2]
    cuda = {0: 1, 1: None, 2: 0}
    assert device_order({"CUDA_VISIBLE_DEVICES": "0,1"}, 3, cuda.get)[0] == 2
    assert device_order({"CUDA_VISIBLE_DEVICES": ""}, 3, cuda.get) == [0, 1, 2]
    assert device_order({}, 0, _no_cuda) == []


@pytest.mark.parametrize(("value", "count", "mend"), [("3", 2, "0 to 1"), ("gpu", 1, "unset it"), ("0", 0, "apt-get")])
def test_a_device_that_is_not_there_is_named(value: str, count: int, mend: str) -> None:
    with pytest.raises(MissingDependencyError, match=mend) as caught:
        device_order({"EGL_DEVICE_ID": value}, count, _no_cuda)
    assert repr(value) in str(caught.value)


def test_without_egl_the_message_says_what_to_install(tmp_path: Path) -> None:
    """A process in which libEGL cannot be loaded: PyOpenGL finds libraries through ctypes."""
    (tmp_path / "sitecustomize.py").write_text(
        "import ctypes, ctypes.util\n"
        "real = ctypes.CDLL.__init__\n"
        "def init(self, name=None, *a, **k):\n"
        "    if name and 'EGL' in str(name):\n"
        "        raise OSError(f'{name}: cannot open shared object file')\n"
        "    real(self, name, *a, **k)\n"
        "ctypes.CDLL.__init__ = init\n"
        "found = ctypes.util.find_library\n"
        "ctypes.util.find_library = lambda name: None if 'EGL' in name else found(name)\n"
    )
    code = (
        "from farm.errors import MissingDependencyError\n"
        "from workers.render.context import gl_context\n"
        "try:\n    gl_context()\nexcept MissingDependencyError as error:\n    print('MESSAGE', error)\n"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=120,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
    )  # fmt: skip
    assert "MESSAGE pictures need EGL" in run.stdout, run.stderr
    assert "apt-get install -y libegl1" in run.stdout


def test_a_misspelt_uniform_is_an_error() -> None:
    gl_context().make_current()
    program = Program(
        "#version 330 core\nuniform vec3 here; void main() { gl_Position = vec4(here, 1.0); }",
        "#version 330 core\nout vec4 c; void main() { c = vec4(1.0); }",
    )
    program.use()
    program.vector("here", np.zeros(3))
    with pytest.raises(ValueError, match="no uniform 'heer'"):
        program.vector("heer", np.zeros(3))


def test_opengl_sees_what_opencv_projects() -> None:
    """A point at the centre of pixel (u, v) falls on GL's window place (u + 1/2, H - v - 1/2)."""
    matrix = intrinsics_matrix((320, 200), 50.0)
    matrix[0, 2] += 7.0
    pose = look(np.array([[1.0, 1.5, -4.0]]), np.array([[0.3, -0.2, 1.0]]), 0.1)
    points = np.random.default_rng(3).uniform([-1, 0, -1], [1, 2, 1], (50, 3))
    pixels, _ = project(points[None], pose, matrix)
    clip = (
        np.concatenate([points, np.ones((50, 1))], axis=1)
        @ (clip_from_camera(matrix, (320, 200)) @ np.linalg.inv(pose[0])).T
    )
    window = (clip[:, :2] / clip[:, 3:] + 1) / 2 * [320, 200]
    assert window[:, 0] == pytest.approx(pixels[0, :, 0] + 0.5)
    assert window[:, 1] == pytest.approx(200 - (pixels[0, :, 1] + 0.5))
    assert np.all(np.abs(clip[:, 2] / clip[:, 3]) < 1)
