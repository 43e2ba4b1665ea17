"""What a dataset of a million gaits costs whoever plans, resumes, compacts or asks it: seconds and peak memory.

`python tools/bench_scale.py [--shards 10000] [--gaits-per-shard 10] [--root DIR] [--json]`
writes a synthetic dataset (real commit records through the real `put_once`, rows as
wide as real ones, shard objects named but not there), then takes each measure in a
process of its own. `--gaits-per-shard 100` makes the million rows: 8 GB of commits,
a quarter of an hour. The baseline is what this project did before: every commit in
memory; it is measured on a share of the commits and multiplied, and says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from farm.config import Campaign, load_campaign
from farm.dataset.catalogue import compact, load_index, read_records
from farm.dataset.create import open_or_create
from farm.dataset.info import info
from farm.dataset.manifest import RejectedGait, ShardRecord, StoredBytes, commit_key, committed_shards, record_to_json
from farm.dataset.parts import index_rows
from farm.planning import Plan, plan_of, progress
from farm.storage import Storage, open_storage
from workers.ledger import Ledger
from workers.staging import survey

COLUMNS = 250
"""Columns of an index row; the demo campaign's have 199."""

OBJECTS = 93
"""Objects of a shard, as the demo campaign's have."""

REJECTED = 0.2
BASELINE_SHARDS = 200
NEWER = 100
"""Commits that come after the catalogue was written."""

FILTER = "gait_speed < 0.6 and condition = 'foot_drop'"


def campaign_of(shards: int, gaits: int) -> Campaign:
    """As many shards, each with so many accepted gaits."""
    asked = round(gaits / (1 - REJECTED))
    campaign = load_campaign("conditions", samples=shards * asked)
    return campaign.model_copy(update={"gaits_per_shard": asked})


def record_of(plan: Plan, number: int) -> ShardRecord:
    """A commit as a worker writes it, with random numbers in its rows."""
    shard = plan[number]
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(number,)))
    attempt = hashlib.sha256(shard.shard_id.encode()).hexdigest()[:32]
    group = f"shards/{shard.shard_id}/{attempt}.zarr"
    n_accepted = round(len(shard.sample_ids) * (1 - REJECTED))
    conditions = ("healthy", "foot_drop", "equinus_contracture")
    names = [f"value_{i}" for i in range(COLUMNS - 4)]
    index, rejected = [], []
    for i, sample_id in enumerate(shard.sample_ids):
        values = dict(zip(names, rng.normal(size=len(names)).tolist(), strict=True))
        row = {"sample_id": sample_id, "condition": conditions[int(rng.integers(3))], "engine": "opensim", **values}
        if i < n_accepted:
            index.append(row | {"gait_speed": float(rng.uniform(0.4, 1.8))})
        else:
            rejected.append(RejectedGait(sample_id=sample_id, reasons=("fell", "too_short"), parameters=row))
    objects = [StoredBytes(path=f"{group}/zarr.json", bytes=30000, sha256="0" * 64)]
    objects += [
        StoredBytes(path=f"{group}/array_{i}/c/0/0", bytes=1_000_000, sha256=f"{i:064x}") for i in range(OBJECTS - 1)
    ]
    return ShardRecord(
        shard_id=shard.shard_id, attempt_id=attempt, group=group, sample_ids=tuple(shard.sample_ids),
        n_accepted=len(index), n_rejected=len(rejected), rejected=tuple(rejected), objects=tuple(objects),
        index=tuple(index), wall_s=600.0, worker="bench:1",
    )  # fmt: skip


def write_commits(uri: str, shards: int, gaits: int, numbers: range) -> None:
    """Commit some shards of the synthetic dataset."""
    storage, plan = open_storage(uri), plan_of(campaign_of(shards, gaits))
    for number in numbers:
        storage.put_once(commit_key(plan[number].shard_id), record_to_json(record_of(plan, number)))


def build(uri: str, shards: int, gaits: int) -> None:
    """The dataset without its last hundred commits, unless it is there already."""
    storage = open_storage(uri)
    open_or_create(storage, campaign_of(shards, gaits))
    there = len(committed_shards(storage))
    steps = [range(first, min(first + 50, shards - NEWER)) for first in range(there, shards - NEWER, 50)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(
            pool.map(write_commits, *zip(*[(uri, shards, gaits, step) for step in steps], strict=True)) if steps else ()
        )


# --- the measures, each in a process of its own -------------------------------------------------------------------


def plan_step(_: Storage, campaign: Campaign) -> dict[str, Any]:
    plan = plan_of(campaign)
    return {"shards": len(plan), "samples": plan.samples, "first_left": next(progress(plan, ()).left()).shard_id}


def resume_step(storage: Storage, campaign: Campaign) -> dict[str, Any]:
    """What `generate` does until it hands out its first job, Ray's start apart."""
    open_or_create(storage, campaign)
    state = progress(plan_of(campaign), committed_shards(storage))
    ledger = Ledger(state.left(), lambda plan: survey(storage, plan))
    return {"first_job": ledger.next_job().sample_id, "shards_left": state.shards_left}  # type: ignore[union-attr]


def compact_step(storage: Storage, _: Campaign) -> dict[str, Any]:
    done = compact(storage)
    size = sum(item.size for item in storage.list("catalogue/"))
    return {"parts": len(done.parts), "shards_added": done.shards_added, "catalogue_bytes": size}


def query_step(storage: Storage, _: Campaign) -> dict[str, Any]:
    start_s = time.perf_counter()
    table = load_index(storage)
    loaded_s = time.perf_counter()
    found = table.rows(FILTER, ["sample_id", "gait_speed", "shard_id"])
    asked_s = time.perf_counter()
    one = table.rows(f"sample_id = {found[-1]['sample_id']}")
    end_s = time.perf_counter()
    return {
        "rows": len(table), "found": len(found), "columns": len(one[0]), "load_s": loaded_s - start_s,
        "filter_s": asked_s - loaded_s, "one_gait_s": end_s - asked_s,
    }  # fmt: skip


def info_step(storage: Storage, _: Campaign) -> dict[str, Any]:
    found = info(storage)
    return {"n_gaits": found["n_gaits"], "n_rejected": found["n_rejected"], "rejections": found["rejections"]}


def baseline_step(storage: Storage, campaign: Campaign) -> dict[str, Any]:
    """Every record and row in memory, as before; of a share of the commits."""
    ids = committed_shards(storage)[:BASELINE_SHARDS]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_s = time.perf_counter()
    rows = [row for record in read_records(storage, ids) for row in index_rows(record)]
    seconds = time.perf_counter() - start_s
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    factor = len(plan_of(campaign)) / len(ids)
    return {"rows": len(rows), "whole_s_extrapolated": seconds * factor, "whole_mb_extrapolated": grown * factor}


STEPS: dict[str, tuple[Callable[[Storage, Campaign], dict[str, Any]], str]] = {
    "plan": (plan_step, "plan, nothing committed"),
    "resume": (resume_step, "resume: list commits, find the first job"),
    "baseline": (baseline_step, f"baseline: {BASELINE_SHARDS} commits and their rows in memory"),
    "query_commits": (query_step, "index without a catalogue: all commits read"),
    "compact": (compact_step, "compact from nothing"),
    "compact_newer": (compact_step, f"compact again, {NEWER} commits newer"),
    "query": (query_step, f"index by the catalogue, asked {FILTER!r}"),
    "info": (info_step, "info"),
}


def measured(step: str, uri: str, shards: int, gaits: int) -> dict[str, Any]:
    """One step in a fresh process; seconds without the interpreter's start and imports."""
    command = [sys.executable, __file__, "--step", step, "--root", uri]
    command += ["--shards", str(shards), "--gaits-per-shard", str(gaits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (ourselves)
    if done.returncode:
        raise SystemExit(f"{step}: {done.stderr}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def in_this_process(step: str, uri: str, shards: int, gaits: int) -> dict[str, Any]:
    storage = open_storage(uri)
    start_s = time.perf_counter()
    details = STEPS[step][0](storage, campaign_of(shards, gaits))
    seconds = time.perf_counter() - start_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"step": step, "seconds": round(seconds, 3), "peak_rss_mb": round(peak), **details}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--gaits-per-shard", type=int, default=10)
    parser.add_argument("--root", help="Where the dataset is, or is written and stays; else a folder that is removed.")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size = (options.shards, options.gaits_per_shard)
    if options.step:
        print(json.dumps(in_this_process(options.step, options.root, *size)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        uri = options.root or str(Path(folder, "dataset"))
        start_s = time.perf_counter()
        build(uri, *size)
        built_s = time.perf_counter() - start_s
        results = []
        for step in options.steps:
            if step == "compact_newer":
                write_commits(uri, *size, range(options.shards - NEWER, options.shards))
            results.append(measured(step, uri, *size))
    report = {
        "shards": options.shards, "gaits": options.shards * options.gaits_per_shard, "columns": COLUMNS,
        "load": os.getloadavg()[0], "build_s": round(built_s, 1), "steps": results,
    }  # fmt: skip
    if options.json:
        print(json.dumps(report, indent=2))
        return
    table = Table("step", "seconds", "peak MB", "more", title=f"{report['gaits']} gaits in {options.shards} shards")
    for result in results:
        more = {name: value for name, value in result.items() if name not in ("step", "seconds", "peak_rss_mb")}
        words = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in more.items())
        table.add_row(STEPS[result["step"]][1], f"{result['seconds']:.2f}", str(result["peak_rss_mb"]), words)
    Console().print(table)


if __name__ == "__main__":
    main()
