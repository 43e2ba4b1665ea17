"""How fast a part of a dataset is pulled, against a plain copy of the objects that hold it, in the same run.

    python -m tools.bench_pull [--shards 6] [--gaits-per-shard 16] [--json]
    python -m tools.bench_pull --s3 s3://bucket/prefix --endpoint-url http://localhost:7480 [--json]
    python -m tools.bench_pull --uri DATASET [--json]

Makes a dataset (random walks, lossless pictures) in a
folder, or on S3 where `--s3` names an empty prefix; or takes the one of `--uri`. Three pulls
into a folder: everything; one view with two fields; a twentieth of the gaits. A plain copy is
`shutil.copyfile` of the same objects, or boto3's `download_file` by eight threads from S3;
since a pull flushes each file to the disk before its commit names it, a copy that does so too
is measured beside the careless one. Of `--repeats` rounds the fastest counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from rich.console import Console
from rich.table import Table

from farm.dataset.manifest import StoredBytes, read_record
from farm.dataset.pull import PullPlan, carry_out, plan_pull
from farm.dataset.pull_choice import Wish
from farm.storage import Storage, open_storage
from tests.datasets import make_dataset
from tests.samples import make_campaign

N_SAMPLES = 300
IMAGE_SIZE = (96, 72)
COPIERS = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=6)
    parser.add_argument("--gaits-per-shard", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--uri", help="a dataset that is there, instead of one that is made")
    parser.add_argument("--s3", help="make the dataset there: s3://bucket/empty-prefix (the bucket must exist)")
    parser.add_argument("--endpoint-url", help="S3-compatible service other than AWS")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-pull-") as name:
        folder = Path(name)
        storage = open_storage(
            arguments.uri or arguments.s3 or str(folder / "walks"), endpoint_url=arguments.endpoint_url
        )
        if arguments.uri is None:
            _make(storage, arguments.shards, arguments.gaits_per_shard)
        rows = measure(storage, arguments.endpoint_url, folder, arguments.repeats)
    if arguments.json:
        print(json.dumps({"source": storage.uri, "cores": os.cpu_count(), "pulls": rows}, indent=1))
    else:
        _show(storage.uri, rows)


def measure(storage: Storage, endpoint_url: str | None, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """One row for each pull: its time, what it read, and the time of plain copies."""
    everything = plan_pull(storage, str(folder / "nothing"), Wish())
    n_gaits = everything.estimate.n_gaits
    view = everything.manifest.views[0]
    pictures = next(
        path.rpartition("/")[2]
        for path in everything.manifest.arrays
        if path.endswith(("/rgb", "/video", "/keypoints_2d"))
    )
    wishes = {
        "everything": Wish(),
        "one view, two fields": Wish(views=[view], fields=[pictures, "labels"]),
        "a twentieth of the gaits": Wish(count=max(1, n_gaits // 20)),
    }
    return [_row(name, storage, endpoint_url, wish, folder, repeats) for name, wish in wishes.items()]


def _row(
    name: str, storage: Storage, endpoint_url: str | None, wish: Wish, folder: Path, repeats: int
) -> dict[str, Any]:
    target, copied = folder / "part", folder / "copy"
    plan = plan_pull(storage, str(target), wish)
    objects = _objects(plan)
    copy = _downloads if storage.uri.startswith("s3://") else _copies

    def pulled() -> Any:
        return carry_out(plan_pull(storage, str(target), wish))

    pull_s, report = _fastest(pulled, [target], repeats)
    copy_s, _ = _fastest(lambda: copy(storage.uri, endpoint_url, objects, copied, flush=False), [copied], repeats)
    flushed_s, _ = _fastest(lambda: copy(storage.uri, endpoint_url, objects, copied, flush=True), [copied], repeats)
    n_bytes = sum(item.bytes for item in objects)
    return {
        "pull": name,
        "gaits": report.n_gaits,
        "shards": report.n_shards,
        "pull_s": pull_s,
        "written_bytes": report.n_bytes,
        "read_bytes": report.read_bytes,
        "requests": report.requests,
        "pull_mb_per_s": report.n_bytes / 1e6 / pull_s,
        "objects": len(objects),
        "objects_bytes": n_bytes,
        "copy_s": copy_s,
        "copy_mb_per_s": n_bytes / 1e6 / copy_s,
        "flushed_copy_s": flushed_s,
        "read_share_of_objects": report.read_bytes / n_bytes,
        "time_of_flushed_copy": pull_s / flushed_s,
    }


def _objects(plan: PullPlan) -> list[StoredBytes]:
    """The objects of the source that hold what is pulled."""
    found = []
    for shard_id in plan.choice.positions:
        record = read_record(plan.source, shard_id)
        wanted = (*(f"{record.group}/{item.path}/" for item in plan.paths), f"{record.group}/zarr.json")
        found += [item for item in record.objects if item.path.startswith(wanted)]
    return found


def _fastest(work: Callable[[], Any], made: Sequence[Path], repeats: int) -> tuple[float, Any]:
    """The shortest time of several, and what the last one gave; what it made is removed before each."""
    best, result = float("inf"), None
    for _ in range(repeats):
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        begin = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - begin)
    for path in made:
        shutil.rmtree(path, ignore_errors=True)
    return best, result


def _copies(root: str, _: str | None, objects: Sequence[StoredBytes], target: Path, *, flush: bool) -> None:
    for item in objects:
        path = target / item.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(root, item.path), path)
        if flush:
            _flush(path)


def _downloads(
    uri: str, endpoint_url: str | None, objects: Sequence[StoredBytes], target: Path, *, flush: bool
) -> None:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    config = Config(
        s3={"addressing_style": "path"},
        max_pool_connections=4 * COPIERS,
        response_checksum_validation="when_required",
    )
    client = boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1", config=config)

    def one(item: StoredBytes) -> None:
        path = target / item.path
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(bucket, f"{prefix}/{item.path}".lstrip("/"), str(path))
        if flush:
            _flush(path)

    with ThreadPoolExecutor(COPIERS) as pool:
        list(pool.map(one, objects))
    client.close()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _make(storage: Storage, shards: int, gaits: int) -> None:
    if storage.list():
        raise SystemExit(f"{storage.uri} is not empty; name an empty prefix, or measure what is there with --uri")
    campaign = make_campaign(
        samples=shards * gaits, gaits_per_shard=gaits, rgb="lossless", mask=False, image_size=IMAGE_SIZE
    )
    make_dataset(storage, campaign, n_samples=(N_SAMPLES,))


def _show(uri: str, rows: Sequence[dict[str, Any]]) -> None:
    table = Table(
        "pull", "gaits", "written MB", "read MB", "requests", "s", "MB/s", "copy s", "flushed copy s", "objects MB",
        title=f"{uri}, {os.cpu_count()} cores",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row["pull"], str(row["gaits"]), f"{row['written_bytes'] / 1e6:.1f}", f"{row['read_bytes'] / 1e6:.1f}",
            str(row["requests"]), f"{row['pull_s']:.2f}", f"{row['pull_mb_per_s']:.0f}", f"{row['copy_s']:.2f}",
            f"{row['flushed_copy_s']:.2f}", f"{row['objects_bytes'] / 1e6:.1f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
