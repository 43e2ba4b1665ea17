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
from workers.render.context import EglDevice, device_order, egl_devices, gl_context
from workers.render.plan import clip_from_camera
from workers.render.probe import devices_of_workers
from workers.render.program import Program


def cards(*cuda: int | None) -> list[EglDevice]:
    """EGL devices with these CUDA numbers, and Mesa's software device at the end."""
    devices = [EglDevice(number, of, software=False) for number, of in enumerate(cuda)]
    return [*devices, EglDevice(len(cuda), None, software=True)]


def test_there_is_one_context_and_it_names_itself() -> None:
    context = gl_context()
    assert gl_context() is context
    assert context.pid == os.getpid()
    assert context.renderer
    assert context.software == any(word in context.renderer.lower() for word in ("llvmpipe", "softpipe", "swrast"))


def test_what_ray_or_the_user_names_comes_first() -> None:
    assert device_order({"EGL_DEVICE_ID": "2"}, cards(0, 1), worker=1) == [2]
    assert device_order({"CUDA_VISIBLE_DEVICES": "0"}, cards(1, None, 0), worker=0)[0] == 2
    assert device_order({"CUDA_VISIBLE_DEVICES": "3"}, cards(0, 1, 2, 3), worker=6)[0] == 3
    assert device_order({}, [], worker=3) == []


def test_workers_are_spread_over_the_graphics_cards() -> None:
    """Whatever stands in CUDA_VISIBLE_DEVICES, as long as it is not one card that Ray set aside."""
    for environment in ({}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "GPU-8932f937"}):
        first = [device_order(environment, cards(0, 1, 2, 3), worker)[0] for worker in range(8)]
        assert first == [0, 1, 2, 3, 0, 1, 2, 3]
    two = [device_order({"CUDA_VISIBLE_DEVICES": "3,1"}, cards(0, 1, 2, 3), worker)[0] for worker in range(4)]
    assert two == [3, 1, 3, 1]


def test_the_processor_comes_last_and_other_makes_of_cards_before_it() -> None:
    mesa_first = [
        EglDevice(0, None, software=True),
        EglDevice(1, None, software=False),
        EglDevice(2, 0, software=False),
    ]
    assert device_order({}, mesa_first, worker=5) == [2, 1, 0]
    assert device_order({}, cards(None, None), worker=1) == [1, 0, 2]
    assert device_order({}, cards(), worker=7) == [0]


@pytest.mark.parametrize(
    ("value", "devices", "mend"),
    [("3", cards(0), "0 to 1"), ("gpu", cards(), "unset it"), ("0", [], "apt-get")],
)
def test_a_device_that_is_not_there_is_named(value: str, devices: list[EglDevice], mend: str) -> None:
    with pytest.raises(MissingDependencyError, match=mend) as caught:
        device_order({"EGL_DEVICE_ID": value}, devices)
    assert repr(value) in str(caught.value)


def test_this_machines_devices_are_known_for_what_they_are() -> None:
    """The context is on the first device of the order that works, and the doctor says so."""
    context, devices = gl_context(), egl_devices()
    assert [device.number for device in devices] == list(range(len(devices)))
    device = devices[context.device]
    assert device.software == context.software
    assert (device.cuda is not None) == ("nvidia" in context.vendor.lower())
    assert str(devices[device_order(os.environ, devices)[0]]) in devices_of_workers()


def test_a_choice_of_ours_does_not_bind_other_processes() -> None:
    """A child is another worker, with a device of its own; only the user's EGL_DEVICE_ID is handed on."""
    code = (
        "import os\nfrom workers.render.context import be_worker, gl_context\n"
        "be_worker(5)\ngl_context()\nprint('LEFT', os.environ.get('EGL_DEVICE_ID'))\n"
    )
    for chosen in ({}, {"EGL_DEVICE_ID": str(gl_context().device)}):
        environment = {key: value for key, value in os.environ.items() if key != "EGL_DEVICE_ID"} | chosen
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                             cwd=Path(__file__).parents[2], env=environment)  # fmt: skip
        assert f"LEFT {chosen.get('EGL_DEVICE_ID')}" in run.stdout, run.stderr


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
