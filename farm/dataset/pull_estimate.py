"""What a pull would read and write, from the commits alone, before any of the data is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farm.dataset.catalogue import iter_records
from farm.dataset.manifest import ShardRecord, record_to_json
from farm.dataset.pull_choice import Choice
from farm.dataset.ranges import WINDOW_BYTES, Economy
from farm.dataset.schema import VIDEO_BLOCK_BYTES, ArrayPath
from farm.storage import Storage

LOOK_SHARDS = 32
"""Commits that are looked at, spread over the dataset; the shards of a campaign are alike, so more of them tell little.
Of a dataset of 10,000 shards all commits would be 10,000 requests and gigabytes of JSON."""


@dataclass(frozen=True)
class Cost:
    """What taking some gaits from one or many shards costs.

    Attributes:
        read_bytes, write_bytes: Of the source and of the destination.
        requests: Reads of the source.
        exact: Whether nothing of it is an estimate.
    """

    read_bytes: int = 0
    write_bytes: int = 0
    requests: int = 0
    exact: bool = True

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.read_bytes + other.read_bytes,
            self.write_bytes + other.write_bytes,
            self.requests + other.requests,
            self.exact and other.exact,
        )

    def scaled(self, factor: float) -> Cost:
        """The cost of so many times as much."""
        read, write, requests = (round(n * factor) for n in (self.read_bytes, self.write_bytes, self.requests))
        return Cost(read, write, requests, exact=False)


@dataclass(frozen=True)
class Estimate:
    """What a pull has before it.

    Attributes:
        n_gaits, n_shards: Still to be taken.
        n_shards_before: That the destination holds already.
        cost: Of taking them; the index is not counted, it has been read by now.
    """

    n_gaits: int
    n_shards: int
    n_shards_before: int
    cost: Cost


def estimate(
    storage: Storage, choice: Choice, paths: Sequence[ArrayPath], economy: Economy, n_shards_before: int
) -> Estimate:
    """What taking these gaits costs. Reads at most `LOOK_SHARDS` commits.

    Raises:
        FormatError: A commit is damaged.
    """
    shard_ids = list(choice.positions)
    looked = shard_ids[:: -(-len(shard_ids) // LOOK_SHARDS)] if shard_ids else []
    total, n_gaits = Cost(), 0
    for record in iter_records(storage, looked):
        positions = choice.positions[record.shard_id]
        n_gaits += record.n_accepted if positions is None else len(positions)
        total += cost_of(record, positions, paths, economy)
    if len(looked) < len(shard_ids):
        total = total.scaled(choice.n_gaits / n_gaits if n_gaits else len(shard_ids) / len(looked))
    return Estimate(choice.n_gaits, len(shard_ids), n_shards_before, total)


def cost_of(record: ShardRecord, positions: Sequence[int] | None, paths: Sequence[ArrayPath], economy: Economy) -> Cost:
    """What taking the gaits at `positions` (None: all) of one shard costs; its chunks are taken for equally large."""
    sizes = {item.path: item.bytes for item in record.objects}
    commit_bytes = len(record_to_json(record))
    wanted = record.n_accepted if positions is None else len(positions)
    if not record.group or not wanted:
        return Cost(commit_bytes, commit_bytes, 1)
    metadata = sizes.get(f"{record.group}/zarr.json", 0)
    share = wanted / record.n_accepted
    total = Cost(commit_bytes + metadata, round(commit_bytes * share) + metadata, 2)
    for item in paths:
        folder = f"{record.group}/{item.path}/"
        stored = sum(size for path, size in sizes.items() if path.startswith(f"{folder}c/"))
        total += Cost(0, sizes.get(f"{folder}zarr.json", 0), 0)
        if positions is None or share == 1:
            total += Cost(stored, stored, _pieces(stored))
        else:
            total += _cost_of_some(item, stored, positions, record.n_accepted, economy)
    return total


def _cost_of_some(item: ArrayPath, stored: int, positions: Sequence[int], n: int, economy: Economy) -> Cost:
    """What some gaits' part of one object costs."""
    chunk = stored / n
    written = round(chunk * len(positions))
    if item.spec.field == "video_offsets":
        return Cost(stored, stored * (len(positions) + 1) // (n + 1), 1, exact=False)
    if item.spec.dims[0] != "gait":  # a video's blocks: half a block too much at either end
        chunk += VIDEO_BLOCK_BYTES
    read, runs = 0.0, 0
    for number, position in enumerate(positions):
        gap = (position - positions[number - 1] - 1) * (stored / n) if number else float("inf")
        joins = gap <= economy.gap_bytes
        read += chunk + (gap if joins else 0)
        runs += not joins
    if economy.takes_whole(min(read, stored), stored):
        return Cost(stored, written, _pieces(stored), exact=False)
    return Cost(round(read), written, runs + 1, exact=False)


def _pieces(stored: int) -> int:
    return max(1, -(-stored // WINDOW_BYTES))
