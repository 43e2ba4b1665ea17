"""Garbage collection takes what no commit names and is old, and never anything else, whoever commits meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from farm.dataset.catalogue import compact
from farm.dataset.gc import DEFAULT_GRACE_S, MIN_GRACE_S, find_garbage, seconds, sweep_garbage
from farm.dataset.manifest import read_manifest, read_record
from farm.dataset.repair import take_out
from farm.dataset.verify import verify
from farm.dataset.writer import encode_shard
from farm.errors import FormatError, UserError
from farm.planning import plan_of
from farm.storage import FileStorage, StoredObject
from farm.storage.contract import Unfinished
from tests.datasets import make_dataset
from tests.samples import make_campaign, make_samples_for
from workers.write import commit_shard

CAMPAIGN = make_campaign(samples=6, gaits_per_shard=2, views=("side",), image_size=(34, 32), rgb="none", mask=False)
DAY_S = 86400.0


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards 0 and 1 of three."""
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN, shards=(0, 1))
    return folder


@pytest.fixture
def dataset(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "dataset")
    return tmp_path / "dataset"


def lay(dataset: Path, key: str, *, age_s: float, data: bytes = b"12345") -> Path:
    """An object that was written so long ago."""
    path = dataset / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    written_s = FileStorage(dataset).now_s() - age_s
    os.utime(path, (written_s, written_s))
    return path


def objects(dataset: Path) -> set[str]:
    return {path.relative_to(dataset).as_posix() for path in dataset.rglob("*") if path.is_file()}


def make_old(dataset: Path) -> None:
    """Everything that is there was written ten days ago."""
    written_s = FileStorage(dataset).now_s() - 10 * DAY_S
    for path in dataset.rglob("*"):
        os.utime(path, (written_s, written_s))


def test_a_dataset_without_garbage(dataset: Path) -> None:
    make_old(dataset)
    before = objects(dataset)
    plan = find_garbage(FileStorage(dataset))
    assert (plan.garbage, plan.n_young, plan.foreign) == ((), 0, ())
    sweep_garbage(FileStorage(dataset), plan)
    assert objects(dataset) == before


def test_what_is_swept_and_what_is_not(dataset: Path) -> None:
    storage = FileStorage(dataset)
    compact(storage)
    make_old(dataset)
    before = objects(dataset)
    old = {
        "shards/00000000/beaten.zarr/zarr.json": "attempt",
        "shards/00000002/died.zarr/labels/c/0/0": "attempt",
        "shards/00000007/nobodys.zarr/zarr.json": "attempt",
        "staging/00000000/000000001/aa.gait": "staging",
        "catalogue/000000001-0123456789abcdef.parquet": "catalogue",
        "catalogue/shards/000000009-0123456789abcdef.parquet": "catalogue",
        ".probe-0123": "probe",
        "shards/00000000/.writing-abc": "unfinished",
    }
    for key in old:
        lay(dataset, key, age_s=2 * DAY_S)
    stay = [
        "shards/00000001/young.zarr/zarr.json", "notes.txt", "commits/readme", "shards/readme", "staging/x/y",
        "repaired/00000002/a1.json", "claims/abc", "shards/00000000/.writing-young",
    ]  # fmt: skip
    for key in stay:
        lay(dataset, key, age_s=60 if "young" in key else 2 * DAY_S)
    waiting = "staging/00000002/000000004/bb.gait"
    lay(dataset, waiting, age_s=2 * DAY_S)
    plan = find_garbage(storage)
    assert {key: item.kind for item in plan.garbage for key in item.keys} == old
    assert plan.foreign == ("commits/readme", "notes.txt", "shards/readme", "staging/x/y")
    assert (plan.n_young, plan.n_staged) == (2, 1)
    assert objects(dataset) == before | set(old) | set(stay) | {waiting}, "looking changes nothing"
    swept = sweep_garbage(storage, plan)
    assert (swept.n_objects, swept.n_bytes) == (len(old), 5 * len(old))
    assert objects(dataset) == before | set(stay) | {waiting}
    assert [item.kind for item in find_garbage(storage, open_staging=True).garbage] == ["staging"]


def test_an_attempt_is_as_old_as_its_youngest_object(dataset: Path) -> None:
    lay(dataset, "shards/00000002/slow.zarr/labels/c/0/0", age_s=9 * DAY_S)
    lay(dataset, "shards/00000002/slow.zarr/zarr.json", age_s=DEFAULT_GRACE_S - 60)
    assert find_garbage(FileStorage(dataset)).garbage == ()
    assert len(find_garbage(FileStorage(dataset), grace_s=DEFAULT_GRACE_S / 2).garbage) == 1


def test_the_store_s_clock_decides(dataset: Path) -> None:
    """Ages are told by what the store says the time is, whatever this machine's clock says."""
    lay(dataset, "shards/00000002/new.zarr/zarr.json", age_s=60)

    class DaysLater(FileStorage):
        def now_s(self) -> float:
            return super().now_s() + 5 * DAY_S

    assert find_garbage(FileStorage(dataset)).garbage == ()
    (found,) = find_garbage(DaysLater(dataset)).garbage
    assert found.age_s == pytest.approx(5 * DAY_S + 60, abs=300)


def test_a_damaged_commit_protects_all_of_its_shard(dataset: Path) -> None:
    make_old(dataset)
    (dataset / "commits" / "00000000.json").write_text("{")
    before = objects(dataset)
    plan = find_garbage(FileStorage(dataset))
    assert plan.damaged_commits == ("00000000",)
    sweep_garbage(FileStorage(dataset), plan)
    assert objects(dataset) == before


def test_what_repair_took_out_stays_unless_asked_for(dataset: Path) -> None:
    storage = FileStorage(dataset)
    make_old(dataset)
    record = read_record(storage, "00000001")
    storage.put(f"repaired/00000001/{record.attempt_id}.json", storage.get("commits/00000001.json"))
    storage.delete("commits/00000001.json")
    plan = find_garbage(storage)
    assert (plan.garbage, plan.n_repaired) == ((), len(record.objects))
    assert {item.where for item in find_garbage(storage, repaired=True).garbage} == {record.group}


def test_what_repair_took_out_by_a_record_that_nobody_can_read_stays_too(dataset: Path) -> None:
    storage = FileStorage(dataset)
    record = read_record(storage, "00000001")
    (dataset / "commits" / "00000001.json").write_bytes(storage.get("commits/00000001.json")[:1000])
    (done,) = take_out(storage, verify(storage).damaged_shards)
    assert done.kept_at.startswith("repaired/00000001/damaged-")
    lay(dataset, "shards/00000002/a1.zarr/zarr.json", age_s=0)
    make_old(dataset)
    plan = find_garbage(storage)
    assert [item.where for item in plan.garbage] == ["shards/00000002/a1.zarr"]
    assert plan.n_repaired == len(record.objects)
    assert record.group in {item.where for item in find_garbage(storage, repaired=True).garbage}


@pytest.mark.parametrize("grace_s", [0.0, MIN_GRACE_S - 1])
def test_a_short_grace_time_needs_force(dataset: Path, grace_s: float) -> None:
    with pytest.raises(UserError, match="could lose its objects before its commit"):
        find_garbage(FileStorage(dataset), grace_s=grace_s)
    find_garbage(FileStorage(dataset), grace_s=grace_s, force=True)


def test_what_is_no_dataset_is_not_swept(tmp_path: Path) -> None:
    lay(tmp_path, "shards/00000000/a.zarr/zarr.json", age_s=9 * DAY_S)
    with pytest.raises(FormatError, match="holds no dataset"):
        find_garbage(FileStorage(tmp_path))


@pytest.mark.parametrize(("text", "expected"), [("90m", 5400.0), ("24h", 86400.0), ("1.5d", 129600.0), ("0s", 0.0)])
def test_time_spans(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1e9h", "24 hours", "nan"])
def test_what_is_no_time_span(text: str) -> None:
    with pytest.raises(UserError, match="is no time span; write a number and s, m, h or d"):
        seconds(text)


class Meanwhile(FileStorage):
    """Something happens before the call of one number; everything is ten days old, until it is written."""

    def __init__(self, root: Path, at: int, happens: Callable[[], None]) -> None:
        super().__init__(root)
        self.calls, self._at, self._happens = 0, at, happens

    def _step(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            self._happens()

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        self._step()
        return super().list(prefix)

    def get(self, key: str) -> bytes:
        self._step()
        return super().get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self._step()
        return super().get_range(key, start, length)

    def delete(self, key: str) -> None:
        self._step()
        super().delete(key)

    def now_s(self) -> float:
        self._step()
        return super().now_s()

    def unfinished(self) -> Sequence[Unfinished]:
        self._step()
        return super().unfinished()

    def discard(self, item: Unfinished) -> None:
        self._step()
        super().discard(item)


def test_nothing_that_is_committed_while_we_sweep_is_taken(pristine: Path, tmp_path: Path) -> None:
    """A shard is written and committed between any two calls of a sweep, beside old leftovers of the same shard."""
    plan = plan_of(CAMPAIGN)
    dataset_id = read_manifest(FileStorage(pristine)).dataset_id
    samples = make_samples_for(CAMPAIGN, plan[2].sample_ids, n_samples=(60, 90, 75))
    shard = encode_shard(CAMPAIGN, dataset_id, plan[2].shard_id, samples)
    at, calls = 0, 1
    while at <= calls:
        at += 1
        root = tmp_path / str(at)
        shutil.copytree(pristine, root)
        make_old(root)
        leftovers = [lay(root, f"shards/0000000{n}/dead.zarr/labels/c/0/{n}", age_s=5 * DAY_S) for n in (0, 1, 2)]
        storage = Meanwhile(root, at, lambda root=root: commit_shard(FileStorage(root), shard))  # type: ignore[misc]
        sweep_garbage(storage, find_garbage(storage))
        calls = storage.calls
        assert not any(path.exists() for path in leftovers)
        report = verify(str(root), thorough=False)
        assert report.faults == (), f"committed before call {at}"
        assert report.n_shards == (3 if at <= calls else 2)
        shutil.rmtree(root)
    assert calls > 10


def test_an_old_attempt_that_is_committed_after_we_looked_is_kept(dataset: Path) -> None:
    """A writer that was asleep for days commits between looking and sweeping."""
    storage = FileStorage(dataset)
    make_old(dataset)
    commit = storage.get("commits/00000001.json")
    storage.delete("commits/00000001.json")
    plan = find_garbage(storage)
    assert len(plan.garbage) == 1
    storage.put_once("commits/00000001.json", commit)
    assert sweep_garbage(storage, plan).garbage == ()
    assert verify(storage).faults == ()
