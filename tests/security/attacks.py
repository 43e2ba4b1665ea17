"""What a hostile dataset may try, one function each. Every checksum is right: only what is said is a lie.

Each attack is on one array that `reads` names, so that a test can read just that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numcodecs
import numpy as np

from tests.security.forge import Forger

SERIES = "body_pose"
TABLE = "labels"
VIDEO = "views/side/video"
OFFSETS = "views/side/video_offsets"


@dataclass(frozen=True)
class Attack:
    """A lie, and the word that the refusal must hold.

    Attributes:
        reads: What meets it: the array of a gait, or "frames".
    """

    name: str
    forge: Callable[[Forger], None]
    message: str
    reads: str = SERIES


def _array(array: str, edit: Callable[[dict[str, Any]], Any]) -> Callable[[Forger], None]:
    return lambda forger: forger.edit_array(array, edit)


def _codecs(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    codecs: list[dict[str, Any]] = metadata["codecs"][0]["configuration"]["codecs"]
    return codecs


def _shape(*shape: int) -> Callable[[dict[str, Any]], None]:
    def edit(metadata: dict[str, Any]) -> None:
        metadata["shape"] = list(shape)
        metadata["chunk_grid"]["configuration"]["chunk_shape"] = list(shape)
        metadata["codecs"][0]["configuration"]["chunk_shape"] = [1, *shape[1:]]

    return edit


def _zstd_chunk(array: str, make: Callable[[bytes], bytes]) -> Callable[[Forger], None]:
    def forge(forger: Forger) -> None:
        chunks = forger.bare_chunks(array)
        forger.write_chunks(array, [make(chunks[0]), *chunks[1:]])

    return forge


def _declares(size: int) -> Callable[[bytes], bytes]:
    """A zstd frame whose header declares `size` bytes."""
    return lambda chunk: b"\x28\xb5\x2f\xfd\xe4" + struct.pack("<Q", size) + _blocks(chunk)


def _blocks(chunk: bytes) -> bytes:
    descriptor = chunk[4]
    width = (1 if descriptor >> 5 & 1 else 0, 2, 4, 8)[descriptor >> 6]
    return chunk[5 + (not descriptor >> 5 & 1) + width :]


def _bomb(chunk: bytes) -> bytes:
    """A gigabyte of zeros in 32 kB, in a frame that says so."""
    return bytes(numcodecs.Zstd(level=3, checksum=True).encode(np.zeros(1 << 28, dtype=np.uint8)))


def _second_frame(chunk: bytes) -> bytes:
    return chunk + bytes(numcodecs.Zstd(level=1).encode(np.zeros(1 << 26, dtype=np.uint8)))


def _no_size(chunk: bytes) -> bytes:
    """The zstd command's own streaming frame: no size, unpacked for as long as it goes on."""
    return b"(\xb5/\xfd\x00Xa\x00\x00Hello World!"


def _blosc_declares(forger: Forger) -> None:
    chunks = forger.bare_chunks(SERIES)
    forger.write_chunks(SERIES, [chunks[0][:4] + struct.pack("<I", 0x7FFFFF00) + chunks[0][8:], *chunks[1:]])


def _index(array: str, *index: int) -> Callable[[Forger], None]:
    return lambda forger: forger.write_chunks(array, forger.bare_chunks(array), index)


def _offsets(*values: int) -> Callable[[Forger], None]:
    def forge(forger: Forger) -> None:
        data = np.array(values, dtype="<i8").tobytes()
        forger.write_chunks(OFFSETS, [bytes(numcodecs.Zstd(level=3, checksum=True).encode(data))])

    return forge


def _video(data: bytes) -> Callable[[Forger], None]:
    """Other bytes where the first gait's video was."""

    def forge(forger: Forger) -> None:
        blocks = forger.bare_chunks(VIDEO)
        size = 256 * 1024
        first = np.frombuffer(numcodecs.Zstd().decode(blocks[0]), dtype=np.uint8).copy()
        first[: len(data)] = np.frombuffer(data, dtype=np.uint8)
        assert len(first) == size
        forger.write_chunks(VIDEO, [bytes(numcodecs.Zstd(level=3, checksum=True).encode(first)), *blocks[1:]])

    return forge


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n" + b"\n" * 400

HUGE = 1 << 44

ATTACKS = (
    Attack("more elements than atoms", _array(SERIES, _shape(2, HUGE, 13, 7)), "is the most"),
    Attack("2^60 elements", _array(TABLE, _shape(2, 1 << 47)), "is the most", TABLE),
    Attack("a shape below nothing", _array(SERIES, lambda m: m.update(shape=[2, -1, 13, 7])), "positive whole"),
    Attack("a shape of fractions", _array(SERIES, lambda m: m.update(shape=[2, 60.5, 13, 7])), "positive whole"),
    Attack("another number of gaits", _array(TABLE, _shape(900, 39)), "along 'gait', must have 2", TABLE),
    Attack(
        "other dimensions", _array(SERIES, lambda m: m.update(dimension_names=["a", "b", "c", "d"])), "must have gait"
    ),
    Attack("a dimension more", _array(TABLE, _shape(2, 39, 9)), "must have 2", TABLE),
    Attack("objects for Python", _array(TABLE, lambda m: m.update(data_type="object")), "has the type 'object'", TABLE),
    Attack(
        "a type by its entry point",
        _array(TABLE, lambda m: m.update(data_type={"name": "evil.type", "configuration": {}})),
        "has the type",
        TABLE,
    ),
    Attack(
        "a filling out of range", _array(TABLE, lambda m: m.update(fill_value=1e308)), "fill_value 1e.308 is no", TABLE
    ),
    Attack("words of any length", _array(TABLE, lambda m: m.update(data_type="string")), "has the type", TABLE),
    Attack(
        "a codec by its entry point",
        _array(SERIES, lambda m: _codecs(m).insert(2, {"name": "evil.codec", "configuration": {"x": 1}})),
        "its chunks have the codecs",
    ),
    Attack("pickles", _array(TABLE, lambda m: _codecs(m).insert(0, {"name": "numcodecs.pickle"})), "the codecs", TABLE),
    Attack("a codec that is a number", _array(TABLE, lambda m: m.update(codecs=[7])), "is no codec", TABLE),
    Attack("no sharding", _array(TABLE, lambda m: m.update(codecs=_codecs(m))), "sharding_indexed alone", TABLE),
    Attack(
        "sharding in sharding",
        _array(TABLE, lambda m: _codecs(m).__setitem__(slice(0, 2), [deepcopy(m["codecs"][0])])),
        "its chunks have the codecs",
        TABLE,
    ),
    Attack(
        "an order of axes that are not there",
        _array(SERIES, lambda m: _codecs(m)[0]["configuration"].update(order=[0, 9, 1, 2])),
        "is not an order",
    ),
    Attack(
        "storage transformers", _array(TABLE, lambda m: m.update(storage_transformers=[{"name": "x"}])), "named", TABLE
    ),
    Attack(
        "objects of other names",
        _array(TABLE, lambda m: m.update(chunk_key_encoding={"name": "v2", "configuration": {"separator": "."}})),
        "not named as the format",
        TABLE,
    ),
    Attack(
        "a million chunks in no bytes",
        _array(TABLE, lambda m: m["codecs"][0]["configuration"].update(chunk_shape=[1, 1])),
        "must have one for each gait",
        TABLE,
    ),
    Attack("a chunk that declares 2^60 bytes", _zstd_chunk(TABLE, _declares(1 << 60)), "would unpack to", TABLE),
    Attack("a bomb of zeros", _zstd_chunk(TABLE, _bomb), "chunk 0|its object has", TABLE),
    Attack(
        "a bomb behind the chunk", _zstd_chunk(TABLE, _second_frame), "not one whole zstd frame|its object has", TABLE
    ),
    Attack("a stream without an end", _zstd_chunk(TABLE, _no_size), "not one whole zstd frame", TABLE),
    Attack("a blosc bomb", _blosc_declares, "would unpack to"),
    Attack("an index that leads outside", _index(TABLE, 0, 1 << 40, 10, 10), "leads outside", TABLE),
    Attack("an index that wraps around", _index(TABLE, 2**64 - 8, 16, 0, 10), "leads outside", TABLE),
    Attack("an index of chunks left out", _index(TABLE, 2**64 - 1, 2**64 - 1, 0, 10), "leaves a chunk out", TABLE),
    Attack("chunks that overlap", _index(TABLE, 0, 60, 30, 60), "overlap", TABLE),
    Attack("offsets that descend", _offsets(60, 50, 10), "lead|do not run", "frames"),
    Attack("offsets below nothing", _offsets(-(2**62), 10, 20), "lead|do not run", "frames"),
    Attack("offsets beyond the array", _offsets(0, 2**62, 2**62 + 1), "lead|do not run", "frames"),
    Attack("a playlist for a video", _video(PLAYLIST), "cannot be decoded", "frames"),
    Attack("video of zeros without end", _array(VIDEO, lambda m: m.update(shape=[1 << 40])), "is the most", "frames"),
    Attack(
        "a group that is an array", lambda f: f.edit_root(lambda m: m.update(node_type="array")), "is no Zarr v3 group"
    ),
    Attack("an older Zarr", lambda f: f.edit_root(lambda m: m.update(zarr_format=2)), "is no Zarr v3 group"),
    Attack(
        "pictures of no size",
        lambda f: f.edit_root(lambda m: m["attributes"].update(image_size=["a", 2])),
        "image_size",
    ),
    Attack(
        "a rate of nothing", lambda f: f.edit_root(lambda m: m["attributes"].update(sample_rate_hz=0)), "sample_rate_hz"
    ),
    Attack("bodies that are a number", lambda f: f.edit_root(lambda m: m["attributes"].update(bodies=3)), "bodies"),
    Attack(
        "fewer bodies than it has poses of",
        lambda f: f.edit_root(lambda m: m["attributes"].update(bodies=["pelvis"])),
        "along 'body', its group tells of 1",
    ),
    Attack("no columns", _array(TABLE, lambda m: m["attributes"].pop("columns")), "columns and names 0", TABLE),
    Attack("columns without names", _array(TABLE, lambda m: m["attributes"].update(columns=[{}])), "columns", TABLE),
    Attack(
        "metadata nested without end",
        lambda f: f.write("zarr.json", b'{"attributes":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
        "nested more than",
    ),
    Attack("a key twice", lambda f: f.write("zarr.json", b'{"zarr_format": 3, "zarr_format": 2}'), "twice"),
    Attack("metadata that is no text", lambda f: f.write("zarr.json", b"\xff\xfe{}"), "not UTF-8"),
    Attack("infinite metadata", lambda f: f.write("zarr.json", b'{"zarr_format": Infinity}'), "is no number"),
)
