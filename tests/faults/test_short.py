"""The short fault suite: a few rounds of the soak's own kind, each with every kind of blow that fits in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from tests.faults.checker import Findings
from tests.faults.rounds import Outcome, play
from tests.faults.schedule import (
    REQUEST_RATE,
    REQUEST_RATES,
    SYSCALL_RATES,
    Blow,
    Leg,
    Round,
    Store,
    always_crashing,
    round_of,
)
from tests.integration.ceph import CephServer

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(1200)]  # blows are timed

CALM: Mapping[str, tuple[str, int]] = MappingProxyType({})

Play = Callable[[Round, CephServer | None], Outcome]


def round_in(
    store: Store, number: int, seed: int, *legs: Leg, sample_faults: Mapping[str, tuple[str, int]] = CALM, **more: Any
) -> Round:
    """A round of twelve samples in three shards, some of which crash whatever worker takes them.

    Args:
        sample_faults: What else samples do to their workers.
        more: As of `Round`.
    """
    return Round(
        number=number,
        seed=seed,
        store=store,
        variant=0,
        samples=12,
        gaits_per_shard=4,
        legs=legs,
        sample_faults={**sample_faults, **always_crashing()},
        **more,
    )


@pytest.fixture
def played(reference: Callable[[Round], Findings], tell: Callable[[Outcome], None]) -> Play:
    """Plays a round to its end: nothing may be lost, doubled, damaged or otherwise wrong."""

    def to_its_end(plan: Round, ceph: CephServer | None) -> Outcome:
        outcome = play(plan, reference(plan), ceph, keep=True)
        tell(outcome)
        assert (outcome.lost, outcome.doubled, outcome.bad_checksums, outcome.wrong) == ([], [], [], [])
        return outcome

    return to_its_end


def assert_struck(outcome: Outcome, *kinds: str) -> None:
    missed = [kind for kind in kinds if not any(name.startswith(kind) for name in outcome.by_kind)]
    assert missed == [], f"these were to strike and did not: {missed}; {outcome.by_kind}"


@pytest.mark.s3
@pytest.mark.usefixtures("s3_environment")
def test_a_bucket_behind_a_failing_network_with_two_drivers_and_kills(ceph: CephServer, played: Play) -> None:
    plan = round_in(
        "s3",
        0,
        11,
        Leg(2, (Blow("worker", 2, 0.1), Blow("all at once", 6, 0.2))),
        Leg(1, (Blow("outage", 1, 0.2),)),
        sample_faults={"1": ("sigkill", 1), "6": ("segfault", 1), "9": ("raise", 2)},
        request_rate=REQUEST_RATE,
        request_rates=REQUEST_RATES,
    )
    outcome = played(plan, ceph)
    assert_struck(outcome, "s3: ", "worker: segfault", "SIGKILL: ")
    assert sum(outcome.by_kind[kind] for kind in outcome.by_kind if kind.startswith("s3: ")) > 10


@pytest.mark.s3
@pytest.mark.usefixtures("s3_environment")
def test_clocks_that_are_off_and_credentials_that_expire_midway(ceph: CephServer, played: Play) -> None:
    """An hour off is named at once; 14 minutes are not noticed, until the key is taken away under the run."""
    plan = round_in(
        "s3",
        1,
        12,
        Leg(1, (), skew_s=3600.0),
        Leg(1, (Blow("credentials", 1, 0.0),), skew_s=840.0),
        special="credentials",
    )
    assert_struck(played(plan, ceph), "clock: an hour off", "clock: 14 minutes off", "credentials expired")


def test_a_folder_on_a_failing_disk_with_kills(played: Play) -> None:
    plan = round_in(
        "file",
        2,
        14,
        Leg(1, (Blow("all workers", 3, 0.1), Blow("raylet", 7, 0.1))),
        Leg(1, (Blow("driver", 2, 0.3),)),
        sample_faults={"2": ("stop", 1), "7": ("hang with the lock", 1)},
        syscall_rates={kind: 3 * rate for kind, rate in SYSCALL_RATES.items()},
    )
    assert_struck(played(plan, None), "disk: ", "worker: segfault", "worker: stop", "SIGKILL: worker", "SIGKILL: ")


def test_a_disk_that_is_really_full(played: Play) -> None:
    """On a small disk of its own where we may mount one; elsewhere calls fail as they would there."""
    assert_struck(played(round_in("file", 3, 15, Leg(1, ()), special="full disk"), None), "disk: ")


def test_the_schedule_is_a_function_of_seed_and_number_alone() -> None:
    assert [round_of(3, number) for number in range(40)] == [round_of(3, number) for number in range(40)]
    assert round_of(3, 0) != round_of(4, 0)
    drawn = [round_of(3, number) for number in range(40)]
    assert {plan.special for plan in drawn} == {"", "outage", "credentials", "quota", "skew", "full disk"}
    assert {plan.store for plan in drawn} == {"s3", "file"}
    assert {leg.drivers for plan in drawn for leg in plan.legs} == {1, 2}
