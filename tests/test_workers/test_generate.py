"""The farm against workers that really crash and hang, and drivers that are really killed and interrupted.

Everything here is real but the stages: Ray, worker processes, signals, storage.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from farm.config import Campaign
from farm.control.archive import archive_sha256
from farm.dataset.catalogue import read_records
from farm.dataset.create import open_or_create
from farm.dataset.manifest import ShardRecord, committed_shards
from farm.dataset.pack import PackedGait, pack
from farm.dataset.reader import GaitDataset
from farm.dataset.refilm import refilm_campaign
from farm.dataset.verify import verify
from farm.errors import CampaignError, StorageError, UserError
from farm.pipeline import make_sample
from farm.planning import Slice, plan_of
from farm.storage import open_storage
from tests.datasets import make_dataset
from tests.samples import make_campaign
from tests.test_workers import faulty
from tests.test_workers.faulty import FAULTS_VARIABLE, THIS, attempts, write_faults
from workers import generate as generate_module
from workers.generate import generate
from workers.ray_session import RAY_SETTINGS, started_ray
from workers.run import Deadlines
from workers.simulate.identity import model_sha256
from workers.summary import RunSummary

pytestmark = pytest.mark.timeout(900)

DEADLINES = Deadlines(sample_s=12.0)
"""Where samples hang on purpose. One of the faulty stages takes a second; on a loaded machine some more."""

CALM = Deadlines(sample_s=240.0)
"""Where none does: the machine may be as busy as it likes."""


@pytest.fixture(scope="module")
def faults_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all tests of this module: workers learn its name when Ray starts."""
    return tmp_path_factory.mktemp("faults") / "faults.json"


@pytest.fixture(scope="module")
def ray_here(faults_file: Path) -> Iterator[None]:
    """One Ray for the tests that do not need a start of their own."""
    before = dict(os.environ)
    os.environ.update({FAULTS_VARIABLE: str(faults_file), **RAY_SETTINGS})
    with started_ray(2):
        yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def faults(faults_file: Path, ray_here: None) -> Callable[[dict[int, str | tuple[str, int]]], Path]:
    def strike(faults: dict[int, str | tuple[str, int]]) -> Path:
        for old in faults_file.parent.iterdir():
            old.unlink()
        write_faults(faults_file, faults)
        return faults_file

    return strike


def run(campaign: Campaign, out: Path, **options: object) -> RunSummary:
    console = Console(file=io.StringIO())
    arguments = {"workers": 2, "stages": THIS, "deadlines": CALM, "console": console, **options}
    return generate(campaign, str(out), **arguments)  # type: ignore[arg-type]


def records(out: Path) -> list[ShardRecord]:
    storage = open_storage(str(out))
    return read_records(storage, committed_shards(storage))


def assert_complete(campaign: Campaign, out: Path) -> dict[int, str]:
    """Every planned sample is exactly once accepted or rejected, and every byte is as its record says.

    Returns:
        Sample id -> "accepted" or its reason.
    """
    found = records(out)
    assert [record.shard_id for record in found] == [plan.shard_id for plan in plan_of(campaign)]
    outcomes = [(i, "accepted") for record in found for i in record.accepted_ids]
    outcomes += [(gait.sample_id, gait.reasons[0]) for record in found for gait in record.rejected]
    assert Counter(i for i, _ in outcomes) == Counter(range(campaign.samples))
    assert verify(open_storage(str(out))).faults == ()
    return dict(outcomes)


def test_gaits_are_filmed_again_without_simulating_and_by_parts(tmp_path: Path, faults: Callable[..., Path]) -> None:
    campaign = make_campaign(samples=6, gaits_per_shard=2)
    make_dataset(str(tmp_path / "source"), campaign, rejected=[3])
    source = GaitDataset(str(tmp_path / "source"))
    order = refilm_campaign(source, {"scene": {"seed": 9}}, told_in="tests")
    file = faults(dict.fromkeys(range(6), "raise"))
    first = run(order, tmp_path / "data", source=source, part=Slice(1, 3))
    assert (first.shards_committed, first.accepted, first.rejected) == (1, 2, 0)
    summary = run(order, tmp_path / "data", source=source)
    assert (summary.shards_before, summary.shards_committed, summary.accepted, summary.rejected) == (1, 3, 3, 1)
    assert summary.clean
    assert {"read", "film", "pack"} <= summary.stage_seconds.keys()
    assert sum(attempts(file, number) for number in range(6)) == 0, "nothing was simulated"
    outcomes = assert_complete(order, tmp_path / "data")
    assert {i: why for i, why in outcomes.items() if why != "accepted"} == {3: "fell"}
    filmed = GaitDataset(str(tmp_path / "data"))
    for row, original in zip(filmed.index(), source.index(), strict=True):
        assert {**row, "attempt_id": ""} == {**original, "attempt_id": ""}
    with pytest.raises(CampaignError, match="filmed again; here it would be gaits that were simulated"):
        run(order, tmp_path / "data")
    with pytest.raises(CampaignError, match=r"scene\.seed is 9 there and absent here"):
        run(campaign, tmp_path / "data", source=source)


@pytest.mark.slow
def test_each_fault_costs_its_own_sample_and_no_other(
    tmp_path: Path, faults: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_campaign(samples=12, gaits_per_shard=4)
    file = faults(
        {
            0: ("sigkill", 1),
            1: ("segfault", 2),
            3: ("stop", 1),
            4: "hang",
            6: "segfault",
            7: ("hang with the lock", 1),
            9: "raise",
            10: "diverge",
        }
    )
    summary = run(campaign, tmp_path / "data", deadlines=DEADLINES)
    outcomes = assert_complete(campaign, tmp_path / "data")
    assert {i: why for i, why in outcomes.items() if why != "accepted"} == {
        4: "quarantined: hung",
        6: "quarantined: crashed",
        9: "quarantined: raised",
        10: "diverged",
    }
    assert [attempts(file, i) for i in range(12)] == [2, 3, 1, 2, 3, 1, 3, 2, 1, 3, 1, 1]
    assert summary.lost_attempts == {"crashed": 6, "hung": 5, "raised": 3}
    assert summary.workers_replaced == 11
    assert sorted(summary.quarantined) == [4, 6, 9]
    assert "Segmentation fault in string_at" in summary.quarantined[6]
    assert "in strike (faulty.py" in summary.quarantined[4]
    assert summary.complete
    assert not summary.clean

    given_up = next(gait for record in records(tmp_path / "data") for gait in record.rejected if gait.sample_id == 6)
    assert "3 attempts" in given_up.details["quarantined: crashed"]
    assert given_up.parameters["mass_kg"], "what was drawn for a quarantined sample is kept"

    monkeypatch.setenv(FAULTS_VARIABLE, str(write_no_faults(tmp_path)))
    alone = pack(campaign, make_sample(campaign, 5, faulty.stages()))
    assert isinstance(alone, PackedGait)
    rows = {row["sample_id"]: row for record in records(tmp_path / "data") for row in record.index}
    assert rows[5] == dict(alone.row), "a neighbour of crashing samples is what it would have been without them"


def write_no_faults(folder: Path) -> Path:
    write_faults(folder / "none.json", {})
    return folder / "none.json"


def test_a_finished_dataset_needs_no_worker(tmp_path: Path, faults: Callable[..., Path]) -> None:
    campaign = make_campaign(samples=2, gaits_per_shard=2)
    file = faults({})
    first = run(campaign, tmp_path / "data")
    again = run(campaign, tmp_path / "data")
    assert_complete(campaign, tmp_path / "data")
    assert (first.accepted, first.workers, first.clean) == (2, 2, True)
    assert first.log_dir is not None, "the logs on a Ray that others started are kept, and it is said where"
    assert {path.name for path in Path(first.log_dir).glob("*.jsonl")} >= {"driver.jsonl"}
    assert (again.accepted, again.workers, again.shards_before, again.clean) == (0, 0, 1, True)
    assert [attempts(file, i) for i in range(2)] == [1, 1]


def test_slices_make_a_campaign_between_them(tmp_path: Path, faults: Callable[..., Path]) -> None:
    campaign = make_campaign(samples=5, gaits_per_shard=2)
    file = faults({})
    second = run(campaign, tmp_path / "data", part=Slice(2, 2))
    assert (second.shards, second.samples, second.accepted, second.clean) == (2, 3, 3, True)
    assert second.campaign == f"{campaign.name}, slice 2/2"
    assert [attempts(file, i) for i in range(5)] == [0, 0, 1, 1, 1]
    first = run(campaign, tmp_path / "data", part=Slice(1, 2))
    assert (first.shards, first.shards_before, first.shards_committed, first.clean) == (1, 0, 1, True)
    assert_complete(campaign, tmp_path / "data")


def test_what_waits_in_staging_is_taken_up_and_what_is_damaged_there_is_made_again(
    tmp_path: Path, faults: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_campaign(samples=4, gaits_per_shard=4)
    out = tmp_path / "data"
    file = faults({2: "raise", 3: "raise"})
    monkeypatch.setattr("workers.run.QUARANTINES_IN_A_ROW", 1)
    # One worker makes them in order: with two, the run could end while the first sample is still in flight.
    with pytest.raises(UserError, match="the last 1 samples all failed three times"):
        run(campaign, out, workers=1)
    staged = open_storage(str(out)).list("staging/")
    assert [item.key.split("/")[2] for item in staged] == ["000000000", "000000001"]
    assert not committed_shards(open_storage(str(out)))

    path = out / staged[0].key
    path.write_bytes(path.read_bytes()[:-100])
    faults({})
    summary = run(campaign, out)
    assert set(assert_complete(campaign, out).values()) == {"accepted"}
    assert summary.staged_before == 2
    assert [attempts(file, i) for i in range(4)] == [1, 0, 1, 1]
    assert not open_storage(str(out)).list("staging/")


def test_a_worker_that_has_grown_too_large_is_replaced(
    tmp_path: Path, faults: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults({})
    monkeypatch.setattr(generate_module, "RSS_LIMIT_BYTES", 1)
    campaign = make_campaign(samples=2, gaits_per_shard=2)
    summary = run(campaign, tmp_path / "data", workers=1)
    assert_complete(campaign, tmp_path / "data")
    assert summary.workers_replaced == 3  # after each sample, and after the write
    assert summary.lost_attempts == {}


def test_stages_that_do_not_load_end_the_run_with_their_reason(tmp_path: Path, faults: Callable[..., Path]) -> None:
    faults({})
    with pytest.raises(UserError, match=r"a worker could not start: No module named 'no_such_stages'.*gaitfarm doctor"):
        run(make_campaign(), tmp_path / "data", stages="no_such_stages:stages")


def test_storage_that_fails_ends_the_run_and_blames_no_sample(tmp_path: Path, faults: Callable[..., Path]) -> None:
    faults({})
    campaign, out = make_campaign(samples=4), tmp_path / "data"
    sources = {"archive_sha256": archive_sha256(), "model_sha256": model_sha256()}
    open_or_create(open_storage(str(out)), campaign, sources=sources)
    (out / "staging").write_text("a file where a folder must be", "utf-8")
    with pytest.raises(StorageError, match="staging"):
        run(campaign, out)
    (out / "staging").unlink()
    assert run(campaign, out).clean


@pytest.mark.slow
def test_storage_that_never_answers_is_not_held_against_the_sample(tmp_path: Path, faults: Callable[..., Path]) -> None:
    file = faults({})
    summary = run(make_campaign(samples=2), tmp_path / "data", stages=faulty.ON_STUCK_STORAGE, deadlines=DEADLINES)
    assert summary.lost_attempts == {"storage": faulty.STUCK_TIMES}
    assert summary.quarantined == {}
    assert set(assert_complete(make_campaign(samples=2), tmp_path / "data").values()) == {"accepted"}
    assert attempts(file, 0) == faulty.STUCK_TIMES + 1


def test_another_campaign_in_the_same_place_is_refused_before_any_work(
    tmp_path: Path, faults: Callable[..., Path]
) -> None:
    file = faults({})
    run(make_campaign(samples=1), tmp_path / "data")
    with pytest.raises(CampaignError, match="samples"):
        run(make_campaign(samples=9), tmp_path / "data")
    assert attempts(file, 1) == 0


class Driver:
    """A driver in its own process and session, as a terminal would start it."""

    def __init__(self, out: Path, faults: Path, samples: int) -> None:
        self._log = out.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.test_workers.drive", str(out), str(samples)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {FAULTS_VARIABLE: str(faults)},
            start_new_session=True,
        )
        self._out = out

    def wait_for_staged(self, count: int) -> None:
        """Until so many samples lie in staging or in shards."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._out.exists():
                made = [path for path in self._out.rglob("*.gait") if path.is_file()]
                if len(made) >= count or list(self._out.glob("commits/*.json")):
                    return
            time.sleep(0.1)
        raise AssertionError(f"the driver made nothing: {self._out.with_suffix('.log').read_text('utf-8')}")

    def signal_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def finish(self, timeout_s: float = 90) -> tuple[int, dict[str, object]]:
        """Exit code, and what it printed on stdout: JSON and nothing else."""
        try:
            stdout, _ = self.process.communicate(timeout=timeout_s)
        finally:
            self.process.kill()
            self.process.wait()
            self._log.close()
        return self.process.returncode, json.loads(stdout) if stdout else {}


def _workers_of(session: int) -> list[int]:
    """Workers and raylets of a session that are still there (Ray's processes stay in their driver's session)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        ours = int(fields[3]) == session and fields[0] != "Z"
        if ours and (b"GaitWorker" in command or b"/raylet/raylet" in command):
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
def test_a_killed_driver_is_resumed_without_loss_or_double(tmp_path: Path) -> None:
    campaign = make_campaign(samples=12, gaits_per_shard=4)
    out, file = tmp_path / "data", tmp_path / "faults.json"
    write_faults(file, {11: "raise"})
    driver = Driver(out, file, 12)
    driver.wait_for_staged(3)
    driver.process.kill()
    assert driver.finish()[0] == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while _workers_of(driver.process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _workers_of(driver.process.pid) == [], "no worker outlives its driver"

    code, summary = Driver(out, file, 12).finish()
    assert code == 0
    outcomes = assert_complete(campaign, out)
    assert Counter(outcomes.values()) == {"accepted": 11, "quarantined: raised": 1}
    again = [i for i in range(11) if attempts(file, i) > 1]
    assert len(again) <= 2, "only what was in flight is made again"
    assert summary["complete"] is True
    assert not open_storage(str(out)).list("staging/")


@pytest.mark.slow
def test_ctrl_c_lets_flights_finish_and_leaves_a_resumable_dataset(tmp_path: Path) -> None:
    campaign = make_campaign(samples=8, gaits_per_shard=4)
    out, file = tmp_path / "data", tmp_path / "faults.json"
    write_faults(file, {3: "slow", 4: "slow"})
    driver = Driver(out, file, 8)
    driver.wait_for_staged(2)
    driver.signal_group(signal.SIGINT)  # as a terminal does: to the driver and to all of Ray
    code, summary = driver.finish()
    assert (code, summary["interrupted"], summary["complete"]) == (130, True, False)
    assert "stopping" in out.with_suffix(".log").read_text("utf-8")
    begun = [i for i in range(8) if attempts(file, i)]
    assert 2 <= len(begun) < 8

    assert Driver(out, file, 8).finish()[0] == 0
    assert set(assert_complete(campaign, out).values()) == {"accepted"}
    assert [attempts(file, i) for i in range(8)] == [1] * 8, "what was in flight was finished, and not made again"


@pytest.mark.slow
@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM)])
def test_a_second_signal_stops_at_once(tmp_path: Path, signals: tuple[int, int]) -> None:
    out, file = tmp_path / "data", tmp_path / "faults.json"
    write_faults(file, {2: "hang", 3: "hang"})
    driver = Driver(out, file, 4)
    driver.wait_for_staged(2)
    start = time.monotonic()
    for number in signals:
        driver.signal_group(number)
        time.sleep(1.0)
    code, summary = driver.finish(180)
    assert time.monotonic() - start < 170, "its samples hang for ever: whatever ends in time was stopped"
    assert (code, summary["interrupted"]) == (130, True)
    assert _workers_of(driver.process.pid) == []
    assert len(open_storage(str(out)).list("staging/")) == 2


def test_stdout_carries_nothing_but_the_summary_though_workers_die(tmp_path: Path) -> None:
    out, file = tmp_path / "data", tmp_path / "faults.json"
    write_faults(file, {0: ("segfault", 1), 1: ("sigkill", 1)})
    code, summary = Driver(out, file, 2).finish()
    assert (code, summary["accepted"], summary["lost_attempts"]) == (0, 2, {"crashed": 2})
    log = out.with_suffix(".log").read_text("utf-8")
    assert "sample 0 crashed (attempt 1): Segmentation fault" in log
    assert "raylet" not in log
