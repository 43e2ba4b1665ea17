"""A chunk that is read alone proves to be whole by its crc32c; shards that were written without still read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import zarr
from zarr.codecs import Crc32cCodec

from farm.dataset import group
from farm.dataset.guard import layout_of, read_metadata
from farm.dataset.manifest import read_record
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.errors import FormatError
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign

CAMPAIGN = make_campaign(samples=3, gaits_per_shard=3, image_size=(34, 32), rgb="lossless")


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    make_dataset(str(tmp_path / "sealed"), CAMPAIGN)
    return tmp_path / "sealed"


@pytest.fixture
def unsealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same dataset as it was written before chunks had checksums of their own."""
    create = zarr.Group.create_array

    def without(self: zarr.Group, *arguments: Any, compressors: list[Any], **settings: Any) -> Any:
        kept = [codec for codec in compressors if not isinstance(codec, Crc32cCodec)]
        assert len(kept) == len(compressors) - 1
        return create(self, *arguments, compressors=kept, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(group.zarr.Group, "create_array", without)
        make_dataset(str(tmp_path / "unsealed"), CAMPAIGN)
    return tmp_path / "unsealed"


def _arrays(root: Path) -> Iterator[tuple[str, Path]]:
    folder = root / str(read_record(FileStorage(root), "00000000").group)
    for path in GaitDataset(str(root)).manifest.known_arrays:
        yield path, folder / path


def _seal(root: Path, path: str) -> str:
    record = read_record(FileStorage(root), "00000000")
    data = (root / str(record.group) / path / "zarr.json").read_bytes()
    return layout_of(read_metadata(data, path), path, record).seal


def test_every_array_that_we_write_has_crc32c_and_is_sound(sealed: Path) -> None:
    assert {_seal(sealed, path) for path, _ in _arrays(sealed)} == {"crc32c"}
    assert verify(str(sealed)).faults == ()


def test_stock_readers_read_it_the_same(sealed: Path) -> None:
    for path, folder in _arrays(sealed):
        ours = np.asarray(zarr.open_array(folder, mode="r")[...])
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder)}}
        theirs = tensorstore.open(spec, read=True).result().read().result()
        np.testing.assert_array_equal(theirs, ours, err_msg=path)
        assert ours.size


def test_shards_without_it_still_read(sealed: Path, unsealed: Path) -> None:
    seals = {path: _seal(unsealed, path) for path, _ in _arrays(unsealed)}
    assert (seals["labels"], seals["body_pose"]) == ("zstd", "none")
    assert verify(str(unsealed)).faults == ()
    first, second = GaitDataset(str(sealed)), GaitDataset(str(unsealed))
    for path, array in first.gait(1).arrays.items():
        np.testing.assert_array_equal(second.gait(1)[path], array)


def test_a_checksum_costs_four_bytes_a_chunk(sealed: Path, unsealed: Path) -> None:
    with_it, without = (read_record(FileStorage(root), "00000000") for root in (sealed, unsealed))
    for ours, theirs in zip(with_it.objects, without.objects, strict=True):
        if "/c/" in ours.path and "video" not in ours.path:
            assert ours.bytes - theirs.bytes == 4 * 3


@pytest.mark.parametrize("eighth", range(5))
def test_a_flipped_bit_in_a_series_is_found_by_who_reads_one_gait(sealed: Path, eighth: int) -> None:
    path = next(sealed.glob("shards/*/*/body_pose/c/0/0/0/0"))
    data = bytearray(path.read_bytes())
    chunk = (len(data) - 52) // 3  # three gaits, and the index of their places
    data[eighth * chunk // 8] ^= 16
    path.write_bytes(data)
    with pytest.raises(FormatError, match="does not match its checksum"):
        GaitDataset(str(sealed)).shard("00000000")["body_pose"][0]
