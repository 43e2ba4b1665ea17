"""Of an array's object the chosen gaits' bytes are read, few others, and none that is not proved whole."""

from __future__ import annotations

import shutil
import struct
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import Crc32cCodec

from farm.dataset import group
from farm.dataset.fetch import arrays_of
from farm.dataset.manifest import ShardRecord, read_record
from farm.dataset.pull import carry_out, plan_pull
from farm.dataset.pull_choice import Wish
from farm.dataset.ranges import Economy, InterruptedReadError, Meter, ShardReader, merged
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.errors import FormatError
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign

N = 64
PRECISE = Economy(gap_bytes=0, whole_share=0.9)


class Counting(FileStorage):
    """Remembers how many bytes of each object were read, and in how many requests."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.bytes: dict[str, int] = defaultdict(int)
        self.requests: dict[str, int] = defaultdict(int)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        data = super().get_range(key, start, length)
        self.bytes[key] += len(data)
        self.requests[key] += 1
        return data

    def of(self, record: ShardRecord, path: str) -> tuple[int, int, int]:
        """Bytes read of an array's object, requests for it, and its size."""
        item = _data_of(record, path)
        return self.bytes[item.path], self.requests[item.path], item.bytes


def _data_of(record: ShardRecord, path: str) -> Any:
    return next(item for item in record.objects if item.path.startswith(f"{record.group}/{path}/c/"))


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shard of 64 gaits without pictures."""
    folder = tmp_path_factory.mktemp("big")
    campaign = make_campaign(samples=N, gaits_per_shard=N, rgb="none", mask=False)
    make_dataset(str(folder), campaign, n_samples=(350, 400))
    return folder


def _spans(record: ShardRecord, root: Path, path: str) -> list[tuple[int, int]]:
    """Where each chunk lies, read off the file by hand."""
    data = (root / _data_of(record, path).path).read_bytes()
    entries = np.frombuffer(data[-(16 * N + 4) : -4], "<u8").reshape(N, 2)
    return [(int(at), int(at + n)) for at, n in entries]


def test_one_gait_of_64_costs_a_64th(big: Path, tmp_path: Path) -> None:
    storage = Counting(big)
    wish = Wish("sample_id = 41", views=["side"], fields=["labels", "keypoints_2d"])
    report = carry_out(plan_pull(storage, str(tmp_path / "part"), wish, economy=PRECISE))
    record = read_record(FileStorage(big), "00000000")
    for path in ("labels", "views/side/keypoints_2d"):
        begin, end = _spans(record, big, path)[41]
        read, requests, whole = storage.of(record, path)
        assert (read, requests) == (end - begin + 16 * N + 4, 2), "the index, and the one chunk"
        assert read < whole / N + 16 * N + 4 + whole / N / 4
    touched = {key.split(".zarr/")[1].partition("/c/")[0] for key in storage.bytes if "/c/" in key}
    assert touched == {"labels", "views/side/keypoints_2d", "sample_id", "n_samples", "n_frames"}
    assert (
        report.read_bytes
        == sum(n for key, n in storage.bytes.items() if key.startswith("shards/") or key == "commits/00000000.json")
        - storage.bytes["commits/00000000.json"]
        + (big / "commits/00000000.json").stat().st_size
    )
    assert verify(str(tmp_path / "part")).faults == ()
    np.testing.assert_array_equal(
        GaitDataset(str(tmp_path / "part")).gait(41)["views/side/keypoints_2d"],
        GaitDataset(str(big)).gait(41)["views/side/keypoints_2d"],
    )


def test_by_default_small_objects_are_read_whole_and_large_ones_are_not(big: Path, tmp_path: Path) -> None:
    storage = Counting(big)
    wish = Wish("sample_id = 41", views=["side"], fields=["labels", "keypoints_2d", "body_pose"])
    carry_out(plan_pull(storage, str(tmp_path / "part"), wish))
    record = read_record(FileStorage(big), "00000000")
    read, requests, whole = storage.of(record, "labels")
    assert (read, requests) == (whole, 1)
    for path in ("views/side/keypoints_2d", "body_pose"):
        read, requests, whole = storage.of(record, path)
        assert whole > 5 * Economy().gap_bytes
        assert read < whole / 40
        assert requests == 2


def _read(root: Path, path: str, chunks: list[int], economy: Economy) -> tuple[Any, Counting]:
    storage = Counting(root)
    record = read_record(FileStorage(root), "00000000")
    with ThreadPoolExecutor(4) as pool:
        objects = ShardReader(Meter(storage), record, pool, economy).array(path, chunks)
    return arrays_of(objects, [path])[path], storage


@pytest.mark.parametrize(
    ("gaits", "gap", "requests"),
    [
        ([3], 0, 2),
        ([3, 4, 5], 0, 2),
        ([3, 5, 40], 0, 4),
        ([3, 5, 40], 600 << 10, 3),
        ([3, 40], 1 << 30, 1),
        (list(range(60)), 0, 1),
    ],
)
def test_ranges_are_as_few_as_pays(big: Path, gaits: list[int], gap: int, requests: int) -> None:
    array, storage = _read(big, "body_pose", gaits, Economy(gap_bytes=gap, whole_share=0.6))
    record = read_record(FileStorage(big), "00000000")
    read, asked, whole = storage.of(record, "body_pose")
    assert asked == requests
    assert read <= whole
    theirs = GaitDataset(str(big)).shard("00000000")["body_pose"]
    for gait in gaits:
        np.testing.assert_array_equal(array[gait], theirs[gait])


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 50))), st.integers(0, 100))
def test_merged_ranges_cover_what_was_asked_and_lie_apart(pairs: list[tuple[int, int]], gap: int) -> None:
    spans = [(begin, begin + length) for begin, length in pairs]
    runs = merged(spans, gap)
    assert all(any(begin <= a and b <= end for begin, end in runs) for a, b in spans)
    assert all(later[0] - earlier[1] > gap for earlier, later in pairwise(runs))
    assert {place for run in runs for place in run} <= {place for span in spans for place in span}


@pytest.mark.parametrize("place", ["chunk", "index"])
def test_damage_within_a_range_is_found(big: Path, tmp_path: Path, place: str) -> None:
    shutil.copytree(big, tmp_path / "source")
    record = read_record(FileStorage(big), "00000000")
    path = tmp_path / "source" / _data_of(record, "body_pose").path
    data = bytearray(path.read_bytes())
    begin, end = _spans(record, big, "body_pose")[41]
    data[(begin + end) // 2 if place == "chunk" else len(data) - 500] ^= 1
    path.write_bytes(data)
    wish = Wish("sample_id = 41", fields=["body_pose"])
    with pytest.raises(FormatError, match=r"body_pose.*does not match its checksum"):
        carry_out(plan_pull(str(tmp_path / "source"), str(tmp_path / "part"), wish))
    carry_out(plan_pull(str(tmp_path / "source"), str(tmp_path / "other"), Wish("sample_id = 41", fields=["labels"])))


def test_an_index_that_leads_to_another_gait_is_found(big: Path, tmp_path: Path) -> None:
    """Entries 41 and 42 exchanged, and the index's own checksum made to fit: only the sample's number tells."""
    shutil.copytree(big, tmp_path / "source")
    record = read_record(FileStorage(big), "00000000")
    path = tmp_path / "source" / _data_of(record, "sample_id").path
    data = bytearray(path.read_bytes())
    at = len(data) - (16 * N + 4) + 41 * 16
    data[at : at + 16], data[at + 16 : at + 32] = data[at + 16 : at + 32], data[at : at + 16]
    data[-4:] = struct.pack("<I", google_crc32c.value(bytes(data[-(16 * N + 4) : -4])))
    path.write_bytes(data)
    wish = Wish("sample_id = 41", fields=["labels"])
    with pytest.raises(FormatError, match="gait 41 is sample 42, its index row says 41"):
        carry_out(plan_pull(str(tmp_path / "source"), str(tmp_path / "part"), wish, economy=PRECISE))


def test_of_shards_without_checksums_series_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = zarr.Group.create_array

    def without(self: zarr.Group, *arguments: Any, compressors: list[Any], **settings: Any) -> Any:
        kept = [codec for codec in compressors if not isinstance(codec, Crc32cCodec)]
        return create(self, *arguments, compressors=kept, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(group.zarr.Group, "create_array", without)
        make_dataset(str(tmp_path / "old"), make_campaign(samples=8, gaits_per_shard=8, rgb="lossless"))
    storage = Counting(tmp_path / "old")
    carry_out(plan_pull(storage, str(tmp_path / "part"), Wish("sample_id = 3", views=["side"]), economy=PRECISE))
    assert verify(str(tmp_path / "part")).faults == ()
    record = read_record(FileStorage(tmp_path / "old"), "00000000")
    read, requests, whole = storage.of(record, "body_pose")
    assert (read, requests) == (whole, 1), "blosc proves nothing: the whole object's SHA-256 does"
    read, requests, whole = storage.of(record, "views/side/rgb")
    assert read < whole / 4
    assert requests == 2, "zstd has a checksum of its own"
    for path, array in GaitDataset(str(tmp_path / "old")).gait(3).arrays.items():
        if not path.startswith("views/front"):
            np.testing.assert_array_equal(GaitDataset(str(tmp_path / "part")).gait(3)[path], array)


def test_a_stopped_meter_lets_no_read_begin(big: Path) -> None:
    meter = Meter(Counting(big))
    assert meter.get_range("dataset.json", 0, 1) == b"{"
    meter.stop()
    with pytest.raises(InterruptedReadError):
        meter.get_range("dataset.json", 0, 1)
    assert (meter.bytes, meter.requests) == (1, 1)
