"""The blocks of docs/exporting.md do what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "exporting.md"
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_block_runs(dataset: str, tmp_path: Path) -> None:
    """In order, in one folder, as a reader of the page would; offline."""
    assert [kind for kind, _ in BLOCKS] == ["bash", "python", "bash", "python", "bash", "bash", "python"]
    shutil.copytree(dataset, tmp_path / "my-gaits")
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(PAGE.parents[1]),
        "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    heard = []
    for kind, text in BLOCKS:
        command = [sys.executable, "-c", text]
        if kind == "bash":
            script = text.replace("gaitfarm ", f"{sys.executable} -m farm.cli ", 1)
            command = ["bash", "-euc", script]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        heard.append(done.stdout)
    assert heard[1].splitlines()[0].startswith("000000000 (")
    assert len(heard[1].splitlines()) == 7
    assert "side.mp4" in heard[3]
    assert len([line for line in heard[6].splitlines() if line]) == 7
    assert sorted(path.name for path in (tmp_path / "gaits").iterdir()) == ["000000000", "000000001", "export.json"]


def test_page_names_every_file_of_an_opensim_folder(dataset: str, tmp_path: Path) -> None:
    from farm.dataset.pull_choice import Wish
    from farm.export.opensim import OpenSimFolders
    from farm.export.run import export

    export(OpenSimFolders(), dataset, str(tmp_path / "out"), Wish(where="sample_id = 0"))
    text = PAGE.read_text("utf-8")
    missing = [path.name for path in (tmp_path / "out" / "000000000").iterdir() if f"`{path.name}`" not in text]
    assert missing == []
