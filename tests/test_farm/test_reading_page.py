"""The examples of docs/reading.md, run on a small dataset as a reader would type them; S3's in tests/integration/."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.sources import ROOT
from tests.datasets import make_dataset
from tests.samples import make_campaign

PAGE = (ROOT / "docs" / "reading.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `demo/dataset` in it, whose gaits are as slow as the examples ask for."""
    make_dataset(str(tmp_path / "demo" / "dataset"), make_campaign(samples=12, gaits_per_shard=4))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_its_examples() -> None:
    assert len(blocks("python")) >= 9
    assert [len(blocks(f"python {kind}")) for kind in ("s3", "torch", "ray")] == [1, 1, 1]


@pytest.mark.usefixtures("folder")
def test_examples_run_one_after_the_other() -> None:
    names: dict[str, Any] = {"__name__": "reading"}
    for number, block in enumerate(blocks("python")):
        exec(compile(block, f"docs/reading.md, example {number}", "exec"), names)
    assert names["pictures"].shape[-1] == 3
    assert len(names["rest"]) == 9
    assert names["several"].sizes["gait"] == len(names["slow"])
    assert names["plain"].coordinates.shape == names["shard"].coordinates.shape
    assert set(names["sides"]) > {"keypoints_2d", "visibility"}


@pytest.mark.slow
def test_the_torch_example_runs_as_a_program(folder: Path) -> None:
    """As a file, because spawned workers import it."""
    (example,) = blocks("python torch")
    body = "".join(f"    {line}\n" for line in example.splitlines())
    assert "range(2)" in body
    body = body.replace("range(2)", "range(1)")  # an epoch is enough: each starts two interpreters with PyTorch
    program = "from farm.dataset import GaitDataset\n\nif __name__ == '__main__':\n"
    program += f"    dataset = GaitDataset('demo/dataset')\n{body}"
    program += "    print(tuple(batch['views/side/frames'].shape), tuple(batch['gait_speed'].shape))\n"
    (folder / "example.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], capture_output=True, text=True, timeout=280, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(2, 15, 3, 32, 48) (2,)"


def test_the_ray_example_compiles() -> None:
    """`test_reader_ray.py` runs the same calls in a Ray of its own."""
    (example,) = blocks("python ray")
    compile(example, "docs/reading.md, Ray", "exec")
    assert "ray_datasource((" in example
