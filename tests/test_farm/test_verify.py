"""Verification finds every kind of damage, names where it is, and calls a sound dataset sound."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from farm.dataset.catalogue import compact
from farm.dataset.info import info
from farm.dataset.reader import GaitDataset
from farm.dataset.schema import stored_arrays
from farm.dataset.verify import VerifyReport, verify
from farm.errors import FormatError
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign
from tests.tables import to_parquet

CAMPAIGN = make_campaign(samples=6, gaits_per_shard=3, depth=True, image_size=(34, 32))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN, rejected=[4])
    return folder


@pytest.fixture
def dataset(pristine: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(pristine, tmp_path / "dataset")
    return tmp_path / "dataset"


def _object(dataset: Path, array: str, shard: str = "00000000") -> Path:
    """The one object of an array."""
    found = [path for path in dataset.glob(f"shards/{shard}/*/{array}/c/**/*") if path.is_file()]
    assert len(found) == 1
    return found[0]


def _only_fault(report: VerifyReport) -> tuple[str, str]:
    assert not report.sound
    assert len(report.faults) == 1, report.faults
    return report.faults[0].where, report.faults[0].what


def _edit_commit(dataset: Path, edit: Callable[[dict[str, Any]], None], shard: str = "00000000") -> None:
    path = dataset / "commits" / f"{shard}.json"
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))


def _rewritten(dataset: Path, array: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change an array's values by zarr itself, and the record's hashes with it, as a forger would."""
    group = next(path for path in dataset.glob("shards/00000000/*.zarr"))
    opened = zarr.open_array(str(group / array), mode="r+")
    opened[...] = change(opened[...])

    def hashes(record: dict[str, Any]) -> None:
        for item in record["objects"]:
            data = (dataset / item["path"]).read_bytes()
            item["bytes"], item["sha256"] = len(data), hashlib.sha256(data).hexdigest()

    _edit_commit(dataset, hashes)


@pytest.mark.parametrize("thorough", [True, False])
def test_a_sound_dataset(dataset: Path, thorough: bool) -> None:
    compact(FileStorage(dataset))
    steps: list[tuple[int, int, int]] = []
    report = verify(str(dataset), thorough=thorough, progress=lambda *step: steps.append(step))
    assert report.faults == ()
    assert report.sound
    assert (report.n_shards, report.n_gaits, report.n_rejected) == (2, 5, 1)
    assert report.n_bytes == sum(path.stat().st_size for path in dataset.glob("shards/**/*") if path.is_file())
    assert report.n_objects == len([path for path in dataset.glob("shards/**/*") if path.is_file()])
    assert [step[:2] for step in steps] == [(1, 2), (2, 2)]
    assert steps[-1][2] == report.n_bytes
    assert (report.n_open, report.damaged_shards) == (0, {})


def test_one_flipped_bit_is_found_in_whichever_array(dataset: Path) -> None:
    spoilt = [_object(dataset, item.path) for item in stored_arrays(CAMPAIGN.pictures)]
    for path in spoilt:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    faults = verify(str(dataset)).faults
    assert sorted(fault.where for fault in faults) == sorted(path.relative_to(dataset).as_posix() for path in spoilt)
    assert all("SHA-256" in fault.what for fault in faults)
    assert verify(str(dataset), thorough=False).sound, "sizes are the same: only reading the bytes can tell"


@pytest.mark.parametrize("thorough", [True, False])
def test_a_truncated_object_is_found(dataset: Path, thorough: bool) -> None:
    path = _object(dataset, "body_pose")
    path.write_bytes(path.read_bytes()[:-1])
    where, what = _only_fault(verify(str(dataset), thorough=thorough))
    assert where.endswith("body_pose/c/0/0/0/0")
    assert "cut off or replaced" in what


@pytest.mark.parametrize("thorough", [True, False])
def test_a_missing_object_is_found(dataset: Path, thorough: bool) -> None:
    _object(dataset, "views/side/mask").unlink()
    assert _only_fault(verify(str(dataset), thorough=thorough))[1] == "is missing"


def test_changed_metadata_is_found(dataset: Path) -> None:
    path = next(dataset.glob("shards/00000001/*/labels/zarr.json"))
    path.write_text(path.read_text().replace('"m/s"', '"m/h"'))
    where, what = _only_fault(verify(str(dataset)))
    assert where.endswith("labels/zarr.json")
    assert "SHA-256" in what


def test_every_fault_is_reported(dataset: Path) -> None:
    _object(dataset, "labels").unlink()
    _object(dataset, "views/front/depth").write_bytes(b"")
    _object(dataset, "coordinates", "00000001").write_bytes(b"x")
    (dataset / "commits" / "note.txt").write_text("hello")
    assert len(verify(str(dataset)).faults) == 4


def test_an_object_smuggled_into_a_group_is_found(dataset: Path) -> None:
    group = next(dataset.glob("shards/00000000/*.zarr"))
    (group / "extra").write_bytes(b"x")
    where, what = _only_fault(verify(str(dataset)))
    assert where.endswith("/extra")
    assert "does not name it" in what


def test_what_beaten_attempts_left_is_no_fault(dataset: Path) -> None:
    garbage = dataset / "shards" / "00000000" / "deadbeef.zarr" / "labels" / "c"
    garbage.mkdir(parents=True)
    (garbage / "0").write_bytes(b"12345")
    report = verify(str(dataset))
    assert report.sound
    assert (report.n_garbage, report.garbage_bytes) == (1, 5)


def test_a_damaged_commit_is_found_and_the_others_checked(dataset: Path) -> None:
    (dataset / "commits" / "00000000.json").write_text("{")
    _object(dataset, "labels", "00000001").unlink()
    faults = {fault.where: fault.what for fault in verify(str(dataset)).faults}
    assert "damaged or not ours" in faults["commits/00000000.json"]
    assert "is missing" in faults.values()
    assert len(faults) == 2


def test_a_record_of_samples_that_the_plan_did_not_ask_for(dataset: Path) -> None:
    def other_samples(record: dict[str, Any]) -> None:
        record["sample_ids"] = [0, 1, 5]
        record["index"][2]["sample_id"] = 5

    _edit_commit(dataset, other_samples)
    text = " | ".join(f"{fault.where} {fault.what}" for fault in verify(str(dataset)).faults)
    assert "commits/00000000.json accounts for other samples than its plan: 0 to 2" in text
    assert "sample 5 is in shard 00000000 too" in text
    assert "sample_id sample 5: is 2, its index row says 5" in text


def test_an_index_that_flatters_is_found(dataset: Path) -> None:
    _edit_commit(dataset, lambda record: record["index"][1].update(gait_speed=9.0))
    where, what = _only_fault(verify(str(dataset)))
    assert where.endswith("/labels")
    assert what.startswith("sample 1: gait_speed is ")
    assert what.endswith("its index row says 9.0")


def test_a_shard_of_another_dataset_is_found(dataset: Path, tmp_path: Path) -> None:
    make_dataset(str(tmp_path / "other"), CAMPAIGN, rejected=[4])
    shutil.rmtree(dataset / "shards" / "00000001")
    shutil.copytree(tmp_path / "other" / "shards" / "00000001", dataset / "shards" / "00000001")
    shutil.copy(tmp_path / "other" / "commits" / "00000001.json", dataset / "commits" / "00000001.json")
    where, what = _only_fault(verify(str(dataset)))
    assert where.startswith("shards/00000001/")
    assert "attribute dataset_id is" in what


def _beyond(values: np.ndarray) -> np.ndarray:
    values[0, -1] = 1.0  # gait 0 is the shortest: this is padding
    return values


@pytest.mark.parametrize(
    ("array", "change", "message"),
    [
        ("coordinates", _beyond, "sample 0: has values beyond its 60 valid ones"),
        ("views/front/visibility", lambda a: a + 1, "has values above 2|beyond its"),
        ("body_pose", lambda a: a * 2, "not of unit length"),
        ("n_samples", lambda a: a + 50, "n_samples is 110, the array holds 90|is 110, its index row says 60"),
        ("sample_id", lambda a: a[::-1], "its index of chunks leaves a chunk out"),  # zarr leaves out all 0
        ("sample_id", lambda a: a[::-1] + 1, "sample 0: is 3, its index row says 0"),
        ("views/side/video_offsets", lambda a: a[::-1], "do not run from 0 to"),
        ("views/side/video", lambda a: np.roll(a, 100), "cannot be decoded"),
        ("views/side/mask", lambda a: a + 3, "part ids beyond the 3|beyond its"),
        ("views/side/intrinsics", lambda a: -a, "is not a pinhole matrix"),
    ],
)
def test_a_forger_who_mends_the_hashes_still_meets_the_laws(
    dataset: Path, array: str, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    _rewritten(dataset, array, change)
    report = verify(str(dataset))
    assert not report.sound
    assert any(re.search(message, fault.what) for fault in report.faults), report.faults


def test_an_array_that_the_dataset_promises_and_a_shard_lacks(dataset: Path) -> None:
    path = dataset / "dataset.json"
    manifest = json.loads(path.read_text())
    manifest["arrays"].append("views/front/rgb")
    path.write_text(json.dumps(manifest))
    assert {fault.what for fault in verify(str(dataset)).faults} == {"is missing"}


def test_a_catalogue_that_differs_from_the_commits(dataset: Path) -> None:
    storage = FileStorage(dataset)
    (key,) = compact(storage).parts
    rows = GaitDataset(storage).index()
    rows[0]["gait_speed"] = 9.0
    storage.put(key, to_parquet(rows))
    assert _only_fault(verify(storage)) == ("catalogue/", "sample 0 differs from its commit in gait_speed")
    storage.put(key, b"not Parquet")
    assert "delete the objects under catalogue/" in _only_fault(verify(storage))[1]


def test_what_is_no_dataset_is_not_verified(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds no dataset"):
        verify(str(tmp_path))


def test_no_manifest_makes_a_verification_run_for_ever(dataset: Path) -> None:
    path = dataset / "dataset.json"
    manifest = json.loads(path.read_text())
    manifest["campaign"]["samples"] = 10**15
    path.write_text(json.dumps(manifest))
    for look in (lambda: verify(str(dataset), thorough=False), lambda: info(str(dataset))):
        with pytest.raises(FormatError, match=r"campaign\.samples is more than 100000000.*restore it"):
            look()


def test_shards_that_are_not_made_yet_are_counted_as_they_are_listed(dataset: Path) -> None:
    path = dataset / "dataset.json"
    manifest = json.loads(path.read_text())
    manifest["campaign"]["samples"] = 3 * 1202
    path.write_text(json.dumps(manifest))
    (dataset / "shards" / "00000700").mkdir()
    (dataset / "shards" / "00000700" / "left").write_bytes(b"12345")
    steps: list[tuple[int, int]] = []
    report = verify(str(dataset), thorough=False, progress=lambda done, total, _: steps.append((done, total)))
    assert report.sound
    assert steps == [(number, 1202) for number in range(1, 1203)]
    assert (report.n_open, report.n_garbage, report.garbage_bytes) == (1200, 1, 5)
    assert (report.open_shards[0], len(report.open_shards)) == ("00000002", 1000)
