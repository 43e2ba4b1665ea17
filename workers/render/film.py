"""Films a walk: poses the person for each picture, draws every view, and labels what each camera sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.config import Campaign
from farm.gait.resample import body_pose_at
from farm.records import FrameSet, GaitLabels, GaitParameters, Trajectory, ViewFrames
from farm.sampling.anatomy import BODIES, Anatomy
from farm.seeds import generator
from scenes.body import PARTS, BodyMesh, body_mesh, bone_transforms
from scenes.cameras import Camera, place_camera
from scenes.figure import Figure
from scenes.occlusion import OcclusionWorld
from scenes.outline import BOX_DIRECTIONS, Outline
from scenes.panel import RoomBox
from scenes.parameters import SceneParameters, scene_parameters_rand
from scenes.setting import Setting, make_setting
from scenes.surface import Array
from workers.render.plan import NEAR_M
from workers.render.raster import Raster

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
        bones: `[F, J, 4, 4]` world from bone.
        setting: Everything around the walker.
    """

    scene: SceneParameters
    figure: Figure
    meshes: tuple[BodyMesh, ...]
    levels: NDArray[np.int64]
    setting: Setting
    cameras: tuple[Camera, ...]
    bones: Array

    @property
    def box(self) -> RoomBox:
        """The walls around the walk."""
        return self.setting.box


def film(
    campaign: Campaign, parameters: GaitParameters, body: Anatomy, trajectory: Trajectory, labels: GaitLabels
) -> FrameSet:
    """All pictures and picture labels of one walk, by the campaign's `pictures`.

    The same campaign and sample give the same bytes with the same GL driver.

    Raises:
        MissingDependencyError: Pictures are wanted and there is no EGL (`rgb: none`, without masks, needs none).
    """
    return shoot(campaign, set_stage(campaign, parameters, body, trajectory, labels), labels)


def shoot(campaign: Campaign, stage: Stage, labels: GaitLabels) -> FrameSet:
    """All pictures and picture labels of a walk whose stage is set."""
    wanted = campaign.pictures
    draws_rgb = wanted.rgb != "none"
    outline = Outline(stage.meshes[0], BOX_DIRECTIONS).points(stage.bones)
    boxes = [bounding_boxes(camera, outline) for camera in stage.cameras]
    rgb = mask = depth = None
    drawn = draws_rgb or wanted.mask or wanted.depth
    if drawn:
        with make_raster(campaign, stage) as raster:
            pictures = raster.draw(
                stage.bones,
                stage.levels,
                np.stack([camera.world_from_camera for camera in stage.cameras], axis=1),
                np.stack([camera.intrinsics for camera in stage.cameras]),
                passers_by=[person.bones for person in stage.setting.passers_by],
                rgb=draws_rgb, mask=wanted.mask, depth=wanted.depth,
            )  # fmt: skip
        rgb, mask = pictures.rgb, pictures.mask
        if pictures.depth_m is not None:
            depth = np.minimum(np.round(pictures.depth_m * 1000.0), 65535).astype(np.uint16)
    with occlusion_world(stage) as world:
        visibility = world.visibility(stage.bones, labels.keypoints_3d, stage.cameras)
    return FrameSet(
        frame_rate_hz=labels.frame_rate_hz,
        parts=PARTS,
        views=tuple(
            ViewFrames(
                view=camera.name,
                image_size=camera.image_size,
                keypoints_2d=camera.project(labels.keypoints_3d)[0].astype(np.float32),
                visibility=visibility[number],
                world_from_camera=camera.world_from_camera,
                intrinsics=camera.intrinsics,
                distortion=camera.distortion,
                shutter=camera.shutter,
                bbox=boxes[number],
                rgb=None if rgb is None else rgb[number],
                mask=None if mask is None else mask[number],
                depth=None if depth is None else depth[number],
            )
            for number, camera in enumerate(stage.cameras)
        ),
        scene=stage.scene.record() if drawn else {"cameras": stage.scene.record()["cameras"]},
    )


def set_stage(
    campaign: Campaign, parameters: GaitParameters, body: Anatomy, trajectory: Trajectory, labels: GaitLabels
) -> Stage:
    """Draw the scene of this sample, dress the person, and place room and cameras around the walk."""
    scene = scene_parameters_rand(
        lambda stream: generator(campaign.seed, stream, parameters.sample_id),
        variation=campaign.scene,
        views=campaign.pictures.views,
        sex=parameters.sex,
        age_years=parameters.age_years,
    )
    figure = Figure(body, parameters.sex)
    far = body_mesh(figure, scene.clothes, cell_m=FAR_CELL_M)
    pose = body_pose_at(trajectory, labels.frame_time)
    bones = bone_transforms(body, pose, trajectory.bodies)
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
    meshes = (*(body_mesh(figure, scene.clothes, cell_m=cell) for cell in cells[:-1]), far)
    setting = make_setting(scene.place, outline=outline, cameras=cameras)
    return Stage(scene, figure, meshes, levels, setting, cameras, bones)


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
    owner = np.argmax(mesh.weights, axis=1)
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
        outline: `[F, P, 3]` m, the person's outermost points (`scenes.outline`).

    Returns:
        `[F, 4]` pixels; NaN where nothing of the person is in the picture.
    """
    pixels, distance = camera.project(outline.astype(float))
    pixels[distance <= NEAR_M] = np.nan
    seen = np.isfinite(pixels).all(axis=-1).any(axis=-1)
    boxes = np.full((len(outline), 4), np.nan, np.float32)
    if seen.any():
        boxes[seen] = np.concatenate([np.nanmin(pixels[seen], axis=1), np.nanmax(pixels[seen], axis=1)], axis=-1)
    limit = np.array([camera.image_size[0] - 0.5, camera.image_size[1] - 0.5], np.float32)
    with np.errstate(invalid="ignore"):
        outside = (boxes[:, :2] >= limit).any(axis=1) | (boxes[:, 2:] <= -0.5).any(axis=1)
    boxes[outside] = np.nan
    return np.clip(boxes, -0.5, np.tile(limit, 2))
