"""JSON with two meanings, or with more of it than fits, is refused; what is sound comes back as it was."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.dataset.manifest import parse_record
from farm.dataset.strict_json import parse
from farm.errors import FormatError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@given(JSON)
def test_what_is_sound_comes_back(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 1}', "the key 'a' twice"),
        (b'[{"b": {"a": 1, "a": 2}}]', "the key 'a' twice"),
        (b"[NaN]", "NaN, which is no number"),
        (b"[-Infinity]", "-Infinity, which is no number"),
        (b"[1e999]", "beyond what 64 bits"),
        (b"[18446744073709551616]", "beyond 64 bits"),
        (b"[" + b"9" * 100_000 + b"]", "beyond 64 bits"),
        (b"[" * 200 + b"]" * 200, "nested more than 64"),
        (b"[" * 1_000_000, "nested more than 64"),
        (b'{"a":' * 500_000, "nested more than 64"),
        (b"\xff", "not UTF-8 at byte 0"),
        ('"ä"'.encode("latin-1"), "not UTF-8 at byte 1"),
        ("[1]".encode("utf-16"), "not UTF-8"),
        ("[1]".encode("utf-32-le"), "not JSON"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b"", "not JSON at byte 0"),
        (b"[1] [2]", "not JSON at byte 4"),
        (b"[0" + b",0" * 2_000_000 + b"]", "more than 2000000 values"),
    ],
)
def test_what_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(data)
    with pytest.raises(FormatError, match=message):
        parse_record(data, "here")


def test_a_document_of_empty_lists_takes_little_memory() -> None:
    data = b"[" + b"[]," * 20_000_000 + b"[]]"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="values"):
            parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        value = parse(data)
    except ValueError:
        return
    json.dumps(value, allow_nan=False).encode()
