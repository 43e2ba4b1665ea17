"""One rank of training: what Ray Train runs on each worker, on whatever machine that is."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train.torch import get_device, prepare_model

import farm
from farm.errors import UserError
from farm.seeds import Stream, generator
from workers.train.clips import Batch, batch_rand
from workers.train.estimator import CHECKPOINT_NAME, save
from workers.train.fit import Fitter, TrainSettings
from workers.train.source import DatasetSource
from workers.train.stream import GaitStream, Place, split

STATE_NAME = "training.safetensors"
FIXED_BATCHES, FIXED_BATCH, FIXED_MOMENTS = 4, 64, 120
"""Of the fixed batches for validation, and for the standardisation of inputs."""

VALIDATION_DRAWS, CALIBRATION_DRAWS = 1 << 97, 1 << 98
"""Far beyond the index of any training batch (`stream.GaitStream.batch`), so that no draw is used twice."""

PROGRESS_EVERY_S = 0.25

Tell = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Order:
    """What a rank is told.

    Attributes:
        uri, endpoint_url: Of the dataset.
        settings: Of the run.
        time_budget_s: Seconds of training after which to stop, or None.
        threads: CPU cores of this rank.
    """

    uri: str
    endpoint_url: str | None
    settings: TrainSettings
    time_budget_s: float | None
    threads: int


def train_rank(config: dict[str, Any]) -> None:
    """One rank of training; runs on any machine of the cluster."""
    order: Order = config["order"]
    settings = order.settings
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(max(1, order.threads))
    source = DatasetSource(order.uri, endpoint_url=order.endpoint_url)
    parts = split(source.sample_ids, settings.seed)
    fitter = Fitter(
        settings, device=get_device(), wrap=prepare_model if world > 1 else lambda module: module, rank=rank
    )
    before = ray.train.get_checkpoint()
    if before is not None:
        with before.as_directory() as folder:
            fitter.restore((Path(folder) / STATE_NAME).read_bytes())
    stream = GaitStream(
        source, parts.parts["train"], seed=settings.seed, batch_size=settings.batch_size,
        steps_per_epoch=settings.steps, rank=rank, world=world, threads=order.threads,
    )  # fmt: skip
    stream.load_state_dict({"epoch": fitter.progress.epoch, "step": 0})
    if before is None:
        fitter.calibrate(_fixed_batches_rand(source, parts.parts["train"], settings.seed, CALIBRATION_DRAWS))
    validation = (
        _fixed_batches_rand(source, parts.parts["validation"], settings.seed, VALIDATION_DRAWS) if rank == 0 else []
    )
    tell = config["news"].put.remote if rank == 0 else lambda _: None
    tell({"resumed_from_epoch": fitter.progress.epoch, "epoch": fitter.progress.epoch, "step": fitter.progress.step})
    if fitter.progress.epoch >= settings.epochs:
        _report(fitter, source, math.nan, fitter.validate(validation), rank)
        return
    while fitter.progress.epoch < settings.epochs:
        over, mean = _epoch(fitter, stream, order, world, tell)
        value = fitter.validate(validation)
        tell({"validation_loss": value, "epoch": fitter.progress.epoch})
        _report(fitter, source, mean, value, rank)
        if over:
            break


def _epoch(fitter: Fitter, stream: GaitStream, order: Order, world: int, tell: Any) -> tuple[bool, float]:
    """One epoch; whether the time is up, and the mean loss."""
    begun = time.monotonic()
    fitter.begin_epoch()
    budget = order.time_budget_s
    told, total, n = begun, 0.0, 0
    for batch in stream:
        spent = fitter.progress.seconds + time.monotonic() - begun
        share = _agreed(spent / budget, world) if budget else 0.0
        if share >= 1.0:
            break
        value = fitter.step(batch, elapsed_share=share)
        total, n = total + value, n + 1
        if time.monotonic() - told > PROGRESS_EVERY_S:
            told = time.monotonic()
            tell({"step": fitter.progress.step, "loss": total / n})
    fitter.end_epoch(time.monotonic() - begun)
    tell({"step": fitter.progress.step, "loss": total / max(1, n)})
    return bool(budget and fitter.progress.seconds >= budget), total / max(1, n)


def _agreed(share: float, world: int) -> float:
    """The largest of all ranks' shares of the time budget, so that they stop at the same step."""
    if world == 1:
        return share
    value = torch.tensor([share], device=get_device())
    torch.distributed.all_reduce(value, op=torch.distributed.ReduceOp.MAX)
    return float(value)


def _report(fitter: Fitter, source: DatasetSource, mean: float, validation: float, rank: int) -> None:
    """Give Ray Train the epoch's figures and, from rank 0, its checkpoint."""
    done = fitter.progress
    metrics = {
        "epoch": done.epoch, "step": done.step, "seconds": done.seconds, "loss": mean, "validation_loss": validation,
    }  # fmt: skip
    if rank != 0:
        ray.train.report(metrics)
        return
    provenance = {
        "dataset_id": source.dataset_id, "uri": source.uri, "settings": asdict(fitter.settings),
        "epochs": done.epoch, "steps": done.step, "gaitfarm": farm.__version__,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / STATE_NAME).write_bytes(fitter.state())
        (Path(folder) / CHECKPOINT_NAME).write_bytes(save(fitter.estimator, provenance=provenance))
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _fixed_batches_rand(source: DatasetSource, places: Sequence[Place], seed: int, draws: int) -> list[Batch]:
    """A few batches, the same on every rank, in every epoch and every run; `draws` keeps them apart from others."""
    shards = {shard: source.load(shard) for shard in sorted({shard for shard, _ in places[:FIXED_BATCH]})}
    clips = [clip for shard, i in places[:FIXED_BATCH] if (clip := shards[shard][i]) is not None]
    if not clips:
        raise UserError("no gait to validate or to train on has all labels; generate more samples")
    some = [clips[i % len(clips)] for i in range(FIXED_BATCH)]
    return [
        batch_rand(generator(seed, Stream.AUGMENTATION, draws + i), some, FIXED_MOMENTS) for i in range(FIXED_BATCHES)
    ]
