"""Manifests from anybody's bucket: sound ones are read, damaged and hostile ones are refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import farm
from farm.dataset.claim import CLAIMS
from farm.dataset.create import must_be_free, open_or_create
from farm.dataset.manifest import (
    MAX_DATASET_BYTES,
    ShardRecord,
    parse_record,
    read_manifest,
    read_record,
    record_to_json,
)
from farm.errors import CampaignError, FormatError, ObjectNotFoundError
from farm.storage import PROBE_PREFIX, FileStorage, StoredObject
from tests.datasets import make_dataset
from tests.samples import make_campaign

SHA = "0" * 64


def _record(**changes: Any) -> dict[str, Any]:
    group = "shards/00000001/a1.zarr"
    record = {
        "shard_id": "00000001",
        "attempt_id": "a1",
        "group": group,
        "sample_ids": [4, 5, 6],
        "n_accepted": 2,
        "n_rejected": 1,
        "rejected": [{"sample_id": 5, "reasons": ["fell"]}],
        "objects": [{"path": f"{group}/zarr.json", "bytes": 10, "sha256": SHA}],
        "index": [{"sample_id": 4, "gait_speed": 1.25}, {"sample_id": 6, "gait_speed": None, "condition": "healthy"}],
    }
    return record | changes


def test_a_sound_record_survives_the_round_trip() -> None:
    record = parse_record(json.dumps(_record() | {"from_a_later_version": 1}).encode(), "here")
    assert record.accepted_ids == (4, 6)
    assert record.index[1] == {"sample_id": 6, "gait_speed": None, "condition": "healthy"}
    assert parse_record(record_to_json(record), "here") == record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_ids": [4, 5, 5]}, "sample_ids names sample 5 twice"),
        ({"index": [{"sample_id": 4}, {"sample_id": 4}]}, "index and rejected names sample 4 twice"),
        ({"index": [{"sample_id": 4}, {"sample_id": 5}]}, "names sample 5 twice"),
        ({"sample_ids": [4, 5, 6, 7]}, "sample 7 is asked for and not accounted for"),
        ({"n_accepted": 3}, "do not count the 2 rows"),
        ({"index": [{"sample_id": 4}, {"gait_speed": 1.0}]}, "row 1 has no sample_id"),
        ({"index": [{"sample_id": 4}, {"sample_id": "6"}]}, "row 1 has no sample_id"),
        ({"group": None}, "group must be null if and only if"),
        ({"group": "shards/00000001/other.zarr"}, "this shard and attempt belong in"),
        ({"group": "../../outside"}, r"has the part '\.\.'"),
        ({"attempt_id": "../x"}, "attempt_id"),
        ({"shard_id": "../../x"}, "shard_id"),
        ({"objects": [{"path": "/etc/passwd", "bytes": 1, "sha256": SHA}]}, "is absolute"),
        ({"objects": [{"path": "shards/00000001/a1.zarr/../../../x", "bytes": 1, "sha256": SHA}]}, r"'\.\.'"),
        ({"objects": [{"path": "shards/00000002/a.zarr/zarr.json", "bytes": 1, "sha256": SHA}]}, "outside the group"),
        ({"objects": []}, "does not name the group's zarr.json"),
        ({"objects": [_record()["objects"][0]] * 2}, "twice"),
        ({"objects": [{"path": "shards/00000001/a1.zarr/zarr.json", "bytes": -1, "sha256": SHA}]}, "objects.0.bytes"),
        ({"objects": [{"path": "shards/00000001/a1.zarr/zarr.json", "bytes": 1, "sha256": "x"}]}, "sha256"),
        ({"sample_ids": list(range(5000))}, "sample_ids"),
        ({"sample_ids": []}, "sample_ids"),
        ({"wall_s": float("nan")}, "holds NaN, which is no number"),
        ({"wall_s": -1.0}, "wall_s"),
        ({"rejected": [{"sample_id": 5, "reasons": []}]}, "rejected.0.reasons"),
    ],
)
def test_records_that_do_not_add_up(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        parse_record(json.dumps(_record(**changes)).encode(), "s3://b/commits/00000001.json")
    assert str(caught.value).startswith("s3://b/commits/00000001.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"shard_id": 1}'])
def test_bytes_that_are_no_record(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^here: .*damaged or not ours"):
        parse_record(data, "here")


def test_a_record_under_another_shard_s_name(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    storage.put("commits/00000002.json", json.dumps(_record()).encode())
    with pytest.raises(FormatError, match="the record is of shard '00000001'"):
        read_record(storage, "00000002")
    with pytest.raises(ObjectNotFoundError):
        read_record(storage, "00000009")


def _edited(storage: FileStorage, edit: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(storage.get("dataset.json"))
    edit(data)
    storage.put("dataset.json", json.dumps(data).encode())


def test_dataset_json_says_who_made_it(tmp_path: Path) -> None:
    storage, campaign = FileStorage(tmp_path), make_campaign()
    made = open_or_create(storage, campaign, sources={"archive_sha256": "a" * 64})
    data = json.loads(storage.get("dataset.json"))
    assert {
        "format_version", "dataset_id", "name", "created", "seed", "campaign", "software", "views", "keypoints",
        "gaits_per_shard", "license",
    } <= set(data)  # fmt: skip
    assert data["software"]["gaitfarm"] == farm.__version__
    assert data["software"]["archive_sha256"] == "a" * 64
    assert {"opensim", "zarr"} <= set(data["software"])
    assert data["campaign"]["pictures"]["views"][1]["name"] == "side"
    assert read_manifest(storage) == made


def test_a_second_driver_gets_the_first_one_s_identity(tmp_path: Path) -> None:
    first = open_or_create(FileStorage(tmp_path), make_campaign())
    assert open_or_create(FileStorage(tmp_path), make_campaign()) == first


@pytest.mark.parametrize("key", ["thesis.txt", "photos/2019/a.jpg", "claims.txt", "staging/00000000/000000001/a.gait"])
def test_no_dataset_begins_among_somebody_s_files(tmp_path: Path, key: str) -> None:
    storage = FileStorage(tmp_path)
    storage.put(key, b"years of work")
    with pytest.raises(CampaignError, match=rf"is not empty \({key}\) and holds no dataset; choose another place"):
        must_be_free(storage)


def test_what_a_killed_start_leaves_behind_is_in_no_driver_s_way(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    must_be_free(storage)
    storage.put(f"{PROBE_PREFIX}0123456789abcdef-0", b"gaitfarm probe 1")
    storage.put(f"{CLAIMS}{'0' * 32}.json", b"{}")
    storage.put(f"{CLAIMS}{'1' * 32}.buried", b"buried")
    (tmp_path / ".writing-0123456789abcdef").write_bytes(b'{"format_ver')
    must_be_free(storage)


class _RivalStorage(FileStorage):
    """Another driver begins its dataset there between two of our requests."""

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        make_dataset(FileStorage(self.uri), make_campaign(samples=2, gaits_per_shard=2))
        return super().list(prefix)


def test_of_two_drivers_that_begin_at_once_both_go_on(tmp_path: Path) -> None:
    storage = _RivalStorage(tmp_path)
    must_be_free(storage)
    assert open_or_create(storage, make_campaign(samples=2, gaits_per_shard=2)) == read_manifest(storage)


def test_another_campaign_is_refused_by_what_differs(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    open_or_create(storage, make_campaign(seed=1), sources={"archive_sha256": "a" * 64})
    before = storage.get("dataset.json")
    with pytest.raises(CampaignError) as caught:
        open_or_create(storage, make_campaign(seed=2, views=("front",)), sources={"archive_sha256": "b" * 64})
    message = str(caught.value)
    assert "seed is 1 there and 2 here" in message
    assert "pictures.views is" in message
    assert "archive_sha256 is 'aaaa" in message
    assert "choose another place" in message
    assert storage.get("dataset.json") == before


def test_a_campaign_from_before_a_key_was_added_is_the_same(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    open_or_create(storage, make_campaign())
    _edited(storage, lambda data: data["campaign"]["pictures"].pop("shadows"))
    open_or_create(storage, make_campaign())


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds no dataset: there is no dataset\.json; check the URI"):
        read_manifest(FileStorage(tmp_path))


def test_a_newer_format_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    make_dataset(storage, make_campaign(), shards=[])

    def from_the_future(data: dict[str, Any]) -> None:
        data.clear()
        data.update(format_version=2, software={"gaitfarm": "3.1.0"}, everything="else differs")

    _edited(storage, from_the_future)
    for call in (read_manifest, lambda where: open_or_create(where, make_campaign())):
        with pytest.raises(FormatError) as caught:
            call(storage)
        assert "format version 2; this gaitfarm reads up to version 1" in str(caught.value)
        assert "needs gaitfarm 3.1.0 or newer: pip install --upgrade gaitfarm" in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.pop("dataset_id"), "dataset_id: field required"),
        (lambda data: data.update(dataset_id="../.."), "dataset_id"),
        (lambda data: data.update(views=["../x"]), "views.0"),
        (lambda data: data.update(arrays=["../x"]), r"has the part '\.\.'"),
        (lambda data: data.update(format_version=0), "format_version"),
        (lambda data: data.update(gaits_per_shard=10**9), "gaits_per_shard"),
        (lambda data: data.update(campaign="x" * (MAX_DATASET_BYTES + 1)), "is larger than"),
    ],
)
def test_a_damaged_dataset_json(tmp_path: Path, edit: Callable[[dict[str, Any]], None], message: str) -> None:
    storage = FileStorage(tmp_path)
    open_or_create(storage, make_campaign())
    _edited(storage, edit)
    with pytest.raises(FormatError, match=f"(?i){message}"):
        read_manifest(storage)


def test_arrays_of_a_later_minor_version_are_passed_over(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    open_or_create(storage, make_campaign())
    _edited(storage, lambda data: data["arrays"].append("emg"))
    assert "emg" in read_manifest(storage).arrays
    assert "emg" not in read_manifest(storage).known_arrays


def test_records_are_values() -> None:
    record = ShardRecord.model_validate(_record())
    with pytest.raises(ValueError, match="frozen"):
        record.n_accepted = 5  # type: ignore[misc]
