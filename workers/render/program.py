"""GL programs, and the block of numbers that all of them share for one picture."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenes.surface import Array


class Program:
    """A linked GL program; a uniform that it does not have is an error, unlike in pyrender.

    Args:
        captured: Outputs of the vertex program to be kept (transform feedback), interleaved in this order.
        blocks: Names of the uniform blocks that it reads; the number of each is its binding.
    """

    def __init__(
        self, vertex: str, fragment: str | None, *, captured: Sequence[str] = (), blocks: Sequence[str] = ()
    ) -> None:
        from OpenGL import GL

        self._id = int(GL.glCreateProgram())
        for source, kind in ((vertex, GL.GL_VERTEX_SHADER), (fragment, GL.GL_FRAGMENT_SHADER)):
            if source is not None:
                _attach(self._id, source, kind)
        if captured:
            names = [ctypes.create_string_buffer(name.encode("ascii")) for name in captured]
            pointers = (ctypes.POINTER(ctypes.c_char) * len(names))(
                *(ctypes.cast(name, ctypes.POINTER(ctypes.c_char)) for name in names)
            )
            GL.glTransformFeedbackVaryings(self._id, len(names), pointers, GL.GL_INTERLEAVED_ATTRIBS)
        GL.glLinkProgram(self._id)
        if not GL.glGetProgramiv(self._id, GL.GL_LINK_STATUS):
            raise RuntimeError(f"this GL driver does not link a program: {_text(GL.glGetProgramInfoLog(self._id))}")
        self._places: dict[str, int] = {}
        for binding, name in enumerate(blocks):
            block = int(GL.glGetUniformBlockIndex(self._id, name))
            if block != GL.GL_INVALID_INDEX:
                GL.glUniformBlockBinding(self._id, block, binding)

    def _place(self, name: str) -> int:
        from OpenGL import GL

        if name not in self._places:
            place = int(GL.glGetUniformLocation(self._id, name))
            if place < 0:
                raise ValueError(f"the GL program has no uniform {name!r}")
            self._places[name] = place
        return self._places[name]

    def use(self) -> None:
        from OpenGL import GL

        GL.glUseProgram(self._id)

    def matrix(self, name: str, value: Array) -> None:
        from OpenGL import GL

        GL.glUniformMatrix4fv(self._place(name), 1, True, np.ascontiguousarray(value, dtype=np.float32))

    def vector(self, name: str, value: Array) -> None:
        from OpenGL import GL

        GL.glUniform3f(self._place(name), float(value[0]), float(value[1]), float(value[2]))

    def integer(self, name: str, value: int) -> None:
        from OpenGL import GL

        GL.glUniform1i(self._place(name), value)

    def number(self, name: str, value: float) -> None:
        from OpenGL import GL

        GL.glUniform1f(self._place(name), value)


class Block:
    """A buffer of equal records, of which the programs read one at a time (a uniform block).

    Args:
        record: Layout of one, as GLSL's std140 lays it out.
        binding: Number of the block.
    """

    def __init__(self, record: np.dtype[np.void], binding: int) -> None:
        from OpenGL import GL

        alignment = int(GL.glGetIntegerv(GL.GL_UNIFORM_BUFFER_OFFSET_ALIGNMENT))
        self._record = record
        self._stride = -(-record.itemsize // alignment) * alignment
        self._binding = binding
        self._buffer = int(GL.glGenBuffers(1))

    def send(self, records: NDArray[np.void]) -> None:
        """Replace all records, of whatever shape."""
        from OpenGL import GL

        padded = np.zeros((records.size, self._stride), np.uint8)
        padded[:, : self._record.itemsize] = np.ascontiguousarray(records).view(np.uint8).reshape(records.size, -1)
        GL.glBindBuffer(GL.GL_UNIFORM_BUFFER, self._buffer)
        GL.glBufferData(GL.GL_UNIFORM_BUFFER, padded.nbytes, padded, GL.GL_STREAM_DRAW)

    def choose(self, number: int) -> None:
        """Let the programs read one record."""
        from OpenGL import GL

        GL.glBindBufferRange(
            GL.GL_UNIFORM_BUFFER, self._binding, self._buffer, number * self._stride, self._record.itemsize
        )

    def delete(self) -> None:
        from OpenGL import GL

        GL.glDeleteBuffers(1, np.array([self._buffer], np.uint32))


def _attach(program: int, source: str, kind: int) -> None:
    from OpenGL import GL

    shader = GL.glCreateShader(kind)
    GL.glShaderSource(shader, source)
    GL.glCompileShader(shader)
    if not GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS):
        raise RuntimeError(f"this GL driver does not compile a shader: {_text(GL.glGetShaderInfoLog(shader))}")
    GL.glAttachShader(program, shader)
    GL.glDeleteShader(shader)


def _text(log: bytes | str) -> str:
    return (log.decode("utf-8", "replace") if isinstance(log, bytes) else str(log)).strip()
