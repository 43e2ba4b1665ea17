"""Train, validation, test: which gait is for what, the same for everybody who names the same seed.

A gait's part is a pure function of (seed, sample id), and of nothing else: neither
of how many gaits there are, nor of which shard holds them, nor of what was pulled.
So a dataset that grows keeps its held-out gaits held out, a slice of it agrees with
the whole, and two teams that say `seed 0, 0.8/0.1/0.1` mean the same gaits. Every
gait is a person of its own, so that no part can leak into another.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal, get_args

from farm.errors import UserError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)

SUM_TOLERANCE = 1e-9
"""0.8 + 0.1 + 0.1 is not 1 in binary."""


@dataclass(frozen=True)
class Split:
    """How a dataset is divided.

    Attributes:
        seed: Of the division.
        train, validation, test: Shares; together 1. With n gaits a part's size scatters by sqrt(n p (1 - p)).
    """

    seed: int = 0
    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        whole = all(math.isfinite(share) and 0 <= share <= 1 for share in shares)
        if not whole or abs(sum(shares) - 1) > SUM_TOLERANCE:
            words = "/".join(f"{share:g}" for share in shares)
            raise UserError(
                f"the split {words} is not three shares (train/validation/test) that make 1; write 0.8/0.1/0.1"
            )

    @classmethod
    def of(cls, text: str, *, seed: int = 0) -> Split:
        """The split that `0.8/0.1/0.1` names: train, validation, test.

        Raises:
            UserError: The text is not three shares that make 1.
        """
        try:
            train, validation, test = (float(word) for word in text.split("/"))
        except ValueError:
            raise UserError(
                f"the split {text!r} is not three shares (train/validation/test) that make 1; write 0.8/0.1/0.1"
            ) from None
        return cls(seed, train, validation, test)

    def part_of(self, sample_id: int) -> Part:
        """The part that a gait belongs to."""
        at = place_of(self.seed, sample_id)
        if at < self.test:
            return "test"
        return "validation" if at < self.test + self.validation else "train"


def part_named(text: str) -> Part:
    """The part of that name.

    Raises:
        UserError: There is no such part.
    """
    for part in PARTS:
        if part == text:
            return part
    raise UserError(f"there is no part {text!r} of a split; choose {', '.join(PARTS)}")


def place_of(seed: int, sample_id: int) -> float:
    """A number in [0, 1), evenly spread, that depends on (seed, sample id) alone.

    The first 53 bits of SHA-256 over "seed:sample_id" in decimal digits, over 2^53: anybody can compute it.
    """
    digest = hashlib.sha256(f"{seed}:{sample_id}".encode("ascii")).digest()
    return float((int.from_bytes(digest[:8], "big") >> 11) / 2**53)
