"""A small real dataset of kinematic walkers, without pictures: for tests and benchmarks of training.

Walkers of `tests.norm_walk` at drawn speeds and statures, labelled by
`farm.gait.labels`, seen by a fixed front and a panning side camera, written by
the dataset's own writer. Step width is each body's hip width: the walker is planar.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from farm.config import Campaign, campaign_from_mapping
from farm.dataset.create import open_or_create
from farm.dataset.writer import encode_shard
from farm.gait.labels import gait_labels
from farm.records import FrameSet, GaitLabels, GaitParameters, GaitSample, QualityReport, ViewFrames
from farm.sampling.anatomy import anatomy
from farm.storage import open_storage
from tests.norm_walk import norm_walk
from workers.train.cameras import Cameras, inside, look_at, project
from workers.write import commit_shard

SIZE = 256
VIEWS = ("front", "side")


def walk_campaign(*, samples: int, gaits_per_shard: int, seed: int = 1) -> Campaign:
    """The campaign under whose name the walkers are stored."""
    return campaign_from_mapping(
        {
            "name": "norm-walk", "samples": samples, "gaits_per_shard": gaits_per_shard, "seed": seed,
            "simulation": {"duration_s": 6.0},
            "quality": {"min_duration_s": 3.0},
            "pictures": {"views": list(VIEWS), "image_size": [SIZE, SIZE], "rgb": "none", "mask": False},
        },
        source="tests",
    )  # fmt: skip


def walk_sample(sample_id: int, *, seed: int = 1, duration_s: float = 6.0) -> GaitSample:
    """Walker number `sample_id`: speed 0.7 to 1.7 m/s, stature 1.52 to 1.92 m."""
    rng = np.random.default_rng([seed, sample_id])
    parameters = GaitParameters(sample_id=sample_id, stature_m=float(rng.uniform(1.52, 1.92)))
    trajectory = norm_walk(parameters, speed_m_s=float(rng.uniform(0.7, 1.7)), duration_s=duration_s)
    labels = gait_labels(trajectory, anatomy(parameters), frame_rate_hz=30.0)
    views = tuple(_view(name, labels, rng) for name in VIEWS)
    return GaitSample(parameters, trajectory, labels, QualityReport(), FrameSet(30.0, ("background",), views), {})


def _view(name: str, labels: GaitLabels, rng: np.random.Generator) -> ViewFrames:
    points = labels.keypoints_3d[None]
    n = labels.n_frames
    hips = labels.keypoints_3d[:, 11:13].mean(axis=1)
    middle = hips.mean(axis=0)
    aim = np.repeat(middle[None], n, axis=0) if name == "front" else hips.copy()
    if name == "front":
        place = np.array([hips[-1, 0] + rng.uniform(2.5, 4.0), 1.2, 0.0])
    else:
        place = np.array([middle[0], 1.2, rng.uniform(4.0, 6.0)])
    aim[:, 1] = 0.9
    position = np.repeat(place[None], n, axis=0)
    axes = look_at(position, aim, np.zeros(n))
    focal = SIZE / 2 / np.tan(np.deg2rad(rng.uniform(40, 55) if name == "front" else rng.uniform(30, 42)) / 2)
    size = np.array([[SIZE, SIZE]], dtype=float)
    cameras = Cameras(position[None], axes[None], np.array([focal]), size / 2 - 0.5, size)
    pixels, before = project(points, cameras)
    pose = np.tile(np.eye(4), (n, 1, 1))
    pose[:, :3, :3] = np.swapaxes(axes, 1, 2)
    pose[:, :3, 3] = position
    seen = inside(pixels, size) & before
    centre = SIZE / 2 - 0.5
    return ViewFrames(
        view=name,
        image_size=(SIZE, SIZE),
        keypoints_2d=np.where(before[..., None], pixels, np.nan)[0].astype(np.float32),
        visibility=(2 * seen[0]).astype(np.uint8),
        world_from_camera=pose,
        intrinsics=np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]]),
        distortion=np.zeros(5),
        shutter=np.zeros(2),
        bbox=np.tile(np.array([0, 0, SIZE - 1, SIZE - 1], dtype=np.float32), (n, 1)),
    )


def write_walk_dataset(root: Path, *, samples: int, gaits_per_shard: int = 4, seed: int = 1) -> str:
    """Write the dataset under `root`; its URI."""
    campaign = walk_campaign(samples=samples, gaits_per_shard=gaits_per_shard, seed=seed)
    storage = open_storage(str(root))
    manifest = open_or_create(storage, campaign)
    ids: Sequence[int] = range(samples)
    for number, first in enumerate(range(0, samples, gaits_per_shard)):
        chosen = [walk_sample(i, seed=seed) for i in ids[first : first + gaits_per_shard]]
        commit_shard(storage, encode_shard(campaign, manifest.dataset_id, f"{number:06d}", chosen), worker="tests")
    return str(root)
