"""The independent checker: it imports nothing of ours, and it can fail, on what `gaitfarm verify` fails on too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farm.dataset.commit import commit
from farm.dataset.create import open_or_create
from farm.dataset.pack import pack
from farm.dataset.verify import verify
from farm.dataset.writer import encode_shard
from farm.planning import plan_of
from farm.storage import open_storage
from tests.contracts.sources import imported_modules, parsed
from tests.faults.checker import Folder, check, commits
from tests.samples import make_campaign, make_samples_for

CAMPAIGN = make_campaign(samples=7, gaits_per_shard=3)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three shards with gaits of different lengths, some of them rejected."""
    root = tmp_path_factory.mktemp("sound") / "data"
    storage = open_storage(str(root))
    dataset_id = open_or_create(storage, CAMPAIGN).dataset_id
    for plan in plan_of(CAMPAIGN):
        made = make_samples_for(CAMPAIGN, plan.sample_ids, n_samples=[90, 120, 75], rejected=[4])
        packed = [pack(CAMPAIGN, sample) for sample in made]
        commit(storage, encode_shard(CAMPAIGN, dataset_id, plan.shard_id, packed), attempt_id=f"a{plan.number}")
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "data"))


def test_it_imports_nothing_of_ours() -> None:
    names = {name.split(".")[0] for _, name in imported_modules(parsed("tests/faults/checker.py"))}
    assert not names & {"farm", "scenes", "workers", "tests", "tools"}
    assert {"zarr", "numpy", "boto3"} <= names


def test_a_sound_dataset_is_sound(sound: Path) -> None:
    found = check(Folder(sound))
    assert found.faults == []
    assert sorted(found.contents) == [0, 1, 2, 3, 5, 6]
    assert found.rejected == {4: ("fell",)}
    assert len(set(found.contents.values())) == 6
    assert (found.orphans, found.staged) == (0, 0)


def test_orphans_and_what_is_staged_or_half_written_are_not_counted(root: Path) -> None:
    for key in ("shards/00000000/b0.zarr/zarr.json", "staging/00000000/000000000/a.gait"):
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}")
    (root / "commits" / ".writing-0123456789abcdef").write_bytes(b"{")
    found = check(Folder(root))
    assert (found.faults, found.orphans, found.staged) == ([], 1, 1)


def test_an_unfinished_dataset_is_told_from_a_complete_one(root: Path) -> None:
    (root / "commits/00000001.json").unlink()
    assert check(Folder(root), complete=False).faults == []
    assert check(Folder(root)).lost == [3, 4, 5]


def _record(root: Path, shard: int, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / f"commits/{shard:08d}.json"
    record = json.loads(path.read_text("utf-8"))
    change(record)
    path.write_text(json.dumps(record), "utf-8")


def _flip(root: Path) -> None:
    path = max((root / "shards/00000001").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _remove(root: Path) -> None:
    (root / "shards/00000002/a2.zarr/labels/c/0/0").unlink()


def _cut(root: Path) -> None:
    path = root / "shards/00000000/a0.zarr/coordinates/c/0/0/0"
    path.write_bytes(path.read_bytes()[:-1])


def _stray(root: Path) -> None:
    (root / "shards/00000000/a0.zarr/stray").write_bytes(b"")


def _label(record: dict[str, Any]) -> None:
    record["index"][0]["gait_speed"] = 1.0


def _length(record: dict[str, Any]) -> None:
    record["index"][0]["n_samples"] -= 1


def _checksum(record: dict[str, Any]) -> None:
    record["objects"][0]["sha256"] = "0" * 64


def _double(record: dict[str, Any]) -> None:
    record["sample_ids"][0] = 0
    record["index"][0]["sample_id"] = 0


def _another_shards_objects(record: dict[str, Any]) -> None:
    for item in record["objects"]:
        item["path"] = item["path"].replace("shards/00000001/a1", "shards/00000000/a0")


def _unaccounted(record: dict[str, Any]) -> None:
    record["rejected"], record["n_rejected"] = [], 0


def _exchanged(record: dict[str, Any]) -> None:
    record["index"].reverse()


def _twice_named(record: dict[str, Any]) -> None:
    record["objects"].append(record["objects"][0])


@pytest.mark.parametrize("damage", [_flip, _remove, _cut, _stray])
def test_damaged_objects_are_found_by_both(root: Path, damage: Callable[[Path], None]) -> None:
    damage(root)
    found = check(Folder(root))
    assert not found.sound
    assert len(found.bad_checksums) == (damage is not _stray)
    assert not verify(str(root)).sound


@pytest.mark.parametrize(
    "damage",
    [_label, _length, _checksum, _double, _another_shards_objects, _unaccounted, _exchanged, _twice_named],
)
def test_changed_records_are_found_by_both(root: Path, damage: Callable[[dict[str, Any]], None]) -> None:
    before = commits(Folder(root))
    _record(root, 1, damage)
    found = check(Folder(root))
    assert not found.sound
    if damage is _double:
        assert (found.doubled, found.lost) == ([0], [3])
    assert not verify(str(root)).sound
    changed = {key for key, digest in commits(Folder(root)).items() if before[key] != digest}
    assert changed == {"commits/00000001.json"}, "what is put once is seen to have changed"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_record_that_is_none_is_a_fault_and_no_crash(root: Path, text: str) -> None:
    (root / "commits/00000001.json").write_text(text, "utf-8")
    assert not check(Folder(root)).sound
    assert not verify(str(root)).sound


def test_a_missing_dataset_is_a_fault(root: Path) -> None:
    (root / "dataset.json").unlink()
    assert check(Folder(root)).faults == ["dataset.json is missing"]
