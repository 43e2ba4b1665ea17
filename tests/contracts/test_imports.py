"""Who may import whom. Engines stay in their rooms, so that a reader installs without OpenSim, GL, Ray or torch.

Lowest first: farm -> scenes -> workers -> farm/cli.py (the one written exception) -> tools, tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.contracts.sources import ROOMS, imported_modules, parsed, source_files

FORBIDDEN_ROOMS = {"farm": ("scenes", "workers", "tools", "tests"), "scenes": ("workers", "tools", "tests"),
                   "workers": ("tools", "tests")}  # fmt: skip
ROOM_EXCEPTIONS = {"farm/cli.py": ("workers",)}

ENGINE_HOMES: dict[str, tuple[str, ...]] = {
    "opensim": ("workers/simulate/",),
    "pyrender": ("workers/render/",),
    "OpenGL": ("workers/render/",),
    "pybullet": ("scenes/physics_engine.py",),
    "pybullet_utils": ("scenes/physics_engine.py",),
    # doctor.py imports ray and torch in a child process, to see whether they load
    "ray": (
        "workers/actors.py",
        "workers/machines.py",
        "workers/meters.py",
        "workers/ray_session.py",
        "workers/propose/tasks.py",
        "workers/search/tasks.py",
        "workers/spot_watch.py",
        "workers/train/",
        "workers/doctor.py",
        "farm/dataset/ray_data.py",
    ),
    "torch": ("workers/train/", "workers/propose/fit.py", "workers/doctor.py", "farm/dataset/torch_data.py"),
    "xarray": ("farm/dataset/xarray_data.py",),
    "typer": ("farm/cli.py", "farm/commands/", "farm/terminal.py"),
}
"""Library -> the files and folders (with a slash) that may import it."""


def faults(path: str, tree: ast.AST) -> list[str]:
    """Every import of `path` that breaks a rule, as `file:line imports name (rule)`."""
    room = path.split("/")[0]
    found = []
    for line, name in imported_modules(tree):
        if name.startswith("."):
            found.append(f"{path}:{line} imports {name} (imports are absolute)")
            continue
        top = name.split(".")[0]
        if top in FORBIDDEN_ROOMS.get(room, ()) and top not in ROOM_EXCEPTIONS.get(path, ()):
            found.append(f"{path}:{line} imports {name} ({room} may not import {top})")
        homes = ENGINE_HOMES.get(top)
        if homes is not None and not any(path == home or (home[-1] == "/" and path.startswith(home)) for home in homes):
            found.append(f"{path}:{line} imports {name} (only {', '.join(homes)} may)")
    return found


def test_every_import_keeps_to_its_room() -> None:
    found = [fault for path in source_files(*ROOMS) for fault in faults(path, parsed(path))]
    assert not found, "\n" + "\n".join(found)


def test_cli_imports_workers_only_inside_functions() -> None:
    """`gaitfarm info` must start where no engine is installed."""
    top_level = ast.Module([node for node in parsed("farm/cli.py").body if not isinstance(node, ast.FunctionDef)], [])
    heavy = ("workers", "scenes", *(name for name in ENGINE_HOMES if name != "typer"))
    assert [name for _, name in imported_modules(top_level) if name.split(".")[0] in heavy] == []


ADAPTERS = ("torch_data", "ray_data", "xarray_data")
"""Files of farm/dataset/ that hand gaits to a library which a reader need not have."""


def test_adapters_are_imported_only_when_they_are_asked_for() -> None:
    """By `GaitDataset.to_torch` and its like, inside the function; elsewhere for the type checker alone."""
    at_import = {
        f"{path} imports {name}"
        for path in source_files(*ROOMS)
        for statement in _run_at_import(parsed(path))
        for _, name in imported_modules(statement)
        if set(name.split(".")) & set(ADAPTERS)
    }
    assert at_import == set()
    functions = [node for node in ast.walk(parsed("farm/dataset/reader.py")) if isinstance(node, ast.FunctionDef)]
    asked = {name.split(".")[2] for node in functions for _, name in imported_modules(node) if "_data" in name}
    assert asked == set(ADAPTERS)


def _run_at_import(node: ast.AST) -> Iterator[ast.stmt]:
    """The import statements that run when the file is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef) and not _is_for_types(child):
            yield from _run_at_import(child)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("farm/gait/x.py", "import opensim", "only workers/simulate/ may"),
        ("farm/gait/x.py", "def f():\n    from workers.write import commit_shard", "farm may not import workers"),
        ("farm/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import scenes.body", "scenes"),
        ("scenes/x.py", "import OpenGL.GL as gl", "only workers/render/ may"),
        ("scenes/x.py", "from workers import sample", "scenes may not import workers"),
        ("scenes/occlusion.py", "import pybullet", "only scenes/physics_engine.py may"),
        ("workers/render/x.py", "from ray.util import metrics", "workers/actors.py"),
        ("workers/x.py", "import importlib\nimportlib.import_module('pyrender')", "only workers/render/ may"),
        ("workers/x.py", "from . import write", "imports are absolute"),
        ("workers/x.py", "import tests.samples", "workers may not import tests"),
    ],
)
def test_the_rule_sees(path: str, source: str, message: str) -> None:
    found = faults(path, ast.parse(source))
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("workers/simulate/x.py", "import opensim\nfrom farm.records import Trajectory"),
        ("workers/train/loop.py", "import ray.train\nimport torch"),
        ("farm/cli.py", "def f():\n    from workers.doctor import examine"),
        ("scenes/physics_engine.py", "import pybullet"),
        ("farm/gait/x.py", "import rayleigh"),
    ],
)
def test_the_rule_allows(path: str, source: str) -> None:
    assert faults(path, ast.parse(source)) == []
