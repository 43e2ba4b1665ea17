"""docs/pulling.md says what the code does: every example on it is run, and its numbers are the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.commands.take import ASK_BYTES
from farm.dataset.pull import JOBS, MEMORY_BYTES, REQUESTS
from farm.dataset.pull_estimate import LOOK_SHARDS
from farm.dataset.ranges import Economy
from farm.dataset.reader import GaitDataset
from farm.dataset.schema import VIDEO_BLOCK_BYTES
from farm.dataset.verify import verify
from tests.contracts.sources import ROOT
from tests.datasets import make_dataset
from tests.samples import make_campaign

PAGE = (ROOT / "docs" / "pulling.md").read_text("utf-8")


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    make_dataset(str(folder / "walks"), make_campaign(samples=24, gaits_per_shard=8, mask=False), n_samples=(30, 40))
    return folder


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_command_runs(walks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(walks)
    commands = [line for block in _blocks("bash") for line in block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        program, *arguments = shlex.split(command)
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert program == "gaitfarm"
        assert result.exit_code == 0, (command, result.stdout, result.stderr)
        target = arguments[2]
        if "--dry-run" in arguments:
            assert "gaits of" in result.stdout
            assert not Path(target).exists()
        else:
            assert verify(target).faults == ()
            assert GaitDataset(target).index()
    assert len(GaitDataset("some").index()) == 6


def test_every_python_example_runs(walks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(walks)
    (code,) = _blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "docs/pulling.md", "exec"), names)
    assert len(GaitDataset("slice").index()) == 5
    assert GaitDataset("slice").manifest.views == ("side",)


def test_the_numbers_are_the_code_s() -> None:
    economy = Economy()
    text = " ".join(PAGE.split())
    for words in (
        f"at most {LOOK_SHARDS} shards are concerned",
        f"more than {ASK_BYTES // 10**9} GB asks",
        f"no more than {economy.gap_bytes >> 10} KiB apart",
        f"more than {economy.whole_share * 100:.0f} % is needed",
        f"blocks of {VIDEO_BLOCK_BYTES >> 10} KiB",
        f"Up to {JOBS} shards (`--jobs`) are on their way side by side, with up to {REQUESTS} requests",
        f"about {MEMORY_BYTES >> 30} GB of memory",
    ):
        assert words in text, words
