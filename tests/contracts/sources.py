"""The project's own Python files, parsed once for every rule that is held over them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("farm", "scenes", "workers")


@cache
def source_files(*folders: str) -> tuple[str, ...]:
    """Paths relative to the root, sorted, of every Python file in these folders."""
    found = [path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted(path for path in found if "__pycache__" not in path))


@cache
def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"), filename=path)


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of every import, wherever it stands: also in functions and under TYPE_CHECKING.

    `from a.b import c` yields `a.b.c`, which is right if c is a module and harmless if it is a name in one.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("importlib.import_module", "import_module", "__import__"):
            target = node.args[0] if node.args else None
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                yield node.lineno, target.value


def dotted(node: ast.AST) -> str:
    """`np.random.rand` of the expression np.random.rand; empty if it is not a plain chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def _called(node: ast.Call) -> str:
    return dotted(node.func)
