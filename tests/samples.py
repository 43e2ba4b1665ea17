"""Small random gait samples for tests of storage, format and training: nothing is simulated or rendered.

The numbers mean nothing, but everything that the contracts promise holds: shapes,
dtypes, unit quaternions, ascending event times, frames within the walk. A sample
is a pure function of its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from farm.config import SAMPLE_RATE_HZ, Campaign, Pictures, campaign_from_mapping
from farm.gait.parameters import LABEL_COLUMNS
from farm.records import (
    COORDINATES,
    MUSCLES,
    FrameSet,
    GaitLabels,
    GaitParameters,
    GaitSample,
    QualityReport,
    Trajectory,
    ViewFrames,
)
from farm.sampling.anatomy import BODIES, IMU_STATIONS, KEYPOINTS

FRAME_RATE_HZ = 30.0
GAINS = ("stance_soleus_force", "swing_iliopsoas_lean")
CONDITIONS = ("healthy", "foot_drop", "crouch")
PARTS = ("background", "trunk", "legs")


def make_campaign(
    *,
    samples: int = 8,
    gaits_per_shard: int = 4,
    seed: int = 1,
    views: Sequence[str] = ("front", "side"),
    image_size: tuple[int, int] = (48, 32),
    rgb: str = "video",
    mask: bool = True,
    depth: bool = False,
) -> Campaign:
    """A valid campaign with tiny pictures; `image_size` is width, height."""
    pictures = {"views": list(views), "image_size": image_size, "rgb": rgb, "mask": mask, "depth": depth}
    return campaign_from_mapping(
        {"name": "tiny", "samples": samples, "gaits_per_shard": gaits_per_shard, "seed": seed, "pictures": pictures},
        source="tests",
    )


def make_sample(
    sample_id: int,
    seed: int,
    n_samples: int,
    views: Sequence[str] = ("front", "side"),
    *,
    accepted: bool = True,
    image_size: tuple[int, int] = (48, 32),
    rgb: bool = True,
    mask: bool = True,
    depth: bool = False,
) -> GaitSample:
    """A random sample of `n_samples` at 100 Hz, filmed at 30 Hz by `views`.

    Args:
        image_size: Width, height in pixels.
        accepted: False gives a fallen gait without pictures.
    """
    rng = np.random.default_rng([seed, sample_id])
    parameters = _parameters(rng, sample_id)
    trajectory = _trajectory(rng, n_samples, end="completed" if accepted else "fell")
    labels = _labels(rng, n_samples)
    if not accepted:
        report = QualityReport(("fell",), {"fell": f"pelvis below half its height at {trajectory.duration_s:.2f} s"})
        return GaitSample(parameters, trajectory, labels, report, None, {"simulate": 0.25})
    frames = FrameSet(
        FRAME_RATE_HZ,
        PARTS,
        tuple(_view(rng, view, labels.n_frames, image_size, rgb=rgb, mask=mask, depth=depth) for view in views),
    )
    return GaitSample(parameters, trajectory, labels, QualityReport(), frames, {"simulate": 0.5, "film": 0.25})


def make_samples_for(
    campaign: Campaign, sample_ids: Sequence[int], *, n_samples: Sequence[int] = (100,), rejected: Sequence[int] = ()
) -> list[GaitSample]:
    """Samples as `campaign` asks for them; lengths are taken from `n_samples` in turn."""
    pictures: Pictures = campaign.pictures
    return [
        make_sample(
            sample_id,
            campaign.seed,
            n_samples[index % len(n_samples)],
            [view.name for view in pictures.views],
            accepted=sample_id not in rejected,
            image_size=pictures.image_size,
            rgb=pictures.rgb != "none",
            mask=pictures.mask,
            depth=pictures.depth,
        )
        for index, sample_id in enumerate(sample_ids)
    ]


def n_frames_of(n_samples: int) -> int:
    """Pictures within a walk of `n_samples`."""
    return int((n_samples - 1) * FRAME_RATE_HZ / SAMPLE_RATE_HZ) + 1


def _parameters(rng: np.random.Generator, sample_id: int) -> GaitParameters:
    condition = CONDITIONS[rng.integers(len(CONDITIONS))]
    healthy = condition == "healthy"
    return GaitParameters(
        sample_id=sample_id,
        condition=condition,
        severity=0.0 if healthy else float(rng.uniform(0.1, 1.0)),
        side="none" if healthy else ("right", "left", "both")[rng.integers(3)],
        sex=("female", "male")[rng.integers(2)],
        age_years=float(rng.uniform(20, 80)),
        stature_m=float(rng.uniform(1.5, 1.9)),
        mass_kg=float(rng.uniform(50, 100)),
        strength=rng.uniform(0.5, 1.5, len(MUSCLES)),
        target_speed_m_s=float(rng.uniform(0.5, 1.6)),
        controller="archive/0",
        reflex_gain_names=GAINS,
        reflex_gains=rng.uniform(0.0, 2.0, (2, len(GAINS))),
    )


def _waves(rng: np.random.Generator, n: int, *shape: int) -> NDArray[np.float64]:
    """`[n, *shape]` smooth random curves of order 1."""
    phase = rng.uniform(0, 2 * np.pi, shape)
    amplitude = rng.uniform(0.2, 1.0, shape)
    time = np.arange(n).reshape(-1, *([1] * len(shape))) / SAMPLE_RATE_HZ
    return np.asarray(amplitude * np.sin(2 * np.pi * 0.9 * time + phase))


def _trajectory(rng: np.random.Generator, n: int, *, end: str) -> Trajectory:
    bodies, coordinates, muscles = len(BODIES), len(COORDINATES), len(MUSCLES)
    quaternion = _waves(rng, n, bodies, 4) + np.array([2.0, 0.0, 0.0, 0.0])
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return Trajectory(
        end=end,
        sample_rate_hz=SAMPLE_RATE_HZ,
        bodies=BODIES,
        coordinate_names=COORDINATES,
        muscles=MUSCLES,
        time=np.arange(n) / SAMPLE_RATE_HZ,
        coordinates=_waves(rng, n, coordinates),
        coordinate_speeds=_waves(rng, n, coordinates),
        coordinate_accelerations=_waves(rng, n, coordinates),
        body_pose=np.concatenate([_waves(rng, n, bodies, 3), quaternion], axis=-1),
        body_velocity=_waves(rng, n, bodies, 6),
        body_acceleration=_waves(rng, n, bodies, 6),
        muscle_activation=0.5 + 0.5 * _waves(rng, n, muscles),
        muscle_excitation=0.5 + 0.5 * _waves(rng, n, muscles),
        muscle_fiber_length=1.0 + 0.2 * _waves(rng, n, muscles),
        muscle_force=500.0 * (1.0 + _waves(rng, n, muscles)),
        metabolic_power=300.0 + 50.0 * _waves(rng, n),
        ground_reaction=400.0 * (1.0 + _waves(rng, n, 2, 9)),
        joint_moment=50.0 * _waves(rng, n, coordinates),
        wall_s=0.5,
    )


def _labels(rng: np.random.Generator, n: int) -> GaitLabels:
    duration_s = (n - 1) / SAMPLE_RATE_HZ
    n_frames = n_frames_of(n)
    n_events = int(rng.integers(0, max(2, int(duration_s * 8))))
    return GaitLabels(
        event_time=np.sort(rng.uniform(0.0, duration_s, n_events)),
        event_type=rng.integers(0, 4, n_events).astype(np.uint8),
        values={column.name: float(rng.uniform(0.3, 1.7)) for column in LABEL_COLUMNS},
        frame_rate_hz=FRAME_RATE_HZ,
        frame_time=np.arange(n_frames) / FRAME_RATE_HZ,
        keypoints_3d=_waves(rng, n_frames, len(KEYPOINTS), 3),
        imu_acceleration=9.8 * _waves(rng, n, len(IMU_STATIONS), 3),
        imu_angular_velocity=_waves(rng, n, len(IMU_STATIONS), 3),
    )


def _view(
    rng: np.random.Generator,
    view: str,
    n_frames: int,
    image_size: tuple[int, int],
    *,
    rgb: bool,
    mask: bool,
    depth: bool,
) -> ViewFrames:
    width, height = image_size
    pose = np.tile(np.eye(4), (n_frames, 1, 1))
    pose[:, :3, 3] = rng.uniform(-5, 5, 3)
    corner = rng.uniform(0, 0.4, (n_frames, 2)) * image_size
    silhouette = rng.integers(0, len(PARTS), (n_frames, height, width), dtype=np.uint8)
    return ViewFrames(
        view=view,
        image_size=image_size,
        keypoints_2d=rng.uniform(-10, width + 10, (n_frames, len(KEYPOINTS), 2)).astype(np.float32),
        visibility=rng.integers(0, 3, (n_frames, len(KEYPOINTS)), dtype=np.uint8),
        world_from_camera=pose,
        intrinsics=np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]], dtype=float),
        distortion=np.zeros(5),
        shutter=np.zeros(2),
        bbox=np.concatenate([corner, corner + 0.5 * np.array(image_size)], axis=-1).astype(np.float32),
        rgb=_film(rng, n_frames, width, height) if rgb else None,
        mask=silhouette if mask else None,
        depth=rng.integers(0, 9000, (n_frames, height, width), dtype=np.uint16) if depth else None,
    )


def _film(rng: np.random.Generator, n_frames: int, width: int, height: int) -> NDArray[np.uint8]:
    """`[F, H, W, 3]` a soft blob that moves over a gradient: smooth, so that a video codec keeps it well."""
    y, x = np.mgrid[0:height, 0:width]
    center = rng.uniform(0.2, 0.8, 2) * (height, width)
    shift = np.arange(n_frames)[:, None, None] * 0.5
    blob = np.exp(-((y - center[0]) ** 2 + (x - center[1] - shift) ** 2) / (0.1 * width * height))
    tint = rng.uniform(60, 150, 3)
    ground = (x / width * 60)[None, :, :, None]
    return np.asarray(np.clip(ground + blob[..., None] * tint, 0, 255).round(), dtype=np.uint8)
