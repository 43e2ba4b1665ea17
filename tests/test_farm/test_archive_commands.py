"""`gaitfarm archive info`, `plot` and `merge`, as they are called."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.control.archive import shipped_archive
from farm.control.archive_file import read_archive, write_archive
from farm.control.archive_info import some_of


def run(*arguments: str | Path) -> Result:
    wide = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return CliRunner().invoke(app, ["archive", *map(str, arguments)], env=wide)


def test_info_counts_the_shipped_archive() -> None:
    result = run("info", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    rows = shipped_archive()
    assert found["walkers"] == len(rows) == sum(found["conditions"].values()) == sum(found["body_models"].values())
    assert found["conditions"]["healthy"] == sum(row.condition == "healthy" for row in rows)
    assert found["speed_min"] == min(row.speed_m_s for row in rows)
    assert found["speed_max"] == max(row.speed_m_s for row in rows)
    assert "recheck" not in found


def test_info_for_people_names_every_condition() -> None:
    result = run("info")
    assert result.exit_code == 0
    assert f"{len(shipped_archive())} walkers" in result.stdout
    assert {row.condition for row in shipped_archive()} <= set(result.stdout.split())


def test_merge_takes_each_walker_once(tmp_path: Path) -> None:
    rows = shipped_archive()
    new = replace(rows[0], name="new", seed=rows[0].seed + 1)
    write_archive(tmp_path / "old.parquet", rows[:5])
    write_archive(tmp_path / "more.parquet", [*rows[3:], new])
    result = run("merge", tmp_path / "old.parquet", tmp_path / "more.parquet", "--out", tmp_path / "old.parquet")
    assert result.exit_code == 0
    assert "2 stood in several" in result.stdout
    names = [row.name for row in read_archive(tmp_path / "old.parquet")]
    assert sorted(names) == sorted([row.name for row in rows] + ["new"])


def test_plot_draws_every_condition_in_a_colour_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    result = run("plot", "--out", path)
    assert (result.exit_code, result.stdout.strip()) == (0, str(path))
    picture = np.asarray(Image.open(path).convert("RGB"), dtype=int)
    bars = picture[:, -picture.shape[1] // 4 :]
    colours, counts = np.unique(bars.reshape(-1, 3), axis=0, return_counts=True)
    vivid = (colours.max(axis=1) - colours.min(axis=1) > 30) & (counts > 60)
    greys = 2
    assert vivid.sum() >= len({row.condition for row in shipped_archive()}) - greys


@pytest.mark.parametrize("count", [1, 4, 10_000])
def test_a_choice_is_of_different_walkers_and_the_same_again(count: int) -> None:
    rows = shipped_archive()
    chosen = some_of(rows, count, seed=3)
    assert len({row.name for row in chosen}) == min(count, len(rows))
    assert chosen == some_of(rows, count, seed=3)
    if count == 4:
        assert any(some_of(rows, count, seed=seed) != chosen for seed in range(4, 8))
