"""Repair takes damaged shards out so that they are made again, loses nothing at any crash, and minds its neighbours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from farm.dataset.catalogue import compact
from farm.dataset.manifest import committed_shards, read_manifest, read_record
from farm.dataset.pull import pull
from farm.dataset.reader import GaitDataset
from farm.dataset.repair import CLAIM_S, take_out
from farm.dataset.verify import verify
from farm.errors import StorageError
from farm.storage import FileStorage, StoredObject
from tests.datasets import make_dataset
from tests.samples import make_campaign

CAMPAIGN = make_campaign(samples=4, gaits_per_shard=2, views=("side",), image_size=(34, 32), rgb="none", mask=False)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN)
    compact(FileStorage(folder))
    return folder


@pytest.fixture
def dataset(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "dataset")
    return tmp_path / "dataset"


def cut(dataset: Path) -> None:
    """Cut an object of shard 0 short."""
    path = next(path for path in sorted(dataset.glob("shards/00000000/*/labels/c/**/*")) if path.is_file())
    path.write_bytes(path.read_bytes()[:-1])


def remove(dataset: Path) -> None:
    next(path for path in sorted(dataset.glob("shards/00000000/*/labels/c/**/*")) if path.is_file()).unlink()


def flip(dataset: Path) -> None:
    path = next(path for path in sorted(dataset.glob("shards/00000000/*/labels/c/**/*")) if path.is_file())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def tear_commit(dataset: Path) -> None:
    path = dataset / "commits" / "00000000.json"
    path.write_bytes(path.read_bytes()[:1000])


def kept(dataset: Path) -> list[bytes]:
    """Every record that repairs put aside."""
    return [path.read_bytes() for path in sorted((dataset / "repaired").rglob("*.json"))]


@pytest.mark.parametrize("damage", [cut, remove, flip, tear_commit])
def test_damaged_shards_are_made_again(dataset: Path, damage: Callable[[Path], None]) -> None:
    storage = FileStorage(dataset)
    before = GaitDataset(storage).index()
    damage(dataset)
    commit = storage.get("commits/00000000.json")
    found = verify(storage)
    assert found.damaged_shards.keys() == {"00000000"}
    (done,) = take_out(storage, found.damaged_shards)
    assert (done.shard_id, done.outcome) == ("00000000", "taken out")
    assert storage.get(done.kept_at) == commit
    after = verify(storage)
    assert (after.faults, after.open_shards, after.n_shards) == ((), ("00000000",), 1)
    assert [row["sample_id"] for row in GaitDataset(storage).index()] == [2, 3]
    make_dataset(storage, CAMPAIGN, shards=[0])
    assert verify(storage).faults == ()
    place = ("attempt_id",)
    assert [{k: v for k, v in row.items() if k not in place} for row in GaitDataset(storage).index()] == [
        {k: v for k, v in row.items() if k not in place} for row in before
    ]
    assert kept(dataset) == [commit]


def test_a_record_is_kept_under_its_attempt(dataset: Path) -> None:
    storage = FileStorage(dataset)
    attempt = read_record(storage, "00000000").attempt_id
    cut(dataset)
    (done,) = take_out(storage, verify(storage).damaged_shards)
    assert done.kept_at == f"repaired/00000000/{attempt}.json"


def test_two_damaged_records_of_one_attempt_are_both_kept(dataset: Path) -> None:
    storage = FileStorage(dataset)
    first = storage.get("commits/00000000.json")
    cut(dataset)
    take_out(storage, verify(storage).damaged_shards)
    second = json.dumps(json.loads(first) | {"wall_s": 7.0}).encode()
    storage.put_once("commits/00000000.json", second)
    take_out(storage, verify(storage).damaged_shards)
    assert sorted(kept(dataset)) == sorted([first, second])


def test_what_making_again_would_not_mend_is_left_alone(dataset: Path) -> None:
    group = next(dataset.glob("shards/00000000/*.zarr"))
    (group / "extra").write_bytes(b"x")
    found = verify(FileStorage(dataset))
    assert len(found.faults) == 1
    assert found.damaged_shards == {}


def test_storage_that_cannot_be_read_is_no_damage(dataset: Path) -> None:
    class Unreachable(FileStorage):
        def get_range(self, key: str, start: int, length: int) -> bytes:
            if key.startswith(("shards/", "commits/")):
                raise StorageError(f"cannot read {key}: the network is gone")
            return super().get_range(key, start, length)

    found = verify(Unreachable(dataset))
    assert len(found.faults) >= 2
    assert found.damaged_shards == {}


def test_a_pulled_part_is_pulled_again(dataset: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    pull(str(dataset), str(part))
    cut(part)
    storage = FileStorage(part)
    take_out(storage, verify(storage).damaged_shards)
    assert committed_shards(storage) == ("00000001",)
    pull(str(dataset), str(part))
    assert verify(storage).faults == ()
    assert read_manifest(storage).selection is not None


class Dies(Exception):  # noqa: N818  (as a verb)
    """The process is killed."""


class Mortal(FileStorage):
    """Dies at the call of one number, before it or after it has taken effect; counts its calls."""

    def __init__(self, root: Path, at: int = 0, *, after: bool = False, later_s: float = 0.0) -> None:
        super().__init__(root)
        self.calls, self._at, self._after, self._later_s, self._dead = 0, at, after, later_s, False

    def _do(self, act: Callable[[], object]) -> object:
        self.calls += 1
        dies = self._dead or self.calls == self._at
        if self._dead or (dies and not self._after):
            self._dead = True  # who is killed cleans nothing up
            raise Dies
        done = act()
        if dies:
            self._dead = True
            raise Dies
        return done

    def get(self, key: str) -> bytes:
        return self._do(lambda: super(Mortal, self).get(key))  # type: ignore[return-value]

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._do(lambda: super(Mortal, self).get_range(key, start, length))  # type: ignore[return-value]

    def put_once(self, key: str, data: bytes) -> None:
        self._do(lambda: super(Mortal, self).put_once(key, data))

    def put(self, key: str, data: bytes) -> None:
        self._do(lambda: super(Mortal, self).put(key, data))

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        return self._do(lambda: super(Mortal, self).list(prefix))  # type: ignore[return-value]

    def delete(self, key: str) -> None:
        self._do(lambda: super(Mortal, self).delete(key))

    def now_s(self) -> float:
        return super().now_s() + self._later_s


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_a_repair_that_is_killed_at_any_call_loses_nothing(pristine: Path, tmp_path: Path, after: bool) -> None:
    for at in range(1, calls_of_a_repair(pristine, tmp_path) + 1):
        root = tmp_path / str(at)
        shutil.copytree(pristine, root)
        cut(root)
        commit = (root / "commits" / "00000000.json").read_bytes()
        damaged = dict(verify(str(root), thorough=False).damaged_shards)
        with pytest.raises(Dies):
            take_out(Mortal(root, at, after=after), damaged)
        standing = root / "commits" / "00000000.json"
        assert (standing.exists() and standing.read_bytes() == commit) or commit in kept(root), f"lost at call {at}"
        take_out(Mortal(root, later_s=CLAIM_S + 60), verify(str(root), thorough=False).damaged_shards)
        assert kept(root) == [commit]
        report = verify(str(root))
        assert (report.faults, report.open_shards) == ((), ("00000000",))
        make_dataset(str(root), CAMPAIGN, shards=[0])
        assert verify(str(root), thorough=False).faults == ()
        shutil.rmtree(root)


def calls_of_a_repair(pristine: Path, tmp_path: Path) -> int:
    root = tmp_path / "counted"
    shutil.copytree(pristine, root)
    cut(root)
    storage = Mortal(root)
    take_out(storage, verify(str(root), thorough=False).damaged_shards)
    assert storage.calls >= 8
    return storage.calls


def test_two_repairs_at_once_and_a_shard_made_anew_between_them(dataset: Path) -> None:
    """The second has looked at the damage; before it acts, the first has repaired and the shard was made again."""
    cut(dataset)
    storage = FileStorage(dataset)
    damaged = verify(storage).damaged_shards
    assert take_out(storage, damaged)[0].outcome == "taken out"
    assert take_out(storage, damaged)[0].outcome == "gone already"
    make_dataset(storage, CAMPAIGN, shards=[0])
    assert take_out(storage, damaged)[0].outcome == "changed meanwhile"
    assert verify(storage).faults == ()


class Interrupted(Mortal):
    """At the call of one number, another repair does all of its work and the shard is made again."""

    def __init__(self, root: Path, at: int, happens: Callable[[], None]) -> None:
        super().__init__(root)
        self._happens_at, self._happens = at, happens

    def _do(self, act: Callable[[], object]) -> object:
        if self.calls + 1 == self._happens_at:
            self._happens()
        return super()._do(act)


@pytest.mark.slow
def test_another_repair_at_any_call_never_costs_a_shard_that_was_made_again(pristine: Path, tmp_path: Path) -> None:
    for at in range(1, calls_of_a_repair(pristine, tmp_path) + 1):
        root = tmp_path / str(at)
        shutil.copytree(pristine, root)
        cut(root)
        damaged = dict(verify(str(root), thorough=False).damaged_shards)
        made: list[bytes] = []

        def other(root: Path = root, damaged: dict[str, str] = damaged, made: list[bytes] = made) -> None:
            if take_out(FileStorage(root), damaged)[0].outcome == "taken out":
                make_dataset(str(root), CAMPAIGN, shards=[0])
                made.append((root / "commits" / "00000000.json").read_bytes())

        take_out(Interrupted(root, at, other), damaged)
        if made:
            assert (root / "commits" / "00000000.json").read_bytes() == made[0], f"at call {at}"
        assert verify(str(root), thorough=False).faults == ()
        assert len(kept(root)) == 1
        shutil.rmtree(root)
