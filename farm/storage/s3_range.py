"""Whether an answer to a range request holds the bytes that were asked for."""

from __future__ import annotations

import re

from botocore.exceptions import IncompleteReadError

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def part_asked_for(body: bytes, content_range: str | None, asked: tuple[int, int]) -> bytes:
    """The asked-for part of an answer's body.

    Args:
        body: What came.
        content_range: The header of that name; None where the server ignored the range and sent the whole object,
            as HTTP permits.
        asked: First and last byte; the last may lie beyond the object's end.

    Raises:
        IncompleteReadError: The answer holds other bytes, or fewer, than it had to.
    """
    first, last = asked
    if content_range is None:
        return body[first : last + 1]
    found = _CONTENT_RANGE.fullmatch(content_range.strip())
    if found is None:
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=last - first + 1)
    begin, end = int(found[1]), int(found[2])
    due_end = last if found[3] == "*" else min(last, int(found[3]) - 1)
    if (begin, end) != (first, due_end) or len(body) != end - begin + 1:
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=due_end - first + 1)
    return body
