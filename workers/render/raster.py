"""Draws one scene's views: colour with shadows, part masks and depth, from one posed mesh.

pyrender's primitives and textures hold the data on the GL side; the passes are
our own, because its renderer draws the shadow map anew for each view, reads back
what nobody asked for, and shades each pixel physically, which a processor pays
for dearly (`tools/bench_render.py` measures both). All views of a moment lie
side by side in one target and come back in one read.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes.body import BodyMesh
from scenes.parameters import Light
from scenes.room import Panel
from scenes.surface import Array
from workers.render import shaders
from workers.render.context import GlContext, gl_context

SHADOW_MAP_SIZE = 1024
SHADOW_REACH_M = 1.30
"""Half the breadth of the shadow map around the walker: who stands with arms out is 1.9 m at most."""

NEAR_M, FAR_M = 0.1, 80.0
SAMPLES = 4
"""Samples for each pixel of the colour picture's edges; masks and depth have one, at the pixel's centre."""

_FLOATS = 12
_LEFT_HANDED = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL's camera axes (y up, z backwards) from OpenCV's."""


@dataclass(frozen=True)
class Pictures:
    """All views of one moment.

    Attributes:
        rgb: `[V, H, W, 3]` uint8, or None.
        mask: `[V, H, W]` uint8 part ids, or None.
        depth_m: `[V, H, W]` float32 along the optical axis, 0 where nothing is, or None.
    """

    rgb: NDArray[np.uint8] | None
    mask: NDArray[np.uint8] | None
    depth_m: NDArray[np.float32] | None


def clip_from_camera(intrinsics: Array, image_size: tuple[int, int]) -> Array:
    """OpenGL's projection `[4, 4]` for OpenCV axes; pixel (0, 0) is the centre of the top-left pixel."""
    width, height = image_size
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    projection = np.zeros((4, 4))
    projection[0, 0] = 2 * fx / width
    projection[1, 1] = 2 * fy / height
    projection[0, 2] = 1 - (2 * cx + 1) / width  # +1: half a pixel, for GL counts from the pixel's corner
    projection[1, 2] = (2 * cy + 1) / height - 1
    projection[2, 2] = (FAR_M + NEAR_M) / (NEAR_M - FAR_M)
    projection[2, 3] = 2 * FAR_M * NEAR_M / (NEAR_M - FAR_M)
    projection[3, 2] = -1.0
    return np.asarray(projection @ _LEFT_HANDED)


class Raster:
    """GL objects of one scene: room, person, light. Made for a sample, released after it."""

    def __init__(
        self,
        panels: Sequence[Panel],
        mesh: BodyMesh,
        light: Light,
        *,
        image_size: tuple[int, int],
        views: int,
        shadows: bool = True,
        samples: int = SAMPLES,
        context: GlContext | None = None,
    ) -> None:
        self._context = context or gl_context()
        self._context.make_current()
        self._size = image_size
        self._views = views
        self._shadows = shadows
        self._light = light
        self._programs = _programs(self._context)
        self._targets = _targets(self._context, (image_size[0] * views, image_size[1]), samples)
        self._panels = [_panel_primitive(panel) for panel in panels]
        self._person = _person_primitive(mesh)
        width, height = image_size
        self._rgba = np.empty((height, width * views, 4), np.uint8)
        self._ids = np.empty((height, width * views), np.uint8)
        self._z = np.empty((height, width * views), np.float32)

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the scene's buffers and textures; programs and targets stay for the next scene."""
        self._context.make_current()
        for primitive, texture in self._panels:
            primitive.delete()
            texture.delete()
        self._person.delete()
        self._panels = []

    def draw(
        self,
        vertices: NDArray[np.float32],
        normals: NDArray[np.float32],
        world_from_camera: Array,
        intrinsics: Array,
        *,
        feet: Array,
        rgb: bool = True,
        mask: bool = True,
        depth: bool = False,
    ) -> Pictures:
        """Draw the posed person in the room, from every view.

        Args:
            vertices, normals: `[V, 3]` of the person's mesh, world axes.
            world_from_camera: `[C, 4, 4]` of each view.
            intrinsics: `[C, 3, 3]`.
            feet: `[4, 3]` heels and balls of both feet, whose nearness darkens the floor.
        """
        from OpenGL import GL

        self._context.make_current()
        self._person.update(vertices, normals)
        clip = [
            clip_from_camera(intrinsics[view], self._size) @ np.linalg.inv(world_from_camera[view])
            for view in range(self._views)
        ]
        GL.glEnable(GL.GL_DEPTH_TEST)
        GL.glDepthFunc(GL.GL_LESS)
        GL.glDepthMask(True)
        GL.glDisable(GL.GL_BLEND)
        GL.glEnable(GL.GL_CULL_FACE)
        GL.glCullFace(GL.GL_BACK)
        picture = ids = distance = None
        if rgb:
            middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0)).astype(float)
            picture = self._draw_colour(clip, world_from_camera[:, :3, 3], feet, self._draw_shadow(middle))
        if mask or depth:
            ids, distance = self._draw_parts(clip, mask, depth)
        return Pictures(picture, ids, distance)

    def _draw_shadow(self, middle: Array) -> Array:
        """Fill the shadow map around `middle`; returns its `[4, 4]` texture place from world."""
        from OpenGL import GL

        towards = -np.array(self._light.direction)
        side = np.cross([1.0, 0.0, 0.0] if abs(towards[0]) < 0.9 else [0.0, 0.0, 1.0], towards)
        side /= np.linalg.norm(side)
        turn = np.stack([side, np.cross(towards, side), towards])
        clip = np.eye(4)
        clip[:3, :3] = turn / SHADOW_REACH_M * np.array([[1.0], [1.0], [-1.0]])
        clip[:3, 3] = -clip[:3, :3] @ middle
        if self._shadows:
            GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.shadow_frame)
            GL.glViewport(0, 0, SHADOW_MAP_SIZE, SHADOW_MAP_SIZE)
            GL.glClear(GL.GL_DEPTH_BUFFER_BIT)
            program = self._programs["depth"]
            program.use()
            program.matrix("clip_from_world", clip)
            self._person.draw()
        place = np.diag([0.5, 0.5, 0.5, 1.0])
        place[:3, 3] = 0.5
        return np.asarray(place @ clip)

    def _draw_colour(self, clip: list[Array], eyes: Array, feet: Array, shadow: Array) -> NDArray[np.uint8]:
        from OpenGL import GL

        program = self._programs["lit"]
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.colour_frame)
        GL.glClearColor(0.8, 0.8, 0.8, 1.0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT | GL.GL_DEPTH_BUFFER_BIT)
        program.use()
        GL.glActiveTexture(GL.GL_TEXTURE1)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._targets.shadow_texture)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        program.integer("surface", 0)
        program.integer("shadow_map", 1)
        program.integer("with_shadows", int(self._shadows))
        program.matrix("shadow_from_world", shadow)
        for name, value in _light_uniforms(self._light).items():
            program.vector(name, value)
        program.vectors("feet", feet)
        width, height = self._size
        for view in range(self._views):
            GL.glViewport(view * width, 0, width, height)
            program.matrix("clip_from_world", clip[view])
            program.vector("eye", eyes[view])
            program.integer("is_person", 1)  # first what is near: the room behind it need not be shaded
            program.number("wrap", 0.25)
            program.number("gloss", 0.0)
            self._person.draw()
            program.integer("is_person", 0)
            program.number("wrap", 0.0)
            for primitive, texture in self._panels:
                program.number("gloss", primitive.gloss)
                texture._bind()
                primitive.draw()
        if self._targets.resolve_frame != self._targets.colour_frame:
            GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._targets.colour_frame)
            GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, self._targets.resolve_frame)
            w = width * self._views
            GL.glBlitFramebuffer(0, 0, w, height, 0, 0, w, height, GL.GL_COLOR_BUFFER_BIT, GL.GL_NEAREST)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.resolve_frame)
        GL.glReadPixels(0, 0, width * self._views, height, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, self._rgba)
        return self._split(self._rgba)[..., :3].copy()

    def _draw_parts(
        self, clip: list[Array], mask: bool, depth: bool
    ) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None]:
        from OpenGL import GL

        program = self._programs["part"]
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.part_frame)
        GL.glClearColor(0.0, 0.0, 0.0, 0.0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT | GL.GL_DEPTH_BUFFER_BIT)
        GL.glProvokingVertex(GL.GL_FIRST_VERTEX_CONVENTION)
        program.use()
        width, height = self._size
        for view in range(self._views):
            GL.glViewport(view * width, 0, width, height)
            program.matrix("clip_from_world", clip[view])
            program.integer("is_person", 1)
            self._person.draw()
            if depth:  # nothing of the room stands before the person, so the mask alone does not need it
                program.integer("is_person", 0)
                for primitive, _ in self._panels:
                    primitive.draw()
        ids = distance = None
        if mask:
            GL.glReadPixels(0, 0, width * self._views, height, GL.GL_RED, GL.GL_UNSIGNED_BYTE, self._ids)
            ids = self._split(self._ids).copy()
        if depth:
            GL.glReadPixels(0, 0, width * self._views, height, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, self._z)
            z = self._split(self._z).astype(np.float64)
            metres = 2 * NEAR_M * FAR_M / (FAR_M + NEAR_M - (2 * z - 1) * (FAR_M - NEAR_M))
            distance = np.where(z < 1.0, metres, 0.0).astype(np.float32)
        return ids, distance

    def _split(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """`[H, V*W, ...]`, bottom row first, as `[V, H, W, ...]`, top row first."""
        height, width = self._size[1], self._size[0]
        shape = tiles[::-1].reshape(height, self._views, width, *tiles.shape[2:])
        return np.moveaxis(shape, 1, 0)


def _light_uniforms(light: Light) -> dict[str, Array]:
    towards = -np.array(light.direction)
    warm = np.array([1.0, 1.0, 1.0]) + light.warmth * np.array([0.05, 0.0, -0.07])
    cool = np.array([1.0, 1.0, 1.0]) - light.warmth * np.array([0.02, 0.0, -0.03])
    return {
        "to_lamp": towards,
        "key": warm * light.key / towards[1],
        "sky": cool * light.ambient,
        "ground": np.array([0.62, 0.60, 0.57]) * light.ambient,
    }


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
class _Targets:
    """Frame buffers for one tile size: colour (multisampled), its resolved copy, parts, shadow."""

    colour_frame: int
    resolve_frame: int
    part_frame: int
    shadow_frame: int
    shadow_texture: int


_program_cache: dict[int, dict[str, Program]] = {}
_target_cache: dict[tuple[int, tuple[int, int], int], _Targets] = {}


def _programs(context: GlContext) -> dict[str, Program]:
    """The programs, compiled once for the process's context."""
    key = id(context)
    if key not in _program_cache:
        _program_cache[key] = {
            "lit": Program(shaders.LIT_VERTEX, shaders.LIT_FRAGMENT),
            "depth": Program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT),
            "part": Program(shaders.PART_VERTEX, shaders.PART_FRAGMENT),
        }
    return _program_cache[key]


def _targets(context: GlContext, size: tuple[int, int], samples: int) -> _Targets:
    """Frame buffers of this size, made once; a campaign uses one size."""
    key = (id(context), size, samples)
    if key not in _target_cache:
        _target_cache[key] = _make_targets(size, samples)
    return _target_cache[key]


def _make_targets(size: tuple[int, int], samples: int) -> _Targets:
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
    return _Targets(colour, resolve, part, shadow, texture)


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


def _panel_primitive(panel: Panel) -> tuple[Any, Any]:
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


def _person_primitive(mesh: BodyMesh) -> Any:
    look = np.stack([mesh.gloss, mesh.part], axis=1)
    colour = np.concatenate([mesh.colours, np.ones((len(mesh.colours), 1))], axis=1)
    primitive = _live_primitive()(
        positions=mesh.vertices.astype(np.float32), normals=mesh.normals.astype(np.float32),
        texcoord_0=look.astype(np.float32), color_0=colour.astype(np.float32),
        indices=mesh.faces.astype(np.uint32),
    )  # fmt: skip
    primitive.upload()
    return primitive
