"""Chunks as they lie in an object: the sharding index at its end, and the first bytes of each chunk.

The layouts are those of the Zarr v3 sharding codec (https://zarr-specs.readthedocs.io,
"sharding_indexed"), of a zstd frame (RFC 8878) and of a Blosc 1 buffer
(README_HEADER.rst of c-blosc). Codecs reserve what a chunk declares: numcodecs 0.16.6
adds up the declared sizes of all frames of a chunk, and unpacks a frame without a
declared size for as long as it goes on.
"""

from __future__ import annotations

import struct

import google_crc32c
import numpy as np
from numpy.typing import NDArray

MAX_SPREAD = 1 << 12
"""Bytes that packing may add to a chunk, beside a 64th of it: headers, checksums, a frame's blocks."""

_ENTRY_BYTES = 16
_CRC_BYTES = 4
_NO_CHUNK = 2**64 - 1
"""What the index says of a chunk that was left out as all padding; our writer leaves none out."""

_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_BLOCK_RLE = 1
_ZSTD_BLOCK_RESERVED = 3
_BLOSC_HEADER_BYTES = 16


def index_bytes(chunks: int) -> int:
    """Bytes of the index of so many chunks."""
    return chunks * _ENTRY_BYTES + _CRC_BYTES


def read_spans(index: bytes, chunks: int, stored_bytes: int) -> NDArray[np.int64]:
    """Begin and end of each chunk in an object of `stored_bytes`: `[chunks, 2]` int64.

    Raises:
        ValueError: The checksum is wrong, a chunk is left out, lies outside the object or over another one.
    """
    if len(index) != index_bytes(chunks):
        raise ValueError(f"has {len(index)} bytes, must have {index_bytes(chunks)}")
    entries, crc = index[:-_CRC_BYTES], index[-_CRC_BYTES:]
    if google_crc32c.value(entries) != int.from_bytes(crc, "little"):
        raise ValueError("does not match its checksum")
    table = np.frombuffer(entries, dtype="<u8").reshape(chunks, 2)
    if np.any(table == _NO_CHUNK):
        raise ValueError("leaves a chunk out; ours are all written")
    end = stored_bytes - len(index)
    begins, lengths = table[:, 0], table[:, 1]
    # Each is compared alone before they are added: two numbers of 64 bits may add up to a small one.
    if np.any(begins > end) or np.any(lengths > end) or np.any(begins + lengths > end):
        raise ValueError(f"leads outside the object's {end} bytes of chunks")
    order = np.argsort(begins, kind="stable")
    if np.any((begins + lengths)[order][:-1] > begins[order][1:]):
        raise ValueError("has chunks that overlap")
    return np.stack([begins, begins + lengths], axis=1).astype(np.int64)


def chunk_fault(
    data: memoryview, stored_bytes: int, compressor: str, chunk_bytes: int, *, crc32c: bool = False
) -> str | None:
    """Why a chunk may not be unpacked, or None.

    Args:
        data: The chunk as it is stored, whole.
        stored_bytes: Its size by the index.
        chunk_bytes: What it must unpack to.
        crc32c: Whether its last four bytes are a checksum of the others.
    """
    if len(data) != stored_bytes:
        return f"is cut off at {len(data)} of {stored_bytes} bytes"
    if crc32c:
        data, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
        # `bytes`, because google_crc32c takes no view; a chunk is one gait's, and small beside what it unpacks to.
        if len(crc) != _CRC_BYTES or google_crc32c.value(bytes(data)) != int.from_bytes(crc, "little"):
            return "does not match its checksum"
    if compressor == "none":
        return None if len(data) == chunk_bytes else f"has {len(data)} bytes, must have {chunk_bytes}"
    declared = _zstd_size(data) if compressor == "zstd" else _blosc_size(data)
    if declared is None:
        return f"is not one whole {compressor} frame that says its size"
    if declared != chunk_bytes:
        return f"would unpack to {declared} bytes, must be {chunk_bytes}"
    return None


def zstd_has_checksum(data: memoryview) -> bool:
    """Whether a zstd frame ends with a checksum of what it unpacks to, which whoever unpacks it compares."""
    return len(data) > 4 and bool(data[4] >> 2 & 1)


def _zstd_size(data: memoryview) -> int | None:
    """What a chunk unpacks to, if it is exactly one zstd frame and says so; else None."""
    if len(data) < 6 or int.from_bytes(data[:4], "little") != _ZSTD_MAGIC:
        return None
    descriptor = data[4]
    flag, single, checksum, dictionary = descriptor >> 6, descriptor >> 5 & 1, descriptor >> 2 & 1, descriptor & 3
    width = (1 if single else 0, 2, 4, 8)[flag]
    at = 5 + (not single)
    if dictionary or not width or len(data) < at + width:
        return None
    size = int.from_bytes(data[at : at + width], "little") + (256 if flag == 1 else 0)
    at += width
    last = 0
    while not last:  # the blocks, by their headers of three bytes: the frame must end where the chunk ends
        if len(data) < at + 3:
            return None
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        if kind == _ZSTD_BLOCK_RESERVED:
            return None
        at += 3 + (1 if kind == _ZSTD_BLOCK_RLE else length)
    return size if at + 4 * checksum == len(data) else None


def _blosc_size(data: memoryview) -> int | None:
    """What a chunk unpacks to by its Blosc header, if the header's packed size is the chunk's; else None."""
    if len(data) < _BLOSC_HEADER_BYTES:
        return None
    unpacked, _, packed = struct.unpack_from("<III", data, 4)
    return int(unpacked) if packed == len(data) else None
