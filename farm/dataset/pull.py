"""Take a part of a dataset along: some gaits, some views, some arrays, as a dataset in its own right.

    pull("s3://bucket/walks", "slow", where="gait_speed < 0.8", views=["side"], fields=["keypoints_2d", "labels"])

`plan_pull` says what it will cost and changes nothing; `carry_out` does it. A shard
of the source becomes one shard of the destination, which exists once it is whole:
a pull that is interrupted or killed at any point goes on where it stopped when it is
run again, and takes what was committed since.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import farm
from farm.dataset.catalogue import compact, load_index
from farm.dataset.claim import writing
from farm.dataset.commit import commit
from farm.dataset.create import must_be_free, now_utc
from farm.dataset.manifest import (
    DATASET_KEY,
    DatasetManifest,
    Selection,
    committed_shards,
    find_manifest,
    read_manifest,
    read_record,
)
from farm.dataset.places import check_places
from farm.dataset.pull_choice import Choice, Wish, chosen_arrays, chosen_gaits, selection_of
from farm.dataset.pull_estimate import Estimate, cost_of, estimate
from farm.dataset.pull_part import part_of_shard
from farm.dataset.ranges import Economy, Meter, ShardReader
from farm.dataset.schema import ArrayPath
from farm.errors import AlreadyExistsError, CampaignError, FormatError, UserError
from farm.storage import Storage, open_storage

JOBS = 4
"""Shards pulled side by side."""

REQUESTS = 16
"""Reads on their way at once, over all shards; the client keeps that many connections open."""

MEMORY_BYTES = 1 << 30
"""What the shards on their way may take together, by their stored bytes; one that is larger goes alone."""

COPIES = 3
"""How often a shard's stored bytes are in memory: as read, unpacked or between, and as written."""

Progress = Callable[[int, int], None]
"""Called with the bytes read and to be read."""


@dataclass(frozen=True)
class PullPlan:
    """A pull that could be carried out.

    Attributes:
        source, target: Storages.
        manifest: What will be the destination's `dataset.json`, or is it already.
        created: Whether it is there already.
        paths: The arrays to take.
        choice: The gaits still to take.
        estimate: What that costs.
        with_rejected: Whether samples that were turned down are taken along.
    """

    source: Storage
    target: Storage
    manifest: DatasetManifest
    created: bool
    paths: tuple[ArrayPath, ...]
    choice: Choice
    estimate: Estimate
    with_rejected: bool
    economy: Economy


@dataclass(frozen=True)
class PullReport:
    """What a pull left at its destination, and what it took.

    Attributes:
        n_shards, n_gaits, n_bytes: That the destination holds now.
        n_shards_before: That it held before.
        read_bytes, requests: That the source was asked for, beside its index.
    """

    uri: str
    dataset_id: str
    n_shards: int
    n_shards_before: int
    n_gaits: int
    n_bytes: int
    read_bytes: int
    requests: int


def pull(
    source: str | Storage,
    destination: str | Storage,
    *,
    where: str | None = None,
    views: Sequence[str] | None = None,
    fields: Sequence[str] | None = None,
    count: int | None = None,
    seed: int = 0,
    split: str | None = None,
    split_seed: int = 0,
    split_shares: str = "0.8/0.1/0.1",
    endpoint_url: str | None = None,
    destination_endpoint_url: str | None = None,
    max_bytes: int | None = None,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> PullReport:
    """Copy a part of a dataset; the result is a valid dataset with an id of its own.

    Args:
        where: SQL expression over the index, such as "gait_speed < 0.8"; None takes every gait.
        views: Names of views to keep; None keeps all.
        fields: Names of arrays without their view, such as ("keypoints_2d", "labels"); None keeps all. Sample
            ids, lengths and what a chosen array needs are kept in any case.
        count: At most so many of the gaits that the others leave, spread over all of them by a hash of
            (`seed`, sample id).
        split: "train", "validation" or "test": the gaits that `Split.of(split_shares, seed=split_seed)` of
            `farm.dataset.split` assigns to it, whatever else the dataset holds.
        endpoint_url: S3-compatible service of the source; `destination_endpoint_url` of the destination.
        max_bytes: Refuse to begin if more would be read or written.
        jobs: Shards pulled side by side.

    Raises:
        UserError: A filter, view, field or number is not possible, no gait is left, or it is more than `max_bytes`.
        CampaignError: The destination holds another dataset.
        FormatError: The source is damaged.
        StorageError: Either storage fails. What is whole at the destination by then stays; run again to go on.
    """
    wish = Wish(where, views, fields, count, seed, split, split_seed, split_shares)
    plan = plan_pull(
        source, destination, wish, endpoint_url=endpoint_url, destination_endpoint_url=destination_endpoint_url
    )
    check_size(plan, max_bytes)
    return carry_out(plan, jobs=jobs, progress=progress)


def plan_pull(
    source: str | Storage,
    destination: str | Storage,
    wish: Wish,
    *,
    endpoint_url: str | None = None,
    destination_endpoint_url: str | None = None,
    economy: Economy | None = None,
) -> PullPlan:
    """Choose, and say what it costs. Reads the index and a few commits; writes nothing. Arguments as of `pull`."""
    origin = open_storage(source, endpoint_url=endpoint_url) if isinstance(source, str) else source
    target = (
        open_storage(destination, endpoint_url=destination_endpoint_url)
        if isinstance(destination, str)
        else destination
    )
    economy = economy or Economy()
    manifest = read_manifest(origin)
    paths = chosen_arrays(manifest, wish)
    selection = selection_of(manifest.dataset_id, wish, paths)
    theirs = find_manifest(target)
    if theirs is not None:
        _check_same(target, theirs, selection)
    else:
        must_be_free(target)
    before = _before(target, counted=wish.count is not None) if theirs is not None else {}
    choice = chosen_gaits(load_index(origin), wish, before, origin.uri)
    return PullPlan(
        source=origin,
        target=target,
        manifest=theirs or _new_manifest(manifest, paths, selection),
        created=theirs is not None,
        paths=paths,
        choice=choice,
        estimate=estimate(origin, choice, paths, economy, len(before)),
        with_rejected=wish.takes_every_gait,
        economy=economy,
    )


def check_size(plan: PullPlan, max_bytes: int | None) -> None:
    """Refuse what is too much.

    Raises:
        UserError: More than `max_bytes` would be read or written.
    """
    cost = plan.estimate.cost
    largest = max(cost.read_bytes, cost.write_bytes)
    if max_bytes is not None and largest > max_bytes:
        raise UserError(
            f"this pull reads {cost.read_bytes} and writes {cost.write_bytes} bytes, --max-bytes allows {max_bytes}; "
            "choose fewer gaits (--where, --count), views or fields, or allow more. Nothing was pulled"
        )


def carry_out(
    plan: PullPlan,
    *,
    jobs: int = JOBS,
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> PullReport:
    """Do what was planned. Arguments and errors as of `pull`.

    Args:
        memory_bytes: What the shards on their way may take together; one that is larger goes alone.
        say: Told what the user should know while it goes on.
    """
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}; it must be 1 or more")
    expected = plan.estimate.cost.read_bytes
    seen = 0

    def count(n: int) -> None:
        nonlocal seen
        seen += n
        if progress is not None:
            progress(seen, max(seen, expected))

    meter = Meter(plan.source, count)
    with writing(plan.target, plan.target.probe(), say=say) as target:
        manifest = plan.manifest if plan.created else _create(target, plan.manifest)
        _Pull(plan, manifest, meter, target, _Room(memory_bytes)).run(jobs)
        compact(target)
    table = load_index(plan.target)
    n_shards, n_gaits, n_bytes = table.ask("SELECT count(*), sum(n_accepted), sum(n_bytes) FROM shards")[0]
    return PullReport(
        uri=plan.target.uri,
        dataset_id=manifest.dataset_id,
        n_shards=int(n_shards),
        n_shards_before=plan.estimate.n_shards_before,
        n_gaits=int(n_gaits or 0),
        n_bytes=int(n_bytes or 0),
        read_bytes=meter.bytes,
        requests=meter.requests,
    )


@dataclass(frozen=True)
class _Pull:
    """A pull under way."""

    plan: PullPlan
    manifest: DatasetManifest
    meter: Meter
    target: Storage
    room: _Room

    def run(self, jobs: int) -> None:
        """Pull every shard. Whatever ends it early, shards that have begun end soon, whole or not at all."""
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(REQUESTS) as requests, ThreadPoolExecutor(jobs) as pool:
            try:
                for shard_id in self.plan.choice.positions:
                    if len(waiting) >= 2 * jobs:
                        waiting.popleft().result()
                    waiting.append(pool.submit(self._one, shard_id, requests))
                while waiting:
                    waiting.popleft().result()
            except BaseException:
                self.meter.stop()
                for future in waiting:
                    future.cancel()
                raise

    def _one(self, shard_id: str, requests: ThreadPoolExecutor) -> None:
        plan = self.plan
        record = read_record(cast(Storage, self.meter), shard_id)  # of a storage it needs only what a meter has
        if record.attempt_id != plan.choice.attempts.get(shard_id):
            raise FormatError(f"{plan.source.uri}: shard {shard_id} was made again since the pull began; run it again")
        chosen = plan.choice.positions[shard_id]
        if chosen is not None:
            named = zip(chosen, plan.choice.sample_ids[shard_id], strict=True)
            check_places(record, record.attempt_id, named, plan.source.uri)
        positions = range(record.n_accepted) if chosen is None else chosen
        with self.room.of(COPIES * cost_of(record, positions, plan.paths, plan.economy).read_bytes):
            reader = (
                ShardReader(self.meter, record, requests, plan.economy) if record.group and len(positions) else None
            )
            shard = part_of_shard(
                reader, record, positions, plan.paths, self.manifest, with_rejected=plan.with_rejected
            )
            commit(self.target, shard, attempt_id=uuid.uuid4().hex, worker="pull", look_again=True)


class _Room:
    """Memory that several threads share: who needs more than is left waits, unless nobody has any."""

    def __init__(self, n_bytes: int) -> None:
        self._limit = n_bytes
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, n_bytes: int) -> Iterator[None]:
        """Take so much for as long as the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + n_bytes <= self._limit)
            self._taken += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._taken -= n_bytes
                self._changed.notify_all()


def _before(target: Storage, *, counted: bool) -> dict[str, int]:
    """The shards that the destination holds, with how many gaits where that matters."""
    if not counted:
        return dict.fromkeys(committed_shards(target), 0)
    shards = load_index(target).ask("SELECT shard_id, n_accepted FROM shards ORDER BY shard_id")
    return {shard_id: int(n) for shard_id, n in shards}


def _new_manifest(source: DatasetManifest, paths: Sequence[ArrayPath], selection: Selection) -> DatasetManifest:
    """The destination's manifest. The same pull always has the same dataset id, and so can be gone on with."""
    unused = {name for name in ("count", "seed", "split", "split_seed", "split_shares") if not _given(selection, name)}
    name = f"gaitfarm pull {selection.model_dump_json(exclude=unused)}"
    return source.model_copy(
        update={
            "dataset_id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "created": now_utc(),
            "views": selection.views,
            "arrays": tuple(item.path for item in paths),
            "software": source.software | {"pulled_with": farm.__version__},
            "selection": selection,
        }
    )


def _given(selection: Selection, name: str) -> bool:
    return getattr(selection, name) is not None


def _create(target: Storage, ours: DatasetManifest) -> DatasetManifest:
    try:
        target.put_once(DATASET_KEY, ours.to_json())
    except AlreadyExistsError:  # the same pull runs twice
        theirs = read_manifest(target)
        assert ours.selection is not None  # of a pull it never is
        _check_same(target, theirs, ours.selection)
        return theirs
    return ours


def _check_same(target: Storage, theirs: DatasetManifest, selection: Selection) -> None:
    if theirs.selection != selection:
        raise CampaignError(
            f"{target.uri} holds another dataset ({theirs.name!r}, {_what(theirs.selection)}; "
            f"here: {_what(selection)}); choose another place"
        )


def _what(selection: Selection | None) -> str:
    if selection is None:
        return "generated, not pulled"
    gaits = f"where {selection.where!r}" if selection.where is not None else "every gait"
    if selection.split is not None and selection.split_shares is not None:
        shares = "/".join(f"{share:g}" for share in selection.split_shares)
        gaits += f", {selection.split} of {shares} by seed {selection.split_seed}"
    if selection.count is not None:
        gaits += f", {selection.count} of them by seed {selection.seed}"
    views = ",".join(selection.views) or "none"
    return f"{gaits}, views {views}, {len(selection.fields)} fields of {selection.dataset_id}"
