"""An independent check of a dataset, written from the format's page alone: stock zarr, numpy and boto3.

Nothing of gaitfarm is imported here (a test says so). Where this checker and
`gaitfarm verify` disagree about a dataset, one of them is wrong.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import boto3
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

UNFINISHED = ".writing-"
"""Files that a killed writer left half written in a folder; no object is named so."""

LENGTH_OF_AXIS = {"sample": "n_samples", "event": "n_events", "frame": "n_frames"}
EVENT_TYPES = 4


class Objects(Protocol):
    """What a store holds under a dataset's root."""

    def list(self) -> dict[str, int]:
        """Size of every object, by key."""
        ...

    def get(self, key: str) -> bytes: ...


@dataclass(frozen=True)
class Folder:
    """A dataset in a folder."""

    root: Path

    def list(self) -> dict[str, int]:
        files = (path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith(UNFINISHED))
        return {path.relative_to(self.root).as_posix(): path.stat().st_size for path in sorted(files)}

    def get(self, key: str) -> bytes:
        return (self.root / key).read_bytes()


@dataclass(frozen=True)
class Bucket:
    """A dataset in a bucket. Credentials come from the environment."""

    bucket: str
    prefix: str
    endpoint_url: str

    def _client(self) -> Any:
        return boto3.session.Session().client("s3", endpoint_url=self.endpoint_url, region_name="us-east-1")

    def list(self) -> dict[str, int]:
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        items = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"].removeprefix(f"{self.prefix}/"): item["Size"] for item in items}

    def get(self, key: str) -> bytes:
        body: bytes = self._client().get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")["Body"].read()
        return body


@dataclass
class Findings:
    """What a check found.

    Attributes:
        lost: Sample ids of the plan that no commit accounts for.
        doubled: Sample ids that are accounted for more than once.
        bad_checksums: Objects that are missing, or not of the size and SHA-256 that their commit says.
        faults: Everything that is wrong, in words; the three above are in it too.
        rejected: Sample id -> reasons.
        contents: Sample id -> SHA-256 of everything that is stored of an accepted gait, its padding left out.
        orphans: Objects under `shards/` that no commit names; allowed, and never counted.
        staged: Objects under `staging/`; not part of the dataset.
    """

    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    bad_checksums: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rejected: dict[int, tuple[str, ...]] = field(default_factory=dict)
    contents: dict[int, str] = field(default_factory=dict)
    orphans: int = 0
    staged: int = 0

    @property
    def sound(self) -> bool:
        return not self.faults


def check(objects: Objects, *, complete: bool = True) -> Findings:
    """Check a dataset.

    Args:
        complete: Every sample of the plan must be there; False for a dataset that is being made.
    """
    found = Findings()
    sizes = objects.list()
    if "dataset.json" not in sizes:
        found.faults.append("dataset.json is missing")
        return found
    dataset = json.loads(objects.get("dataset.json"))
    found.faults += _dataset_faults(dataset)
    planned, per_shard = int(dataset["campaign"]["samples"]), int(dataset["gaits_per_shard"])
    seen: Counter[int] = Counter()
    named: set[str] = set()
    for key in sorted(key for key in sizes if key.startswith("commits/")):
        if not re.fullmatch(r"commits/\d{8}\.json", key):
            found.faults.append(f"{key} is no commit")
            continue
        try:
            record = json.loads(objects.get(key))
            faults = list(_record_faults(key, record, planned, per_shard))
            seen.update(_accounted(record))
            found.faults += faults
            named |= {item["path"] for item in record["objects"]}
            found.rejected |= {gait["sample_id"]: tuple(gait["reasons"]) for gait in record["rejected"]}
            _check_shard(objects, sizes, dataset, record, found, look_inside=not faults)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found.faults.append(f"{key} is damaged: {error!r}")
    found.lost = sorted(set(range(planned)) - set(seen)) if complete else []
    found.doubled = sorted(sample_id for sample_id, times in seen.items() if times > 1)
    found.faults += [f"sample {sample_id} is nowhere" for sample_id in found.lost]
    found.faults += [f"sample {sample_id} is there {seen[sample_id]} times" for sample_id in found.doubled]
    found.orphans = sum(key.startswith("shards/") and key not in named for key in sizes)
    found.staged = sum(key.startswith("staging/") for key in sizes)
    return found


def commits(objects: Objects) -> dict[str, str]:
    """SHA-256 of every commit and of `dataset.json`: what is put once and may never change."""
    keys = [key for key in objects.list() if key == "dataset.json" or re.fullmatch(r"commits/\d{8}\.json", key)]
    return {key: hashlib.sha256(objects.get(key)).hexdigest() for key in keys}


def _accounted(record: Mapping[str, Any]) -> list[int]:
    return [row["sample_id"] for row in record["index"]] + [gait["sample_id"] for gait in record["rejected"]]


def _dataset_faults(dataset: Mapping[str, Any]) -> Iterator[str]:
    if dataset["format_version"] != 1:
        yield f"format_version is {dataset['format_version']}"
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", dataset["dataset_id"]):
        yield f"dataset_id is {dataset['dataset_id']!r}"


def _record_faults(key: str, record: Mapping[str, Any], planned: int, per_shard: int) -> Iterator[str]:
    """What is wrong with a commit in itself, and against the plan."""
    shard_id, attempt_id = record["shard_id"], record["attempt_id"]
    if key != f"commits/{shard_id}.json":
        yield f"{key} is the record of shard {shard_id}"
        return
    first = int(shard_id) * per_shard
    asked = list(range(first, min(first + per_shard, planned)))
    if sorted(record["sample_ids"]) != asked:
        yield f"{key} asks for {record['sample_ids']}, the plan for {asked}"
    if sorted(_accounted(record)) != asked:
        yield f"{key} accounts for {sorted(_accounted(record))}, the plan asks for {asked}"
    if (record["n_accepted"], record["n_rejected"]) != (len(record["index"]), len(record["rejected"])):
        yield f"{key} miscounts its samples"
    if not all(gait["reasons"] for gait in record["rejected"]):
        yield f"{key} rejects without a reason"
    group = f"shards/{shard_id}/{attempt_id}.zarr"
    if record["group"] != (group if record["index"] else None):
        yield f"{key} names the group {record['group']!r}"
    paths = [item["path"] for item in record["objects"]]
    if len(set(paths)) != len(paths):
        yield f"{key} names an object twice"
    if any(not path.startswith(f"{group}/") or ".." in path.split("/") for path in paths):
        yield f"{key} names an object of another shard or attempt"
    if record["index"] and f"{group}/zarr.json" not in paths:
        yield f"{key} does not name its group's zarr.json"


def _check_shard(
    objects: Objects,
    sizes: Mapping[str, int],
    dataset: Mapping[str, Any],
    record: Mapping[str, Any],
    found: Findings,
    *,
    look_inside: bool,
) -> None:
    """Every object's bytes, and if they are right, every array."""
    data: dict[str, bytes] = {}
    for item in record["objects"]:
        path = item["path"]
        if path not in sizes:
            what = "is missing"
        elif (sizes[path] != item["bytes"]) or len(body := objects.get(path)) != item["bytes"]:
            what = f"has {sizes[path]} bytes, not {item['bytes']}"
        elif hashlib.sha256(body).hexdigest() != item["sha256"]:
            what = "has another SHA-256 than its commit says"
        else:
            data[path] = body
            continue
        found.bad_checksums.append(path)
        found.faults.append(f"{path} {what}")
    group = record["group"]
    if group is None:
        return
    strays = [key for key in sizes if key.startswith(f"{group}/") and key not in {o["path"] for o in record["objects"]}]
    found.faults += [f"{key} lies in a committed group that does not name it" for key in strays]
    if look_inside and not strays and len(data) == len(record["objects"]):
        try:
            _check_arrays({key.removeprefix(f"{group}/"): body for key, body in data.items()}, dataset, record, found)
        except Exception as error:  # whatever stock zarr says of what it cannot read
            found.faults.append(f"{group} does not open with stock zarr: {error!r}")


def _check_arrays(
    data: Mapping[str, bytes], dataset: Mapping[str, Any], record: Mapping[str, Any], found: Findings
) -> None:
    prototype = default_buffer_prototype()
    store = MemoryStore({key: prototype.buffer.from_bytes(body) for key, body in data.items()})
    group = zarr.open_group(store, mode="r", zarr_format=3, use_consolidated=True)
    where = record["group"]
    identity = {"dataset_id": dataset["dataset_id"], "shard_id": record["shard_id"], "format_version": 1}
    found.faults += [f"{where}: {name} is {group.attrs.get(name)!r}" for name, value in identity.items()
                     if group.attrs.get(name) != value]  # fmt: skip
    arrays: dict[str, Any] = {
        path: member for path, member in group.members(max_depth=None) if isinstance(member, zarr.Array)
    }
    if sorted(arrays) != sorted(dataset["arrays"]):
        found.faults.append(f"{where} holds other arrays than dataset.json names")
        return
    whole = {path: np.asarray(array[...]) for path, array in arrays.items()}
    rows = record["index"]
    found.faults += [f"{where}: {what}" for what in _layout_faults(arrays, whole, len(rows))]
    if [int(i) for i in whole["sample_id"]] != [row["sample_id"] for row in rows]:
        found.faults.append(f"{where}: sample_id is not in the index's order")
        return
    for place, row in enumerate(rows):
        faults, digest = _gait(arrays, whole, place, row)
        found.faults += [f"{where}: sample {row['sample_id']}: {what}" for what in faults]
        found.contents[row["sample_id"]] = digest


def _layout_faults(arrays: Mapping[str, Any], whole: Mapping[str, NDArray[Any]], n: int) -> Iterator[str]:
    for path, array in arrays.items():
        if not all(name in array.attrs for name in ("unit", "axes", "description")):
            yield f"{path} lacks unit, axes or description"
        if path.endswith("/video"):
            offsets = whole[f"{path}_offsets"]
            if offsets[0] != 0 or offsets[-1] != len(whole[path]) or np.any(np.diff(offsets) < 0):
                yield f"{path}_offsets do not run from 0 to its length"
        elif len(whole[path]) != n + path.endswith("/video_offsets"):
            yield f"{path} has {len(whole[path])} entries for {n} gaits"


def _gait(
    arrays: Mapping[str, Any], whole: Mapping[str, NDArray[Any]], place: int, row: Mapping[str, Any]
) -> tuple[list[str], str]:
    """Faults of one gait, and a digest of everything that is stored of it."""
    faults: list[str] = []
    digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode())
    for path in sorted(arrays):
        if path.endswith("/video_offsets"):
            continue
        if path.endswith("/video"):
            begin, end = (int(offset) for offset in whole[f"{path}_offsets"][place : place + 2])
            value = whole[path][begin:end]
        else:
            value = whole[path][place]
            axes = tuple(arrays[path].metadata.dimension_names or ())[1:]
            length_name = LENGTH_OF_AXIS.get(axes[0]) if axes else None
            if length_name is not None:
                length = int(whole[length_name][place])
                faults += [f"{path}: {what}" for what in _padding_faults(value, length)]
                value = value[:length]
        digest.update(f"{path} {value.dtype} {value.shape}".encode() + value.tobytes())
    faults += _order_of_events(whole, place)
    for name in ("n_samples", "n_frames"):
        if int(whole[name][place]) != row.get(name):
            faults.append(f"{name} is {int(whole[name][place])}, the index says {row.get(name)}")
    for path in ("labels", "parameters"):
        names = [column["name"] for column in arrays[path].attrs["columns"]]
        faults += _row_faults(path, names, whole[path][place], row)
    return faults, digest.hexdigest()


def _padding_faults(value: NDArray[Any], length: int) -> Iterator[str]:
    if not 0 <= length <= len(value):
        yield f"{length} entries are valid of {len(value)}"
        return
    rest = value[length:]
    empty = np.isnan(rest) if np.issubdtype(rest.dtype, np.floating) else rest == 0
    if not np.all(empty):
        yield f"holds values beyond its {length} valid ones"


def _order_of_events(whole: Mapping[str, NDArray[Any]], place: int) -> Iterator[str]:
    n = int(whole["n_events"][place])
    times, types = whole["event_time"][place, :n], whole["event_type"][place, :n]
    if np.any(np.diff(times) < 0) or (n and times[0] < 0):
        yield "events are out of order"
    if n and int(types.max()) >= EVENT_TYPES:
        yield "has events of no known type"


def _row_faults(path: str, names: Sequence[str], values: NDArray[Any], row: Mapping[str, Any]) -> Iterator[str]:
    if len(names) != len(values):
        yield f"{path} has {len(values)} numbers for {len(names)} columns"
        return
    for name, value in zip(names, values, strict=True):
        cell = row.get(name)
        if not np.array_equal(value, np.float32(np.nan if cell is None else cell), equal_nan=True):
            yield f"{path}: {name} is {float(value)!r}, the index says {cell!r}"
