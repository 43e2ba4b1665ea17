"""Answers to range requests are believed only where they hold what was asked for."""

from __future__ import annotations

import pytest
from botocore.exceptions import IncompleteReadError

from farm.storage.s3_range import part_asked_for


@pytest.mark.parametrize(
    ("body", "header", "asked", "expected"),
    [
        (b"234", "bytes 2-4/10", (2, 4), b"234"),
        (b"89", "bytes 8-9/10", (8, 20), b"89"),
        (b"234", "bytes 2-4/*", (2, 4), b"234"),
        (b"0123456789", None, (2, 4), b"234"),  # the server ignored the range
        (b"0123456789", None, (12, 14), b""),
    ],
)
def test_parts_that_are_right(body: bytes, header: str | None, asked: tuple[int, int], expected: bytes) -> None:
    assert part_asked_for(body, header, asked) == expected


@pytest.mark.parametrize(
    ("body", "header", "asked"),
    [
        (b"23", "bytes 2-4/10", (2, 4)),  # short
        (b"23", "bytes 2-3/10", (2, 4)),  # honest, and not what was asked for
        (b"345", "bytes 3-5/10", (2, 4)),
        (b"2345", "bytes 2-4/10", (2, 4)),
        (b"234", "lines 2-4/10", (2, 4)),
        (b"", "", (2, 4)),
    ],
)
def test_parts_that_are_wrong(body: bytes, header: str, asked: tuple[int, int]) -> None:
    with pytest.raises(IncompleteReadError):
        part_asked_for(body, header, asked)
