"""What an export writes, before it writes: gaits, cut into pieces, and the note that pins both at the destination.

An export is a pure function of its order and of the shards that were committed when
it began. Both stand in `export.json`, the first object that is written: whoever
runs the same command again goes on with the same pieces, also if the dataset has
grown since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from farm.dataset import strict_json
from farm.dataset.order import Ints
from farm.dataset.places import Places, Shard, pinned, ranges_of
from farm.errors import CampaignError, FormatError, ObjectNotFoundError
from farm.storage import Storage

NOTE_KEY = "export.json"
MAX_NOTE_BYTES = 16 << 20

FormatName = Literal["webdataset", "huggingface", "opensim", "croissant"]

Word = Annotated[str, Field(max_length=4096)]


class Order(BaseModel):
    """What was asked for: two exports with the same order may share a destination.

    Attributes:
        where, count, seed, part, split_seed, split_shares: Which gaits; seeds that decide nothing are None.
        options: Of the format, by name; numbers, words, None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: FormatName
    dataset_id: Word
    where: Word | None
    count: int | None = None
    seed: int | None = None
    part: Word | None = None
    split_seed: int | None = None
    split_shares: Word | None = None
    views: tuple[Word, ...]
    arrays: tuple[Word, ...]
    options: dict[Word, Word | int | float | bool | None] = {}


class Note(BaseModel):
    """`export.json`: the order, and what was decided when the export began.

    Attributes:
        gaits_per_file: Resolved from what was asked and the gaits' size.
        shards: Ids of the shards that were committed then, as ranges; `pin` is their hash.
        columns: The index's columns then, each with its SQL type.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    export_version: Literal[1] = 1
    order: Order
    gaits_per_file: int = Field(ge=1)
    n_gaits: int = Field(ge=0)
    shards: tuple[Word, ...]
    pin: Word
    columns: dict[Word, Word] = {}
    software: dict[Word, Word] = {}

    def to_json(self) -> bytes:
        return (json.dumps(self.model_dump(mode="json"), indent=1) + "\n").encode()

    def pinned(self, shards: tuple[Shard, ...]) -> tuple[Shard, ...]:
        """Of the shards that are committed now, those that the export is of.

        Raises:
            StateMismatchError: Some are gone, or were made anew.
        """
        return pinned(shards, self.shards, self.pin)


def find_note(target: Storage) -> Note | None:
    """The note of the export that the destination holds, or None.

    Raises:
        FormatError: There is one that is damaged, or of a newer gaitfarm.
    """
    try:
        data = target.get_range(NOTE_KEY, 0, MAX_NOTE_BYTES + 1)
    except ObjectNotFoundError:
        return None
    mend = "remove the folder or choose another --out"
    where = f"{target.uri}/{NOTE_KEY}"
    if len(data) > MAX_NOTE_BYTES:
        raise FormatError(f"{where} is larger than {MAX_NOTE_BYTES} bytes and none of ours; {mend}")
    try:
        return Note.model_validate(strict_json.parse(data))
    except (ValidationError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise FormatError(f"{where} is damaged, or of a newer gaitfarm ({first}); {mend}") from None


def must_be_ours(target: Storage, theirs: Note | None, order: Order) -> None:
    """Refuse a destination that holds anything but this very export.

    Raises:
        CampaignError: It holds another export, or something else.
    """
    if theirs is None:
        found = target.list()
        if found:
            raise CampaignError(f"{target.uri} is not empty ({found[0].key}) and holds no export; choose another --out")
        return
    if theirs.order != order:
        ours, there = order.model_dump(mode="json"), theirs.order.model_dump(mode="json")
        name = next(name for name in ours if ours[name] != there[name])
        raise CampaignError(
            f"{target.uri} holds another export: {name} is {_shown(there[name])} there and {_shown(ours[name])} here; "
            "choose another --out, or the options that were used there"
        )


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def note_of(
    order: Order, places: Places, gaits_per_file: int, columns: Mapping[str, str], software: Mapping[str, str]
) -> Note:
    """The note of an export that begins now."""
    return Note(
        order=order,
        gaits_per_file=gaits_per_file,
        n_gaits=len(places),
        shards=tuple(ranges_of(shard_id for shard_id, _ in places.shards)),
        pin=places.pin,
        columns=dict(columns),
        software=dict(software),
    )


@dataclass(frozen=True, eq=False)
class Piece:
    """Gaits that are written by one thread and end up in one file, or in one folder.

    Attributes:
        part: Of the split, where the format divides by one; else "".
        number, of: Of the part's pieces, from 0.
        places: The gaits.
    """

    part: str
    number: int
    of: int
    places: Places

    def __len__(self) -> int:
        return len(self.places)

    def by_shard(self) -> Iterator[tuple[Shard, Ints, Ints]]:
        """Each shard, with positions and sample ids of its gaits."""
        for number in sorted({int(n) for n in self.places.shard}):
            its = self.places.shard == number
            yield self.places.shards[number], self.places.position[its], self.places.sample_id[its]


def pieces_of(places: Places, gaits_per_file: int, part: str = "") -> list[Piece]:
    """Gaits in their order, `gaits_per_file` at a time."""
    firsts = range(0, len(places), gaits_per_file)
    return [
        Piece(part, number, len(firsts), _stretch(places, first, first + gaits_per_file))
        for number, first in enumerate(firsts)
    ]


def _stretch(places: Places, first: int, last: int) -> Places:
    cut = slice(first, last)
    return Places(places.shards, places.shard[cut], places.position[cut], places.sample_id[cut])
