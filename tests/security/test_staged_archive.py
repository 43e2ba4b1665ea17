"""Staged samples wait where others may write: an archive that claims more than it holds is damage, not memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dataset.pack import PackedGait, pack
from farm.errors import FormatError
from tests.samples import make_campaign, make_samples_for
from workers.staging import from_bytes, to_bytes

CAMPAIGN = make_campaign(samples=1, views=("side",), image_size=(34, 32), depth=True)


@pytest.fixture(scope="module")
def staged() -> bytes:
    (sample,) = make_samples_for(CAMPAIGN, [0], n_samples=(40,))
    return to_bytes(pack(CAMPAIGN, sample), {"simulate": 1.0})


def archive(*, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as made:
        for name, data in entries.items():
            made.writestr(f"{name}.npy", data)
    return target.getvalue()


def npy(shape: str, dtype: str = "|u1", body: bytes = b"") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (archive(compression=zipfile.ZIP_DEFLATED, header=npy("(100000000,)") + bytes(100_000_000)), "is packed"),
        (archive(header=npy("(1099511627776,)")), "declares"),
        (archive(header=npy("(4, 4)", "|O")), "declares"),
        (archive(header=b"\x93NUMPY\x03\x00" + bytes(10)), "version"),
        (archive(header=npy("[" * 3000)), "damaged"),
        (archive(header=npy("(2,)", body=b"{}")), "damaged"),
        (archive(header=npy("(5,)", body=b"[[[[[")), "damaged"),
        (b"PK", "not a zip file"),
        (b"", "not a zip file"),
    ],
)
def test_an_archive_that_lies_is_damaged(data: bytes, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=message):
            from_bytes(data)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_picture_that_would_unpack_to_more(staged: bytes) -> None:
    gait, seconds = from_bytes(staged)
    assert isinstance(gait, PackedGait)
    picture = gait.values["views/side/depth"]
    lies = {"shape": (1 << 20, *picture.shape[1:]), "dtype": "float64"}  # type: ignore[union-attr]
    for name, lie in lies.items():
        values = dict(gait.values)
        values["views/side/depth"] = type(picture)(**{**vars(picture), name: lie})
        changed = PackedGait(**{**vars(gait), "values": values})
        with pytest.raises(FormatError, match="a picture"):
            from_bytes(to_bytes(changed, seconds))


@settings(max_examples=150, deadline=None)
@given(at=st.floats(0, 1), new=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_any_damage_is_named(staged: bytes, at: float, new: bytes, cut: bool) -> None:
    place = int(at * (len(staged) - 1))
    damaged = staged[:place] if cut else staged[:place] + new + staged[place + len(new) :]
    try:
        gait, _ = from_bytes(damaged)
    except FormatError:
        return
    assert isinstance(gait, PackedGait)
    assert all(np.asarray(value).dtype != object for value in gait.values.values() if isinstance(value, np.ndarray))
