"""The container recipe, as far as it can be held to account without building it: no daemon is asked for here."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "container" / "Dockerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) in order; comments are dropped and continued lines joined."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(i for i, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def test_every_instruction_is_known() -> None:
    known = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "CMD"}
    assert {name for name, _ in instructions()} <= known
    assert [name for name, _ in instructions()][:2] == ["ARG", "FROM"]


def test_its_commands_are_shell() -> None:
    for name, command in instructions():
        if name == "RUN":
            checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stderr


def test_what_it_copies_is_there_and_reaches_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == sent
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert {"farm", "scenes", "workers"} <= copied


def test_it_installs_what_the_project_pins_and_the_readme_says() -> None:
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert all("--constraint constraints.txt" in rest for rest in installs)
    assert "'.[farm,train]'" in installs[-1]
    assert "pip install '.[farm,train]'" in (ROOT / "README.md").read_text("utf-8")
    python = re.search(r"ARG PYTHON=(\d+\.\d+)", TEXT)
    assert python is not None
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    from packaging.specifiers import SpecifierSet

    assert SpecifierSet(allowed).contains(python[1])


def test_it_has_the_drawing_libraries_of_the_other_machines() -> None:
    packages = set(re.findall(r"\blib[\w.-]+", " ".join(rest for name, rest in last_stage() if name == "RUN")))
    wanted = set(re.findall(r"missing\+=\((lib[\w.-]+)\)", (ROOT / "tools" / "setup_system.sh").read_text("utf-8")))
    assert packages & {"libegl1", "libgl1", "libgl1-mesa-dri", "libegl-mesa0"} == wanted & packages
    assert wanted <= packages
    cluster = " ".join(yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))["setup_commands"])
    assert set(re.findall(r"\blib[a-z][\w.-]+", cluster)) <= packages


def test_it_runs_as_nobody_special_and_holds_no_secret() -> None:
    users = [rest for name, rest in last_stage() if name == "USER"]
    assert users == ["1000:1000"]
    assert not re.search(r"(?i)secret|password|aws_access|AKIA", TEXT)
    assert not [rest for name, rest in instructions() if name == "ADD"]
