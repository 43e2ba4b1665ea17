"""The one GL context of this process: made once, by EGL, without a screen, and kept for the process's life.

Making a second one fails on NVIDIA's driver (deleting pyrender's renderer ends
the display that all contexts share), so nobody else creates or deletes any.
Nothing happens at import: the first `gl_context()` sets up PyOpenGL.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.errors import MissingDependencyError

APT_LINE = "apt-get install -y libegl1 libgl1-mesa-dri libgl1 libglx-mesa0"
_EGL_CUDA_DEVICE_NV = 0x323A
_EGL_EXTENSIONS = 0x3055
_MINIMUM_GL = (3, 3)

_context: GlContext | None = None
_worker = 0


@dataclass(frozen=True)
class GlContext:
    """What draws here.

    Attributes:
        renderer, vendor, version: As the driver names itself.
        device: Index of the EGL device.
        offscreen: pyrender's renderer, which owns the EGL display and context.
        pid: The process that made it; a forked child must not draw with it.
    """

    renderer: str
    vendor: str
    version: str
    device: int
    offscreen: Any
    pid: int

    @property
    def name(self) -> str:
        """Vendor, renderer (for Mesa's llvmpipe with the width of its vectors) and version, as datasets tell them."""
        return f"{self.vendor}; {self.renderer}; {self.version}"

    @property
    def software(self) -> bool:
        """Whether the processor draws (Mesa's llvmpipe or softpipe), not a graphics card."""
        return any(word in self.renderer.lower() for word in ("llvmpipe", "softpipe", "swrast"))

    def make_current(self) -> None:
        """Bind the context to this thread."""
        self.offscreen._platform.make_current()


@dataclass(frozen=True)
class EglDevice:
    """One of the machine's EGL devices.

    Attributes:
        number: Its place in EGL's list, which `EGL_DEVICE_ID` names.
        cuda: Its CUDA number, None where it has none or the driver does not tell.
        software: Whether the processor draws (Mesa's software device).
    """

    number: int
    cuda: int | None
    software: bool

    @property
    def rank(self) -> int:
        """NVIDIA's cards first, then other cards, then the processor."""
        return 2 if self.software else 0 if self.cuda is not None else 1

    def __str__(self) -> str:
        kind = "the processor" if self.software else "a graphics card"
        return f"EGL device {self.number} ({kind if self.cuda is None else f'CUDA device {self.cuda}'})"


def be_worker(number: int) -> None:
    """Say which of a machine's workers this process is, before it draws: they are spread over the graphics cards."""
    global _worker
    _worker = number


def gl_context() -> GlContext:
    """The process's context, made on the first call, on the device that `device_order` names first and that works.

    Raises:
        MissingDependencyError: No EGL, no driver, or none that knows OpenGL 3.3; the message says what to install.
        RuntimeError: Called in a forked child of the process that made the context.
    """
    global _context
    if _context is None:
        _context = _make_context()
    elif _context.pid != os.getpid():
        raise RuntimeError(
            "the GL context belongs to another process: start workers with 'spawn' or 'forkserver', not 'fork'"
        )
    return _context


def _make_context() -> GlContext:
    pyrender = _import_pyrender()
    devices = egl_devices()
    chosen = os.environ.get("EGL_DEVICE_ID")
    faults = []
    for device in device_order(os.environ, devices, _worker):
        os.environ["EGL_DEVICE_ID"] = str(device)  # pyrender reads it
        try:
            offscreen = pyrender.OffscreenRenderer(16, 16)
        except Exception as error:
            faults.append(f"device {device}: {type(error).__name__} {error}".strip())
            continue
        finally:
            if chosen is None:  # what was our choice must not bind a child process that is another worker
                os.environ.pop("EGL_DEVICE_ID", None)
        return _described(offscreen, device)
    raise _missing(f"no EGL device of {len(devices)} gives a context ({'; '.join(faults) or 'none found'})")


def _described(offscreen: Any, device: int) -> GlContext:
    from OpenGL import GL

    def text(name: int) -> str:
        value = GL.glGetString(name)
        return value.decode("utf-8", "replace") if value else "unknown"

    version = text(GL.GL_VERSION)
    numbers = tuple(int(part) for part in version.split()[0].split(".")[:2] if part.isdigit())
    if numbers < _MINIMUM_GL:
        raise _missing(f"OpenGL 3.3 is needed, this driver has {version}")
    return GlContext(text(GL.GL_RENDERER), text(GL.GL_VENDOR), version, device, offscreen, os.getpid())


def device_order(environment: Mapping[str, str], devices: Sequence[EglDevice], worker: int = 0) -> list[int]:
    """Numbers of the EGL devices to try, in order.

    `EGL_DEVICE_ID` names the only one. Else the first is worker `worker`'s turn
    among the CUDA devices of `CUDA_VISIBLE_DEVICES` (Ray names there the one that
    it set aside for a worker), or, where that names none of them, among the
    graphics cards; the others follow, and the processor comes last.

    Raises:
        MissingDependencyError: `EGL_DEVICE_ID` is not one of them.
    """
    count = len(devices)
    wanted = environment.get("EGL_DEVICE_ID")
    if wanted is not None:
        if not wanted.isdigit() or int(wanted) >= count:
            raise MissingDependencyError(
                f"EGL_DEVICE_ID={wanted!r}: this machine has EGL devices 0 to {count - 1}; unset it or name one of them"
                if count
                else f"EGL_DEVICE_ID={wanted!r}: this machine has no EGL device; install one: {APT_LINE}"
            )
        return [int(wanted)]
    order = sorted(devices, key=lambda device: (device.rank, device.number))
    names = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    visible = [int(name) for name in names if name.isdigit()]
    mine = [device for number in visible for device in order if device.cuda == number]
    if not mine:
        mine = [device for device in order if device.rank == order[0].rank]
    turn = worker % len(mine) if mine else 0
    mine = mine[turn:] + mine[:turn]
    return [device.number for device in (*mine, *(device for device in order if device not in mine))]


def egl_devices() -> tuple[EglDevice, ...]:
    """The machine's EGL devices, in EGL's order.

    Raises:
        MissingDependencyError: EGL is not there or lists none because of a fault.
    """
    _import_pyrender()
    from pyrender.platforms import egl

    try:
        handles = [ctypes.cast(device._display, ctypes.c_void_p) for device in egl.query_devices()]
    except Exception as error:  # PyOpenGL raises whatever the missing library makes of it
        raise _missing(f"EGL lists no devices ({error})") from error
    return tuple(
        EglDevice(number, _cuda_number(handle), "EGL_MESA_device_software" in _extensions(handle))
        for number, handle in enumerate(handles)
    )


def _cuda_number(handle: ctypes.c_void_p) -> int | None:
    """The CUDA number of an EGL device (EGL_NV_device_cuda), None for others, such as Mesa's."""
    address = _address("eglQueryDeviceAttribEXT")
    if not address or "EGL_NV_device_cuda" not in _extensions(handle):
        return None
    kind = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_ssize_t))
    value = ctypes.c_ssize_t(-1)
    return int(value.value) if kind(address)(handle, _EGL_CUDA_DEVICE_NV, ctypes.byref(value)) else None


def _extensions(handle: ctypes.c_void_p) -> tuple[str, ...]:
    """What an EGL device can do, by EGL's names."""
    address = _address("eglQueryDeviceStringEXT")
    if not address:
        return ()
    text = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)(address)(handle, _EGL_EXTENSIONS)
    return tuple((text or b"").decode("ascii", "replace").split())


def _address(name: str) -> int:
    """Where an EGL extension's function is, 0 where there is none."""
    from OpenGL import EGL

    address = EGL.eglGetProcAddress(name)
    return (ctypes.cast(address, ctypes.c_void_p).value or 0) if address else 0


def _import_pyrender() -> Any:
    """pyrender on EGL, with PyOpenGL's checks after every call off: pyrender makes some hundred calls a picture."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    os.environ.setdefault("LP_NUM_THREADS", "1")  # llvmpipe takes every core otherwise, and they have workers, too
    if not hasattr(np, "infty"):
        setattr(np, "infty", np.inf)  # noqa: B010  (pyrender before 0.1.46 uses the name that numpy 2 dropped)
    try:
        import OpenGL
        import OpenGL.EGL  # before the checks go off: its own set-up needs them
        from OpenGL import _configflags

        # EGL's import froze a copy of the flags, and that copy is what OpenGL.GL reads
        OpenGL.ERROR_CHECKING = _configflags.ERROR_CHECKING = False
        OpenGL.ERROR_LOGGING = _configflags.ERROR_LOGGING = False
        import pyglet

        pyglet.options["headless"] = True  # pyrender's viewer, which we never open, else asks for X11's libraries
        import pyrender
    except ImportError as error:
        if error.name in ("OpenGL", "pyglet", "pyrender", "trimesh"):
            raise MissingDependencyError(
                f"rendering needs the Python package {error.name}: pip install 'gaitfarm[farm]'"
            ) from None
        raise _missing(f"EGL could not be loaded ({error})") from error
    except (AttributeError, OSError, TypeError) as error:  # what PyOpenGL raises where libEGL.so.1 is absent
        raise _missing(f"EGL could not be loaded ({error})") from error
    return pyrender


def _missing(what: str) -> MissingDependencyError:
    return MissingDependencyError(f"pictures need EGL and an OpenGL driver: {what}; on Debian or Ubuntu: {APT_LINE}")
