"""What a dataset is and how far it has come, for `gaitfarm info`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from farm.dataset.catalogue import load_index
from farm.dataset.engines import engines_of, rechecks_of
from farm.dataset.manifest import read_manifest
from farm.dataset.pack import RENDERER
from farm.dataset.parts import PLACE_COLUMNS
from farm.dataset.table import IndexTable
from farm.dataset.verify_shard import plan_of_manifest
from farm.storage import Storage, open_storage

SUMMARISED = ("gait_speed", "cadence", "step_length", "step_time", "stature_m", "mass_kg", "age_years")
"""Columns of the index whose range `info` shows."""


def info(source: str | Storage, *, endpoint_url: str | None = None) -> dict[str, Any]:
    """Identity, progress, sizes, engines, conditions, rejections and ranges; every value can be written as JSON.

    Raises:
        FormatError: There is no dataset, or one that this software cannot read.
        StorageError: The storage cannot be read.
    """
    storage = open_storage(source, endpoint_url=endpoint_url) if isinstance(source, str) else source
    manifest = read_manifest(storage)
    table = load_index(storage, with_rejected=True)
    n_shards, n_gaits, n_rejected, n_bytes, wall_s = table.ask(
        "SELECT count(*), sum(n_accepted), sum(n_rejected), sum(n_bytes), sum(wall_s) FROM shards"
    )[0]
    engines = engines_of(table)
    summary: dict[str, Any] = {
        "uri": storage.uri,
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
        "n_gaits": int(n_gaits or 0),
        "n_rejected": int(n_rejected or 0),
        "n_shards": int(n_shards),
        "n_bytes": int(n_bytes or 0),
        "duration_s": float(_first(table, "sum({})", "duration_s") or 0.0),
        "compute_s": float(wall_s or 0.0),
        "engines": engines,
        "rechecks": asdict(rechecks_of(table)) if engines.keys() - {"opensim"} else None,
        "renderers": _renderers(table) if n_gaits else {},
        "conditions": _conditions(table) if n_gaits else {},
        "rejections": _rejections(table),
        "ranges": {name: found for name in SUMMARISED if (found := _range(table, name)) is not None},
        "columns": [name for name in table.columns if name not in PLACE_COLUMNS] if n_gaits else [],
        "selection": manifest.selection.model_dump() if manifest.selection else None,
        "refilmed_from": manifest.refilmed_from.model_dump() if manifest.refilmed_from else None,
    }
    plan = plan_of_manifest(manifest)
    if plan is not None:
        summary["n_samples_asked"] = plan.samples
        summary["n_shards_planned"] = len(plan)
    return summary


def _renderers(table: IndexTable) -> dict[str, int]:
    """Gaits by what drew their pictures, most first; without those that have none."""
    if RENDERER not in table.columns:
        return {}
    counted = f"SELECT {RENDERER}, count(*) AS n FROM gaits WHERE {RENDERER} IS NOT NULL GROUP BY {RENDERER} "  # noqa: S608
    return {str(name): int(n) for name, n in table.ask(f"{counted} ORDER BY n DESC, {RENDERER}")}


def _conditions(table: IndexTable) -> dict[str, int]:
    """Gaits by condition, most first."""
    told = "coalesce(condition, 'unknown')" if "condition" in table.columns else "'unknown'"
    counted = f"SELECT {told} AS named, count(*) AS n FROM gaits GROUP BY named ORDER BY n DESC, min(sample_id)"  # noqa: S608
    return {str(name): int(n) for name, n in table.ask(counted)}


def _rejections(table: IndexTable) -> dict[str, int]:
    """How often each reason was given, most first; a sample may have several."""
    told = "SELECT unnest(reasons) AS reason, sample_id FROM rejected"
    counted = f"SELECT reason, count(*) AS n FROM ({told}) GROUP BY reason ORDER BY n DESC, min(sample_id), reason"  # noqa: S608
    return {str(reason): int(n) for reason, n in table.ask(counted)}


def _range(table: IndexTable, name: str) -> dict[str, float] | None:
    """Of the gaits that have such a number; None where none has."""
    found = [_first(table, function, name) for function in ("min({})", "median({})", "max({})")]
    if found[0] is None:
        return None
    return dict(zip(("min", "median", "max"), map(float, found), strict=True))


def _first(table: IndexTable, function: str, name: str) -> Any:
    """One figure of one of our own columns; None where there is no such column, or no number in it."""
    if name not in table.columns:
        return None
    return table.ask(f"SELECT {function.format(f'TRY_CAST({name} AS DOUBLE)')} FROM gaits")[0][0]  # noqa: S608
