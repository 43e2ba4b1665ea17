"""Verification side by side, in parts, and after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from farm.dataset import shard_pool
from farm.dataset.manifest import DatasetManifest, read_manifest
from farm.dataset.shard_pool import check_all
from farm.dataset.verify import verify
from farm.dataset.verify_shard import ShardJob, ShardResult
from farm.dataset.verify_state import VerifyState, default_state
from farm.errors import UserError
from farm.storage import FileStorage, Storage
from tests.datasets import make_dataset
from tests.samples import make_campaign

CAMPAIGN = make_campaign(samples=8, gaits_per_shard=2, views=("side",), image_size=(34, 32), rgb="none", mask=False)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN, rejected=[3])
    return folder


@pytest.fixture
def dataset(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "dataset")
    return tmp_path / "dataset"


class Counting(FileStorage):
    """Remembers which objects were read, and may be interrupted by Ctrl-C at one shard."""

    def __init__(self, root: Path, stop_at: str = "none/") -> None:
        super().__init__(root)
        self.read: list[str] = []
        self.stop_at = stop_at

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if key.startswith(self.stop_at):
            raise KeyboardInterrupt
        self.read.append(key)
        return super().get_range(key, start, length)


def shards_read(storage: Counting) -> set[str]:
    return {key.split("/")[1] for key in storage.read if key.startswith("shards/")}


def flip(dataset: Path, shard: str) -> None:
    path = next(path for path in sorted(dataset.glob(f"shards/{shard}/*/labels/c/**/*")) if path.is_file())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("processes", [False, True])
def test_any_number_of_workers_find_the_same(dataset: Path, processes: bool) -> None:
    flip(dataset, "00000002")
    one = verify(str(dataset), workers=1)
    two = verify(str(dataset), workers=2, processes=processes)
    assert one == two
    assert one.damaged_shards.keys() == {"00000002"}
    assert (one.n_gaits, one.n_rejected) == (7, 1)


def test_a_fast_look_reads_no_object(dataset: Path) -> None:
    storage = Counting(dataset)
    assert verify(storage, thorough=False).sound
    assert shards_read(storage) == set()


def test_an_interrupted_verification_goes_on(dataset: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        verify(Counting(dataset, stop_at="shards/00000003/"), workers=1, state=state)
    noted = [json.loads(line) for line in state.read_text().splitlines()]
    assert noted[0]["dataset_id"] == read_manifest(FileStorage(dataset)).dataset_id
    done = {line["shard_id"] for line in noted[1:]}
    assert done
    assert "00000003" not in done
    storage = Counting(dataset)
    report = verify(storage, workers=1, state=state)
    assert (report.faults, report.n_resumed, report.n_shards) == ((), len(done), 4)
    assert shards_read(storage) == {"00000000", "00000001", "00000002", "00000003"} - done
    assert not state.exists(), "what has come to its end begins anew"


def test_a_shard_that_was_committed_anew_or_had_faults_is_read_again(dataset: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    flip(dataset, "00000001")
    with pytest.raises(KeyboardInterrupt):
        verify(Counting(dataset, stop_at="shards/00000003/"), workers=1, state=state)
    commit = dataset / "commits" / "00000000.json"
    commit.write_text(json.dumps(json.loads(commit.read_text()) | {"wall_s": 5.0}))
    storage = Counting(dataset)
    report = verify(storage, workers=1, state=state)
    assert {"00000000", "00000001", "00000003"} <= shards_read(storage)
    assert report.damaged_shards.keys() == {"00000001"}


def test_a_truncated_object_of_a_noted_shard_is_still_found(dataset: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        verify(Counting(dataset, stop_at="shards/00000003/"), workers=1, state=state)
    path = next(path for path in sorted(dataset.glob("shards/00000000/*/labels/c/**/*")) if path.is_file())
    path.write_bytes(path.read_bytes()[:-1])
    assert verify(str(dataset), state=state).damaged_shards.keys() == {"00000000"}


def test_a_state_that_cannot_be_used(dataset: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    header = {"gaitfarm_verify": 1, "dataset_id": "00000000-0000-0000-0000-000000000000"}
    for text, message in (
        (json.dumps(header) + "\n", "is of the dataset 00000000-"),
        ("hello\n", "is damaged or no state of gaitfarm verify"),
        (json.dumps(header | {"gaitfarm_verify": 9}) + "\n", "has version 9, known is 1"),
        (json.dumps(header) + '\n{"shard_id": 1}\n', "is damaged or no state"),
    ):
        state.write_text(text)
        with pytest.raises(UserError, match=f"{message}.*remove .* to verify from the beginning"):
            verify(str(dataset), state=state)
        assert state.read_text() == text, "not ours to change"
    with pytest.raises(UserError, match="cannot be opened"):
        verify(str(dataset), state=tmp_path)


def test_a_line_that_was_torn_off_is_forgotten(tmp_path: Path) -> None:
    dataset_id = "00000000-0000-0000-0000-000000000000"
    path = tmp_path / "state"
    line = json.dumps({"shard_id": "1", "attempt_id": "a", "record_sha256": "b"})
    path.write_text(json.dumps({"gaitfarm_verify": 1, "dataset_id": dataset_id}) + f"\n{line}\n{line[:20]}")
    state = VerifyState(path, dataset_id)
    assert list(state.checked) == ["1"]
    with pytest.raises(UserError, match="another verification writes the state"):
        VerifyState(path, dataset_id)
    state.close(finished=False)
    assert path.read_text().endswith(f"{line}\n")


def test_where_a_state_lies_that_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_state("abc") == Path("/somewhere/gaitfarm/verify/abc.jsonl")


def test_a_part_is_looked_at_alone(dataset: Path) -> None:
    flip(dataset, "00000002")
    storage = Counting(dataset)
    assert verify(storage, shards=["1"], samples=[7]).sound
    assert shards_read(storage) == {"00000001", "00000003"}
    assert verify(str(dataset), samples=[4]).damaged_shards.keys() == {"00000002"}
    for wrong in ({"shards": ["9"]}, {"shards": ["../x"]}, {"samples": [8]}):
        with pytest.raises(UserError, match=r"has no (shard|sample)"):
            verify(str(dataset), **wrong)  # type: ignore[arg-type]


def test_shards_that_are_not_made_yet_are_named(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), CAMPAIGN, shards=(0, 2))
    report = verify(str(tmp_path), thorough=False)
    assert report.sound
    assert (report.n_open, report.open_shards) == (2, ("00000001", "00000003"))


def _dies_at_one(storage: Storage, manifest: DatasetManifest, job: ShardJob) -> ShardResult:
    if job.shard_id == "00000001":
        os.kill(os.getpid(), signal.SIGSEGV)
    return REAL_CHECK(storage, manifest, job)


REAL_CHECK = shard_pool.check_shard


def _begin_dying(storage: Storage, manifest: DatasetManifest) -> None:
    REAL_BEGIN(storage, manifest)
    shard_pool.check_shard = _dies_at_one


REAL_BEGIN = shard_pool._begin


def test_a_shard_that_kills_whoever_looks_is_named_and_the_others_are_looked_at(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_pool, "_begin", _begin_dying)
    storage = FileStorage(dataset)
    jobs = [ShardJob(f"0000000{number}", thorough=True) for number in range(4)]
    results = {
        result.shard_id: result
        for result in check_all(storage, read_manifest(storage), jobs, workers=2, processes=True)
    }
    assert sorted(results) == [job.shard_id for job in jobs]
    assert {shard_id for shard_id, result in results.items() if result.faults} == {"00000001"}
    assert "killed the process" in results["00000001"].faults[0][1]
    assert not results["00000001"].damaged, "a crash of ours is no reason to throw a shard away"
