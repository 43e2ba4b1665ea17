"""A small dataset that was really filmed: kinematic walkers of `tests.norm_walk`, with masks and depth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from farm.config import Campaign, campaign_from_mapping
from farm.dataset.create import open_or_create
from farm.dataset.writer import encode_shard
from farm.gait.labels import gait_labels
from farm.records import GaitParameters, GaitSample, QualityReport
from farm.sampling.anatomy import anatomy
from farm.storage import open_storage
from tests.norm_walk import norm_walk
from workers.render.film import film
from workers.write import commit_shard

WALK_S = 4.0
PEOPLE = (
    GaitParameters(sample_id=0, sex="female", stature_m=1.66, mass_kg=70.0),
    GaitParameters(sample_id=1, stature_m=1.84, mass_kg=82.0),
)


@cache
def filmed_campaign(
    image_size: int = 256, frame_rate_hz: float = 6.0, *, samples: int = 1, **pictures: Any
) -> Campaign:
    """A campaign for so many of `PEOPLE`, filmed from the front, the side and an angle."""
    wanted: Mapping[str, Any] = {
        "views": ["front", "side", "oblique"], "image_size": [image_size, image_size],
        "frame_rate_hz": frame_rate_hz, "rgb": "none", "mask": True, "depth": True, **pictures,
    }  # fmt: skip
    return campaign_from_mapping(
        {"name": "filmed", "samples": samples, "gaits_per_shard": 2, "seed": 3, "pictures": wanted}, source="tests"
    )


@cache
def filmed_sample(number: int = 0, campaign: Campaign | None = None) -> GaitSample:
    """One of `PEOPLE`, who walked and was filmed."""
    campaign = campaign or filmed_campaign()
    parameters = PEOPLE[number]
    body, trajectory = anatomy(parameters), norm_walk(parameters, duration_s=WALK_S)
    labels = gait_labels(trajectory, body, frame_rate_hz=campaign.pictures.frame_rate_hz)
    frames = film(campaign, parameters, body, trajectory, labels)
    return GaitSample(parameters, trajectory, labels, QualityReport(), frames)


def write_filmed(root: Path, *samples: GaitSample, campaign: Campaign | None = None) -> str:
    """Store samples as a dataset under `root`; its URI."""
    campaign = campaign or filmed_campaign()
    storage = open_storage(str(root))
    manifest = open_or_create(storage, campaign)
    commit_shard(storage, encode_shard(campaign, manifest.dataset_id, "00000000", samples), worker="tests")
    return str(root)
