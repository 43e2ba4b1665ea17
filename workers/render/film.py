"""Films a walk: poses the person for each picture, draws every view, and labels what each camera sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from farm.config import Campaign
from farm.gait.resample import PosedWalk
from farm.records import FrameSet, GaitLabels, GaitParameters, ViewFrames
from farm.sampling.anatomy import BODIES, KEYPOINTS, Anatomy
from farm.seeds import Stream, generator, name_key
from scenes.body import PARTS, BodyMesh, body_mesh
from scenes.cameras import Camera, place_camera
from scenes.carried import carried
from scenes.figure import Figure
from scenes.motion import Motion
from scenes.occlusion import OcclusionWorld
from scenes.outline import BOX_DIRECTIONS, Outline
from scenes.panel import RoomBox
from scenes.parameters import SceneParameters, scene_generator, scene_parameters_rand
from scenes.setting import Setting, make_setting
from scenes.surface import Array
from workers.render.context import gl_context
from workers.render.darkroom import is_plain, take_pictures
from workers.render.plan import NEAR_M
from workers.render.raster import Pictures, Raster

FAR_CELL_M = 0.042
"""Fineness of the mesh that casts the shadow, bounds the person, and is drawn where the person is small."""

FINEST_CELL_M = 0.010
PIXELS_PER_CELL = 3.0
"""Triangles smaller than this add nothing that one sees, and llvmpipe's time goes into setting up triangles."""

WORTHWHILE = 1.2
"""A mesh that is finer by less is not made."""


@dataclass(frozen=True)
class Stage:
    """Everything that is fixed before the first picture: person, room, cameras, poses.

    Attributes:
        meshes: The person, finest first.
        levels: `[F, C]` which mesh each view shows in each picture.
        bones: `[F, J, 4, 4]` world from bone, at the pictures' moments.
        motion: The walk at any moment.
        setting: Everything around the walker.
        sample_id: Keys the sensors' noise.
    """

    scene: SceneParameters
    figure: Figure
    meshes: tuple[BodyMesh, ...]
    levels: NDArray[np.int64]
    setting: Setting
    cameras: tuple[Camera, ...]
    bones: Array
    motion: Motion
    sample_id: int

    @property
    def box(self) -> RoomBox:
        """The walls around the walk."""
        return self.setting.box


def film(
    campaign: Campaign, parameters: GaitParameters, body: Anatomy, walk: PosedWalk, labels: GaitLabels
) -> FrameSet:
    """All pictures and picture labels of one walk, by the campaign's `pictures`.

    The same campaign and sample give the same bytes with the same GL driver.

    Raises:
        MissingDependencyError: Pictures are wanted and there is no EGL (`rgb: none`, without masks, needs none).
    """
    return shoot(campaign, set_stage(campaign, parameters, body, walk, labels), labels)


def shoot(campaign: Campaign, stage: Stage, labels: GaitLabels) -> FrameSet:
    """All pictures and picture labels of a walk whose stage is set."""
    wanted = campaign.pictures
    drawn = wanted.rgb != "none" or wanted.mask or wanted.depth
    pictures = _pictures(campaign, stage) if drawn else [Pictures(None, None, None)] * len(stage.cameras)
    outline = Outline(stage.meshes[0], BOX_DIRECTIONS)
    outermost = outline.points(stage.bones)
    pixels = [camera.project_moving(stage.motion.keypoints, len(KEYPOINTS))[0] for camera in stage.cameras]
    with occlusion_world(stage) as world:
        visibility = world.visibility(stage.bones, labels.keypoints_3d, stage.cameras, pixels)
    views = []
    for number, (camera, draw, taken) in enumerate(zip(stage.cameras, stage.scene.cameras, pictures, strict=True)):
        millimetres = None if taken.depth_m is None else np.minimum(np.round(taken.depth_m[0] * 1000.0), 65535)
        swept = [outline.points(stage.motion.bones(camera.time + delay)) for delay in camera.sweep if camera.rolls]
        views.append(
            ViewFrames(
                view=camera.name,
                image_size=camera.image_size,
                keypoints_2d=pixels[number].astype(np.float32),
                visibility=visibility[number],
                world_from_camera=camera.world_from_camera,
                intrinsics=camera.intrinsics,
                distortion=camera.distortion,
                shutter=camera.shutter,
                bbox=bounding_boxes(camera, np.stack(swept) if swept else outermost),
                rgb=None if taken.rgb is None else taken.rgb[0],
                mask=None if taken.mask is None else taken.mask[0],
                depth=None if millimetres is None else millimetres.astype(np.uint16),
                crf=draw.crf,
            )
        )
    return FrameSet(
        frame_rate_hz=labels.frame_rate_hz,
        parts=PARTS,
        views=tuple(views),
        scene=stage.scene.record() if drawn else {"cameras": stage.scene.record()["cameras"]},
        renderer=gl_context().name if drawn else None,
    )


def _pictures(campaign: Campaign, stage: Stage) -> list[Pictures]:
    """Each view's pictures, C of 1: plain cameras' are drawn together, the others' one view after the other."""
    wanted = campaign.pictures
    kinds = {"rgb": wanted.rgb != "none", "mask": wanted.mask, "depth": wanted.depth}
    plain = [number for number, draw in enumerate(stage.scene.cameras) if is_plain(draw)]
    result: dict[int, Pictures] = {}
    with make_raster(campaign, stage) as raster:
        if plain:
            raster.reframe(wanted.image_size, views=len(plain))
            drawn = raster.draw(
                stage.bones,
                stage.levels[:, plain],
                np.stack([stage.cameras[number].world_from_camera for number in plain], axis=1),
                np.stack([stage.cameras[number].intrinsics for number in plain]),
                passers_by=[person.bones for person in stage.setting.passers_by],
                **kinds,
            )
            for place, number in enumerate(plain):
                result[number] = drawn.view(place)
        for number, (camera, draw) in enumerate(zip(stage.cameras, stage.scene.cameras, strict=True)):
            if number not in result:
                result[number] = take_pictures(
                    raster, camera, draw, stage.motion, levels=stage.levels[:, number],
                    passers_by=stage.setting.passers_by, **kinds,
                    sensor_rng=partial(
                        generator, campaign.scene_seed, Stream.SENSOR, stage.sample_id, name_key(camera.name)
                    ),
                )  # fmt: skip
    return [result[number] for number in range(len(stage.cameras))]


def set_stage(
    campaign: Campaign, parameters: GaitParameters, body: Anatomy, walk: PosedWalk, labels: GaitLabels
) -> Stage:
    """Draw the scene of this sample, dress the person, and place room and cameras around the walk."""
    scene = scene_parameters_rand(
        partial(scene_generator, campaign, parameters.sample_id),
        variation=campaign.scene,
        views=campaign.pictures.views,
        sex=parameters.sex,
        age_years=parameters.age_years,
        condition=parameters.condition,
        side=parameters.side,
        arm_swing=parameters.arm_swing,
    )
    figure = Figure(body, parameters.sex, parameters.age_years)
    worn = (scene.clothes, scene.aids, scene.drapery)
    far = body_mesh(figure, *worn, cell_m=FAR_CELL_M)
    motion = Motion(body, walk)
    bones = motion.bones(labels.frame_time)
    outline = _outline(far, bones)
    pelvis = bones[:, BODIES.index("pelvis"), :3, 3]
    cameras = tuple(
        place_camera(
            draw, outline=outline, pelvis=pelvis, time=labels.frame_time,
            image_size=campaign.pictures.image_size,
        )
        for draw in scene.cameras
    )  # fmt: skip
    scale = np.stack([camera.intrinsics[1, 1] / camera.project(pelvis)[1] for camera in cameras], axis=1)  # pixels/m
    cells, levels = finenesses(scale)
    meshes = (*(body_mesh(figure, *worn, cell_m=cell) for cell in cells[:-1]), far)
    held = carried(figure, scene.aids, motion, labels)
    taken: list[Array] = [outline, *(Outline(thing.mesh).points(thing.bones).astype(float) for thing in held)]
    setting = make_setting(scene.place, outline=np.concatenate(taken, axis=1), cameras=cameras, time=labels.frame_time)
    setting = replace(setting, passers_by=(*setting.passers_by, *held))
    return Stage(scene, figure, meshes, levels, setting, cameras, bones, motion, parameters.sample_id)


def finenesses(scale: Array) -> tuple[tuple[float, ...], NDArray[np.int64]]:
    """Cells (m) of the meshes that a walk is shown by, finest first, and which of them each picture shows.

    Args:
        scale: `[F, C]` pixels per metre at the walker.

    Returns:
        Cells, the last `FAR_CELL_M`; and `[F, C]` numbers, the coarsest with no more than `PIXELS_PER_CELL`.
    """
    finest = max(FINEST_CELL_M, PIXELS_PER_CELL / float(scale.max()))
    finer = [cell for cell in (finest, float(np.sqrt(finest * FAR_CELL_M))) if cell * WORTHWHILE < FAR_CELL_M]
    cells = (*finer, FAR_CELL_M)
    enough = scale[..., None] * np.array(cells) <= PIXELS_PER_CELL
    return cells, np.maximum(enough.sum(axis=-1) - 1, 0)


def make_raster(campaign: Campaign, stage: Stage) -> Raster:
    """The GL side of a stage; close it after the last picture."""
    return Raster(
        stage.setting.panels,
        stage.meshes,
        stage.scene.light,
        image_size=campaign.pictures.image_size,
        views=len(stage.cameras),
        passers_by=[person.mesh for person in stage.setting.passers_by],
        shadows=campaign.pictures.shadows,
    )


def occlusion_world(stage: Stage) -> OcclusionWorld:
    """What sight meets on a stage; close it after the last question."""
    return OcclusionWorld(
        stage.meshes[-1],
        stage.box,
        solids=stage.setting.solids,
        passers_by=stage.setting.passers_by,
        size=stage.figure.size,
    )


def _outline(mesh: BodyMesh, bones: Array) -> Array:
    """Points that bound the person in every picture: `[F, P, 3]` m, a few extreme ones of each bone."""
    owner, bones = mesh.owner(), mesh.with_nodes(bones)
    bone_from_bind = np.linalg.inv(mesh.bind)
    points = []
    for bone in np.unique(owner):
        mine = mesh.vertices[owner == bone] @ bone_from_bind[bone, :3, :3].T + bone_from_bind[bone, :3, 3]
        extreme = np.unique(np.concatenate([mine.argmin(axis=0), mine.argmax(axis=0)]))
        points.append(np.einsum("fij,pj->fpi", bones[:, bone, :3, :3], mine[extreme]) + bones[:, None, bone, :3, 3])
    return np.concatenate(points, axis=1)


def bounding_boxes(camera: Camera, outline: NDArray[np.float32]) -> NDArray[np.float32]:
    """x0 y0 x1 y1 of the person in each picture, cut to it, also where something hides the person.

    Args:
        outline: `[F, P, 3]` m, the person's outermost points (`scenes.outline`); or `[3, F, P, 3]`, at the camera's
            `sweep` after the pictures' moments, for a shutter that rolls.

    Returns:
        `[F, 4]` pixels; NaN where nothing of the person is in the picture.
    """
    swept = outline.ndim == 4
    pixels, distance = (camera.project_swept if swept else camera.project)(outline.astype(float))
    pixels[distance <= NEAR_M] = np.nan
    seen = np.isfinite(pixels).all(axis=-1).any(axis=-1)
    boxes = np.full((len(pixels), 4), np.nan, np.float32)
    if seen.any():
        boxes[seen] = np.concatenate([np.nanmin(pixels[seen], axis=1), np.nanmax(pixels[seen], axis=1)], axis=-1)
    limit = np.array([camera.image_size[0] - 0.5, camera.image_size[1] - 0.5], np.float32)
    with np.errstate(invalid="ignore"):
        outside = (boxes[:, :2] >= limit).any(axis=1) | (boxes[:, 2:] <= -0.5).any(axis=1)
    boxes[outside] = np.nan
    return np.clip(boxes, -0.5, np.tile(limit, 2))
