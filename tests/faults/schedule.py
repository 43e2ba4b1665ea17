"""The seeded schedule: what happens in round n is a pure function of the seed and n.

A round is one dataset's life: drivers are started, struck, and started again as
a user would, until the campaign is at its end. What is drawn here is who is
struck when; how often it meets anything depends on the machine, and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tests.faults.orders import ALWAYS, VARIANTS
from tests.faults.stages import CRASHES_ALWAYS

Store = Literal["s3", "file"]

SPECIAL: Mapping[Store, tuple[str, ...]] = {
    "s3": ("outage", "credentials", "quota", "skew"),
    "file": ("full disk",),
}
"""What strikes a whole store or machine; one of them in every other round of a store, in turn."""

QUICK_FAULTS = ("sigkill", "segfault", "raise")
SLOW_FAULTS = ("hang", "hang with the lock", "stop")
"""Faults of a sample's process. The slow ones last until the deadline."""

BLOWS = (
    "worker",
    "worker",
    "worker",
    "all workers",
    "driver",
    "raylet",
    "gcs",
    "all at once",
    "sigterm",
    "sigint twice",
)
"""Who is struck from outside, by SIGKILL where nothing else is said; workers most often, as in life."""

ENDING = ("driver", "raylet", "gcs", "all at once", "sigterm", "sigint twice")
"""Blows that a driver is not expected to work on after."""

SYSCALL_RATES: Mapping[str, float] = {
    "EIO": 6e-4, "ESTALE": 6e-4, "ENOSPC": 1e-4, "EIO after": 8e-4, "SIGKILL before": 5e-4, "SIGKILL after": 5e-4,
}  # fmt: skip

REQUEST_RATE = 0.02
REQUEST_RATES: Mapping[str, float] = {
    "commit": 0.5,
    "dataset.json": 0.5,
    "part": 0.12,
    "staging": 0.12,
    "other write": 0.15,
}
"""Share of requests that fail; those that make or break a shard more often."""


@dataclass(frozen=True)
class Blow:
    """One blow from outside.

    Attributes:
        target: One of `BLOWS`, or a special one.
        after: How many samples must have been begun in this leg.
        pause_s: Then waited for, so that blows fall between any two steps.
    """

    target: str
    after: int
    pause_s: float


@dataclass(frozen=True)
class Leg:
    """One start of the driver, or of two at once."""

    drivers: int
    blows: tuple[Blow, ...]
    skew_s: float = 0.0


@dataclass(frozen=True)
class Round:
    """One dataset's life.

    Attributes:
        special: One of `SPECIAL`, or empty.
        sample_faults: As in `Order`.
    """

    number: int
    seed: int
    store: Store
    variant: int
    samples: int
    gaits_per_shard: int
    legs: tuple[Leg, ...]
    special: str = ""
    sample_faults: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    syscall_rates: Mapping[str, float] = field(default_factory=dict)
    request_rate: float = 0.0
    request_rates: Mapping[str, float] = field(default_factory=dict)


def round_of(seed: int, number: int, *, samples: int = 20, gaits_per_shard: int = 4, legs: int = 2) -> Round:
    """Draw a round.

    Args:
        legs: Starts of the driver that are struck, before it is left in peace.
    """
    rng = np.random.default_rng([seed, number])
    store: Store = "s3" if number % 2 == 0 else "file"
    specials = SPECIAL[store]
    special = specials[number // 4 % len(specials)] if number // 2 % 2 == 0 else ""
    drawn = tuple(_leg_rand(rng, samples) for _ in range(legs))
    if special:
        drawn = (*_special_legs_rand(special, rng), *drawn[1:])
    return Round(
        number=number,
        seed=seed,
        store=store,
        variant=number % VARIANTS,
        samples=samples,
        gaits_per_shard=gaits_per_shard,
        legs=drawn,
        special=special,
        sample_faults=_sample_faults_rand(rng, samples),
        syscall_rates=SYSCALL_RATES if store == "file" else {},
        request_rate=REQUEST_RATE,
        request_rates=REQUEST_RATES,
    )


def _leg_rand(rng: np.random.Generator, samples: int) -> Leg:
    targets = [str(target) for target in rng.choice(BLOWS, size=int(rng.integers(2, 5)))]
    ends = [target for target in targets if target in ENDING]
    targets = [target for target in targets if target not in ENDING] + ends[:1]  # nothing is left after the first
    afters = sorted(int(after) for after in rng.integers(1, max(2, samples // 2), len(targets)))
    blows = tuple(
        Blow(target, after, float(rng.uniform(0.0, 0.6))) for target, after in zip(targets, afters, strict=True)
    )
    return Leg(drivers=2 if rng.random() < 0.3 else 1, blows=blows)


def _special_legs_rand(special: str, rng: np.random.Generator) -> tuple[Leg, ...]:
    if special == "skew":
        return (Leg(1, (), skew_s=3600.0), Leg(1, (Blow("worker", 2, 0.1),), skew_s=840.0))
    if special == "full disk":
        return (Leg(1, ()),)
    return (Leg(1, (Blow(special, int(rng.integers(2, 6)), float(rng.uniform(0.0, 0.5))),)),)


def _sample_faults_rand(rng: np.random.Generator, samples: int) -> dict[str, tuple[str, int]]:
    faults: dict[str, tuple[str, int]] = {}
    for sample_id in range(samples):
        if rng.random() < 0.3:
            faults[str(sample_id)] = (str(rng.choice(QUICK_FAULTS)), 2 if rng.random() < 0.2 else 1)
    if rng.random() < 0.35:
        faults[str(rng.integers(samples))] = (str(rng.choice(SLOW_FAULTS)), 1)
    return faults | always_crashing()


def always_crashing() -> dict[str, tuple[str, int]]:
    """The faults of an undisturbed run: the sample that nobody can make."""
    return {str(CRASHES_ALWAYS): ("segfault", ALWAYS)}
