"""What lives on the GL side: programs, frame buffers, and the room's panels."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.panel import Panel
from scenes.patterns import TILE, pattern_tiles
from scenes.surface import Array
from workers.render import shaders
from workers.render.context import GlContext
from workers.render.frames import attach_depth, new_frame
from workers.render.program import Program

SHADOW_MAP_SIZE = 1024


@dataclass(frozen=True)
class Targets:
    """Frame buffers of one size: colour (multisampled), its resolved copy, that copy packed (thrice as broad, a byte
    each), part ids, part ids with distance."""

    colour: int
    resolved: int
    resolved_texture: int
    packed: int
    parts: int
    labels: int


@dataclass(frozen=True)
class ShadowMaps:
    """One map for each figure, the layers of one texture."""

    frames: tuple[int, ...]
    texture: int


@dataclass(frozen=True)
class Kit:
    """The programs for one number of figures, and a vertex array without vertices."""

    skin: Program
    room: Program
    near_room: Program
    person: Program
    shadow: Program
    label: Program
    pack: Program
    nothing: int


_kits: dict[tuple[int, int], Kit] = {}
_targets: dict[tuple[int, tuple[int, int], int], Targets] = {}
_patterns: dict[int, int] = {}
_shadow_maps: dict[tuple[int, int], ShadowMaps] = {}


def kit(context: GlContext, figures: int) -> Kit:
    """The programs, compiled once for the process's context and each number of figures."""
    from OpenGL import GL

    key = (id(context), figures)
    if key not in _kits:
        text = {name: shaders.source(getattr(shaders, name), figures) for name in vars(shaders) if name.isupper()
                and isinstance(getattr(shaders, name), str)}  # fmt: skip

        def program(vertex: str, fragment: str) -> Program:
            return Program(text[vertex], text[fragment], blocks=shaders.BLOCK_NAMES)

        _kits[key] = Kit(
            skin=Program(text["SKIN_VERTEX"], None, captured=("position", "normal")),
            room=program("ROOM_VERTEX", "ROOM_FRAGMENT"),
            near_room=program("ROOM_VERTEX", "ROOM_SHADED_FRAGMENT"),
            person=program("PERSON_VERTEX", "PERSON_FRAGMENT"),
            shadow=program("SHADOW_VERTEX", "SHADOW_FRAGMENT"),
            label=program("LABEL_VERTEX", "LABEL_FRAGMENT"),
            pack=program("PACK_VERTEX", "PACK_FRAGMENT"),
            nothing=int(GL.glGenVertexArrays(1)),
        )
    return _kits[key]


def targets(context: GlContext, size: tuple[int, int], samples: int) -> Targets:
    """Frame buffers of this size, made once; a campaign uses one size."""
    key = (id(context), size, samples)
    if key not in _targets:
        from OpenGL import GL

        texture = _texture(size)
        resolved = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, resolved)
        GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_TEXTURE_2D, texture, 0)
        if samples == 1:
            attach_depth(size, GL.GL_DEPTH_COMPONENT24)
        _targets[key] = Targets(
            colour=new_frame(size, (GL.GL_RGBA8,), GL.GL_DEPTH_COMPONENT24, samples) if samples > 1 else resolved,
            resolved=resolved,
            resolved_texture=texture,
            packed=new_frame((3 * size[0], size[1]), (GL.GL_R8,), None, 1),
            parts=new_frame(size, (GL.GL_R8,), GL.GL_DEPTH_COMPONENT32F, 1),
            labels=new_frame(size, (GL.GL_R8, GL.GL_R32F), GL.GL_DEPTH_COMPONENT32F, 1),
        )
    return _targets[key]


def _texture(size: tuple[int, int]) -> int:
    """A texture for colours, without mipmaps."""
    from OpenGL import GL

    texture = int(GL.glGenTextures(1))
    GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
    GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA8, *size, 0, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, None)
    for name in (GL.GL_TEXTURE_MIN_FILTER, GL.GL_TEXTURE_MAG_FILTER):
        GL.glTexParameteri(GL.GL_TEXTURE_2D, name, GL.GL_NEAREST)
    GL.glBindTexture(GL.GL_TEXTURE_2D, 0)
    return texture


def pattern_tiles_texture(context: GlContext) -> int:
    """The patterns of cloth with their mipmaps, made once."""
    key = id(context)
    if key not in _patterns:
        from OpenGL import GL

        tiles = pattern_tiles()
        texture = int(GL.glGenTextures(1))
        GL.glBindTexture(GL.GL_TEXTURE_2D_ARRAY, texture)
        GL.glTexImage3D(
            GL.GL_TEXTURE_2D_ARRAY, 0, GL.GL_R8, TILE, TILE, len(tiles), 0, GL.GL_RED, GL.GL_UNSIGNED_BYTE, tiles
        )
        GL.glGenerateMipmap(GL.GL_TEXTURE_2D_ARRAY)
        for name, value in (
            (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR_MIPMAP_LINEAR), (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_WRAP_S, GL.GL_REPEAT), (GL.GL_TEXTURE_WRAP_T, GL.GL_REPEAT),
        ):  # fmt: skip
            GL.glTexParameteri(GL.GL_TEXTURE_2D_ARRAY, name, value)
        GL.glBindTexture(GL.GL_TEXTURE_2D_ARRAY, 0)
        _patterns[key] = texture
    return _patterns[key]


def shadow_maps(context: GlContext, figures: int) -> ShadowMaps:
    """Shadow maps for so many figures, made once."""
    key = (id(context), figures)
    if key not in _shadow_maps:
        _shadow_maps[key] = _make_shadow_maps(figures)
    return _shadow_maps[key]


def _make_shadow_maps(figures: int) -> ShadowMaps:
    from OpenGL import GL

    texture = int(GL.glGenTextures(1))
    GL.glBindTexture(GL.GL_TEXTURE_2D_ARRAY, texture)
    GL.glTexImage3D(
        GL.GL_TEXTURE_2D_ARRAY, 0, GL.GL_DEPTH_COMPONENT24, SHADOW_MAP_SIZE, SHADOW_MAP_SIZE, figures, 0,
        GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, None,
    )  # fmt: skip
    for name, value in (
        (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR), (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
        (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_EDGE), (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_EDGE),
        (GL.GL_TEXTURE_COMPARE_MODE, GL.GL_COMPARE_REF_TO_TEXTURE), (GL.GL_TEXTURE_COMPARE_FUNC, GL.GL_LEQUAL),
    ):  # fmt: skip
        GL.glTexParameteri(GL.GL_TEXTURE_2D_ARRAY, name, value)
    frames = []
    for layer in range(figures):
        frame = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, frame)
        GL.glFramebufferTextureLayer(GL.GL_FRAMEBUFFER, GL.GL_DEPTH_ATTACHMENT, texture, 0, layer)
        GL.glDrawBuffer(GL.GL_NONE)
        GL.glReadBuffer(GL.GL_NONE)
        frames.append(frame)
    GL.glBindTexture(GL.GL_TEXTURE_2D_ARRAY, 0)
    return ShadowMaps(tuple(frames), texture)


class PanelPrimitive:
    """One of the room's panels: pyrender's primitive and texture, and which of its faces may hide the walker."""

    def __init__(self, panel: Panel) -> None:
        import pyrender

        gloss = np.full((len(panel.colours), 1), panel.gloss)
        self._primitive = pyrender.Primitive(
            positions=panel.vertices.astype(np.float32), normals=panel.normals.astype(np.float32),
            texcoord_0=panel.uv.astype(np.float32),
            color_0=np.concatenate([panel.colours, gloss], axis=1).astype(np.float32),
            indices=panel.faces.astype(np.uint32),
        )  # fmt: skip
        self._primitive._add_to_context()
        self._texture = pyrender.Texture(source=panel.texture, source_channels="RGB")
        self._texture._add_to_context()
        self._panel = panel
        self._count = int(panel.faces.size)
        corner = panel.vertices[panel.faces]
        self._normals = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        self._offsets = np.einsum("ti,ti->t", self._normals, corner[:, 0])
        self._screens = IndexedArray(panel.vertices)

    def find_screens(self, eyes: Array, walker: Array) -> None:
        """Keep in mind the faces that can be between `eyes` `[E, 3]` and `walker` `[W, 3]`, the hulls' corners (m).

        A face whose plane has both on one side is not: so are floor, walls and ceiling of a room.
        """
        sides = [points @ self._normals.T - self._offsets for points in (eyes, walker)]
        clear = [np.all([(side * sign > 0).all(axis=0) for side in sides], axis=0) for sign in (1.0, -1.0)]
        self._screens.send(self._panel.faces[~np.any(clear, axis=0)])

    def draw(self, *, textured: bool = True) -> None:
        """Draw it with the program in use, with its texture at texture unit 0 where that shows."""
        from OpenGL import GL

        if textured:
            self._texture._bind()
        GL.glBindVertexArray(self._primitive._vertex_array_id)
        GL.glDrawElements(GL.GL_TRIANGLES, self._count, GL.GL_UNSIGNED_INT, ctypes.c_void_p(0))

    def draw_screens(self) -> None:
        """Draw the faces found by `find_screens` with the program in use."""
        self._screens.draw()

    def delete(self) -> None:
        """Free what it holds on the GL side."""
        self._primitive.delete()
        self._texture.delete()
        self._screens.delete()


class IndexedArray:
    """Bare vertices, of which changing faces are drawn."""

    def __init__(self, vertices: Array) -> None:
        from OpenGL import GL

        data = np.ascontiguousarray(vertices, dtype=np.float32)
        self._array = int(GL.glGenVertexArrays(1))
        self._buffers = [int(GL.glGenBuffers(1)), int(GL.glGenBuffers(1))]
        self._count = 0
        GL.glBindVertexArray(self._array)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._buffers[0])
        GL.glBufferData(GL.GL_ARRAY_BUFFER, data.nbytes, data, GL.GL_STATIC_DRAW)
        GL.glEnableVertexAttribArray(0)
        GL.glVertexAttribPointer(0, 3, GL.GL_FLOAT, False, 0, ctypes.c_void_p(0))
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, self._buffers[1])
        GL.glBindVertexArray(0)

    def send(self, faces: NDArray[np.int32]) -> None:
        """Choose the faces `[T, 3]`."""
        from OpenGL import GL

        data = np.ascontiguousarray(faces, dtype=np.uint32)
        self._count = int(data.size)
        GL.glBindVertexArray(self._array)
        if self._count:
            GL.glBufferData(GL.GL_ELEMENT_ARRAY_BUFFER, data.nbytes, data, GL.GL_STATIC_DRAW)
        GL.glBindVertexArray(0)

    def draw(self) -> None:
        """Draw them with the program in use."""
        from OpenGL import GL

        if self._count:
            GL.glBindVertexArray(self._array)
            GL.glDrawElements(GL.GL_TRIANGLES, self._count, GL.GL_UNSIGNED_INT, ctypes.c_void_p(0))

    def delete(self) -> None:
        """Free what it holds on the GL side."""
        from OpenGL import GL

        GL.glDeleteVertexArrays(1, np.array([self._array], np.uint32))
        GL.glDeleteBuffers(2, np.array(self._buffers, np.uint32))
