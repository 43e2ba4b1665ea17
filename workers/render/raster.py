"""Draws one scene's views: colour with shadows, part masks and depth, from one posed mesh.

pyrender's primitives and textures hold the data on the GL side; the passes are
our own, because its renderer draws the shadow map anew for each view, reads back
what nobody asked for, and shades each pixel physically, which a processor pays
for dearly (`tools/bench_render.py` measures both). Only the rectangle that the
person and the shadow reach is drawn anew where a camera stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes.body import BodyMesh
from scenes.light import Light
from scenes.room import Panel
from scenes.surface import Array
from workers.render.context import GlContext, gl_context
from workers.render.objects import SHADOW_MAP_SIZE, panel_primitive, person_primitive, programs, targets

SHADOW_REACH_M = 1.30
"""Half the breadth of the shadow map around the walker: who stands with arms out is 1.9 m at most."""

NEAR_M, FAR_M = 0.1, 80.0
SAMPLES = 4
"""Samples for each pixel of the colour picture's edges; masks and depth have one, at the pixel's centre."""

_FEET_DARK_M = 0.27
"""How far from a foot the floor is visibly darker."""

_LEVELS_DIFFER_M = 0.02
"""How far the person's finer mesh may reach out of the coarsest."""

_SHADOW_BLUR = 0.005
"""Breadth of the shadow's soft edge as a share of the shadow map."""

_LEFT_HANDED = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL's camera axes (y up, z backwards) from OpenCV's."""


Posed = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Vertices and normals `[V, 3]` of one mesh at one moment, world axes."""


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
    """GL objects of one scene: room, person (in one or more finenesses), light. Made for one sample."""

    def __init__(
        self,
        panels: Sequence[Panel],
        meshes: Sequence[BodyMesh],
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
        self._programs = programs(self._context)
        self._targets = targets(self._context, (image_size[0] * views, image_size[1]), samples)
        self._panels = [panel_primitive(panel) for panel in panels]
        self._people = [person_primitive(mesh) for mesh in meshes]
        self._backdrops: dict[int, tuple[Array, NDArray[np.uint8]]] = {}

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
        for person in self._people:
            person.delete()
        self._panels, self._people = [], []

    def draw(
        self,
        people: Sequence[Posed],
        levels: Sequence[int],
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
            people: The same person as each of the raster's meshes, finest first.
            levels: `[C]` which of them each view shows; a far view needs no fine one. The last casts the shadow.
            world_from_camera: `[C, 4, 4]` of each view.
            intrinsics: `[C, 3, 3]`.
            feet: `[4, 3]` heels and balls of both feet, whose nearness darkens the floor.
        """
        from OpenGL import GL

        self._context.make_current()
        for level in sorted({*levels, len(people) - 1}):
            self._people[level].update(*people[level])
        clip = [
            clip_from_camera(intrinsics[view], self._size) @ np.linalg.inv(world_from_camera[view])
            for view in range(self._views)
        ]
        GL.glEnable(GL.GL_DEPTH_TEST)
        GL.glDepthFunc(GL.GL_LESS)
        GL.glDepthMask(True)
        GL.glDisable(GL.GL_BLEND)
        GL.glEnable(GL.GL_MULTISAMPLE)  # pyrender's own renderer switches it off where it drew masks
        GL.glPolygonMode(GL.GL_FRONT_AND_BACK, GL.GL_FILL)
        GL.glEnable(GL.GL_CULL_FACE)
        GL.glCullFace(GL.GL_BACK)
        GL.glProvokingVertex(GL.GL_FIRST_VERTEX_CONVENTION)  # also decides how llvmpipe rounds: set before any drawing
        outline = people[-1][0]
        low, high = outline.min(axis=0).astype(float), outline.max(axis=0).astype(float)
        body = _corners(low - _LEVELS_DIFFER_M, high + _LEVELS_DIFFER_M)
        reached = np.concatenate([_corners(low - _FEET_DARK_M, high + _FEET_DARK_M), _cast(body, self._light)])
        picture = ids = distance = None
        if rgb:
            shadow = self._draw_shadow(0.5 * (low + high))
            self._set_scene(world_from_camera[:, :3, 3], shadow, body, feet)
            views = [
                self._draw_view(
                    view,
                    self._people[levels[view]],
                    clip[view],
                    world_from_camera[view],
                    self._window(clip[view], reached),
                )
                for view in range(self._views)
            ]
            picture = np.stack(views)
        if mask:
            ids = np.stack(
                [
                    self._draw_parts(view, self._people[levels[view]], clip[view], self._window(clip[view], body))
                    for view in range(self._views)
                ]
            )
        if depth:
            distance = np.stack(
                [self._draw_depth(view, self._people[levels[view]], clip[view]) for view in range(self._views)]
            )
        return Pictures(picture, ids, distance)

    def _window(self, clip: Array, points: Array) -> tuple[int, int, int, int]:
        """The pixels x, y, width, height (from below) that the hull of world `points` may touch in one view."""
        width, height = self._size
        place = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ clip.T
        if (place[:, 3] < NEAR_M).any():
            return 0, 0, width, height
        pixel = (place[:, :2] / place[:, 3:] + 1.0) * 0.5 * np.array([width, height])
        low = np.clip(np.floor(pixel.min(axis=0)).astype(int) - 2, 0, [width, height])
        high = np.clip(np.ceil(pixel.max(axis=0)).astype(int) + 2, 0, [width, height])
        return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])

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
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.shadow_frame)
        GL.glViewport(0, 0, SHADOW_MAP_SIZE, SHADOW_MAP_SIZE)
        GL.glClear(GL.GL_DEPTH_BUFFER_BIT)
        if self._shadows:
            program = self._programs["depth"]
            program.use()
            program.matrix("clip_from_world", clip)
            self._people[-1].draw()
        place = np.diag([0.5, 0.5, 0.5, 1.0])
        place[:3, 3] = 0.5
        return np.asarray(place @ clip)

    def _set_scene(self, eyes: Array, shadow: Array, body: Array, feet: Array) -> None:
        """Set what the colour programs share for this moment."""
        from OpenGL import GL

        self._eyes = eyes
        GL.glActiveTexture(GL.GL_TEXTURE1)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._targets.shadow_texture)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        light = _light_uniforms(self._light)
        place = body @ shadow[:2, :3].T + shadow[:2, 3]
        bounds = np.concatenate([place.min(axis=0) - _SHADOW_BLUR, place.max(axis=0) + _SHADOW_BLUR])
        for name in ("room", "near_room", "person"):
            program = self._programs[name]
            program.use()
            for key, value in light.items():
                program.vector(key, value)
            if name != "person":
                program.integer("surface", 0)
            if name != "room":
                program.matrix("shadow_from_world", shadow)
                program.vector4("shadow_bounds", np.clip(bounds, 0.005, 0.995))
                program.integer("shadow_map", 1)
        self._programs["near_room"].use()
        self._programs["near_room"].vectors("feet", feet)
        reach = np.abs(feet - feet.mean(axis=0))[:, [0, 2]].max() + _FEET_DARK_M
        self._programs["near_room"].number("feet_reach", float(reach))

    def _draw_view(
        self, view: int, figure: Any, clip: Array, pose: Array, window: tuple[int, int, int, int]
    ) -> NDArray[np.uint8]:
        """One view's colours `[H, W, 3]`: the empty room, kept while the camera stands, and the window anew."""
        from OpenGL import GL

        width, height = self._size
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.colour_frame)
        GL.glViewport(view * width, 0, width, height)
        GL.glEnable(GL.GL_SCISSOR_TEST)
        GL.glClearColor(0.8, 0.8, 0.8, 1.0)
        kept = self._backdrops.get(view)
        if kept is None or not np.array_equal(kept[0], pose):
            GL.glScissor(view * width, 0, width, height)
            GL.glClear(GL.GL_COLOR_BUFFER_BIT | GL.GL_DEPTH_BUFFER_BIT)
            self._draw_room("room", view, clip)
            kept = (pose.copy(), self._read(view, (0, 0, width, height)))
            self._backdrops[view] = kept
        picture = kept[1].copy()
        x, y, w, h = window
        if w > 0 and h > 0:
            GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.colour_frame)
            GL.glScissor(view * width + x, y, w, h)
            GL.glClear(GL.GL_COLOR_BUFFER_BIT | GL.GL_DEPTH_BUFFER_BIT)
            person = self._programs["person"]
            person.use()
            person.matrix("clip_from_world", clip)
            person.vector("eye", self._eyes[view])
            figure.draw()  # first what is near: the room behind it need not be shaded
            self._draw_room("near_room", view, clip)
            picture[height - y - h : height - y, x : x + w] = self._read(view, window)
        GL.glDisable(GL.GL_SCISSOR_TEST)
        return picture

    def _draw_room(self, name: str, view: int, clip: Array) -> None:
        program = self._programs[name]
        program.use()
        program.matrix("clip_from_world", clip)
        program.vector("eye", self._eyes[view])
        for primitive, texture in self._panels:
            program.number("gloss", primitive.gloss)
            texture._bind()
            primitive.draw()

    def _read(self, view: int, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Resolve and read a window of one view's colours: `[h, w, 3]`, top row first."""
        from OpenGL import GL

        x, y, w, h = window
        x += view * self._size[0]
        if self._targets.resolve_frame != self._targets.colour_frame:
            GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._targets.colour_frame)
            GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, self._targets.resolve_frame)
            GL.glBlitFramebuffer(x, y, x + w, y + h, x, y, x + w, y + h, GL.GL_COLOR_BUFFER_BIT, GL.GL_NEAREST)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.resolve_frame)
        pixels = np.empty((h, w, 4), np.uint8)
        GL.glReadPixels(x, y, w, h, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, pixels)
        return pixels[::-1, :, :3]

    def _draw_parts(self, view: int, figure: Any, clip: Array, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Part ids `[H, W]` of one view. Nothing of the room stands before the person, so it is not drawn."""
        from OpenGL import GL

        width, height = self._size
        ids = np.zeros((height, width), np.uint8)
        x, y, w, h = window
        if w <= 0 or h <= 0:
            return ids
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.part_frame)
        GL.glViewport(view * width, 0, width, height)
        GL.glEnable(GL.GL_SCISSOR_TEST)
        GL.glScissor(view * width + x, y, w, h)
        GL.glClearColor(0.0, 0.0, 0.0, 0.0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT | GL.GL_DEPTH_BUFFER_BIT)
        program = self._programs["part"]
        program.use()
        program.matrix("clip_from_world", clip)
        figure.draw()
        GL.glDisable(GL.GL_SCISSOR_TEST)
        pixels = np.empty((h, w, 4), np.uint8)
        GL.glReadPixels(view * width + x, y, w, h, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, pixels)
        ids[height - y - h : height - y, x : x + w] = pixels[::-1, :, 0]
        return ids

    def _draw_depth(self, view: int, figure: Any, clip: Array) -> NDArray[np.float32]:
        """Distance along the optical axis `[H, W]` (m) of person and room; 0 where nothing is."""
        from OpenGL import GL

        width, height = self._size
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._targets.part_frame)
        GL.glViewport(view * width, 0, width, height)
        GL.glEnable(GL.GL_SCISSOR_TEST)
        GL.glScissor(view * width, 0, width, height)
        GL.glClear(GL.GL_DEPTH_BUFFER_BIT)
        program = self._programs["depth"]
        program.use()
        program.matrix("clip_from_world", clip)
        figure.draw()
        for primitive, _ in self._panels:
            primitive.draw()
        GL.glDisable(GL.GL_SCISSOR_TEST)
        z = np.empty((height, width), np.float32)
        GL.glReadPixels(view * width, 0, width, height, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, z)
        wide = z[::-1].astype(np.float64)
        metres = 2 * NEAR_M * FAR_M / (FAR_M + NEAR_M - (2 * wide - 1) * (FAR_M - NEAR_M))
        return np.where(wide < 1.0, metres, 0.0).astype(np.float32)


def _corners(low: Array, high: Array) -> Array:
    """Corners `[8, 3]` of a box."""
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def _cast(points: Array, light: Light) -> Array:
    """Where the lamp casts `points` on the floor."""
    direction = np.array(light.direction)
    return np.asarray(points - np.outer(points[:, 1] / direction[1], direction))


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
