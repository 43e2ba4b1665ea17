"""Hostile shards through `gaitfarm export`: what breaks the format's laws is refused by name, and never a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

import numcodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from farm.cli import app
from tests.datasets import make_dataset
from tests.samples import make_campaign
from tests.security.forge import Forger

CAMPAIGN = make_campaign(samples=2, gaits_per_shard=2, views=("side",), image_size=(34, 32), mask=False)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN, n_samples=(200,))  # long enough to have events
    return folder


def forge_events(root: Path, array: str, dtype: str, value: float) -> None:
    """Put `value` in the place of the first gait's first event."""
    forger = Forger(root)
    zstd = numcodecs.Zstd(level=3, checksum=True)
    first, *others = forger.bare_chunks(array)
    events: NDArray[np.generic] = np.frombuffer(zstd.decode(first), dtype=dtype).copy()
    assert len(events), "the gait has an event"
    events[0] = value
    forger.write_chunks(array, [bytes(zstd.encode(events.tobytes())), *others])


@pytest.mark.parametrize(
    ("array", "dtype", "value", "message"),
    [
        ("event_type", "u1", 4, "event_type has types above 3"),
        ("event_type", "u1", 255, "event_type has types above 3"),
        ("event_time", "<f4", np.nan, "event_time has values that are not finite"),
        ("event_time", "<f4", np.inf, "event_time has values that are not finite"),
        ("event_time", "<f4", -1.0, "event_time is not ascending from 0 on"),
    ],
)
def test_events_that_are_none_are_not_exported(
    pristine: Path, tmp_path: Path, array: str, dtype: str, value: float, message: str
) -> None:
    root = tmp_path / "hostile"
    shutil.copytree(pristine, root)
    asked = ["export", "opensim", str(root), "--out"]
    assert CliRunner().invoke(app, [*asked, str(tmp_path / "sound")]).exit_code == 0
    forge_events(root, array, dtype, value)
    told = CliRunner().invoke(app, [*asked, str(tmp_path / "out")], env={"COLUMNS": "400", "NO_COLOR": "1"})
    assert told.exit_code == 2, told.stdout + told.stderr
    assert f"sample 0: {message}; run `gaitfarm verify`" in told.stderr
    assert not (tmp_path / "out" / "000000000" / "gait.json").exists(), "the object that says that a piece is whole"
    without = [*asked, str(tmp_path / "without"), "--fields", "coordinates"]
    assert CliRunner().invoke(app, without).exit_code == 0
