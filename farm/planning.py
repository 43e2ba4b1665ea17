"""Which sample ids a campaign asks for, cut into shards; what is committed, and what is left.

The plan is a pure function of the campaign: shard n holds the sample ids
`[n * gaits_per_shard, (n + 1) * gaits_per_shard)`, the last one fewer. Nothing
is stored and nothing is handed out, so that a second driver, or the same one
after a crash, finds the same plan. A plan is lazy: a million samples cost as
much memory as one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from farm.config import Campaign
from farm.errors import FormatError, UserError

SHARD_ID_DIGITS = 8
"""Digits of a shard id: enough for the largest campaign (10^8 samples, one to a shard). Part of the
format: object stores list keys in lexical order, and zero padding makes that the plan's order."""


def shard_id_of(number: int) -> str:
    """The id of the shard with this plan number, for instance `00000012`."""
    return f"{number:0{SHARD_ID_DIGITS}d}"


@dataclass(frozen=True)
class ShardPlan:
    """One shard to make: its plan number and the sample ids that belong in it."""

    number: int
    sample_ids: range

    @property
    def shard_id(self) -> str:
        return shard_id_of(self.number)


@dataclass(frozen=True)
class Plan(Sequence[ShardPlan]):
    """All shards of a campaign, in order, made when asked for.

    Attributes:
        samples: Sample ids run from 0 to `samples - 1`.
        gaits_per_shard: Sample ids in every shard but the last.
    """

    samples: int
    gaits_per_shard: int

    def __len__(self) -> int:
        return -(-self.samples // self.gaits_per_shard)

    @overload
    def __getitem__(self, number: int) -> ShardPlan: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[ShardPlan]: ...
    def __getitem__(self, number: int | slice) -> ShardPlan | Sequence[ShardPlan]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"the plan has {len(self)} shards, there is no shard {number}")
        number %= len(self)
        first = number * self.gaits_per_shard
        return ShardPlan(number, range(first, min(first + self.gaits_per_shard, self.samples)))

    def shard_of(self, sample_id: int) -> ShardPlan:
        """The shard that a sample id belongs to."""
        if not 0 <= sample_id < self.samples:
            raise IndexError(f"the plan has {self.samples} samples, there is no sample {sample_id}")
        return self[sample_id // self.gaits_per_shard]

    def number_of(self, shard_id: str) -> int:
        """The plan number of a shard id.

        Raises:
            FormatError: The id is none of this plan's.
        """
        number = int(shard_id) if shard_id.isascii() and shard_id.isdigit() else -1
        if number < 0 or shard_id != shard_id_of(number) or number >= len(self):
            raise FormatError(
                f"shard {shard_id!r} is not in this campaign's plan (shards {shard_id_of(0)} to "
                f"{shard_id_of(len(self) - 1)}); was the dataset made by another campaign? "
                "Generate into an empty place, or remove what does not belong there"
            )
        return number


def plan_of(campaign: Campaign) -> Plan:
    """The plan of a campaign."""
    return Plan(campaign.samples, campaign.gaits_per_shard)


@dataclass(frozen=True)
class Slice:
    """One of several equal parts of a plan, for a driver that shares a campaign with others.

    Drivers of different slices never meet at a shard. Drivers of the same slice do no
    harm either: they find each other's gaits and commits.

    Attributes:
        number: From 1 to `of`.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Slice:
        """The slice that "2/4" names.

        Raises:
            UserError: The text is not K/N with 1 <= K <= N.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip(), re.ASCII)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UserError(f"--slice {text!r} is not K/N with K from 1 to N; write --slice 1/4 for the first of four")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def numbers(self, plan: Plan) -> range:
        """Plan numbers of the slice's shards; the slices of a plan partition it."""
        return range(len(plan) * (self.number - 1) // self.of, len(plan) * self.number // self.of)


@dataclass(frozen=True)
class Progress:
    """Where a dataset stands, or a slice of it: the plan, and the numbers of the shards that are committed.

    Attributes:
        numbers: Plan numbers of the shards that are asked for; those of `committed` are among them.
    """

    plan: Plan
    committed: frozenset[int]
    numbers: range

    @property
    def shards(self) -> int:
        return len(self.numbers)

    @property
    def samples(self) -> int:
        return self._samples_of(self.shards, len(self.plan) - 1 in self.numbers)

    @property
    def shards_left(self) -> int:
        return self.shards - len(self.committed)

    @property
    def samples_done(self) -> int:
        return self._samples_of(len(self.committed), len(self.plan) - 1 in self.committed)

    @property
    def samples_left(self) -> int:
        return self.samples - self.samples_done

    def left(self) -> Iterator[ShardPlan]:
        """The shards that are still to be made, in order, one at a time."""
        return (self.plan[number] for number in self.numbers if number not in self.committed)

    def count(self, committed: Collection[str]) -> int:
        """How many of these shard ids are asked for."""
        return sum(self.plan.number_of(shard_id) in self.numbers for shard_id in committed)

    def _samples_of(self, shards: int, with_last: bool) -> int:
        """Samples of so many shards. Only the plan's last one can be short."""
        missing = self.plan.gaits_per_shard - len(self.plan[-1].sample_ids) if with_last else 0
        return shards * self.plan.gaits_per_shard - missing


def progress(plan: Plan, committed: Collection[str], part: Slice | None = None) -> Progress:
    """Compare a plan, or a slice of it, with the shard ids that a dataset's `commits/` names.

    Raises:
        FormatError: A committed shard is not in the plan.
    """
    numbers = range(len(plan)) if part is None else part.numbers(plan)
    done = frozenset(plan.number_of(shard_id) for shard_id in committed)
    return Progress(plan, frozenset(number for number in done if number in numbers), numbers)
