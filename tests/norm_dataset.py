"""A small dataset of kinematic walkers, filmed as stick figures: real curves and pictures without physics or GL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from farm.config import Campaign, campaign_from_mapping
from farm.dataset.commit import commit
from farm.dataset.create import open_or_create
from farm.dataset.writer import encode_shard
from farm.gait.labels import gait_labels
from farm.gait.quality import judge
from farm.records import FrameSet, GaitLabels, GaitParameters, GaitSample, QualityReport, ViewFrames
from farm.sampling.anatomy import KEYPOINTS, anatomy
from farm.storage import Storage
from tests.norm_walk import norm_walk

_BONES = (
    ("nose", "neck"), ("neck", "mid_trunk"), ("mid_trunk", "pelvis"),
    *((f"{s}_{a}", f"{s}_{b}") for s in ("right", "left") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"),
        ("heel", "big_toe"))),
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
)  # fmt: skip

_PAPER = (228, 226, 220)


def norm_campaign(
    *,
    samples: int,
    gaits_per_shard: int = 4,
    views: Sequence[str] = ("front", "side"),
    rgb: str = "video",
    mask: bool = False,
    size: tuple[int, int] = (96, 96),
    chroma: str = "half",
) -> Campaign:
    """Small pictures; masks only where they are asked for."""
    return campaign_from_mapping(
        {
            "name": "norm-walkers",
            "samples": samples,
            "gaits_per_shard": gaits_per_shard,
            "pictures": {"views": list(views), "image_size": list(size), "rgb": rgb, "mask": mask, "chroma": chroma},
        },
        source="tests",
    )


def norm_sample(campaign: Campaign, sample_id: int, *, speed_m_s: float, condition: str = "healthy") -> GaitSample:
    """One walker; quality is judged for real, so that too slow a speed is turned down."""
    woman = sample_id % 2 == 1
    parameters = GaitParameters(
        sample_id=sample_id,
        condition=condition,
        severity=0.0 if condition == "healthy" else 0.5,
        side="none" if condition == "healthy" else "right",
        sex="female" if woman else "male",
        stature_m=1.62 if woman else 1.78,
        mass_kg=60.0 if woman else 78.0,
        target_speed_m_s=speed_m_s,
    )
    body = anatomy(parameters)
    walk = norm_walk(parameters, speed_m_s=speed_m_s, duration_s=9.0)
    labels = gait_labels(walk, body, frame_rate_hz=campaign.pictures.frame_rate_hz)
    quality = judge(walk, labels, body, campaign.quality)
    if not quality.accepted:
        return GaitSample(parameters, walk, labels, quality, None)
    pictures = campaign.pictures
    views = tuple(
        _film(
            labels,
            view.name,
            view.azimuth_deg,
            pictures.image_size,
            with_rgb=pictures.rgb != "none",
            with_mask=pictures.mask,
        )
        for view in pictures.views
    )
    return GaitSample(
        parameters, walk, labels, QualityReport(), FrameSet(pictures.frame_rate_hz, ("background", "body"), views)
    )


def write_norm_dataset(storage: Storage, campaign: Campaign, samples: Sequence[GaitSample]) -> None:
    """Store the samples in shards, by the project's own writer."""
    manifest = open_or_create(storage, campaign)
    size = campaign.gaits_per_shard
    for number, start in enumerate(range(0, len(samples), size)):
        shard = encode_shard(campaign, manifest.dataset_id, f"{number:06d}", samples[start : start + size])
        commit(storage, shard, attempt_id="a", wall_s=12.0)


def _film(
    labels: GaitLabels, name: str, azimuth_deg: float, size: tuple[int, int], *, with_rgb: bool, with_mask: bool
) -> ViewFrames:
    """Stick figures by a pinhole camera 5 m from the walker, moving along."""
    width, height = size
    n = labels.n_frames
    azimuth = np.deg2rad(azimuth_deg)
    away = np.array([np.cos(azimuth), 0.0, np.sin(azimuth)])
    right = np.cross(-away, [0.0, 1.0, 0.0])
    axes = np.stack([right, [0.0, -1.0, 0.0], -away], axis=1)  # camera x right, y down, z into the scene
    pelvis = labels.keypoints_3d[:, KEYPOINTS.index("pelvis")]
    center = pelvis * [1.0, 0.0, 1.0] + [0.0, 0.9, 0.0] + 5.0 * away
    pose = np.tile(np.eye(4), (n, 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = axes, center
    focal = 2.2 * height
    seen = (labels.keypoints_3d - center[:, None]) @ axes
    pixels = seen[..., :2] / seen[..., 2:] * focal + [(width - 1) / 2, (height - 1) / 2]
    box = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    inside = np.all((pixels >= 0) & (pixels < [width, height]), axis=-1)
    figures = np.stack([_stick_figure(frame, size) for frame in pixels]) if with_rgb or with_mask else None
    return ViewFrames(
        view=name,
        image_size=size,
        keypoints_2d=pixels.astype(np.float32),
        visibility=np.where(inside, 2, 0).astype(np.uint8),
        world_from_camera=pose,
        intrinsics=np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]]),
        distortion=np.zeros(5),
        shutter=np.zeros(2),
        bbox=box.astype(np.float32),
        rgb=figures if with_rgb else None,
        mask=(figures != _PAPER).any(axis=-1).astype(np.uint8) if with_mask else None,
    )


def _stick_figure(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture)
    at = {name: tuple(float(v) for v in point) for name, point in zip(KEYPOINTS, pixels, strict=True)}
    for a, b in _BONES:
        colour = (180, 60, 40) if "right" in a else (40, 80, 160) if "left" in a else (60, 60, 60)
        draw.line([at[a], at[b]], fill=colour, width=2)
    return np.asarray(picture, dtype=np.uint8)
