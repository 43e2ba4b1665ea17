"""Frame buffers: made, copied, read, and the state of GL that drawing into them relies on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int, int, int]
"""x, y, width, height in pixels, y from the top."""


def attach_depth(size: tuple[int, int], kind: int) -> None:
    """Give the bound frame buffer depths."""
    from OpenGL import GL

    buffer = int(GL.glGenRenderbuffers(1))
    GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, buffer)
    GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, kind, *size)
    GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, GL.GL_DEPTH_ATTACHMENT, GL.GL_RENDERBUFFER, buffer)


def new_frame(size: tuple[int, int], colours: Sequence[int], depth: int | None, samples: int) -> int:
    """A frame buffer with these formats of pixels, `samples` of each."""
    from OpenGL import GL

    frame = int(GL.glGenFramebuffers(1))
    GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, frame)
    places = [(kind, GL.GL_COLOR_ATTACHMENT0 + number) for number, kind in enumerate(colours)]
    for kind, place in [*places, *([(depth, GL.GL_DEPTH_ATTACHMENT)] if depth else [])]:
        buffer = int(GL.glGenRenderbuffers(1))
        GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, buffer)
        if samples > 1:
            GL.glRenderbufferStorageMultisample(GL.GL_RENDERBUFFER, samples, kind, *size)
        else:
            GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, kind, *size)
        GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, place, GL.GL_RENDERBUFFER, buffer)
    GL.glDrawBuffers(len(places), np.array([place for _, place in places], np.uint32))
    if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
        raise RuntimeError(f"this GL driver cannot draw {size[0]}x{size[1]} pixels with {samples} samples")
    return frame


class KeptPictures:
    """A frame buffer for empty rooms, sample by sample with their depths, from which they are put back.

    Args:
        size: Breadth and height of all of it in pixels.
        samples: As of the frame buffer for which it keeps.
    """

    def __init__(self, size: tuple[int, int], samples: int) -> None:
        from OpenGL import GL

        self._frame = new_frame(size, (GL.GL_RGBA8,), GL.GL_DEPTH_COMPONENT24, samples)

    def keep(self, source: int, window: Window) -> None:
        """Take a window (x, y, width, height) of another frame buffer, at its place there."""
        _copy(source, self._frame, window)

    def put_back(self, target: int, window: Window) -> None:
        """Write a window into another frame buffer, at its place here."""
        _copy(self._frame, target, window)

    def delete(self) -> None:
        """Free what it holds on the GL side."""
        from OpenGL import GL

        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        buffers = [
            int(
                GL.glGetFramebufferAttachmentParameteriv(
                    GL.GL_FRAMEBUFFER, place, GL.GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME
                )
            )
            for place in (GL.GL_COLOR_ATTACHMENT0, GL.GL_DEPTH_ATTACHMENT)
        ]
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, 0)
        GL.glDeleteFramebuffers(1, np.array([self._frame], np.uint32))
        GL.glDeleteRenderbuffers(len(buffers), np.array(buffers, np.uint32))


def _copy(source: int, target: int, window: Window) -> None:
    """Copy a window's samples and depths from one frame buffer to the same place of another of as many samples."""
    from OpenGL import GL

    x, y, w, h = window
    GL.glDisable(GL.GL_SCISSOR_TEST)
    GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, source)
    GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, target)
    everything = GL.GL_COLOR_BUFFER_BIT | GL.GL_DEPTH_BUFFER_BIT
    GL.glBlitFramebuffer(x, y, x + w, y + h, x, y, x + w, y + h, everything, GL.GL_NEAREST)


def read_numbers(frame: int, number: int, window: Window, out: NDArray[np.uint8] | NDArray[np.float32]) -> None:
    """Read one number of each pixel in a frame buffer's attachment into `out` `[h, w]`, which is in one piece."""
    from OpenGL import GL

    if not out.flags.c_contiguous:
        raise ValueError("GL writes rows one after the other; give it an array in one piece")
    GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, frame)
    GL.glReadBuffer(GL.GL_COLOR_ATTACHMENT0 + number)
    GL.glReadPixels(*window, GL.GL_RED, GL.GL_UNSIGNED_BYTE if out.dtype == np.uint8 else GL.GL_FLOAT, out)


def set_state(frame: int) -> None:
    """Set what every pass relies on, whatever pyrender's own renderer left behind."""
    from OpenGL import GL

    GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, frame)  # the context has none of its own, and without one nothing is posed
    GL.glEnable(GL.GL_DEPTH_TEST)
    GL.glDepthFunc(GL.GL_LESS)
    GL.glDepthMask(True)
    GL.glDisable(GL.GL_BLEND)
    GL.glEnable(GL.GL_MULTISAMPLE)  # pyrender's own renderer switches it off where it drew masks
    GL.glPolygonMode(GL.GL_FRONT_AND_BACK, GL.GL_FILL)
    GL.glEnable(GL.GL_CULL_FACE)
    GL.glCullFace(GL.GL_BACK)
    GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
    GL.glProvokingVertex(GL.GL_FIRST_VERTEX_CONVENTION)  # also decides how llvmpipe rounds: set before any drawing


def reset_state() -> None:
    """Leave behind what pyrender's own renderer takes for granted."""
    from OpenGL import GL

    GL.glFrontFace(GL.GL_CCW)
    GL.glDisable(GL.GL_SCISSOR_TEST)
    GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 4)
    GL.glBindVertexArray(0)
