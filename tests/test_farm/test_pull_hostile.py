"""A source that lies about itself is refused by name, and leaves nothing at the destination that is believed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.dataset.catalogue import compact, index_rows
from farm.dataset.manifest import committed_shards, read_record
from farm.dataset.pull import pull
from farm.errors import FormatError
from farm.storage import FileStorage
from tests.datasets import make_dataset, swap_first_and_last
from tests.samples import make_campaign
from tests.tables import to_parquet

SHARD = "00000000"
Meta = dict[str, Any]


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walks")
    make_dataset(str(folder), make_campaign(samples=4, gaits_per_shard=4, views=("side",)), n_samples=(20, 30))
    return folder


@pytest.fixture
def source(walks: Path, tmp_path: Path) -> Path:
    shutil.copytree(walks, tmp_path / "source")
    return tmp_path / "source"


def _rewrite(root: Path, path: str, change: Callable[[bytes], bytes]) -> None:
    """Change an object of the shard, and its record so that size and SHA-256 fit: the work of a liar."""
    commit = root / f"commits/{SHARD}.json"
    record = json.loads(commit.read_text())
    item = next(item for item in record["objects"] if item["path"] == f"{record['group']}/{path}")
    data = change((root / item["path"]).read_bytes())
    (root / item["path"]).write_bytes(data)
    item["bytes"], item["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    commit.write_text(json.dumps(record))


def _in_metadata(change: Callable[[Meta], None]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        value = json.loads(data)
        change(value["consolidated_metadata"]["metadata"])
        return json.dumps(value).encode()

    return changed


def _no_psnr(members: Meta) -> None:
    del members["views/side/video"]["attributes"]["psnr_db"]


def _short_psnr(members: Meta) -> None:
    members["views/side/video"]["attributes"]["psnr_db"] = [1.0]


def _long_time(members: Meta) -> None:
    for part in (members["body_pose"]["shape"], members["body_pose"]["chunk_grid"]["configuration"]["chunk_shape"]):
        part[1] = 10**9


def _other_codec(members: Meta) -> None:
    members["body_pose"]["codecs"][0]["configuration"]["codecs"][-1]["name"] = "numcodecs.pickle"


def _gone(members: Meta) -> None:
    del members["labels"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_no_psnr, "psnr_db is not one number a gait"),
        (_short_psnr, "psnr_db is not one number a gait"),
        (_long_time, "1000000000"),
        (_other_codec, r"have the codecs .*numcodecs.pickle"),
        (_gone, "labels is missing"),
    ],
)
def test_metadata_that_lies_is_refused(
    source: Path, tmp_path: Path, change: Callable[[Meta], None], message: str
) -> None:
    _rewrite(source, "zarr.json", _in_metadata(change))
    with pytest.raises(FormatError, match=message):
        pull(str(source), str(tmp_path / "part"), where="sample_id = 1")
    assert committed_shards(FileStorage(tmp_path / "part")) == ()


@pytest.mark.parametrize("bounds", [[0, 10, 5, 20, 30], [3, 4, 5, 6, 7], [0, 1, 2, 3, 2**62], [0, -(2**62), 1, 2, 3]])
def test_offsets_that_lead_astray_are_refused(source: Path, tmp_path: Path, bounds: list[int]) -> None:
    import google_crc32c
    from numcodecs import Zstd

    def astray(_: bytes) -> bytes:
        chunk = Zstd(level=3, checksum=True).encode(np.array(bounds, "<i8").tobytes())
        chunk += google_crc32c.value(chunk).to_bytes(4, "little")
        index = np.array([0, len(chunk)], "<u8").tobytes()
        return chunk + index + google_crc32c.value(index).to_bytes(4, "little")

    _rewrite(source, "views/side/video_offsets/c/0", astray)
    with pytest.raises(FormatError, match=r"ascending from 0 on|not the size that its offsets say"):
        pull(str(source), str(tmp_path / "part"), where="sample_id = 1")


@pytest.mark.parametrize("name", ["n_samples", "n_frames", "sample_id", "views/side/video_offsets", "n_events"])
def test_a_manifest_that_forgets_what_others_need_is_refused(source: Path, tmp_path: Path, name: str) -> None:
    manifest = json.loads((source / "dataset.json").read_text())
    manifest["arrays"].remove(name)
    (source / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=f"does not name its array {name}"):
        pull(str(source), str(tmp_path / "part"), where="sample_id = 1")


def test_a_catalogue_that_names_gaits_beyond_the_shard_is_refused(source: Path, tmp_path: Path) -> None:
    storage = FileStorage(source)
    (part,) = compact(storage).parts
    rows = index_rows(read_record(storage, SHARD))
    rows[2]["position"] = 77
    (source / part).write_bytes(to_parquet(rows))
    with pytest.raises(FormatError, match="the catalogue names gait 77 of shard 00000000, which has 4"):
        pull(str(source), str(tmp_path / "part"), where="sample_id >= 1")


def test_a_catalogue_that_swaps_two_gaits_is_refused(source: Path, tmp_path: Path) -> None:
    swap_first_and_last(source)
    with pytest.raises(FormatError, match="gait 3 of shard 00000000 is sample 0 by the catalogue and 3 by its commit"):
        pull(str(source), str(tmp_path / "part"), where="sample_id = 0")
    assert committed_shards(FileStorage(tmp_path / "part")) == ()
    assert pull(str(source), str(tmp_path / "other"), where="sample_id in (1, 2)").n_gaits == 2
