"""docs/labels.md says what the code does: its tables are current, its example runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.datasets import make_dataset
from tests.samples import make_campaign
from tools.doc_tables import DOCS, with_tables

TEXT = (DOCS / "labels.md").read_text("utf-8")


def test_the_tables_are_current() -> None:
    assert with_tables("labels.md", TEXT) == TEXT, "run python tools/doc_tables.py"
    assert with_tables("labels.md", TEXT.replace("97%", "5%")) == TEXT, "a wrong table must not pass"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(str(tmp_path / "demo" / "dataset"), make_campaign(samples=2, gaits_per_shard=2))
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/labels.md", "exec"), names)
    frames = len(names["in_world"])
    assert names["in_camera"].shape == (frames, 24, 3)
    assert names["pixels"].shape == (frames, 25, 2)
