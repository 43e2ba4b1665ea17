"""A person on the GL side: the bind pose is sent once, and each moment is 15 or so matrices.

A vertex program blends the bones for all moments of a batch at once and its
results stay on the GL side (transform feedback), because each moment is drawn
several times: into the shadow map, and into picture and labels of every view.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from farm.gait.keypoints import FLOOR_Y_M
from scenes.body import SOLE_CLEARANCE_M, BodyMesh
from scenes.surface import Array
from workers.render.program import Program

SLOTS = 4
"""Bones that move one vertex. The fifth, where there is one, holds less than a hundredth."""

BIND_FLOATS = 4 + 3 + SLOTS + SLOTS
"""Of each vertex: position and whether it is a shoe's, normal, bones, their shares."""

POSED_FLOATS = 6
"""Position and normal, world axes."""

LOOK_FLOATS = 12
"""Gloss and part, colour with its unused fourth, place on the pattern's tile and its number, second colour."""

FLOAT_BYTES = 4


class SkinnedMesh:
    """One mesh, and up to `moments` poses of it.

    Args:
        blend: The program of `shaders.SKIN_VERTEX`.
        moments: Most moments of one batch.
    """

    def __init__(self, mesh: BodyMesh, blend: Program, moments: int) -> None:
        from OpenGL import GL

        self._mesh = mesh
        self._blend = blend
        self._vertices = len(mesh.vertices)
        self._indices = int(mesh.faces.size)
        self._bone_from_bind = np.linalg.inv(mesh.bind)
        self._bind = _buffer(_bind_data(mesh))
        look = np.concatenate(
            [
                mesh.gloss[:, None], mesh.part[:, None], mesh.colours, np.ones((self._vertices, 1)), mesh.cloth,
                mesh.accents,
            ],
            axis=1,
        )  # fmt: skip
        self._look = _buffer(look.astype(np.float32))
        self._faces = _buffer(mesh.faces.astype(np.uint32))
        self._moment_bytes = self._vertices * POSED_FLOATS * FLOAT_BYTES
        self._posed = int(GL.glGenBuffers(1))
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._posed)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, moments * self._moment_bytes, None, GL.GL_DYNAMIC_COPY)
        self._bones = int(GL.glGenBuffers(1))
        self._bone_texture = int(GL.glGenTextures(1))
        self._source = _vertex_array(
            (self._bind, BIND_FLOATS, 0, ((0, 4, 0), (1, 3, 4), (2, SLOTS, 7), (3, SLOTS, 7 + SLOTS)))
        )
        self._shown = [
            _vertex_array(
                (self._posed, POSED_FLOATS, moment * self._moment_bytes, ((0, 3, 0), (1, 3, 3))),
                (self._look, LOOK_FLOATS, 0, ((2, 2, 0), (3, 4, 2), (4, 3, 6), (5, 3, 9))),
                faces=self._faces,
            )
            for moment in range(moments)
        ]

    def pose(self, bones: Array) -> None:
        """Blend the mesh for the moments of `bones` `[M, B, 4, 4]`, world from bone."""
        from OpenGL import GL

        bones = self._mesh.with_nodes(bones)
        rows = np.ascontiguousarray((bones @ self._bone_from_bind)[..., :3, :], dtype=np.float32)
        GL.glBindBuffer(GL.GL_TEXTURE_BUFFER, self._bones)
        GL.glBufferData(GL.GL_TEXTURE_BUFFER, rows.nbytes, rows, GL.GL_STREAM_DRAW)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, self._bone_texture)
        GL.glTexBuffer(GL.GL_TEXTURE_BUFFER, GL.GL_RGBA32F, self._bones)
        self._blend.use()
        self._blend.integer("bones", 0)
        self._blend.integer("bone_count", rows.shape[1])
        self._blend.number("lowest", FLOOR_Y_M + SOLE_CLEARANCE_M)
        GL.glEnable(GL.GL_RASTERIZER_DISCARD)
        GL.glBindVertexArray(self._source)
        GL.glBindBufferBase(GL.GL_TRANSFORM_FEEDBACK_BUFFER, 0, self._posed)
        GL.glBeginTransformFeedback(GL.GL_POINTS)
        GL.glDrawArraysInstanced(GL.GL_POINTS, 0, self._vertices, len(rows))
        GL.glEndTransformFeedback()
        GL.glBindBufferBase(GL.GL_TRANSFORM_FEEDBACK_BUFFER, 0, 0)
        GL.glDisable(GL.GL_RASTERIZER_DISCARD)

    def posed(self, moment: int) -> Any:
        """Positions and normals `[V, 6]` of one moment, read back; for tests."""
        from OpenGL import GL

        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._posed)
        data = GL.glGetBufferSubData(GL.GL_ARRAY_BUFFER, moment * self._moment_bytes, self._moment_bytes)
        return np.frombuffer(data, np.float32).reshape(self._vertices, POSED_FLOATS)

    def draw(self, moment: int) -> None:
        """Draw one of the posed moments with the program in use."""
        from OpenGL import GL

        GL.glBindVertexArray(self._shown[moment])
        GL.glDrawElements(GL.GL_TRIANGLES, self._indices, GL.GL_UNSIGNED_INT, ctypes.c_void_p(0))

    def delete(self) -> None:
        """Free what it holds on the GL side."""
        from OpenGL import GL

        arrays = [self._source, *self._shown]
        GL.glDeleteVertexArrays(len(arrays), np.array(arrays, np.uint32))
        buffers = [self._bind, self._look, self._faces, self._posed, self._bones]
        GL.glDeleteBuffers(len(buffers), np.array(buffers, np.uint32))
        GL.glDeleteTextures(1, np.array([self._bone_texture], np.uint32))


def _bind_data(mesh: BodyMesh) -> Any:
    """`[V, BIND_FLOATS]` float32."""
    slots = np.argsort(-mesh.weights, axis=1, kind="stable")[:, :SLOTS]
    shares = np.take_along_axis(mesh.weights, slots, axis=1)
    hangs = mesh.node >= 0
    slots[hangs, 0], shares[hangs, 0] = mesh.node[hangs], 1.0
    shares = shares / shares.sum(axis=1, keepdims=True)
    columns = [mesh.vertices, mesh.shoe[:, None], mesh.normals, slots, shares]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _buffer(data: Any) -> int:
    from OpenGL import GL

    number = int(GL.glGenBuffers(1))
    data = np.ascontiguousarray(data)
    GL.glBindBuffer(GL.GL_ARRAY_BUFFER, number)
    GL.glBufferData(GL.GL_ARRAY_BUFFER, data.nbytes, data, GL.GL_STATIC_DRAW)
    return number


def _vertex_array(*sources: tuple[int, int, int, tuple[tuple[int, int, int], ...]], faces: int | None = None) -> int:
    """A vertex array.

    Args:
        sources: Buffer, floats of a vertex, first byte, and attributes as (place, floats, first float).
        faces: Buffer of the corners' numbers.
    """
    from OpenGL import GL

    number = int(GL.glGenVertexArrays(1))
    GL.glBindVertexArray(number)
    for buffer, floats, start, attributes in sources:
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, buffer)
        for place, size, first in attributes:
            GL.glEnableVertexAttribArray(place)
            GL.glVertexAttribPointer(
                place, size, GL.GL_FLOAT, False, floats * FLOAT_BYTES, ctypes.c_void_p(start + first * FLOAT_BYTES)
            )
    if faces is not None:
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, faces)
    GL.glBindVertexArray(0)
    return number
