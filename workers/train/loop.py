"""Training on Ray: any number of workers, CPU or GPU, a checkpoint after every epoch, resumed after a kill.

Ray Train (V2) decides where ranks run and keeps the checkpoints; the ranks run
`fit.Fitter` on `stream.GaitStream`. What `--out` holds afterwards:

    estimator.safetensors   the estimator, for `gaitfarm predict`
    test.json, test.csv     its scores on gaits that it never saw
    run.json                what was trained on what, and the course of the loss
    ray/                    Ray Train's checkpoints, for --resume
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchTrainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from farm.dataset.split import Part
from farm.errors import StorageError, UserError
from workers.train.clips import GaitClip
from workers.train.estimator import CHECKPOINT_NAME, load
from workers.train.evaluate import MAX_TEST_GAITS, Score, score_table, scores, write_scores
from workers.train.fit import TrainSettings
from workers.train.rank import PROGRESS_EVERY_S, Order, train_rank
from workers.train.source import DatasetSource
from workers.train.stream import Split, split

RUN_NAME = "run"
RECORD_NAME = "run.json"
MIN_STEPS = 40
"""Of an epoch: a dozen gaits are seen again and again, each time varied and filmed anew."""

CUTS_PER_GAIT = 4
"""How often an epoch of a large dataset sees each gait."""

MAX_FAILURES = 3
KEPT_CHECKPOINTS = 2
OBJECT_STORE_BYTES = 100_000_000
GPU_START_LIMIT_S = "900"
"""Machines with GPUs take minutes to start; Ray Train gives up after one."""


@dataclass(frozen=True)
class TrainSummary:
    """What a training run left behind.

    Attributes:
        checkpoint: The estimator's file.
        scores: On held-out gaits, by parameter and view.
        n_train, n_validation, n_test: Gaits of each part.
        split_unit: What is held out: "gait".
        warning: What is wrong with the split, or "".
        epochs, steps: Done in all, earlier runs included.
        seconds: Of training.
        validation_loss: After the last epoch.
    """

    checkpoint: Path
    scores: tuple[Score, ...]
    n_train: int
    n_validation: int
    n_test: int
    split_unit: str
    warning: str
    epochs: int
    steps: int
    seconds: float
    validation_loss: float
    resumed_from_epoch: int

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self) | {"checkpoint": str(self.checkpoint), "scores": [asdict(score) for score in self.scores]}


@ray.remote(num_cpus=0)
class _News:
    """Carries rank 0's progress to the terminal."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def put(self, news: dict[str, Any]) -> None:
        self._last |= news

    def get(self) -> dict[str, Any]:
        return dict(self._last)


def train(
    uri: str,
    out: str | Path,
    *,
    endpoint_url: str | None = None,
    workers: int = 1,
    epochs: int | None = None,
    steps: int | None = None,
    time_budget_s: float | None = None,
    batch_size: int = TrainSettings.batch_size,
    seed: int = 1,
    width: int = TrainSettings.width,
    resume: bool = False,
    use_gpu: bool | None = None,
    address: str | None = None,
    console: Console | None = None,
) -> TrainSummary:
    """Train the estimator on a dataset and test it on gaits held out of it.

    Args:
        uri: The dataset: a path, `file:///...` or `s3://bucket/prefix`; every worker must reach it.
        out: Folder for the results; on a cluster, one that all machines see.
        endpoint_url: S3-compatible service other than AWS.
        workers: Ranks that train together, each with its own batches.
        epochs: None takes 12.
        steps: Batches in an epoch; None sees each gait 4 times, and makes at least 40.
        time_budget_s: Stop after so many seconds of training; the learning rate falls to fit.
        batch_size: Clips in one rank's batch.
        seed: Of everything random.
        width: Channels of the network; 48 suits a CPU and up to some hundred gaits.
        resume: Go on with the run in `out`.
        use_gpu: One GPU for each rank; None if there are as many as ranks.
        address: Ray cluster, as `ray.init` takes it; None starts Ray here.
        console: Where progress and the table go; None for stderr.

    Returns:
        Where things are, and the scores.

    Raises:
        UserError: What the caller can mend: no dataset, too few gaits, an `out` in use, no such cluster.
    """
    console = console or Console(stderr=True)
    _check_counts(workers=workers, epochs=epochs, steps=steps, batch_size=batch_size, width=width)
    uri = _absolute(uri)
    out = Path(out).resolve()
    source = DatasetSource(uri, endpoint_url=endpoint_url)
    parts = split(source.sample_ids, seed)
    n_train = len(parts.parts["train"])
    settings = TrainSettings(
        seed=seed,
        epochs=epochs or TrainSettings.epochs,
        steps=steps or max(MIN_STEPS, math.ceil(n_train * CUTS_PER_GAIT / (batch_size * workers))),
        batch_size=batch_size,
        width=width,
    )
    record = {"dataset_id": source.dataset_id, "uri": uri, "workers": workers, "settings": asdict(settings)}
    _claim(out, record, resume=resume)
    if parts.warning:
        console.print(f"warning: {parts.warning}", style="yellow", markup=False, highlight=False)
    n_test = len(parts.parts["test"])
    console.print(
        f"{n_train} gaits to train on, {len(parts.parts['validation'])} to validate, {n_test} to test "
        f"(split by {parts.unit})", highlight=False,
    )  # fmt: skip
    with _ray(address, workers):
        result, resumed = _fit(uri, endpoint_url, settings, out, workers, use_gpu, time_budget_s, address, console)
        metrics: dict[str, Any] = dict(result.metrics or {})
        with result.checkpoint.as_directory() as folder:
            _place(Path(folder) / CHECKPOINT_NAME, out / CHECKPOINT_NAME)
    model, provenance = load(out / CHECKPOINT_NAME)
    with console.status("testing on held-out gaits"):
        test = scores(model, held_out(source, parts, "test"), seed=seed)
    summary = TrainSummary(
        checkpoint=out / CHECKPOINT_NAME,
        scores=tuple(test),
        n_train=n_train,
        n_validation=len(parts.parts["validation"]),
        n_test=n_test,
        split_unit=parts.unit,
        warning=parts.warning,
        epochs=int(metrics["epoch"]),
        steps=int(metrics["step"]),
        seconds=float(metrics["seconds"]),
        validation_loss=float(metrics["validation_loss"]),
        resumed_from_epoch=resumed,
    )
    write_scores(test, out, {"dataset_id": source.dataset_id, "uri": uri, "n_test": n_test, "split": parts.unit,
                             "warning": parts.warning, "provenance": provenance})  # fmt: skip
    _write_json(out / RECORD_NAME, record | {"result": summary.as_json()})
    console.print(
        score_table(test, title=f"Test after {summary.epochs} epochs, {summary.steps} steps, {summary.seconds:.0f} s")
    )
    return summary


def held_out(source: DatasetSource, parts: Split, part: Part) -> list[GaitClip]:
    """The usable gaits of a held-out part, at most `MAX_TEST_GAITS`, each shard fetched once."""
    by_shard: dict[str, list[int]] = {}
    for shard, index in parts.parts[part][:MAX_TEST_GAITS]:
        by_shard.setdefault(shard, []).append(index)
    clips: list[GaitClip] = []
    for shard, indices in by_shard.items():
        loaded = source.load(shard)
        clips += [clip for i in indices if (clip := loaded[i]) is not None]
    if not clips:
        raise UserError(f"none of the {len(parts.parts['test'])} held-out gaits has all labels; generate more samples")
    return clips


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} is {value}; it must be 1 or more")


def _absolute(uri: str) -> str:
    """Ray's workers run in folders of their own: a relative path would mean another place there."""
    return uri if "://" in uri else str(Path(uri).resolve())


def _claim(out: Path, record: dict[str, object], *, resume: bool) -> None:
    """Make `out` this run's, or see that it is.

    Raises:
        UserError: It holds another run, or one that was not to be resumed; or it cannot be written.
    """
    path = out / RECORD_NAME
    if path.exists():
        if not resume:
            raise UserError(
                f"{out} already holds a training run: add --resume to go on with it, or choose another --out"
            )
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            for name in ("dataset_id",):
                if before[name] != record[name]:
                    raise UserError(
                        f"cannot resume {out}: its {name} is {before[name]}, this dataset's is {record[name]}"
                    )
            for name in ("seed", "width"):
                was, now = before["settings"][name], record["settings"][name]  # type: ignore[index]
                if was != now:
                    raise UserError(
                        f"cannot resume {out}: {name} was {was} and is now {now}; "
                        f"add --{name} {was}, or choose another --out"
                    )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); choose another --out") from None
    elif out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no training run; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_json(path, record)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}; choose another --out") from None


def _write_json(path: Path, document: object) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _place(file: Path, where: Path) -> None:
    """Copy so that a reader sees the old file or the new one, never half of one."""
    part = where.with_suffix(".part")
    part.write_bytes(file.read_bytes())
    part.replace(where)


def _fit(
    uri: str,
    endpoint_url: str | None,
    settings: TrainSettings,
    out: Path,
    workers: int,
    use_gpu: bool | None,
    time_budget_s: float | None,
    address: str | None,
    console: Console,
) -> tuple[Any, int]:
    """Run Ray Train to its end; its result, and the epoch from which it went on."""
    has = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpu = has.get("GPU", 0) >= workers if use_gpu is None else use_gpu
    cpus = int(has.get("CPU", 0))
    if address is None and cpus < workers:
        raise UserError(
            f"{workers} workers need {workers} CPUs, and Ray has {cpus} here; ask for --workers {max(1, cpus)}"
        )
    if address is None and gpu and has.get("GPU", 0) < workers:
        raise UserError(
            f"{workers} workers need {workers} GPUs, and there are {int(has.get('GPU', 0))} here; leave out --gpu"
        )
    each = max(1, min(8, cpus // workers)) if cpus else 1
    news = _News.remote()  # type: ignore[attr-defined]
    trainer = TorchTrainer(
        train_rank,
        train_loop_config={
            "order": Order(uri, endpoint_url, settings, time_budget_s, each),
            "news": news,
        },
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers, use_gpu=bool(gpu), resources_per_worker={"CPU": each} | ({"GPU": 1} if gpu else {})
        ),
        run_config=ray.train.RunConfig(
            name=RUN_NAME,
            storage_path=str(out / "ray"),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS),
            failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
        ),
    )
    with _shown(news, settings, console):
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise _cause(error) from None
    last = ray.get(news.get.remote())
    return result, int(last.get("resumed_from_epoch", 0))


def _cause(error: Any) -> Exception:
    """What a rank died of: its own named error where it has one."""
    failures: dict[int, BaseException] = getattr(error, "worker_failures", None) or {}
    for failure in failures.values():
        cause = getattr(failure, "cause", failure)
        if isinstance(cause, UserError):
            return cause
    first = next(iter(failures.values()), error)
    line = next((line for line in str(first).splitlines() if line.strip()), type(first).__name__)
    return UserError(
        f"training failed {MAX_FAILURES + 1} times, the last time with: {line}; `--resume` goes on from the last epoch"
    )


@contextlib.contextmanager
def _shown(news: Any, settings: TrainSettings, console: Console) -> Iterator[None]:
    """A progress bar fed by rank 0, for as long as training runs."""
    done = threading.Event()
    bar = Progress(
        TextColumn("[bold]train"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        TextColumn("loss {task.fields[loss]}  validation {task.fields[validation]}"),
        console=console, transient=False,
    )  # fmt: skip

    def follow() -> None:
        total = settings.epochs * settings.steps
        task = bar.add_task("train", total=total, epoch=0, epochs=settings.epochs, loss="-", validation="-")
        while True:
            over = done.wait(PROGRESS_EVERY_S)
            try:
                last = ray.get(news.get.remote(), timeout=5.0)
            except Exception:  # the bar must never end a training
                return
            if last:
                bar.update(
                    task, completed=last.get("step", 0), epoch=last.get("epoch", 0) ,
                    loss=f"{last['loss']:.3f}" if "loss" in last else "-",
                    validation=f"{last['validation_loss']:.3f}" if "validation_loss" in last else "-",
                )  # fmt: skip
            if over:
                return

    with bar:
        thread = threading.Thread(target=follow, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=10.0)


@contextlib.contextmanager
def _ray(address: str | None, workers: int) -> Iterator[None]:
    """The Ray that this process is connected to already, a cluster, or one of our own for the run's time."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", GPU_START_LIMIT_S)
    term = signal.getsignal(signal.SIGTERM)
    with contextlib.ExitStack() as stack:
        try:
            if address is None:
                temp = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="gf-", dir="/tmp", ignore_cleanup_errors=True)
                )
                ray.init(
                    address="local", num_cpus=max(workers, os.cpu_count() or 1), include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES, log_to_driver=False, logging_level=logging.ERROR,
                    _temp_dir=temp,
                )  # fmt: skip
            else:
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            where = f"the Ray cluster at {address!r} cannot be reached" if address else "Ray does not start here"
            raise UserError(f"{where}: {first.strip()}; `gaitfarm doctor` tries it alone") from None
        stack.callback(ray.shutdown)
        if threading.current_thread() is threading.main_thread() and callable(term):
            signal.signal(signal.SIGTERM, term)
        yield
