"""The short fault suite: a few rounds of the soak's own kind, each with every kind of blow that fits in."""

from __future__ import annotations

from collections.abc import Callable

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
    always_crashing,
    round_of,
)
from tests.integration.ceph import CephServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SAMPLES, GAITS_PER_SHARD = 12, 4
ReferenceOf = Callable[[Round], Findings]


def _assert_sound(outcome: Outcome, outcomes: list[Outcome], *struck: str) -> None:
    outcomes.append(outcome)
    assert (outcome.lost, outcome.doubled, outcome.bad_checksums, outcome.wrong) == ([], [], [], [])
    missed = [kind for kind in struck if not any(name.startswith(kind) for name in outcome.by_kind)]
    assert missed == [], f"these were to strike and did not: {missed}; {outcome.by_kind}"


@pytest.mark.s3
@pytest.mark.usefixtures("s3_environment")
def test_a_bucket_behind_a_failing_network_with_two_drivers_and_kills(
    ceph: CephServer, reference: ReferenceOf, outcomes: list[Outcome]
) -> None:
    plan = Round(
        number=0,
        seed=11,
        store="s3",
        variant=0,
        samples=SAMPLES,
        gaits_per_shard=GAITS_PER_SHARD,
        legs=(
            Leg(2, (Blow("worker", 2, 0.1), Blow("all at once", 6, 0.2))),
            Leg(1, (Blow("outage", 1, 0.2),)),
        ),
        sample_faults={"1": ("sigkill", 1), "6": ("segfault", 1), "9": ("raise", 2)} | always_crashing(),
        request_rate=REQUEST_RATE,
        request_rates=REQUEST_RATES,
    )
    outcome = play(plan, reference(plan), ceph, keep=True)
    _assert_sound(outcome, outcomes, "s3: ", "worker: segfault", "SIGKILL: ")
    assert sum(outcome.by_kind[kind] for kind in outcome.by_kind if kind.startswith("s3: ")) > 10


@pytest.mark.s3
@pytest.mark.usefixtures("s3_environment")
def test_clocks_that_are_off_and_credentials_that_expire_midway(
    ceph: CephServer, reference: ReferenceOf, outcomes: list[Outcome]
) -> None:
    """An hour off is named at once; 14 minutes are not noticed, until the key is taken away under the run."""
    plan = Round(
        number=1,
        seed=12,
        store="s3",
        variant=0,
        samples=SAMPLES,
        gaits_per_shard=GAITS_PER_SHARD,
        legs=(Leg(1, (), skew_s=3600.0), Leg(1, (Blow("credentials", 1, 0.0),), skew_s=840.0)),
        special="credentials",
        sample_faults=always_crashing(),
    )
    outcome = play(plan, reference(plan), ceph, keep=True)
    _assert_sound(outcome, outcomes, "clock: an hour off", "clock: 14 minutes off", "credentials expired")


def test_a_folder_on_a_failing_disk_with_kills(reference: ReferenceOf, outcomes: list[Outcome]) -> None:
    plan = Round(
        number=2,
        seed=14,
        store="file",
        variant=0,
        samples=SAMPLES,
        gaits_per_shard=GAITS_PER_SHARD,
        legs=(
            Leg(1, (Blow("all workers", 3, 0.1), Blow("raylet", 7, 0.1))),
            Leg(1, (Blow("driver", 2, 0.3),)),
        ),
        sample_faults={"2": ("stop", 1), "7": ("hang with the lock", 1)} | always_crashing(),
        syscall_rates={kind: 3 * rate for kind, rate in SYSCALL_RATES.items()},
    )
    outcome = play(plan, reference(plan), None, keep=True)
    _assert_sound(outcome, outcomes, "disk: ", "worker: segfault", "worker: stop", "SIGKILL: worker", "SIGKILL: ")


def test_a_disk_that_is_really_full(reference: ReferenceOf, outcomes: list[Outcome]) -> None:
    """On a small disk of its own where we may mount one; elsewhere calls fail as they would there."""
    plan = Round(
        number=3,
        seed=15,
        store="file",
        variant=0,
        samples=SAMPLES,
        gaits_per_shard=GAITS_PER_SHARD,
        legs=(Leg(1, ()),),
        special="full disk",
        sample_faults=always_crashing(),
    )
    _assert_sound(play(plan, reference(plan), None, keep=True), outcomes, "disk: ")


def test_the_schedule_is_a_function_of_seed_and_number_alone() -> None:
    assert [round_of(3, number) for number in range(40)] == [round_of(3, number) for number in range(40)]
    assert round_of(3, 0) != round_of(4, 0)
    drawn = [round_of(3, number) for number in range(40)]
    assert {plan.special for plan in drawn} == {"", "outage", "credentials", "quota", "skew", "full disk"}
    assert {plan.store for plan in drawn} == {"s3", "file"}
    assert {leg.drivers for plan in drawn for leg in plan.legs} == {1, 2}
