"""Whole small datasets for tests, written by the real writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from farm.config import Campaign
from farm.dataset.catalogue import compact, index_rows
from farm.dataset.create import open_or_create
from farm.dataset.manifest import DatasetManifest, read_record
from farm.dataset.writer import encode_shard
from farm.planning import plan_of
from farm.storage import FileStorage, Storage, open_storage
from tests.samples import make_samples_for
from tests.tables import to_parquet
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


def swap_first_and_last(root: Path, shard_id: str = "00000000") -> None:
    """Forge the catalogue of a dataset of one shard: its first and its last gait have each other's place."""
    storage = FileStorage(root)
    (part,) = compact(storage).parts
    rows = index_rows(read_record(storage, shard_id))
    rows[0]["position"], rows[-1]["position"] = rows[-1]["position"], rows[0]["position"]
    (root / part).write_bytes(to_parquet(rows))
