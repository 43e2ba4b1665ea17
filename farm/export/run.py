"""Exporting: chosen gaits are read, put into a format's files and written, several files side by side.

A killed export goes on where it stopped: every object is written whole or not at
all, and a piece whose last object is there is not made again. The same order on
the same shards gives the same bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

import farm
from farm.dataset.catalogue import load_index
from farm.dataset.gaits import Gait
from farm.dataset.load import bytes_of, load, wanted
from farm.dataset.manifest import DatasetManifest, ShardRecord, read_manifest, read_record
from farm.dataset.places import Places, Shard, check_places, places_of
from farm.dataset.pull_choice import Wish, rank
from farm.dataset.schema import ArrayPath, find
from farm.dataset.zarr_store import ShardStore
from farm.errors import AlreadyExistsError, FormatError, UserError
from farm.export.formats import PLACE_COLUMNS, Format, IndexColumn, Task
from farm.export.plan import NOTE_KEY, Note, Order, Piece, find_note, must_be_ours, note_of
from farm.storage import Storage, open_storage

EVERYTHING = Wish()

WORKERS = 2
"""Pieces made side by side; each holds one file in memory."""

LOOKED_AT = 8
"""Shards, evenly spread, whose arrays' sizes stand for those of all."""

GAITS_AT_ONCE = 16
"""Gaits of one shard in memory at a time, for each worker."""

WHOLE_SHARD_GAITS = 64
"""A shard of at most so many gaits, half of which are wanted, is read array by array: a fraction of the requests."""


@dataclass(frozen=True)
class Estimate:
    """What is about to be written; bytes are told by the arrays' size, padding included."""

    n_gaits: int
    n_pieces: int
    n_pieces_before: int
    n_bytes: int


@dataclass(frozen=True)
class ExportReport:
    """What lies at the destination now; `n_pieces_before` were there already."""

    format: str
    uri: str
    dataset_id: str
    n_gaits: int
    n_pieces: int
    n_pieces_before: int
    n_objects: int
    n_bytes: int


Plan = Callable[[Estimate], None]
Progress = Callable[[int, int], None]
"""Called with the numbers of gaits and bytes that were just written."""


def export(
    form: Format,
    source: str | Storage,
    destination: str | Storage,
    wish: Wish = EVERYTHING,
    *,
    workers: int = WORKERS,
    endpoint_url: str | None = None,
    destination_endpoint_url: str | None = None,
    planned: Plan | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a part of a dataset, or all of it, in another form.

    Args:
        form: One of `farm.export`'s formats, with its options.
        wish: Which gaits, views and arrays, chosen as by a pull; without `fields`, what the format has by default.
        workers: Files made at once.
        planned: Told how much will be written, before anything is.

    Raises:
        UserError: A filter, view or field is not known, or no gait is left.
        CampaignError: The destination holds something else.
        FormatError: The source is damaged.
        StateMismatchError: The destination holds a part of this export, of shards that were made anew since.
    """
    origin = open_storage(source, endpoint_url=endpoint_url) if isinstance(source, str) else source
    target = (
        open_storage(destination, endpoint_url=destination_endpoint_url)
        if isinstance(destination, str)
        else destination
    )
    manifest = read_manifest(origin)
    _must_be_apart(origin, target)
    items = _chosen(form, manifest, wish)
    order = Order(
        format=form.name,
        dataset_id=manifest.dataset_id,
        where=wish.where,
        count=wish.count,
        seed=wish.seed if wish.count is not None else None,
        part=wish.split,
        split_seed=wish.split_seed if wish.split is not None else None,
        split_shares=wish.split_shares if wish.split is not None else None,
        views=tuple(dict.fromkeys(item.view for item in items if item.view is not None)),
        arrays=tuple(item.path for item in items),
        options=form.options(),
    )
    theirs = find_note(target)
    must_be_ours(target, theirs, order)
    places, columns = _places(origin, wish, theirs)
    reader = _Reader(origin, items)
    seen = reader.look(places)
    per_file = _gaits_per_file(form, seen.gait_bytes)
    note = _begun(target, theirs, note_of(order, places, per_file, columns, {"gaitfarm": farm.__version__}))
    told = tuple(
        IndexColumn(name, sql_type, *seen.meaning.get(name, ("", "")))
        for name, sql_type in note.columns.items()
        if name not in PLACE_COLUMNS
    )
    task = Task(origin, target, manifest, note, items, seen.attributes, told)
    pieces = form.pieces(places, note.gaits_per_file)
    there = {item.key: item.size for item in target.list()}
    todo = [piece for piece in pieces if form.marker(piece) not in there]
    if planned is not None:
        left = sum(len(piece) for piece in todo)
        planned(Estimate(left, len(todo), len(pieces) - len(todo), round(left * seen.gait_bytes * form.growth)))
    _make(form, task, reader, todo, workers, progress)
    for key, data in form.closing(task):
        target.put(key, data)
    made = target.list()
    return ExportReport(
        form.name, target.uri, manifest.dataset_id, len(places), len(pieces), len(pieces) - len(todo), len(made),
        sum(item.size for item in made),
    )  # fmt: skip


def _make(
    form: Format, task: Task, reader: _Reader, todo: Sequence[Piece], workers: int, progress: Progress | None
) -> None:
    def one(piece: Piece) -> None:
        size = 0
        for key, data in form.objects(task, piece, reader.gaits(piece)):
            task.target.put(key, data)
            size += len(data)
        if progress is not None:
            with counting:
                progress(len(piece), size)

    counting = threading.Lock()
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(one, piece) for piece in todo]
        try:
            for future in as_completed(futures):
                future.result()
        finally:
            for future in futures:
                future.cancel()


def _begun(target: Storage, theirs: Note | None, ours: Note) -> Note:
    """The note that decides: the one that is there, or ours, written now."""
    if theirs is not None:
        return theirs
    try:
        target.put_once(NOTE_KEY, ours.to_json())
    except AlreadyExistsError:  # the same export runs twice; let it be the same
        theirs = find_note(target)
        must_be_ours(target, theirs, ours.order)
        if theirs is None or theirs.pin != ours.pin:
            raise UserError(f"{target.uri}: another export has just begun there; run again") from None
        return theirs
    return ours


def _must_be_apart(source: Storage, target: Storage) -> None:
    inner, outer = f"{target.uri.rstrip('/')}/", f"{source.uri.rstrip('/')}/"
    if not target.uri.startswith("s3://"):
        inner, outer = (f"{Path(uri).resolve()}/" for uri in (inner, outer))
    if inner.startswith(outer):
        raise UserError(f"{target.uri} lies in the dataset {source.uri} itself; choose an --out beside it")


def _chosen(form: Format, manifest: DatasetManifest, wish: Wish) -> tuple[ArrayPath, ...]:
    present = [item.spec.field for path in manifest.known_arrays if (item := find(path)) is not None]
    names = form.fields(list(dict.fromkeys(present))) if wish.fields is None else wish.fields
    return wanted(manifest, names, wish.views, companions=False)


def _places(storage: Storage, wish: Wish, note: Note | None) -> tuple[Places, dict[str, str]]:
    """The chosen gaits, of the shards that the note pins or, if the export begins now, of all; the index's columns."""
    table = load_index(storage)
    shards: tuple[Shard, ...] = tuple(
        (str(shard_id), str(attempt_id))
        for shard_id, attempt_id in table.ask(
            "SELECT shard_id, attempt_id FROM shards WHERE n_accepted > 0 ORDER BY shard_id"
        )
    )
    if note is not None:
        shards = note.pinned(shards)
    columns = ("shard_id", "position", "sample_id")
    places = places_of(table.batches(wish.where, columns), shards)
    if wish.part is not None:
        split, part = wish.part
        places = places.chosen([split.part_of(int(sample_id)) == part for sample_id in places.sample_id])
    if wish.count is not None and len(places) > wish.count:
        ranks = [rank(wish.seed, int(sample_id)) for sample_id in places.sample_id]
        last = sorted(ranks)[wish.count - 1]
        places = places.chosen([found <= last for found in ranks])
    if not len(places):
        cause = f"no gait fulfils {wish}" if str(wish) else "the dataset holds no gait yet"
        raise UserError(f"{storage.uri}: {cause}; nothing was exported")
    return places, dict(table.ask("SELECT column_name, column_type FROM (DESCRIBE gaits)"))


def _gaits_per_file(form: Format, gait_bytes: int) -> int:
    by_size = max(1, form.max_file_bytes // max(1, gait_bytes)) if form.max_file_bytes is not None else 1
    if form.gaits_per_file is None:
        return by_size
    return form.gaits_per_file if form.max_file_bytes is None else min(by_size, form.gaits_per_file)


@dataclass(frozen=True)
class _Look:
    """Bytes of one gait's arrays, the first shard's attributes, and unit and meaning of the index's columns."""

    gait_bytes: int
    attributes: dict[str, Any]
    meaning: dict[str, tuple[str, str]]


class _Reader:
    """Gaits of a dataset, shard by shard, for many threads; keeps nothing."""

    def __init__(self, storage: Storage, items: tuple[ArrayPath, ...]) -> None:
        self._storage = storage
        self._items = items

    def look(self, places: Places) -> _Look:
        """What a few shards that are evenly spread say of all."""
        used = [shard_id for (shard_id, _), n in zip(places.shards, places.counts, strict=True) if n]
        chosen = used[:: -(-len(used) // LOOKED_AT)]
        groups = [self._open(shard_id)[1] for shard_id in chosen]
        sizes = [bytes_of(group, self._items)[1] for group in groups]
        meaning: dict[str, tuple[str, str]] = {}
        for name in ("parameters", "labels"):
            told = dict(groups[0][name].attrs).get("columns") if name in groups[0] else None
            for column in told if isinstance(told, list) else ():
                meaning[str(column["name"])] = (str(column["unit"]), str(column["description"]))
        return _Look(sum(sizes) // len(sizes), dict(groups[0].attrs), meaning)

    def gaits(self, piece: Piece) -> Iterator[Gait]:
        for (shard_id, attempt_id), positions, sample_ids in piece.by_shard():
            record, group = self._open(shard_id)
            named = zip(positions.tolist(), sample_ids.tolist(), strict=True)
            check_places(record, attempt_id, named, self._storage.uri)
            attributes = dict(group.attrs)
            whole = record.n_accepted <= WHOLE_SHARD_GAITS and 2 * len(positions) >= record.n_accepted
            step = len(positions) if whole else GAITS_AT_ONCE
            for first in range(0, len(positions), step):
                some = [int(position) for position in positions[first : first + step]]
                for position, arrays in zip(some, load(group, self._items, some, whole=whole), strict=True):
                    row = record.index[position]
                    yield Gait(int(row["sample_id"]), row, arrays, attributes)  # type: ignore[arg-type]

    def _open(self, shard_id: str) -> tuple[ShardRecord, zarr.Group]:
        record = read_record(self._storage, shard_id)
        try:
            return record, zarr.open_group(ShardStore(self._storage, record), mode="r", zarr_format=3)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            where = f"{self._storage.uri}/{record.group}"
            raise FormatError(f"{where} is no Zarr group ({type(error).__name__}); run `gaitfarm verify`") from None
