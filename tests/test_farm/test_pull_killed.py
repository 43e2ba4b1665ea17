"""A pull that is killed at any point, or interrupted from the keyboard, goes on, and ends as if it had not been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from farm.dataset.manifest import committed_shards, read_record
from farm.dataset.pull import pull
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.storage import FileStorage
from tests.contracts.sources import ROOT
from tests.datasets import make_dataset
from tests.samples import make_campaign

pytestmark = pytest.mark.alone  # kills are timed

SHARDS = 10
PULLER = """
import sys, time
from farm.storage import FileStorage
from farm.dataset.pull import pull

class Slow(FileStorage):
    '''Gives whoever wants to interrupt us the time to do so.'''
    def put(self, key, data):
        time.sleep(0.01)
        super().put(key, data)

pull(sys.argv[1], Slow(sys.argv[2]), where=sys.argv[3], jobs=2)
"""
SLOW_COMMAND = """
import signal
import time
from farm.cli import main
from farm.storage import FileStorage

put = FileStorage.put

def slow_put(storage, key, data):
    time.sleep(0.02)
    put(storage, key, data)

FileStorage.put = slow_put
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would we
main()
"""
WHERE = "sample_id % 4 <> 1"
DEADLINE_S = 200


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    campaign = make_campaign(samples=4 * SHARDS, gaits_per_shard=4, views=("side",), rgb="none", mask=False)
    make_dataset(str(folder), campaign, n_samples=(20, 30))
    return folder


def _puller(source: Path, target: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PULLER, str(source), str(target), WHERE]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def _wait(worker: subprocess.Popen[bytes], target: Path, n_files: int) -> None:
    """Until the destination holds so many more files than before, or the pull has ended."""
    deadline = time.monotonic() + DEADLINE_S
    before = sum(1 for path in target.rglob("*") if path.is_file())
    while worker.poll() is None and sum(1 for path in target.rglob("*") if path.is_file()) < before + n_files:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _same(first: Path, second: Path) -> None:
    ours, theirs = GaitDataset(str(first)), GaitDataset(str(second))
    assert ours.shard_ids == theirs.shard_ids
    for shard_id in ours.shard_ids:
        one, other = (read_record(FileStorage(root), shard_id) for root in (first, second))
        contents = [
            {item.path.removeprefix(str(record.group)): item.sha256 for item in record.objects}
            for record in (one, other)
        ]
        assert contents[0] == contents[1], "the same bytes, whichever attempt wrote them"
        assert one.index == other.index


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(source: Path, tmp_path: Path) -> None:
    chance = random.Random(20261125)
    target = tmp_path / "part"
    kills = 0
    for _ in range(6):
        worker = _puller(source, target)
        _wait(worker, target, chance.choice([0, 1, 2, 30, 47, 60]))
        worker.send_signal(signal.SIGKILL)
        kills += worker.wait() == -signal.SIGKILL
        if (target / "dataset.json").exists():
            assert verify(str(target)).faults == (), "sound at any time"
    assert kills >= 3, "the kills came too late to show anything"
    there = set(committed_shards(FileStorage(target)))
    records = {shard_id: (target / f"commits/{shard_id}.json").read_bytes() for shard_id in sorted(there)}
    report = pull(str(source), str(target), where=WHERE)
    assert (report.n_shards, report.n_gaits) == (SHARDS, 3 * SHARDS)
    assert all((target / f"commits/{shard_id}.json").read_bytes() == data for shard_id, data in records.items())
    pull(str(source), str(tmp_path / "undisturbed"), where=WHERE)
    _same(target, tmp_path / "undisturbed")
    assert verify(str(target)).faults == ()
    ids = [row["sample_id"] for row in GaitDataset(str(target)).index(columns=["sample_id"])]
    assert ids == [i for i in range(4 * SHARDS) if i % 4 != 1]


@pytest.mark.slow
def test_interrupted_from_the_keyboard_it_says_how_to_go_on(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "part"
    command = [sys.executable, "-c", SLOW_COMMAND, "pull", str(source), str(target), "--jobs", "1"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    worker = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + DEADLINE_S
    while not list(target.glob("commits/*.json")):
        assert worker.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    worker.send_signal(signal.SIGINT)
    _, said = worker.communicate(timeout=DEADLINE_S)
    assert worker.returncode == 130, said
    assert "interrupted; what is at" in said
    assert "so far is whole, and the same command goes on from there" in " ".join(said.split())
    assert "Traceback" not in said
    n = len(committed_shards(FileStorage(target)))
    assert 1 <= n < SHARDS
    assert verify(str(target)).faults == ()
    assert pull(str(source), str(target)).n_shards_before == n
    theirs = GaitDataset(str(source)).gait(5)
    for path, array in GaitDataset(str(target)).gait(5).arrays.items():
        np.testing.assert_array_equal(array, theirs[path])
