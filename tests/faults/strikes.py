"""The book of what really struck: one line for each fault, appended by whoever dealt it, in whatever process.

A fault that was planned and never met anything is not in it. A line is written by
one `write` to a file opened for appending, so that lines of many processes never mix,
and before a process kills itself.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

STRIKES_VARIABLE = "GAITFARM_FAULT_STRIKES"


def note(kind: str, detail: str = "", *, book: Path | None = None) -> None:
    """Write down a fault; in the processes of a run the book is the one that the environment names."""
    path = book or Path(os.environ[STRIKES_VARIABLE])
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, (json.dumps({"kind": kind, "detail": detail}) + "\n").encode())
    finally:
        os.close(descriptor)


def tally(book: Path) -> Counter[str]:
    """How often each kind struck."""
    if not book.exists():
        return Counter()
    return Counter(json.loads(line)["kind"] for line in book.read_text("utf-8").splitlines())
