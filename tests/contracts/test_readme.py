"""The README's examples, held to the code: campaigns validate, commands and their options exist, files are there.

Its Python runs on a real dataset in `tests/integration/test_end_to_end.py`.
"""

from __future__ import annotations

import re
import shlex

import pytest
import typer
import yaml

from farm.cli import app
from farm.config import campaign_from_mapping
from farm.sampling.conditions import CONDITIONS
from tests.contracts.sources import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def gaitfarm_lines() -> list[str]:
    """Every `gaitfarm ...` line of the shell examples, without its comment and its continuation marks."""
    joined = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("gaitfarm ")]


def test_there_are_examples() -> None:
    assert len(blocks("yaml")) >= 1
    assert len(blocks("python")) >= 2
    assert len(gaitfarm_lines()) >= 10


@pytest.mark.parametrize("text", blocks("yaml"))
def test_campaigns_are_valid(text: str) -> None:
    campaign = campaign_from_mapping(yaml.safe_load(text), source="README.md")
    assert {share.condition for share in campaign.conditions} <= set(CONDITIONS)


@pytest.mark.parametrize("line", gaitfarm_lines())
def test_commands_and_options_exist(line: str) -> None:
    _, command, *arguments = shlex.split(line, comments=True)
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert command in commands
    if hasattr(commands[command], "commands"):  # a group, such as `gaitfarm archive`
        commands, (command, *arguments) = commands[command].commands, arguments
        assert command in commands
    context = commands[command].make_context(command, list(arguments), resilient_parsing=False)
    assert context.params


@pytest.mark.parametrize("text", blocks("python"))
def test_python_compiles(text: str) -> None:
    compile(text, "README.md", "exec")


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", README))
    assert named <= targets


def test_files_that_are_linked_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:farm|scenes|workers|tools|docs|tests)/[\w/.]+)`", README))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
