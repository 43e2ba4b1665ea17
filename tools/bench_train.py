"""What training costs on this machine: batches made, steps taken, and which of the two waits for the other.

    python -m tools.bench_train [DATASET] [--steps 40] [--batch-size 32] [--width 48] [--gpu] [--json]

Without a dataset it makes one of kinematic walkers (`tests.walk_dataset`), which
takes some seconds and is not timed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from workers.train.fit import Fitter, TrainSettings
from workers.train.source import DatasetSource
from workers.train.stream import CLIP_S, GaitStream, split


def bench(uri: str, *, steps: int, batch_size: int, width: int, device: str, threads: int) -> dict[str, float | str]:
    """Seconds of reading, of making batches alone, of steps alone, and of both together."""
    begun = time.perf_counter()
    source = DatasetSource(uri)
    parts = split(source.sample_ids, 1)
    shards = {shard: source.load(shard) for shard in sorted({shard for shard, _ in parts.parts["train"]})}
    read_s = time.perf_counter() - begun
    n_gaits = sum(len(clips) for clips in shards.values())
    settings = TrainSettings(seed=1, epochs=1, steps=steps, batch_size=batch_size, width=width)

    def stream(n_threads: int) -> GaitStream:
        return GaitStream(
            source, parts.parts["train"], seed=1, batch_size=batch_size, steps_per_epoch=steps, threads=n_threads
        )

    begun = time.perf_counter()
    batches = list(stream(1))
    make_s = time.perf_counter() - begun
    fitter = Fitter(settings, device=torch.device(device))
    fitter.calibrate(batches[:4])
    fitter.begin_epoch()
    fitter.step(batches[0])  # compiles and allocates; not timed
    begun = time.perf_counter()
    for batch in batches:
        fitter.step(batch)
    step_s = time.perf_counter() - begun
    begun = time.perf_counter()
    for batch in stream(threads):
        fitter.step(batch)
    both_s = time.perf_counter() - begun
    return {
        "device": device,
        "threads": threads,
        "gaits": n_gaits,
        "parameters": sum(p.numel() for p in fitter.estimator.parameters()),
        "mean_clip_s": float(np.mean([b.features.frames.shape[1] for b in batches]) / 30.0),
        "clip_range_s": f"{CLIP_S[0]:g} to {CLIP_S[1]:g}",
        "read_gaits_per_s": n_gaits / read_s,
        "samples_made_per_s": steps * batch_size / make_s,
        "samples_stepped_per_s": steps * batch_size / step_s,
        "samples_per_s": steps * batch_size / both_s,
        "steps_per_s": steps / both_s,
        "making_share": make_s / (make_s + step_s),
        "waiting_share": max(0.0, 1.0 - step_s / both_s),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=TrainSettings.batch_size)
    parser.add_argument("--width", type=int, default=TrainSettings.width)
    parser.add_argument("--threads", type=int, default=2, help="that make batches while the network steps")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uri = a.dataset
        if uri is None:
            from tests.walk_dataset import write_walk_dataset

            uri = write_walk_dataset(Path(folder) / "walks", samples=16)
        figures = bench(
            uri, steps=a.steps, batch_size=a.batch_size, width=a.width, device="cuda" if a.gpu else "cpu",
            threads=a.threads,
        )  # fmt: skip
    if a.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:24} {value:.3g}" if isinstance(value, float) else f"{name:24} {value}")


if __name__ == "__main__":
    main()
