"""Take a part of a dataset along: some gaits, some views, some arrays, as a dataset in its own right.

Only objects of the chosen arrays are read, and of pictures only the chosen gaits.
Where all gaits of a shard are chosen its arrays are copied byte by byte. Running
the same pull again goes on where it stopped, and takes what was committed since.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

import farm
from farm.dataset.commit import commit
from farm.dataset.create import now_utc
from farm.dataset.fetch import arrays_of, fetch_arrays, memory_store
from farm.dataset.group import finish_group
from farm.dataset.laws import faults_of_gait
from farm.dataset.manifest import (
    DATASET_KEY,
    MAX_TEXT,
    DatasetManifest,
    Selection,
    ShardRecord,
    committed_shards,
    find_manifest,
    read_manifest,
)
from farm.dataset.pack import PackedGait, PackedPicture, Value
from farm.dataset.reader import GaitDataset
from farm.dataset.schema import LENGTH_AXES, ArrayPath, fields, find, with_companions
from farm.dataset.writer import EncodedShard, encode_gaits
from farm.errors import AlreadyExistsError, CampaignError, FormatError, UserError
from farm.storage import Storage, open_storage

SHARDS_AT_ONCE = 2
"""Shards pulled side by side; each holds one shard's chosen arrays in memory."""

Progress = Callable[[int, int], None]
"""Called with the number of shards done and to do."""

_OWN_ATTRIBUTES = ("unit", "axes", "description", "psnr_db")
"""What the writer says of an array itself; everything else of its attributes is taken along."""


@dataclass(frozen=True)
class PullReport:
    """What a pull left at its destination; `n_shards_before` were there already."""

    uri: str
    dataset_id: str
    n_shards: int
    n_shards_before: int
    n_gaits: int
    n_bytes: int


def pull(
    source: str | Storage,
    destination: str | Storage,
    *,
    where: str | None = None,
    views: Sequence[str] | None = None,
    fields: Sequence[str] | None = None,
    endpoint_url: str | None = None,
    destination_endpoint_url: str | None = None,
    progress: Progress | None = None,
) -> PullReport:
    """Copy a part of a dataset; the result is a valid dataset with an id of its own.

    Args:
        where: SQL expression over the index, such as "gait_speed < 0.8"; None takes every gait.
        views: Names of views to keep; None keeps all.
        fields: Names of arrays without their view, such as ("keypoints_2d", "labels"); None keeps all. Sample
            ids, lengths and what a chosen array needs are kept in any case.
        endpoint_url: S3-compatible service of the source; `destination_endpoint_url` of the destination.

    Raises:
        UserError: A filter, view or field is not known, or no gait is left.
        CampaignError: The destination holds another dataset.
        FormatError: The source is damaged.
    """
    if where is not None and len(where) > MAX_TEXT:
        raise UserError(
            f"--where has {len(where)} letters, at most {MAX_TEXT} are allowed; name a range instead of a list"
        )
    dataset = GaitDataset(source, endpoint_url=endpoint_url)
    target = (
        open_storage(destination, endpoint_url=destination_endpoint_url)
        if isinstance(destination, str)
        else destination
    )
    paths = _chosen_arrays(dataset.manifest, views, fields)
    chosen = _chosen_gaits(dataset, where)
    selection = Selection(
        dataset_id=dataset.manifest.dataset_id,
        where=where,
        views=_views_of(paths),
        fields=tuple(dict.fromkeys(item.spec.field for item in paths)),
    )
    manifest = _open_or_create(target, dataset.manifest, paths, selection)
    before = set(committed_shards(target))
    todo = [shard_id for shard_id in chosen if shard_id not in before]

    def one(shard_id: str) -> ShardRecord:
        shard = _part_of_shard(dataset, dataset.record(shard_id), chosen[shard_id], paths, manifest, where is None)
        return commit(target, shard, attempt_id=uuid.uuid4().hex, worker="pull")

    with ThreadPoolExecutor(SHARDS_AT_ONCE) as pool:
        for number, _ in enumerate(pool.map(one, todo), start=1):
            if progress is not None:
                progress(number, len(todo))
    records = GaitDataset(target).records
    return PullReport(
        uri=target.uri,
        dataset_id=manifest.dataset_id,
        n_shards=len(records),
        n_shards_before=len(before),
        n_gaits=sum(record.n_accepted for record in records),
        n_bytes=sum(record.bytes for record in records),
    )


def _chosen_arrays(
    manifest: DatasetManifest, views: Sequence[str] | None, wanted: Sequence[str] | None
) -> tuple[ArrayPath, ...]:
    for view in views or ():
        if view not in manifest.views:
            raise UserError(f"the dataset has no view {view!r}; it has {', '.join(manifest.views) or 'none'}")
    present = [item for path in manifest.known_arrays if (item := find(path)) is not None]
    names = dict.fromkeys(item.spec.field for item in present)
    for name in wanted or ():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
            what = "holds no" if name in fields() else "knows no"
            raise UserError(f"the dataset {what} array {name!r}; {hint}")
    kept = with_companions(wanted) if wanted is not None else names.keys()
    return tuple(
        item
        for item in present
        if item.spec.field in kept and (item.view is None or views is None or item.view in views)
    )


def _chosen_gaits(dataset: GaitDataset, where: str | None) -> dict[str, list[int]]:
    """Places of the chosen gaits by shard, in order; without a filter also shards that hold no gait."""
    chosen: dict[str, list[int]] = {shard_id: [] for shard_id in dataset.shard_ids} if where is None else {}
    rows = dataset.index(where, ["shard_id", "position"]) if len(dataset.table) else []
    for row in rows:
        chosen.setdefault(row["shard_id"], []).append(int(row["position"]))
    if not rows:
        cause = f"no gait fulfils --where {where!r}" if where is not None else "the dataset holds no gait yet"
        raise UserError(f"{dataset.storage.uri}: {cause}; nothing was pulled")
    return {shard_id: sorted(chosen[shard_id]) for shard_id in sorted(chosen)}


def _views_of(paths: Iterable[ArrayPath]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.view for item in paths if item.view is not None))


def _open_or_create(
    target: Storage, source: DatasetManifest, paths: Sequence[ArrayPath], selection: Selection
) -> DatasetManifest:
    """The destination's manifest. The same pull always has the same dataset id, and so can be gone on with."""
    name = f"gaitfarm pull {selection.model_dump_json()}"
    ours = source.model_copy(
        update={
            "dataset_id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "created": now_utc(),
            "views": selection.views,
            "arrays": tuple(item.path for item in paths),
            "software": source.software | {"pulled_with": farm.__version__},
            "selection": selection,
        }
    )
    theirs = find_manifest(target)
    if theirs is None:
        try:
            target.put_once(DATASET_KEY, ours.to_json())
        except AlreadyExistsError:  # the same pull runs twice
            theirs = read_manifest(target)
        else:
            return ours
    if theirs.selection != selection:
        raise CampaignError(
            f"{target.uri} holds another dataset ({theirs.name!r}, {_what(theirs.selection)}; "
            f"here: {_what(selection)}); choose another place"
        )
    return theirs


def _what(selection: Selection | None) -> str:
    if selection is None:
        return "generated, not pulled"
    where = f"where {selection.where!r}" if selection.where is not None else "every gait"
    views = ",".join(selection.views) or "none"
    return f"{where}, views {views}, {len(selection.fields)} fields of {selection.dataset_id}"


def _part_of_shard(
    dataset: GaitDataset,
    record: ShardRecord,
    positions: list[int],
    paths: Sequence[ArrayPath],
    manifest: DatasetManifest,
    with_rejected: bool,
) -> EncodedShard:
    rejected = record.rejected if with_rejected else ()
    rows = tuple(record.index[position] for position in positions)
    if not rows:
        objects: Mapping[str, bytes] = {}
    elif len(positions) == record.n_accepted:
        objects = _copied(dataset, record, paths, manifest)
    else:
        gaits = _unpacked(dataset, record, positions, paths)
        objects = encode_gaits(paths, gaits, manifest.dataset_id, record.shard_id)
    ids = sorted([*(int(row["sample_id"]) for row in rows), *(gait.sample_id for gait in rejected)])  # type: ignore[arg-type]
    return EncodedShard(record.shard_id, tuple(ids), objects, rows, rejected)


def _copied(
    dataset: GaitDataset, record: ShardRecord, paths: Sequence[ArrayPath], manifest: DatasetManifest
) -> dict[str, bytes]:
    """A shard's chosen arrays as they are, under a group that says whose they are now."""
    store = memory_store(fetch_arrays(dataset.storage, record, [item.path for item in paths]))
    attributes = dict(dataset.shard(record.shard_id).attrs)
    attributes |= {"dataset_id": manifest.dataset_id, "views": list(manifest.views)}
    group = zarr.create_group(store, zarr_format=3, attributes=attributes)
    for view in manifest.views:
        group.require_group(f"views/{view}")
    return finish_group(store)


def _unpacked(
    dataset: GaitDataset, record: ShardRecord, positions: list[int], paths: Sequence[ArrayPath]
) -> list[PackedGait]:
    """Some gaits of a shard, as they were before they were written.

    Small arrays are fetched whole and checked against the record; of pictures and
    videos only the gaits' own blocks are, whose zstd checksums are checked.
    """
    large = {item.path for item in paths if item.spec.is_picture or item.spec.field == "video"}
    small = [item.path for item in paths if item.path not in large]
    group = dataset.shard(record.shard_id)
    arrays: dict[str, Any] = dict(arrays_of(fetch_arrays(dataset.storage, record, small), small))
    arrays |= {path: group[path] for path in large}
    whole = {path: np.asarray(arrays[path][...]) for path in small}
    attributes = {
        key: value
        for key, value in dict(group.attrs).items()
        if key not in ("format_version", "dataset_id", "shard_id")
    }
    attributes["views"] = list(_views_of(paths))
    array_attributes = {
        path: {key: value for key, value in dict(array.attrs).items() if key not in _OWN_ATTRIBUTES}
        for path, array in arrays.items()
    }
    gaits = []
    for position in positions:
        values, psnr_db = _values(position, paths, arrays, whole)
        faults = faults_of_gait(values, attributes)
        if faults:
            raise FormatError(
                f"{dataset.storage.uri}: gait {position} of shard {record.shard_id}: {faults[0]}; run `gaitfarm verify`"
            )
        row = record.index[position]
        gaits.append(PackedGait(int(row["sample_id"]), row, values, attributes, array_attributes, psnr_db))  # type: ignore[arg-type]
    return gaits


def _values(
    position: int, paths: Sequence[ArrayPath], arrays: Mapping[str, Any], whole: Mapping[str, Any]
) -> tuple[dict[str, Value], dict[str, float | None]]:
    lengths = {name: int(whole[name][position]) for name in LENGTH_AXES.values() if name in whole}
    values: dict[str, Value] = {}
    psnr_db: dict[str, float | None] = {}
    for item in paths:
        spec = item.spec
        if spec.field == "video_offsets":
            continue
        if spec.field == "video":
            begin, end = (int(value) for value in whole[f"{item.path}_offsets"][position : position + 2])
            values[item.path] = np.asarray(arrays[item.path][begin:end]).tobytes()
            psnr_db[item.path] = arrays[item.path].attrs["psnr_db"][position]
            continue
        array = whole[item.path][position] if item.path in whole else np.asarray(arrays[item.path][position])
        array = np.asarray(array[: lengths[spec.length]] if spec.length else array)
        values[item.path] = PackedPicture.of(array) if spec.is_picture else array
    return values, psnr_db
