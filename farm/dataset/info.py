"""What a dataset is and how far it has come, for `gaitfarm info`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from farm.dataset.engines import engines_of, rechecks_of
from farm.dataset.manifest import ShardRecord
from farm.dataset.reader import GaitDataset
from farm.planning import Plan
from farm.storage import Storage

SUMMARISED = ("gait_speed", "cadence", "step_length", "step_time", "stature_m", "mass_kg", "age_years")
"""Columns of the index whose range `info` shows."""


def info(source: str | Storage, *, endpoint_url: str | None = None) -> dict[str, Any]:
    """Identity, progress, sizes, engines, conditions, rejections and ranges; every value can be written as JSON.

    Raises:
        FormatError: There is no dataset, or one that this software cannot read.
        StorageError: The storage cannot be read.
    """
    dataset = GaitDataset(source, endpoint_url=endpoint_url)
    manifest, records = dataset.manifest, dataset.records
    rows = [row for record in records for row in record.index]
    engines = engines_of(records)
    summary: dict[str, Any] = {
        "uri": dataset.storage.uri,
        "name": manifest.name,
        "dataset_id": manifest.dataset_id,
        "format_version": manifest.format_version,
        "created": manifest.created,
        "license": manifest.license,
        "seed": manifest.seed,
        "software": dict(manifest.software),
        "views": list(manifest.views),
        "keypoints": list(manifest.keypoints),
        "arrays": list(manifest.arrays),
        "n_gaits": len(rows),
        "n_rejected": sum(record.n_rejected for record in records),
        "n_shards": len(records),
        "n_bytes": sum(record.bytes for record in records),
        "duration_s": float(sum(_numbers(rows, "duration_s"))),
        "compute_s": sum(record.wall_s for record in records),
        "engines": engines,
        "rechecks": asdict(rechecks_of(records)) if engines.keys() - {"opensim"} else None,
        "conditions": dict(Counter(str(row.get("condition", "unknown")) for row in rows).most_common()),
        "rejections": _rejections(records),
        "ranges": {name: _range(rows, name) for name in SUMMARISED if _numbers(rows, name)},
        "columns": list(rows[0]) if rows else [],
        "selection": manifest.selection.model_dump() if manifest.selection else None,
    }
    samples = manifest.campaign.get("samples")
    if manifest.selection is None and isinstance(samples, int):
        summary["n_samples_asked"] = samples
        summary["n_shards_planned"] = len(Plan(samples, manifest.gaits_per_shard))
    return summary


def _rejections(records: Iterable[ShardRecord]) -> dict[str, int]:
    """How often each reason was given; a sample may have several."""
    counts = Counter(reason for record in records for gait in record.rejected for reason in gait.reasons)
    return dict(counts.most_common())


def _numbers(rows: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [float(row[name]) for row in rows if isinstance(row.get(name), int | float)]


def _range(rows: Sequence[dict[str, Any]], name: str) -> dict[str, float]:
    values = np.array(_numbers(rows, name))
    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}
