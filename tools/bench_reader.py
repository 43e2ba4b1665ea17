"""How fast a dataset is read: streaming keypoints and labels, decoding pictures, a cold cache and a warm one.

    python -m tools.bench_reader [DATASET] [--epochs 3] [--threads 2] [--endpoint-url URL] [--json]

The baseline, in the same run on the same files, is a plain loop over whole arrays with
stock zarr: no shuffle, no threads, no checks of SHA-256, no batches. Without a dataset it
makes one of random gaits (`tests.datasets`), which takes some seconds and is not timed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import zarr

from farm.dataset import video
from farm.dataset.reader import GaitDataset
from farm.storage import FileStorage

FIELDS = ("keypoints_2d", "labels")
MADE_SAMPLES, MADE_PER_SHARD, MADE_LENGTH = 96, 16, 1001
"""Of the dataset that is made: 6 shards of gaits of 10 s, two views of 128x128 pixels."""


def plain(dataset: GaitDataset, *, frames: bool) -> int:
    """Every gait's arrays by stock zarr, shard after shard; how many there are."""
    storage = dataset.storage
    assert isinstance(storage, FileStorage)
    n = 0
    for shard_id in dataset.shard_ids:
        record = dataset.record(shard_id)
        if record.group is None:
            continue
        group = zarr.open_group(f"{storage.uri.removeprefix('file://')}/{record.group}", mode="r")
        paths = ["labels", *(f"views/{view}/keypoints_2d" for view in dataset.manifest.views)]
        values = {path: np.asarray(group[path][:]) for path in paths}
        n += len(values["labels"])
        if frames:
            view = dataset.manifest.views[0]
            data, offsets = group[f"views/{view}/video"][:], group[f"views/{view}/video_offsets"][:]
            for begin, end in pairwise(offsets):
                video.decode(data[begin:end].tobytes())
    return n


def count(items: Iterable[object]) -> int:
    """Go through all of them."""
    return sum(1 for _ in items)


def rate(walk: Callable[[], int], epochs: int) -> float:
    """Gaits in a second: the median of some walks."""
    rates = []
    for _ in range(epochs):
        begun = time.perf_counter()
        n = walk()
        rates.append(n / (time.perf_counter() - begun))
    return median(rates)


def bench(uri: str, *, endpoint_url: str | None, epochs: int, threads: int, scratch: Path) -> dict[str, float | None]:
    """Gaits per second of each way."""
    dataset = GaitDataset(uri, endpoint_url=endpoint_url)
    view = dataset.manifest.views[0]
    is_local = isinstance(dataset.storage, FileStorage)
    stream = dataset.stream(FIELDS, seed=1, threads=threads)
    figures: dict[str, float | None] = {"gaits": float(stream.n_gaits), "threads": float(threads)}

    def cached(turn: str, limit: int) -> Callable[[], int]:
        """An epoch through a cache: a new one each time ("cold") or one that is full ("warm")."""
        turns = iter(range(1000))

        def walk() -> int:
            folder = scratch / (f"cold-{next(turns)}" if turn == "cold" else "warm")
            opened = GaitDataset(uri, endpoint_url=endpoint_url, cache_dir=folder, cache_bytes=limit)
            return count(opened.stream(FIELDS, seed=1, threads=threads))

        return walk

    limit = 4 << 30
    count(dataset.stream(FIELDS))  # the files are in the system's own cache for everybody
    figures["plain_zarr_gaits_per_s"] = rate(lambda: plain(dataset, frames=False), epochs) if is_local else None
    figures["stream_gaits_per_s"] = rate(lambda: count(stream), epochs)
    one = dataset.stream(FIELDS, seed=1, threads=1)
    figures["stream_1_thread_gaits_per_s"] = rate(lambda: count(one), epochs)
    by_gait = dataset.stream(FIELDS, seed=1, threads=threads, shuffle="full", memory_bytes=1)
    figures["stream_by_gait_gaits_per_s"] = rate(lambda: count(by_gait), 1)
    batches = dataset.stream(FIELDS, seed=1, threads=threads, batch_size=8, cut_s=1.0)
    figures["stream_batches_of_8_gaits_per_s"] = rate(lambda: sum(len(b) for b in batches), epochs)  # type: ignore[arg-type, misc]
    figures["cold_cache_gaits_per_s"] = rate(cached("cold", limit), epochs)
    cached("warm", limit)()
    figures["warm_cache_gaits_per_s"] = rate(cached("warm", limit), epochs)
    pictures = dataset.stream((), frames=(view,), seed=1, threads=threads)
    figures["plain_frames_gaits_per_s"] = rate(lambda: plain(dataset, frames=True), 1) if is_local else None
    begun = time.perf_counter()
    n_pictures = sum(len(gait[f"views/{view}/frames"]) for gait in pictures)  # type: ignore[index]
    seconds = time.perf_counter() - begun
    figures["frames_gaits_per_s"] = stream.n_gaits / seconds
    figures["frames_pictures_per_s"] = n_pictures / seconds
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("--endpoint-url")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uri = a.dataset
        if uri is None:
            from tests.datasets import make_dataset
            from tests.samples import make_campaign

            uri = str(Path(folder) / "made")
            campaign = make_campaign(samples=MADE_SAMPLES, gaits_per_shard=MADE_PER_SHARD, image_size=(128, 128))
            make_dataset(uri, campaign, n_samples=(MADE_LENGTH,))
        figures = bench(
            uri, endpoint_url=a.endpoint_url, epochs=a.epochs, threads=a.threads, scratch=Path(folder)
        )  # fmt: skip
    if a.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:36s} {'-' if value is None else f'{value:12.1f}'}")


if __name__ == "__main__":
    main()
