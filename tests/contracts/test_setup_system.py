"""`tools/setup_system.sh`: silent where nothing is missing, and says by name what is where it cannot install it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT

SCRIPT = ROOT / "tools" / "setup_system.sh"


def run(part: str, path: Path) -> subprocess.CompletedProcess[str]:
    """With nothing but the programs of one folder."""
    return subprocess.run(
        ["/bin/bash", SCRIPT, part], capture_output=True, text=True, env={"PATH": str(path)}, timeout=60, check=False
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A machine with neither browser nor package manager."""
    for name in ("grep", "cat"):
        program = shutil.which(name)
        assert program is not None
        (tmp_path / name).symlink_to(program)
    return tmp_path


def test_a_missing_browser_is_named(bare: Path) -> None:
    done = run("browser", bare)
    assert done.returncode == 1
    assert "browser" in done.stderr or "chromium chromium-driver" in done.stderr


def test_a_browser_that_is_there_is_left_alone(bare: Path) -> None:
    for name in ("google-chrome", "chromedriver"):
        (bare / name).write_text("#!/bin/sh\n")
        (bare / name).chmod(0o755)
    done = run("browser", bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unknown_part_is_refused(bare: Path) -> None:
    done = run("drinks", bare)
    assert done.returncode == 2
    assert "unknown part 'drinks'; the parts are gl, tests and browser" in done.stderr
