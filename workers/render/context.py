"""The one GL context of this process: made once, by EGL, without a screen, and kept for the process's life.

Making a second one fails on NVIDIA's driver (deleting pyrender's renderer ends
the display that all contexts share), so nobody else creates or deletes any.
Nothing happens at import: the first `gl_context()` sets up PyOpenGL.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.errors import MissingDependencyError

APT_LINE = "apt-get install -y libegl1 libgl1-mesa-dri libgl1 libglx-mesa0"
_EGL_CUDA_DEVICE_NV = 0x323A
_MINIMUM_GL = (3, 3)

_context: GlContext | None = None


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
    def software(self) -> bool:
        """Whether the processor draws (Mesa's llvmpipe or softpipe), not a graphics card."""
        return any(word in self.renderer.lower() for word in ("llvmpipe", "softpipe", "swrast"))

    def make_current(self) -> None:
        """Bind the context to this thread."""
        self.offscreen._platform.make_current()


def gl_context() -> GlContext:
    """The process's context, made on the first call.

    `EGL_DEVICE_ID` names the EGL device; without it, the device of the first
    CUDA device in `CUDA_VISIBLE_DEVICES`, if EGL tells; else the first that works.

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
    from pyrender.platforms import egl

    try:
        count = len(egl.query_devices())
    except Exception as error:  # PyOpenGL raises whatever the missing library makes of it
        raise _missing(f"EGL lists no devices ({error})") from error
    faults = []
    for device in device_order(os.environ, count, _cuda_index_of):
        os.environ["EGL_DEVICE_ID"] = str(device)
        try:
            offscreen = pyrender.OffscreenRenderer(16, 16)
        except Exception as error:
            faults.append(f"device {device}: {type(error).__name__} {error}".strip())
            continue
        return _described(offscreen, device)
    raise _missing(f"no EGL device of {count} gives a context ({'; '.join(faults) or 'none found'})")


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


def device_order(environment: Mapping[str, str], count: int, cuda_index_of: Any) -> list[int]:
    """EGL devices to try, in order.

    Args:
        environment: `EGL_DEVICE_ID` and `CUDA_VISIBLE_DEVICES` are read.
        count: Number of EGL devices.
        cuda_index_of: CUDA device number of an EGL device, or None.

    Raises:
        MissingDependencyError: `EGL_DEVICE_ID` is not one of them.
    """
    wanted = environment.get("EGL_DEVICE_ID")
    if wanted is not None:
        if not wanted.isdigit() or int(wanted) >= count:
            raise MissingDependencyError(
                f"EGL_DEVICE_ID={wanted!r}: this machine has EGL devices 0 to {count - 1}; unset it or name one of them"
                if count
                else f"EGL_DEVICE_ID={wanted!r}: this machine has no EGL device; install one: {APT_LINE}"
            )
        return [int(wanted)]
    order = list(range(count))
    visible = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if visible.isdigit():
        order.sort(key=lambda device: cuda_index_of(device) != int(visible))
    return order


def _cuda_index_of(device: int) -> int | None:
    """The CUDA number of an EGL device (EGL_NV_device_cuda), None for others, such as Mesa's."""
    from OpenGL import EGL
    from pyrender.platforms import egl

    address = EGL.eglGetProcAddress("eglQueryDeviceAttribEXT")
    if not address:
        return None
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_ssize_t))(
        ctypes.cast(address, ctypes.c_void_p).value or 0
    )
    value = ctypes.c_ssize_t(-1)
    handle = ctypes.cast(egl.query_devices()[device]._display, ctypes.c_void_p)
    return int(value.value) if query(handle, _EGL_CUDA_DEVICE_NV, ctypes.byref(value)) else None


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
        import pyrender
    except ImportError as error:
        if error.name in ("OpenGL", "pyrender", "trimesh"):
            raise MissingDependencyError(
                f"rendering needs the Python package {error.name}: pip install 'gaitfarm[farm]'"
            ) from None
        raise _missing(f"EGL could not be loaded ({error})") from error
    except (AttributeError, OSError, TypeError) as error:  # what PyOpenGL raises where libEGL.so.1 is absent
        raise _missing(f"EGL could not be loaded ({error})") from error
    return pyrender


def _missing(what: str) -> MissingDependencyError:
    return MissingDependencyError(f"pictures need EGL and an OpenGL driver: {what}; on Debian or Ubuntu: {APT_LINE}")
