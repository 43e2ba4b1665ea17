"""Which gaits of a dataset a stream goes through, pinned: what is added to the dataset later does not change them.

A `Places` is three numbers for each gait, a few bytes each, so that a million gaits fit
anywhere. Its pin names the shards that were committed when it was made: a dataset only
grows, so the same shards can be found again in it later, and a hash of their ids and
attempts says whether they are still the same ones.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from farm.dataset.manifest import ShardRecord
from farm.dataset.order import Ints, as_ints
from farm.errors import FormatError, StateMismatchError

Shard = tuple[str, str]
"""A committed shard: its id and its attempt's."""

_RANGE = re.compile(r"^([0-9]{1,12})(?:-([0-9]{1,12}))?$")
_MAX_RANGES = 1 << 20


@dataclass(frozen=True, eq=False)
class Places:
    """Gaits by where they lie: by shard, then by position.

    Attributes:
        shards: Every shard that was committed and holds gaits, by id, whether gaits of it were chosen or not.
        shard: `[n]` for each chosen gait, the number of its shard in `shards`.
        position: `[n]` its place in the shard.
        sample_id: `[n]`.
    """

    shards: tuple[Shard, ...]
    shard: Ints
    position: Ints
    sample_id: Ints

    def __len__(self) -> int:
        return len(self.shard)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Chosen gaits of each shard."""
        return tuple(int(n) for n in np.bincount(self.shard, minlength=len(self.shards)))

    @cached_property
    def pin(self) -> str:
        """Hash of the shards' ids and attempts."""
        return pin_of(self.shards)

    def chosen(self, mask: Sequence[bool]) -> Places:
        """Those gaits for which `mask` `[n]` is True, of the same shards."""
        kept = np.asarray(mask, dtype=bool)
        return Places(
            self.shards, as_ints(self.shard[kept]), as_ints(self.position[kept]), as_ints(self.sample_id[kept])
        )


def places_of(batches: Iterable[Sequence[Mapping[str, Any]]], shards: Iterable[Shard]) -> Places:
    """Places out of rows of the index.

    Args:
        batches: Of rows with `shard_id`, `position` and `sample_id`; in any order.
        shards: All that hold gaits; rows of other shards are passed over.

    Raises:
        FormatError: A row is not what the index promises.
    """
    shards = tuple(sorted(shards))
    numbers = {shard_id: number for number, (shard_id, _) in enumerate(shards)}
    parts = [np.zeros((0, 3), dtype=np.int64)]
    try:
        for rows in batches:
            found = [
                (number, row["position"], row["sample_id"])
                for row in rows
                if (number := numbers.get(row["shard_id"])) is not None
            ]
            parts.append(np.array(found, dtype=np.int64).reshape(-1, 3))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"the index is damaged ({type(error).__name__}: {error}); run `gaitfarm verify`") from None
    table = np.concatenate(parts)
    shard, position, sample_id = table[np.lexsort((table[:, 1], table[:, 0]))].T
    return Places(shards, as_ints(shard), as_ints(position), as_ints(sample_id))


def check_places(record: ShardRecord, attempt_id: str, places: Iterable[tuple[object, object]], uri: str) -> None:
    """Compare what the index says of gaits with their shard's commit, which decides.

    Args:
        attempt_id: The shard's, by the index.
        places: Position and sample id of each gait, by the index.

    Raises:
        FormatError: They differ.
    """
    shard_id, n = record.shard_id, len(record.index)
    mend = "the catalogue is derived: delete the objects under catalogue/ and run `gaitfarm compact`"
    if record.attempt_id != attempt_id:
        raise FormatError(
            f"{uri}: shard {shard_id} is of attempt {record.attempt_id}, the index says {attempt_id}: if it was made "
            f"anew since the dataset was opened, open it again; else {mend}"
        )
    for position, sample_id in places:
        if not (isinstance(position, int) and 0 <= position < n):
            raise FormatError(f"{uri}: the catalogue names gait {position} of shard {shard_id}, which has {n}; {mend}")
        found = record.index[position]["sample_id"]
        if found != sample_id:
            raise FormatError(
                f"{uri}: gait {position} of shard {shard_id} is sample {sample_id} by the catalogue and {found} by its "
                f"commit; {mend}"
            )


def pin_of(shards: Sequence[Shard]) -> str:
    """SHA-256 of shard and attempt ids, one shard a line, by id."""
    text = "\n".join(f"{shard_id} {attempt_id}" for shard_id, attempt_id in sorted(shards))
    return hashlib.sha256(text.encode()).hexdigest()


def ranges_of(shard_ids: Iterable[str]) -> list[str]:
    """Shard ids in few words: "000000-000149" for those that follow one another."""
    ranges: list[list[str]] = []
    for shard_id in sorted(shard_ids):
        if ranges and len(ranges[-1][1]) == len(shard_id) and int(shard_id) == int(ranges[-1][1]) + 1:
            ranges[-1][1] = shard_id
        else:
            ranges.append([shard_id, shard_id])
    return [first if first == last else f"{first}-{last}" for first, last in ranges]


def pinned(shards: Sequence[Shard], ranges: Sequence[str], pin: str) -> tuple[Shard, ...]:
    """The shards of a dataset, as it is now, that were pinned once.

    Raises:
        StateMismatchError: They are not all there, or one was made anew.
    """
    bounds = sorted(_bounds(text) for text in ranges[:_MAX_RANGES])
    firsts = [first for first, _ in bounds]
    kept = []
    for shard in shards:
        key = (len(shard[0]), shard[0])
        at = bisect_right(firsts, key) - 1
        if at >= 0 and key <= bounds[at][1]:
            kept.append(shard)
    if pin_of(kept) != pin:
        raise StateMismatchError(
            f"the dataset no longer holds the shards {', '.join(ranges[:4])}{' ...' if len(ranges) > 4 else ''} that "
            "this state was saved on: some are gone, or were made anew; start again without the state"
        )
    return tuple(kept)


def _bounds(text: object) -> tuple[tuple[int, str], tuple[int, str]]:
    match = _RANGE.match(text) if isinstance(text, str) else None
    if match is None:
        raise StateMismatchError(f"the state's shards name {text!r}; expected ids such as '000000-000149'")
    first, last = match[1], match[2] or match[1]
    return (len(first), first), (len(last), last)
