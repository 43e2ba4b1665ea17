"""Whole small datasets for tests, written by the real writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from farm.config import Campaign
from farm.dataset.create import open_or_create
from farm.dataset.manifest import DatasetManifest
from farm.dataset.writer import encode_shard
from farm.planning import plan_of
from farm.storage import Storage, open_storage
from tests.samples import make_samples_for
from workers.write import commit_shard


def make_dataset(
    where: str | Storage,
    campaign: Campaign,
    *,
    n_samples: Sequence[int] = (60, 90, 75),
    rejected: Sequence[int] = (),
    shards: Iterable[int] | None = None,
) -> DatasetManifest:
    """Write a campaign's shards (all of them, or those of these plan numbers) with random gaits."""
    storage = open_storage(where) if isinstance(where, str) else where
    manifest = open_or_create(storage, campaign)
    plan = plan_of(campaign)
    for number in range(len(plan)) if shards is None else shards:
        samples = make_samples_for(campaign, plan[number].sample_ids, n_samples=n_samples, rejected=rejected)
        commit_shard(storage, encode_shard(campaign, manifest.dataset_id, plan[number].shard_id, samples))
    return manifest
