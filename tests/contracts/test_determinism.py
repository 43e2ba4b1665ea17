"""Nothing that decides a sample may look at a clock, a global generator, a hash seed or an unordered collection.

The same campaign and seed must give the same gait on any machine; this scan finds
the usual leaks before a test on two machines would. Each exception is written
down with its reason, and an exception that nobody needs any more fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.contracts.sources import dotted, imported_modules, parsed, source_files

DETERMINISTIC_ROOMS = ("farm", "scenes", "workers/simulate", "workers/render")
DETERMINISTIC_FILES = ("workers/write.py", "workers/stages.py")
NO_SAMPLE_DECIDED = ("farm/storage/", "farm/cli.py", "farm/terminal.py")
"""Parts of these rooms that only carry bytes or words: temporary names and waiting times may be random there."""

CLOCKS_AND_CHANCE = ("time", "uuid", "random", "secrets")
"""Modules whose import is a leak, or needs a reason."""

SEEDED = {"Generator", "Philox", "PCG64", "SeedSequence", "BitGenerator"}
"""The names of numpy.random that take their seed from the caller."""

LEAKING_CALLS = {
    "hash": "differs from process to process for strings; use hashlib",
    "id": "is an address",
    "os.urandom": "is chance",
    "os.listdir": "has no order; sort it",
    "os.scandir": "has no order; sort it",
    "datetime.now": "is a clock",
    "datetime.utcnow": "is a clock",
    "datetime.today": "is a clock",
    "date.today": "is a clock",
    "datetime.datetime.now": "is a clock",
    "datetime.date.today": "is a clock",
}
UNORDERED_METHODS = {"iterdir", "glob", "rglob"}
ORDER_BLIND = {"sorted", "set", "frozenset", "len", "sum", "min", "max", "any", "all"}
"""Callers to whom the order of what they are given does not matter."""

ALLOWED: dict[tuple[str, str], str] = {
    ("farm/pipeline.py", "time"): "stage durations, reported and never used",
    ("workers/simulate/forward.py", "time"): "the wall-clock budget that ends a stuck integration, and wall_s",
    ("farm/dataset/claim.py", "time"): "how long another driver's claim has stood still",
    ("farm/dataset/claim.py", "uuid"): "a driver's number in the election of the one writer",
    ("farm/dataset/create.py", "uuid"): "the dataset's id, drawn once at its creation",
    ("farm/dataset/create.py", "datetime.now"): "when the dataset was created, for people to read",
    ("farm/dataset/pull.py", "uuid"): "names an attempt; the pulled dataset's id is a hash of what was pulled",
    ("workers/simulate/twin/engine.py", "time"): "the same budget, of the compiled twin",
    ("workers/render/objects.py", "id"): "key of a cache of GL programs, which live as long as their context",
    ("workers/write.py", "uuid"): "names an attempt, so that two workers never write the same object",
}
"""(file, what) -> why it may."""


def leaks(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, what, why) of everything that could differ between two runs."""
    for line, name in imported_modules(tree):
        top = name.split(".")[0]
        if top in CLOCKS_AND_CHANCE:
            yield line, top, f"{top} is a clock or chance"
    calm = {id(argument) for node in ast.walk(tree) if _order_blind(node) for argument in _arguments(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            if name.startswith(("np.random.", "numpy.random.")) and name.split(".")[2] not in SEEDED:
                yield node.lineno, name, "takes no seed from the caller; use farm.seeds.generator"
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in LEAKING_CALLS:
                yield node.lineno, name, LEAKING_CALLS[name]
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if method in UNORDERED_METHODS and id(node) not in calm:
                yield node.lineno, method, "lists files in no order; wrap it in sorted()"
        for iterated in _iterated(node):
            if _is_set(iterated) and id(node) not in calm:
                yield iterated.lineno, "set", "is iterated without order; wrap it in sorted()"


def _order_blind(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) in ORDER_BLIND


def _arguments(node: ast.AST) -> list[ast.expr]:
    return node.args if isinstance(node, ast.Call) else []


def _iterated(node: ast.AST) -> list[ast.expr]:
    """What `node` goes through in order."""
    if isinstance(node, ast.For):
        return [node.iter]
    if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp):
        return [generator.iter for generator in node.generators]
    if isinstance(node, ast.Call):
        called = dotted(node.func)
        if called in ("list", "tuple", "enumerate", "iter", "map", "zip", "np.array", "np.stack", "dict.fromkeys"):
            return node.args
        if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            return node.args
    return []


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub):
        return _is_set(node.left) or _is_set(node.right)
    return isinstance(node, ast.Call) and dotted(node.func) in ("set", "frozenset")


def deterministic_files() -> list[str]:
    present = set(source_files("workers"))
    rooms = [path for path in source_files(*DETERMINISTIC_ROOMS) if not path.startswith(NO_SAMPLE_DECIDED)]
    return rooms + [path for path in DETERMINISTIC_FILES if path in present]


def test_deterministic_rooms_hold_no_clock_and_no_chance() -> None:
    found = [
        f"{path}:{line} {what}: {why}"
        for path in deterministic_files()
        for line, what, why in leaks(parsed(path))
        if (path, what) not in ALLOWED
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_allowance_is_still_needed() -> None:
    used = {(path, what) for path in deterministic_files() for _, what, _ in leaks(parsed(path))}
    assert sorted(set(ALLOWED) - used) == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import time", "time"),
        ("def f():\n    from uuid import uuid4", "uuid"),
        ("import random", "random"),
        ("np.random.rand(3)", "np.random.rand"),
        ("rng = np.random.default_rng()", "np.random.default_rng"),
        ("numpy.random.seed(1)", "numpy.random.seed"),
        ("hash('a')", "hash"),
        ("datetime.now()", "datetime.now"),
        ("for x in {1, 2}: pass", "set"),
        ("y = [x for x in set(names)]", "set"),
        ("y = list(set(a) | set(b))", "set"),
        ("', '.join({a for a in names})", "set"),
        ("for path in folder.glob('*'): pass", "glob"),
    ],
)
def test_the_scan_sees(source: str, what: str) -> None:
    assert [found for _, found, _ in leaks(ast.parse(source))] == [what]


@pytest.mark.parametrize(
    "source",
    [
        "rng: np.random.Generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(1)))",
        "for x in sorted({1, 2}): pass",
        "y = x in {1, 2}",
        "n = len(set(names))",
        "for path in sorted(folder.glob('*')): pass",
        "late = sorted(name for name in set(names))",
        "import timeit_of_mine",
    ],
)
def test_the_scan_allows(source: str) -> None:
    assert list(leaks(ast.parse(source))) == []
