"""Files stay short and have names of their own; the package carries what it needs."""

from __future__ import annotations

import tomllib
from importlib import resources

import yaml

from farm.config import SHIPPED_CAMPAIGNS, load_campaign
from tests.contracts.sources import ROOMS, ROOT, source_files

MAX_LINES = 500
HOMELESS = ("utils.py", "util.py", "helpers.py", "common.py", "misc.py")


def test_no_file_is_long() -> None:
    lengths = {
        path: len((ROOT / path).read_text("utf-8").splitlines()) for path in source_files(*ROOMS, "tests", "tools")
    }
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_file_is_a_drawer() -> None:
    assert [path for path in source_files(*ROOMS, "tests", "tools") if path.endswith(HOMELESS)] == []


def test_shipped_campaigns_are_in_the_package_and_valid() -> None:
    for name in SHIPPED_CAMPAIGNS:
        text = (resources.files("farm") / "campaigns" / f"{name}.yaml").read_text("utf-8")
        assert yaml.safe_load(text)["name"] == name
        assert load_campaign(name).samples >= 1


def test_console_script_and_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["scripts"] == {"gaitfarm": "farm.cli:main"}
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "farm.__version__"}


def test_constraints_pin_everything_that_the_project_asks_for() -> None:
    """Each direct dependency stands in constraints.txt, within the range of pyproject.toml."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    for text in asked:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} has no line in constraints.txt; run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement} and constraints.txt ({version}) disagree"
