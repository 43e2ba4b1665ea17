"""JSON from strangers: one meaning for each document, and bounded memory.

`json` alone takes the last of two equal keys (another reader may take the first),
reads NaN and Infinity, guesses UTF-16, and makes 32 bytes and more of every two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

MAX_VALUES = 2_000_000
"""Numbers, words, lists and mappings in one document. A commit of 4096 gaits with 200 columns has 0.9 million."""

MAX_DEPTH = 64
"""Levels of lists and mappings; a shard's metadata has nine."""

MAX_INTEGER = 2**64
"""No whole number of the format is larger; JSON's own may be as long as the document."""


def parse(data: bytes, *, max_values: int = MAX_VALUES) -> Any:
    """The value of a JSON document.

    Raises:
        ValueError: It is not UTF-8, not JSON, or not ours: a key twice, NaN or Infinity, a number beyond 64 bits,
            more than `max_values` values or `MAX_DEPTH` levels, half of a surrogate pair.
    """
    # Counting separators before parsing bounds what the parser can make of it; those inside words count too.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > max_values:
        raise ValueError(f"holds more than {max_values} values")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON at byte {error.pos}: {error.msg}") from None
    except ValueError as error:
        raise ValueError(_explained(str(error))) from None
    _check(value)
    return value


def _explained(message: str) -> str:
    """Python's own words for a number of thousands of digits are about its settings."""
    return "holds a number beyond 64 bits" if "integer string conversion" in message else message


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise ValueError(f"has the key {twice[:80]!r} twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is no number")


def _check(root: Any) -> None:
    """What JSON's grammar allows and no reader of ours expects."""
    level = [root]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
                inner += value
            elif isinstance(value, list):
                inner += value
            else:
                _check_leaf(value)
        if not inner:
            return
        level = inner
    raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")


def _check_leaf(value: Any) -> None:
    if isinstance(value, str):
        if not value.isascii() and any(0xD800 <= ord(letter) < 0xE000 for letter in value):
            raise ValueError("holds half of a surrogate pair, which no text may")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("holds a number beyond what 64 bits can say")
    elif isinstance(value, int) and not -MAX_INTEGER < value < MAX_INTEGER:
        raise ValueError("holds a number beyond 64 bits")
