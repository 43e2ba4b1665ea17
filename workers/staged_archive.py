"""Looking through a staged archive before numpy unpacks it: it may claim more than it holds.

What we stage is an .npz without compression (`workers.staging.to_bytes`), so that
nothing in it is larger than itself; numpy reserves what an array's header declares,
and a zip's own compression may hide a thousand times its size.
"""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np
from numpy.lib import format as npy

from farm.dataset.chunks import chunk_fault
from farm.dataset.guard import MAX_CHUNK_BYTES
from farm.dataset.pack import PackedPicture

PICTURE_TYPES = ("uint8", "uint16")
"""What pictures, masks and depth are stored as."""


def check_archive(data: bytes) -> None:
    """Refuse an archive that would take more memory than it has bytes.

    Raises:
        ValueError: It is no archive, is packed, or an array in it declares more than there is.
    """
    try:
        _check_entries(data)
    except ValueError:
        raise
    except Exception as error:  # damaged archives and headers bring out of zipfile and numpy whatever lies deepest
        raise ValueError(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}") from None


def _check_entries(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        total = 0
        for entry in archive.infolist():
            total += entry.file_size
            stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
            if not stored or total > len(data):
                raise ValueError(f"{entry.filename[:80]!r} is packed, or larger than the archive that holds it")
            with archive.open(entry) as file:
                version = npy.read_magic(file)
                read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
                if read_header is None:
                    raise ValueError(f"{entry.filename[:80]!r} has the .npy version {version}, known are 1.0 and 2.0")
                shape, _, dtype = read_header(file)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize > entry.file_size:
                    raise ValueError(f"{entry.filename[:80]!r} declares {list(shape)} of {dtype}, which is not there")


def check_picture(picture: PackedPicture) -> None:
    """Refuse a packed picture that would unpack to anything but its shape.

    Raises:
        ValueError: It would, or it is of another type than pictures are.
    """
    if picture.dtype not in PICTURE_TYPES or not all(type(size) is int and size >= 0 for size in picture.shape):
        raise ValueError(f"a picture of {picture.dtype!r} {picture.shape!r} is none of ours")
    n_bytes = math.prod(picture.shape) * np.dtype(picture.dtype).itemsize
    fault = chunk_fault(memoryview(picture.data), len(picture.data), "zstd", n_bytes)
    if fault or n_bytes > MAX_CHUNK_BYTES:
        raise ValueError(f"a picture {fault or 'is too large'}")
