"""How fast a dataset is verified, against hashing and against copying the same bytes in the same run.

`python tools/bench_verify.py [URI] [--endpoint-url URL] [--workers 1 2] [--json]`. Without a URI it makes a dataset
of random gaits with real videos (`--shards`, `--gaits`) in a temporary folder, or with `--s3 s3://bucket/prefix` there,
and removes it. "hash" reads every object and computes its SHA-256, in as many threads as there are workers; "copy" is
`shutil.copytree` of the folder, or boto3's own `download_file` of every object. Everything reads warm data: the
dataset has just been written, or was read by the pass before. Figures mean something on a quiet machine only; the load
at the start is printed with them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the sample maker of the tests

from farm.dataset.verify import verify
from farm.storage import FileStorage, Storage, open_storage
from tests.datasets import make_dataset
from tests.samples import make_campaign

COLUMNS = ("what", "workers", "seconds", "mb_s", "objects_s", "gaits_s", "of_copy")


@contextmanager
def made(options: argparse.Namespace) -> Iterator[Storage]:
    """The dataset to look at."""
    if options.uri is not None:
        yield open_storage(options.uri, endpoint_url=options.endpoint_url)
        return
    side = options.image_size
    campaign = make_campaign(
        samples=options.shards * options.gaits, gaits_per_shard=options.gaits, views=("front", "side", "back"),
        image_size=(side, side),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder:
        target = open_storage(options.s3 or folder, endpoint_url=options.endpoint_url)
        make_dataset(target, campaign, n_samples=(1001,))
        try:
            yield target
        finally:
            if options.s3:
                for item in target.list():
                    target.delete(item.key)


def timed(act: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    act()
    return time.perf_counter() - start_s


def hash_all(storage: Storage, keys: list[str], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda key: hashlib.sha256(storage.get(key)).hexdigest(), keys))


def copy_all(storage: Storage, keys: list[str], endpoint_url: str | None, workers: int) -> None:
    """What a person would do without us."""
    with tempfile.TemporaryDirectory(prefix="bench-copy-") as folder:
        if isinstance(storage, FileStorage):
            shutil.copytree(Path(storage.uri) / "shards", Path(folder) / "shards")
            return
        import boto3

        bucket, _, prefix = storage.uri.removeprefix("s3://").partition("/")
        client = boto3.client("s3", endpoint_url=endpoint_url)

        def download(key: str) -> None:
            path = Path(folder) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, f"{prefix}/{key}".lstrip("/"), str(path))

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(download, keys))


def measure(storage: Storage, options: argparse.Namespace) -> dict[str, Any]:
    listed = storage.list("shards/")
    keys, n_bytes = [item.key for item in listed], sum(item.size for item in listed)
    first = verify(storage, thorough=False)
    assert first.sound, first.faults[:3]
    rows = []

    def add(what: str, workers: int, seconds: float) -> None:
        rows.append(
            {
                "what": what,
                "workers": workers,
                "seconds": round(seconds, 3),
                "mb_s": round(n_bytes / seconds / 1e6, 1),
                "objects_s": round(len(keys) / seconds, 1),
                "gaits_s": round(first.n_gaits / seconds, 2),
            }
        )

    for workers in options.workers:
        add("copy", workers, timed(lambda workers=workers: copy_all(storage, keys, options.endpoint_url, workers)))
        add("hash", workers, timed(lambda workers=workers: hash_all(storage, keys, workers)))
        add("verify --fast", workers, timed(lambda: verify(storage, thorough=False)))
        deep_s = timed(lambda workers=workers: verify(storage, workers=workers, processes=workers > 1))
        add("verify --deep", workers, deep_s)
    copies = {row["workers"]: row["seconds"] for row in rows if row["what"] == "copy"}
    for row in rows:
        row["of_copy"] = round(copies[row["workers"]] / row["seconds"], 4)
    return {
        "where": "s3" if storage.uri.startswith("s3://") else "file",
        "shards": first.n_shards,
        "gaits": first.n_gaits,
        "objects": len(keys),
        "bytes": n_bytes,
        "cores": os.cpu_count(),
        "runs": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", nargs="?", help="an existing dataset; without, one is made")
    parser.add_argument("--s3", help="make the dataset here, s3://bucket/prefix, and remove it at the end")
    parser.add_argument("--endpoint-url")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--gaits", type=int, default=4, help="in a shard")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with made(options) as storage:
        figures = {"load": load, **measure(storage, options)}
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    size = f"{figures['objects']} objects, {figures['bytes'] / 1e6:.1f} MB"
    table = Table(*COLUMNS, title=f"{size} on {figures['where']}, {os.cpu_count()} cores, load {load:.1f} at the start")
    for values in figures["runs"]:
        table.add_row(*(str(values[name]) for name in COLUMNS))
    Console().print(table)


if __name__ == "__main__":
    main()
