"""Between a worker's hands and the shard: made samples wait in storage, one object each, under `staging/`.

Where should a shard's finished gaits live until the last one is there? Held by
one worker that owns the shard, they die with it: at 64 gaits of half a minute
each, one segfault or reclaimed spot machine throws away up to half an hour. In
Ray's object store they pass through memory and spill files of machines that come
and go. So each goes straight to the dataset's own storage: a put and a get of
about 3 MB (well under 1 % of what making it costs), and any worker can make any
sample, a crash costs the one sample in flight, an interrupted run is resumed
gait by gait, and the last shards of a campaign spread over all workers.

What lies in `staging/` is not part of the dataset: no reader looks there, and a
shard's staging is swept once the shard is committed. The objects hold numpy
arrays and JSON; nothing in them is ever executed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import socket
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from farm.config import Campaign
from farm.dataset.manifest import STAGING, RejectedGait, ShardRecord, commit_key, read_record
from farm.dataset.pack import PackedGait, PackedPicture, pack, rejected_gait
from farm.dataset.reader import GaitDataset
from farm.dataset.refilm import filmed_again, parameters_again
from farm.dataset.writer import encode_shard
from farm.errors import (
    CampaignError,
    FormatError,
    ObjectNotFoundError,
    RejectedSample,
    SimulationDiverged,
    StorageError,
    StorageUnavailableError,
)
from farm.pipeline import Stages, make_sample
from farm.planning import ShardPlan
from farm.sampling.draw import gait_parameters_rand
from farm.storage import Storage
from workers.ledger import MakeSample, Survey, WriteShard
from workers.staged_archive import check_archive, check_picture
from workers.summary import reason_code
from workers.write import commit_shard

ACCEPTED, REJECTED = "gait", "rejected"
"""Suffixes of staged objects, so that a listing tells how far an interrupted run had come."""

LONGEST_PAUSE_S = 15.0
"""Between two tries to stage a made sample while storage is away, each after the storage's own retries."""

HEADER = "header"
"""Name of the JSON among a staged gait's arrays; no array path of the format is called so."""


@dataclass(frozen=True)
class Made:
    """A sample was made and staged: all that passes through Ray.

    Attributes:
        key: Where its bytes lie.
        reasons: Codes of why it was turned down, empty if it was accepted.
        seconds: By stage.
    """

    sample_id: int
    key: str
    accepted: bool
    reasons: tuple[str, ...]
    seconds: Mapping[str, float]
    staged_bytes: int


@dataclass(frozen=True)
class Written:
    """A shard was committed, by us or by another driver who was faster.

    Attributes:
        reasons: Rejected samples by reason code.
        bytes: What the dataset grew by; 0 if another driver's shard stands.
        seconds: What writing took.
        ours: We committed it; so it is also where no gait was accepted and there are no bytes.
    """

    shard_id: str
    n_accepted: int
    n_rejected: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    seconds: float = 0.0
    ours: bool = True


class StagedGaitDamagedError(Exception):
    """A staged object is missing or unreadable; it has been removed, and its sample must be made again."""


def load_stages(path: str) -> Stages:
    """The stages that the factory `module:function` returns."""
    module, _, function = path.partition(":")
    stages = getattr(importlib.import_module(module), function)()
    if not isinstance(stages, Stages):
        raise CampaignError(f"stages {path!r} gave a {type(stages).__name__}; it must return farm.pipeline.Stages")
    return stages


def make_and_stage(
    storage: Storage,
    campaign: Campaign,
    job: MakeSample,
    stages: Stages,
    *,
    until_s: float = 0.0,
    source: GaitDataset | None = None,
) -> Made:
    """Make one sample and put it where the shard's writer will find it.

    Args:
        until_s: Until when, by `time.monotonic`, to hold on to a made sample that storage does not take.
        source: Dataset whose sample of this number is filmed again; None simulates it.
    """
    seconds: dict[str, float] = {}
    if source is None:
        packed = _made(campaign, job.sample_id, stages, seconds)
    else:
        packed = filmed_again(campaign, source, job.sample_id, stages.film, seconds)
    if packed.sample_id != job.sample_id:
        raise RuntimeError(f"sample {job.sample_id} was asked for, sample {packed.sample_id} was made")
    staged_s = time.perf_counter()
    data = to_bytes(packed, seconds)
    key = _key(job, ACCEPTED if isinstance(packed, PackedGait) else REJECTED)
    _put_patiently(storage, key, data, until_s)
    seconds["stage"] = time.perf_counter() - staged_s
    reasons = packed.reasons if isinstance(packed, RejectedGait) else ()
    return Made(job.sample_id, key, not reasons, reasons, seconds, len(data))


def _made(campaign: Campaign, sample_id: int, stages: Stages, seconds: dict[str, float]) -> PackedGait | RejectedGait:
    """One sample, simulated and, if it was accepted, filmed; `seconds` is filled with what each stage took."""
    start_s = time.perf_counter()
    try:
        sample = make_sample(campaign, sample_id, stages)
    except (RejectedSample, SimulationDiverged) as error:
        code = "diverged" if isinstance(error, SimulationDiverged) else "rejected"
        parameters = gait_parameters_rand(campaign, sample_id)
        seconds["simulate"] = time.perf_counter() - start_s
        return rejected_gait(parameters, (code,), {code: str(error)}, engine=campaign.engine)
    packed_s = time.perf_counter()
    packed = pack(campaign, sample)
    seconds |= {**sample.seconds, "pack": time.perf_counter() - packed_s}
    return packed


def write_and_commit(
    storage: Storage, campaign: Campaign, dataset_id: str, job: WriteShard, *, source: GaitDataset | None = None
) -> Written:
    """Fetch a shard's staged samples, write the shard, commit it, and sweep what was staged.

    Args:
        source: Dataset whose gaits are filmed again, if they are.

    Raises:
        StagedGaitDamagedError: A staged object could not be read, and nobody has committed the shard.
    """
    start_s = time.perf_counter()
    gaits: list[PackedGait | RejectedGait] = []
    worker_s = 0.0
    worker = f"{socket.gethostname()}:{os.getpid()}"
    try:
        for sample_id in sorted([*job.staged, *job.quarantined]):
            if sample_id in job.quarantined:
                gaits.append(_given_up(campaign, sample_id, job.quarantined[sample_id], source))
                continue
            gait, seconds = _fetch(storage, job.staged[sample_id], sample_id)
            gaits.append(gait)
            worker_s += sum(seconds.values())
    except StagedGaitDamagedError:
        try:
            record = read_record(storage, job.shard_id)  # another driver may have been faster, and swept
        except ObjectNotFoundError:
            pass
        else:
            return _written(record, worker, start_s)
        raise
    encoded = encode_shard(campaign, dataset_id, job.shard_id, gaits)
    record = commit_shard(storage, encoded, wall_s=worker_s + time.perf_counter() - start_s, worker=worker)
    with contextlib.suppress(StorageError):  # the shard stands; the run's end sweeps what is left
        for item in storage.list(f"{STAGING}{job.shard_id}/"):
            storage.delete(item.key)
    return _written(record, worker, start_s)


def survey(storage: Storage, plan: ShardPlan) -> Survey:
    """What storage holds of one shard."""
    with contextlib.suppress(ObjectNotFoundError):
        storage.size(commit_key(plan.shard_id))
        return Survey(committed=True)
    staged: dict[int, str] = {}
    for item in storage.list(f"{STAGING}{plan.shard_id}/"):
        number = item.key.removeprefix(f"{STAGING}{plan.shard_id}/").partition("/")[0]
        if number.isdigit() and int(number) in plan.sample_ids:
            staged.setdefault(int(number), item.key)
    return Survey(staged=staged)


def sweep(storage: Storage, committed: Collection[str]) -> int:
    """Remove what is staged for shards that are committed: left by a worker that died after its commit.

    Returns:
        Number of objects removed.
    """
    done = set(committed)
    swept = [item.key for item in storage.list(STAGING) if item.key.split("/")[1] in done]
    for key in swept:
        storage.delete(key)
    return len(swept)


def to_bytes(gait: PackedGait | RejectedGait, seconds: Mapping[str, float]) -> bytes:
    """A staged object: an .npz archive of plain arrays, one of which holds JSON. `from_bytes` reads it back."""
    header: dict[str, Any] = {"seconds": dict(seconds)}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    if isinstance(gait, RejectedGait):
        header["rejected"] = gait.model_dump(mode="json")
    else:
        header |= {name: getattr(gait, name) for name in ("sample_id", "row", "attributes", "array_attributes")}
        header |= {"psnr_db": dict(gait.psnr_db), "pictures": {}, "files": []}
        for path, value in gait.values.items():
            if isinstance(value, PackedPicture):
                header["pictures"][path] = {"shape": value.shape, "dtype": value.dtype}
                arrays[path] = np.frombuffer(value.data, dtype=np.uint8)
            elif isinstance(value, bytes):
                header["files"].append(path)
                arrays[path] = np.frombuffer(value, dtype=np.uint8)
            else:
                arrays[path] = value
    arrays[HEADER] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    target = io.BytesIO()
    np.savez(target, allow_pickle=False, **arrays)
    return target.getvalue()


def from_bytes(data: bytes) -> tuple[PackedGait | RejectedGait, dict[str, float]]:
    """A staged sample and the seconds that its stages took.

    Raises:
        FormatError: The bytes are damaged.
    """
    try:
        check_archive(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop(HEADER).tobytes())
        if "rejected" in header:
            return RejectedGait.model_validate(header["rejected"]), header["seconds"]
        pictures = {
            path: PackedPicture(tuple(of["shape"]), of["dtype"], arrays[path].tobytes())
            for path, of in header["pictures"].items()
        }
        for picture in pictures.values():
            check_picture(picture)
        files = {path: arrays[path].tobytes() for path in header["files"]}
        gait = PackedGait(
            sample_id=header["sample_id"],
            row=header["row"],
            values={path: pictures.get(path, files.get(path, array)) for path, array in arrays.items()},
            attributes=header["attributes"],
            array_attributes=header["array_attributes"],
            psnr_db=header["psnr_db"],
        )
    except (ValueError, LookupError, TypeError, AttributeError, OSError, EOFError, RecursionError,
            zipfile.BadZipFile) as error:  # fmt: skip
        raise FormatError(f"a staged gait is damaged: {error}") from None
    return gait, header["seconds"]


def _fetch(storage: Storage, key: str, sample_id: int) -> tuple[PackedGait | RejectedGait, dict[str, float]]:
    try:
        gait, seconds = from_bytes(storage.get(key))
    except ObjectNotFoundError as error:
        raise StagedGaitDamagedError(str(error)) from None
    except FormatError as error:
        storage.delete(key)
        raise StagedGaitDamagedError(f"{key}: {error}") from None
    if gait.sample_id != sample_id:
        storage.delete(key)
        raise StagedGaitDamagedError(f"{key} holds sample {gait.sample_id}")
    return gait, seconds


def _put_patiently(storage: Storage, key: str, data: bytes, until_s: float) -> None:
    """Store a made sample; while storage is away keep it: making it again would cost more than waiting."""
    pause_s = 1.0
    while True:
        try:
            storage.put(key, data)
        except StorageUnavailableError:
            if time.monotonic() + pause_s >= until_s:
                raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            return


def _written(record: ShardRecord, worker: str, start_s: float) -> Written:
    """What became of a shard, as the driver is told. Bytes count for who wrote them."""
    ours = record.worker == worker
    return Written(
        record.shard_id,
        record.n_accepted,
        record.n_rejected,
        Counter(reason_code(reason) for gait in record.rejected for reason in gait.reasons),
        record.bytes if ours else 0,
        time.perf_counter() - start_s,
        ours,
    )


def _given_up(campaign: Campaign, sample_id: int, why: str, source: GaitDataset | None) -> RejectedGait:
    """The record of a quarantined sample, with what was drawn for it where not even that fails."""
    code, _, detail = why.partition("; ")
    try:
        if source is None:
            parameters = gait_parameters_rand(campaign, sample_id)
        else:
            parameters = parameters_again(source, campaign, sample_id)
    except Exception as error:  # it may be the very thing that is broken
        details = {code: f"{detail}; {error}"[:4000]}
        return RejectedGait(sample_id=sample_id, reasons=(code,), details=details, engine=campaign.engine)
    return rejected_gait(parameters, (code,), {code: detail[:4000]} if detail else {}, engine=campaign.engine)


def _key(job: MakeSample, suffix: str) -> str:
    """Every attempt has a key of its own: a worker taken for dead may still be writing."""
    return f"{STAGING}{job.shard_id}/{job.sample_id:09d}/{uuid.uuid4().hex[:12]}.{suffix}"
