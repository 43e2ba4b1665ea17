"""What the package reads beside its code is declared in pyproject.toml, so that an installed copy has it, too."""

import fnmatch
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("farm", "scenes", "workers")


def test_every_data_file_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    files = [
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
    assert any(path.suffix == ".csv" for path in files)
    lost: list[str] = []
    for path in files:
        package = next(folder for folder in path.parents if (folder / "__init__.py").exists())
        name = ".".join(package.relative_to(ROOT).parts)
        patterns = [*declared["*"], *declared.get(name, [])]
        inside = path.relative_to(package).as_posix()
        # setuptools' * does not cross folders, fnmatch's does
        if not any(
            fnmatch.fnmatch(inside, pattern) and inside.count("/") == pattern.count("/") for pattern in patterns
        ):
            lost.append(str(path.relative_to(ROOT)))
    assert not lost, f"not in [tool.setuptools.package-data]: {lost}"
