"""docs/scale.md, held to the code: its tables are what the calculator says, its example what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.config import load_campaign
from farm.costs import Prices, assumed_figures, estimate
from farm.planning import plan_of, progress
from tests.contracts.sources import ROOT

PAGE = (ROOT / "docs" / "scale.md").read_text("utf-8")


def _table(heading: str) -> list[list[str]]:
    """Cells of the table whose first line begins so, without its two lines of heading."""
    lines = PAGE[PAGE.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _numbers(cells: list[str]) -> list[float]:
    return [float(re.sub(r"[^0-9.]", "", cell)) for cell in cells]


def test_requests_are_what_the_calculator_says() -> None:
    conditions = load_campaign("conditions", samples=1_430_000)
    for row in _table("| workers | samples/s"):
        workers, samples_per_s, *writes = _numbers(row)
        for gaits_per_shard, told in zip((8, 32, 100), writes, strict=True):
            campaign = conditions.model_copy(update={"gaits_per_shard": gaits_per_shard})
            state = progress(plan_of(campaign), ())
            found = estimate(campaign, state, assumed_figures(campaign), cores=int(workers), prices=Prices())
            assert found.writes_per_s == pytest.approx(told, rel=0.03)
            assert samples_per_s == pytest.approx(1_430_000 / (found.wall_hours * 3600), rel=0.01)


def test_objects_are_what_the_calculator_says() -> None:
    conditions = load_campaign("conditions", samples=1_430_000)
    for row in _table("| g | shards"):
        gaits_per_shard, shards, millions, size = _numbers(row)
        campaign = conditions.model_copy(update={"gaits_per_shard": int(gaits_per_shard)})
        state = progress(plan_of(campaign), ())
        found = estimate(campaign, state, assumed_figures(campaign), cores=1, prices=Prices())
        assert found.shards == shards
        assert found.objects_left == pytest.approx(millions * 1e6, rel=0.01)
        unit = 1e3 if "kB" in row[-1] else 1e6
        assert found.bytes_left / found.objects_left == pytest.approx(size * unit, rel=0.05)


def test_the_example_prints_what_the_page_shows(tmp_path: Path) -> None:
    example = r"```sh\ngaitfarm (generate [^\n]*--dry-run[^\n]*)\n```\n\n```text\n(.*?)```"
    command, shown = re.findall(example, PAGE, re.DOTALL)[0]
    arguments = [str(tmp_path / "none") if word.startswith("s3://") else word for word in shlex.split(command)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert done.output.split() == shown.split()
