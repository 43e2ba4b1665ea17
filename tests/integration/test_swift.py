"""On a real store whose put-if-absent does not hold under a race: it is found out, and the fallback holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farm.dataset.catalogue import read_records
from farm.dataset.claim import CLAIMS, Pace, writing
from farm.dataset.create import open_or_create
from farm.dataset.manifest import committed_shards, read_manifest, read_record
from farm.dataset.pull import pull
from farm.dataset.verify import verify
from farm.dataset.writer import encode_shard
from farm.errors import AlreadyExistsError, StorageError
from farm.planning import plan_of
from farm.storage import Probe, Storage, open_storage
from tests.contracts.sources import ROOT
from tests.contracts.storage_contract import StorageContract
from tests.integration.conftest import S3Root
from tests.samples import make_campaign, make_samples_for
from tests.test_workers.drive import GAITS_PER_SHARD
from tests.test_workers.faulty import write_faults
from workers.write import commit_shard

pytestmark = [pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(900)]  # drivers on a loaded machine

RACERS = 6
MOST_RACES = 200


@pytest.fixture
def storage(swift_root: S3Root) -> Storage:
    return open_storage(swift_root.uri, endpoint_url=swift_root.endpoint_url)


class TestSwiftStorage(StorageContract):
    """The contract, but for the one promise that this store does not keep."""

    @pytest.fixture
    def storage(self, swift_root: S3Root) -> Storage:
        return open_storage(swift_root.uri, endpoint_url=swift_root.endpoint_url)

    def test_put_once_race_has_one_winner(self, storage: Storage) -> None:
        """It has not: of racers on one key several are told that they won, and all but one are deceived."""
        several = 0
        with ThreadPoolExecutor(RACERS) as pool:
            for turn in range(MOST_RACES):
                winners = _race(storage, f"race/{turn}", pool)
                assert winners, "somebody must win"
                several += len(winners) > 1
                assert storage.get(f"race/{turn}") in winners
                if several >= 3:
                    return
        pytest.fail(
            f"{several} of {MOST_RACES} races had several winners: Swift keeps racing writers apart now? "
            "Then it is no test of the fallback any more; see docs/storage.md"
        )

    def test_probe_finds_the_condition_honoured_and_leaves_nothing(self, storage: Storage) -> None:
        """It finds that a key that exists is refused, and that racers are not kept apart."""
        probe = storage.probe()
        assert (probe.truth, probe.put_if_absent) == ("racy", False), probe.detail
        assert "only one run at a time" in probe.detail
        assert list(storage.list()) == []


def _race(storage: Storage, key: str, pool: ThreadPoolExecutor) -> list[bytes]:
    """The bodies of those who were told that they had created the key."""
    start = threading.Barrier(RACERS)

    def write(number: int) -> bytes | None:
        body = bytes([number]) * 4096
        start.wait()
        try:
            storage.put_once(key, body)
        except AlreadyExistsError:
            return None
        return body

    return [body for body in pool.map(write, range(RACERS)) if body is not None]


def test_racing_attempts_of_one_run_agree_on_one_record(storage: Storage) -> None:
    """Workers that were taken for dead race with their replacements: four attempts at each of two shards.

    Each takes the same record for the shard's, the one that stands; nothing is lost and nothing is doubled.
    """
    campaign = make_campaign(samples=4, gaits_per_shard=2, views=("side",), image_size=(34, 32), rgb="none")
    plans = list(plan_of(campaign))
    with writing(storage, Probe("racy", "Swift"), say=lambda _: None) as ours:
        manifest = open_or_create(ours, campaign)
        encoded = [
            encode_shard(
                campaign,
                manifest.dataset_id,
                plan.shard_id,
                make_samples_for(campaign, plan.sample_ids, n_samples=(40,)),
            )
            for plan in plans
        ]
        for shard in encoded:
            start = threading.Barrier(4)

            def attempt(_: int, shard: object = shard, start: threading.Barrier = start) -> str:
                start.wait()
                return commit_shard(ours, shard).attempt_id  # type: ignore[arg-type]

            with ThreadPoolExecutor(4) as pool:
                believed = set(pool.map(attempt, range(4)))
            assert believed == {read_record(storage, shard.shard_id).attempt_id}
    assert verify(storage).faults == ()
    assert list(storage.list(CLAIMS)) == []


def test_two_drivers_on_swift_make_one_dataset_one_after_the_other(
    storage: Storage, swift_root: S3Root, tmp_path: Path
) -> None:
    """The second is refused while the first is at work, and names it; afterwards it finds everything done."""
    samples = 8
    environment = dict(os.environ) | write_faults(tmp_path / "faults.json", dict.fromkeys(range(samples), ("slow", 1)))
    command = [sys.executable, "-m", "tests.test_workers.drive", swift_root.uri, str(samples)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as first:
        try:
            claim = _held_claim(storage, first)
            with (
                pytest.raises(StorageError, match=rf"another run \(pid {first.pid} on host .*\) is writing there"),
                writing(storage, storage.probe(), say=lambda _: None, pace=Pace()),
            ):
                pytest.fail("two drivers hold the claim")
            assert claim["pid"] == first.pid
            output, errors = first.communicate(timeout=250)
        finally:
            first.kill()
    assert first.returncode == 0, errors
    assert "holds the writer's claim" in errors
    assert json.loads(output)["accepted"] + json.loads(output)["rejected"] == samples
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250, check=True)
    assert json.loads(again.stdout)["shards_before"] == samples // GAITS_PER_SHARD

    records = list(read_records(storage, committed_shards(storage)))
    outcomes = [i for record in records for i in (*record.accepted_ids, *(gait.sample_id for gait in record.rejected))]
    assert Counter(outcomes) == Counter(range(samples))
    assert verify(storage).faults == ()
    assert list(storage.list(CLAIMS)) == []
    assert list(storage.unfinished()) == []
    pull(swift_root.uri, str(tmp_path / "pulled"), endpoint_url=swift_root.endpoint_url)
    pulled = open_storage(str(tmp_path / "pulled"))
    assert read_manifest(pulled).selection is not None
    assert verify(pulled).faults == ()
    assert len(committed_shards(pulled)) == samples // GAITS_PER_SHARD


def _held_claim(storage: Storage, driver: subprocess.Popen[str]) -> dict[str, object]:
    """What the driver's claim says once it holds it."""
    deadline = time.monotonic() + 200.0
    while time.monotonic() < deadline and driver.poll() is None:
        for item in storage.list(CLAIMS):
            card: dict[str, object] = json.loads(storage.get(item.key))
            if card["holding"]:
                return card
        time.sleep(0.2)
    raise AssertionError(f"the driver took no claim; it ended with {driver.poll()}")
