"""What lives on the GL side: programs, frame buffers, and meshes whose vertices move."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes.body import BodyMesh
from scenes.room import Panel
from scenes.surface import Array
from workers.render import shaders
from workers.render.context import GlContext

SHADOW_MAP_SIZE = 1024
_FLOATS = 12
"""Of each vertex: position 3, normal 3, texture coordinate 2, colour 4, in pyrender's order."""


class Program:
    """A linked GL program; a uniform that it does not have is an error, unlike in pyrender."""

    def __init__(self, vertex: str, fragment: str) -> None:
        from OpenGL import GL
        from OpenGL.GL import shaders as compiler

        array = GL.glGenVertexArrays(1)
        GL.glBindVertexArray(array)  # some drivers validate a program against the bound array
        self._id = int(
            compiler.compileProgram(
                compiler.compileShader(vertex, GL.GL_VERTEX_SHADER),
                compiler.compileShader(fragment, GL.GL_FRAGMENT_SHADER),
                validate=False,
            )
        )
        GL.glBindVertexArray(0)
        GL.glDeleteVertexArrays(1, [array])
        self._places: dict[str, int] = {}

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

    def vector4(self, name: str, value: Array) -> None:
        from OpenGL import GL

        GL.glUniform4f(self._place(name), *(float(number) for number in value))

    def vectors(self, name: str, value: Array) -> None:
        from OpenGL import GL

        GL.glUniform3fv(self._place(name), len(value), np.ascontiguousarray(value, dtype=np.float32))

    def integer(self, name: str, value: int) -> None:
        from OpenGL import GL

        GL.glUniform1i(self._place(name), value)

    def number(self, name: str, value: float) -> None:
        from OpenGL import GL

        GL.glUniform1f(self._place(name), value)


@dataclass(frozen=True)
class Targets:
    """Frame buffers for one tile size: colour (multisampled), its resolved copy, parts, shadow."""

    colour_frame: int
    resolve_frame: int
    part_frame: int
    shadow_frame: int
    shadow_texture: int


_program_cache: dict[int, dict[str, Program]] = {}
_target_cache: dict[tuple[int, tuple[int, int], int], Targets] = {}


def programs(context: GlContext) -> dict[str, Program]:
    """The programs, compiled once for the process's context."""
    key = id(context)
    if key not in _program_cache:
        _program_cache[key] = {
            "room": Program(shaders.ROOM_VERTEX, shaders.ROOM_FRAGMENT),
            "near_room": Program(shaders.ROOM_VERTEX, shaders.ROOM_SHADED_FRAGMENT),
            "person": Program(shaders.PERSON_VERTEX, shaders.PERSON_FRAGMENT),
            "depth": Program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT),
            "part": Program(shaders.PART_VERTEX, shaders.PART_FRAGMENT),
        }
    return _program_cache[key]


def targets(context: GlContext, size: tuple[int, int], samples: int) -> Targets:
    """Frame buffers of this size, made once; a campaign uses one size."""
    key = (id(context), size, samples)
    if key not in _target_cache:
        _target_cache[key] = _make_targets(size, samples)
    return _target_cache[key]


def _make_targets(size: tuple[int, int], samples: int) -> Targets:
    from OpenGL import GL

    width, height = size

    def frame(colour_format: int, depth_format: int, count: int) -> int:
        number = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, number)
        for kind, place in ((colour_format, GL.GL_COLOR_ATTACHMENT0), (depth_format, GL.GL_DEPTH_ATTACHMENT)):
            buffer = int(GL.glGenRenderbuffers(1))
            GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, buffer)
            if count > 1:
                GL.glRenderbufferStorageMultisample(GL.GL_RENDERBUFFER, count, kind, width, height)
            else:
                GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, kind, width, height)
            GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, place, GL.GL_RENDERBUFFER, buffer)
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f"this GL driver cannot draw {width}x{height} pixels with {count} samples")
        return number

    colour = frame(GL.GL_RGBA8, GL.GL_DEPTH_COMPONENT24, samples)
    resolve = frame(GL.GL_RGBA8, GL.GL_DEPTH_COMPONENT24, 1) if samples > 1 else colour
    part = frame(GL.GL_RGBA8, GL.GL_DEPTH_COMPONENT32F, 1)
    texture = int(GL.glGenTextures(1))
    GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
    GL.glTexImage2D(
        GL.GL_TEXTURE_2D, 0, GL.GL_DEPTH_COMPONENT24, SHADOW_MAP_SIZE, SHADOW_MAP_SIZE, 0,
        GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, None,
    )  # fmt: skip
    for name, value in (
        (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR), (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
        (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_EDGE), (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_EDGE),
        (GL.GL_TEXTURE_COMPARE_MODE, GL.GL_COMPARE_REF_TO_TEXTURE), (GL.GL_TEXTURE_COMPARE_FUNC, GL.GL_LEQUAL),
    ):  # fmt: skip
        GL.glTexParameteri(GL.GL_TEXTURE_2D, name, value)
    shadow = int(GL.glGenFramebuffers(1))
    GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, shadow)
    GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_DEPTH_ATTACHMENT, GL.GL_TEXTURE_2D, texture, 0)
    GL.glDrawBuffer(GL.GL_NONE)
    GL.glReadBuffer(GL.GL_NONE)
    GL.glBindTexture(GL.GL_TEXTURE_2D, 0)
    return Targets(colour, resolve, part, shadow, texture)


def _live_primitive() -> Any:
    """pyrender's Primitive with vertices that can move, defined where pyrender may be imported."""
    import pyrender
    from OpenGL import GL

    class LivePrimitive(pyrender.Primitive):  # type: ignore[misc]
        """A primitive whose positions and normals are replaced in place, in one copy."""

        gloss = 0.0

        def upload(self) -> None:
            self._add_to_context()
            self._data = np.hstack([self.positions, self.normals, self.texcoord_0, self.color_0]).astype(np.float32)
            if self._data.shape[1] != _FLOATS:
                raise RuntimeError(f"pyrender's vertices have {self._data.shape[1]} floats, {_FLOATS} expected")
            self._count = int(self.indices.size)

        def update(self, positions: NDArray[np.float32], normals: NDArray[np.float32]) -> None:
            self._data[:, 0:3] = positions
            self._data[:, 3:6] = normals
            GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._buffers[0])
            GL.glBufferSubData(GL.GL_ARRAY_BUFFER, 0, self._data.nbytes, self._data)

        def draw(self) -> None:
            GL.glBindVertexArray(self._vertex_array_id)
            GL.glDrawElements(GL.GL_TRIANGLES, self._count, GL.GL_UNSIGNED_INT, ctypes.c_void_p(0))

    return LivePrimitive


def panel_primitive(panel: Panel) -> tuple[Any, Any]:
    import pyrender

    colour = np.concatenate([panel.colours, np.ones((len(panel.colours), 1))], axis=1)
    primitive = _live_primitive()(
        positions=panel.vertices.astype(np.float32), normals=panel.normals.astype(np.float32),
        texcoord_0=panel.uv.astype(np.float32), color_0=colour.astype(np.float32),
        indices=panel.faces.astype(np.uint32),
    )  # fmt: skip
    primitive.gloss = panel.gloss
    primitive.upload()
    texture = pyrender.Texture(source=panel.texture, source_channels="RGB")
    texture._add_to_context()
    return primitive, texture


def person_primitive(mesh: BodyMesh) -> Any:
    look = np.stack([mesh.gloss, mesh.part], axis=1)
    colour = np.concatenate([mesh.colours, np.ones((len(mesh.colours), 1))], axis=1)
    primitive = _live_primitive()(
        positions=mesh.vertices.astype(np.float32), normals=mesh.normals.astype(np.float32),
        texcoord_0=look.astype(np.float32), color_0=colour.astype(np.float32),
        indices=mesh.faces.astype(np.uint32),
    )  # fmt: skip
    primitive.upload()
    return primitive
