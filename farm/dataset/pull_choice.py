"""What a pull takes: which arrays, and which gaits, as a pure function of what they are and of seeds."""

from __future__ import annotations

import difflib
import hashlib
import heapq
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from farm.dataset.load import several
from farm.dataset.manifest import MAX_TEXT, DatasetManifest, Selection
from farm.dataset.pull_part import views_of
from farm.dataset.schema import ArrayPath, fields, find, with_companions
from farm.dataset.split import Part, Split, part_named
from farm.dataset.table import IndexTable
from farm.errors import UserError


@dataclass(frozen=True)
class Wish:
    """What somebody asks of a dataset.

    Attributes:
        where: SQL expression over the index, such as "gait_speed < 0.8"; None takes every gait.
        views: Names of views to keep; None keeps all.
        fields: Names of arrays without their view; None keeps all.
        count: At most so many gaits, spread over all that the others leave; None takes all of them.
        seed: Of the choice of `count` gaits.
        split: The part of a division that gaits must belong to; None takes all parts.
        split_seed: Of the division.
        split_shares: Its shares, as `farm.dataset.split.Split.of` reads them.
    """

    where: str | None = None
    views: Sequence[str] | None = None
    fields: Sequence[str] | None = None
    count: int | None = None
    seed: int = 0
    split: str | None = None
    split_seed: int = 0
    split_shares: str = "0.8/0.1/0.1"

    def __post_init__(self) -> None:
        several("views", self.views)
        several("fields", self.fields)
        if self.where is not None and len(self.where) > MAX_TEXT:
            raise UserError(
                f"--where has {len(self.where)} letters, at most {MAX_TEXT} are allowed; name a range instead of a list"
            )
        if self.count is not None and not 1 <= self.count < 2**63:
            raise UserError(f"--count is {self.count}; it must be 1 or more, or left out to take every gait")
        for option, seed in (("--seed", self.seed), ("--split-seed", self.split_seed)):
            if not 0 <= seed < 2**63:
                raise UserError(f"{option} is {seed}; it must be a whole number from 0 to 2^63 - 1")
        if self.split is not None:
            part_named(self.split)
        Split.of(self.split_shares, seed=self.split_seed)

    @property
    def part(self) -> tuple[Split, Part] | None:
        """The division and the part of it that is asked for."""
        if self.split is None:
            return None
        return Split.of(self.split_shares, seed=self.split_seed), part_named(self.split)

    @property
    def takes_every_gait(self) -> bool:
        """Whether gaits are not chosen at all; rejected samples are taken along then, as they belong to no gait."""
        return self.where is None and self.count is None and self.split is None

    def __str__(self) -> str:
        words = [] if self.where is None else [f"--where {self.where!r}"]
        words += [] if self.split is None else [f"--split {self.split}"]
        return " and ".join(words)


@dataclass(frozen=True)
class Choice:
    """The chosen gaits.

    Attributes:
        positions: Ids of the shards that hold some, in order, each with the places of its gaits; None where all are
            taken (of a shard that holds none, all is nothing).
        sample_ids: Of those gaits, for each shard of which some are named, in the same order.
        attempts: By shard: whose positions they are. A shard that was repaired since has others.
        n_gaits: How many in all.
    """

    positions: Mapping[str, Sequence[int] | None]
    sample_ids: Mapping[str, Sequence[int]]
    attempts: Mapping[str, str]
    n_gaits: int


def chosen_arrays(manifest: DatasetManifest, wish: Wish) -> tuple[ArrayPath, ...]:
    """The arrays that a wish asks for, with those that they cannot be read without.

    Raises:
        UserError: The dataset has no such view or array.
    """
    for view in wish.views or ():
        if view not in manifest.views:
            raise UserError(f"the dataset has no view {view!r}; it has {', '.join(manifest.views) or 'none'}")
    present = [item for path in manifest.known_arrays if (item := find(path)) is not None]
    names = dict.fromkeys(item.spec.field for item in present)
    for name in wish.fields or ():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
            what = "holds no" if name in fields() else "knows no"
            raise UserError(f"the dataset {what} array {name!r}; {hint}")
    kept = with_companions(wish.fields) if wish.fields is not None else names.keys()
    return tuple(
        item
        for item in present
        if item.spec.field in kept and (item.view is None or wish.views is None or item.view in wish.views)
    )


def selection_of(dataset_id: str, wish: Wish, paths: Sequence[ArrayPath]) -> Selection:
    """What the pulled dataset says of itself; seeds that decide nothing are left out."""
    part = wish.part
    return Selection(
        dataset_id=dataset_id,
        where=wish.where,
        views=views_of(paths),
        fields=tuple(dict.fromkeys(item.spec.field for item in paths)),
        count=wish.count,
        seed=wish.seed if wish.count is not None else None,
        split=wish.split,
        split_seed=wish.split_seed if part is not None else None,
        split_shares=(part[0].train, part[0].validation, part[0].test) if part is not None else None,
    )


def chosen_gaits(table: IndexTable, wish: Wish, before: Mapping[str, int], uri: str) -> Choice:
    """The gaits that are still to be taken, by shard.

    Args:
        table: The whole index, with its shards.
        before: Shards of which the destination holds its part already, each with how many gaits; none of their
            gaits is chosen again. With `count`, what is there counts: had the source not grown, the rest is what
            would have been chosen at once.

    Raises:
        UserError: No gait fulfils the wish.
    """
    if not len(table):
        raise UserError(f"{uri}: the dataset holds no gait yet; nothing was pulled")
    shards = table.ask("SELECT shard_id, attempt_id, n_accepted FROM shards ORDER BY shard_id")
    attempts = {shard_id: attempt_id for shard_id, attempt_id, _ in shards}
    if wish.takes_every_gait:
        left = {shard_id: int(n) for shard_id, _, n in shards if shard_id not in before}
        return Choice(dict.fromkeys(left), {}, attempts, sum(left.values()))
    new: Iterator[Place] = (place for place in _fulfilling(table, wish) if place[1] not in before)
    if wish.count is not None:
        left_over = max(0, wish.count - sum(before.values()))
        new = iter(heapq.nsmallest(left_over, new, key=lambda place: rank(wish.seed, place[0])))
    found: dict[str, tuple[array[int], array[int]]] = {}  # small, as a million gaits may be chosen
    for sample_id, shard_id, position in new:
        places, sample_ids = found.setdefault(shard_id, (array("q"), array("q")))
        places.append(position)
        sample_ids.append(sample_id)
    if not found and not before:
        raise UserError(f"{uri}: no gait fulfils {wish}; nothing was pulled")
    chosen: dict[str, Sequence[int]] = {}
    theirs: dict[str, Sequence[int]] = {}
    for shard_id in sorted(found):
        places, sample_ids = found[shard_id]
        pairs = sorted(zip(places, sample_ids, strict=True))
        chosen[shard_id] = [position for position, _ in pairs]
        theirs[shard_id] = array("q", (sample_id for _, sample_id in pairs))
    return Choice(chosen, theirs, attempts, sum(len(places) for places in chosen.values()))


def rank(seed: int, sample_id: int) -> bytes:
    """By what a gait is chosen or left: the `count` lowest are taken, so a larger count takes the smaller one's too.

    SHA-256 over "count:seed:sample_id" in decimal digits; another one than that of a split of the same seed, from
    whose parts a count must take evenly.
    """
    return hashlib.sha256(f"count:{seed}:{sample_id}".encode("ascii")).digest()


Place = tuple[int, str, int]
"""A gait: sample id, shard, position."""


def _fulfilling(table: IndexTable, wish: Wish) -> Iterator[Place]:
    """Gaits of the filter and of the part, a batch in memory at a time."""
    part = wish.part
    for rows in table.batches(wish.where, ["sample_id", "shard_id", "position"]):
        for row in rows:
            if part is None or part[0].part_of(row["sample_id"]) == part[1]:
                yield row["sample_id"], row["shard_id"], row["position"]
