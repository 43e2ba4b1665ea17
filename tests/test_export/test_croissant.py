"""Croissant metadata, validated and read by `mlcroissant`, the reference implementation."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest

from farm.dataset.pull_choice import Wish
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.export.croissant import CroissantFolder
from farm.export.huggingface import HuggingFaceFolder
from farm.export.run import export

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # rdflib, as mlcroissant uses it


def opened(path: Path) -> Any:
    """The document, without an error or a warning."""
    document = mlcroissant.Dataset(jsonld=str(path))
    issues = document.metadata.ctx.issues
    assert (set(issues.errors), set(issues.warnings)) == (set(), set())
    return document


def check_records(document: Any, dataset: str) -> None:
    rows = {row["sample_id"]: row for row in GaitDataset(dataset).index()}
    seen = []
    for record in document.records("gaits"):
        row = rows[int(record["gaits/sample_id"])]
        seen.append(row["sample_id"])
        assert record["gaits/condition"].decode() == row["condition"]
        for name in ("gait_speed", "stature_m", "step_width"):
            assert record[f"gaits/{name}"] == row[name]
    assert sorted(seen) == sorted(rows)


def test_index_is_read_through_mlcroissant(dataset: str, tmp_path: Path) -> None:
    export(CroissantFolder(), dataset, str(tmp_path))
    document = opened(tmp_path / "croissant.json")
    check_records(document, dataset)
    arrays = {record["arrays/path"]: record for record in document.records("arrays")}
    assert set(arrays) == set(GaitDataset(dataset).manifest.arrays)
    assert arrays["coordinates"]["arrays/dimensions"] == "gait sample coordinate"


def test_it_may_lie_in_the_dataset_itself(dataset: str, tmp_path: Path) -> None:
    """Beside `dataset.json` its file sets are the dataset's own objects, and the dataset stays what it was."""
    root = tmp_path / "copy"
    shutil.copytree(dataset, root)
    export(CroissantFolder(), str(root), str(tmp_path / "out"))
    shutil.copy(tmp_path / "out" / "croissant.json", root)
    shutil.copytree(tmp_path / "out" / "croissant", root / "croissant")
    document = opened(root / "croissant.json")
    check_records(document, str(root))
    described = json.loads((root / "croissant.json").read_bytes())
    for item in described["distribution"]:
        if item["@type"] == "cr:FileObject":
            assert hashlib.sha256((root / item["contentUrl"]).read_bytes()).hexdigest() == item["sha256"]
        else:
            assert list(root.glob(item["includes"])), item["name"]
    report = verify(str(root))
    assert (report.sound, report.n_garbage) == (True, 0)


def test_units_are_told(dataset: str, tmp_path: Path) -> None:
    export(CroissantFolder(), dataset, str(tmp_path))
    described = json.loads((tmp_path / "croissant.json").read_bytes())
    gaits = next(item for item in described["recordSet"] if item["name"] == "gaits")
    told = {field["name"]: field["description"] for field in gaits["field"]}
    assert told["gait_speed"].startswith("[m/s] ")
    assert told["stature_m"].startswith("[m] ")


def test_damaged_table_is_found_by_its_hash(dataset: str, tmp_path: Path) -> None:
    export(CroissantFolder(), dataset, str(tmp_path))
    described = json.loads((tmp_path / "croissant.json").read_bytes())
    (table,) = [item for item in described["distribution"] if item["@id"].endswith(".parquet")]
    data = bytearray((tmp_path / table["contentUrl"]).read_bytes())
    data[len(data) // 2] ^= 1
    assert hashlib.sha256(data).hexdigest() != table["sha256"]


def test_huggingface_export_carries_it(dataset: str, tmp_path: Path) -> None:
    export(HuggingFaceFolder(gaits_per_file=3), dataset, str(tmp_path), Wish(fields=("video", "keypoints_2d")))
    document = opened(tmp_path / "croissant.json")
    check_records(document, dataset)
    for record in document.records("gaits"):
        name = record["gaits/video_side_file_name"].decode()
        assert len(list(tmp_path.rglob(name))) == 1
    assert np.isfinite([record["gaits/gait_speed"] for record in document.records("gaits")]).all()


@pytest.mark.parametrize("license_name", ["CC-BY-4.0", "my own terms"])
def test_license_is_told(license_name: str, dataset: str, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(dataset, root)
    manifest = json.loads((root / "dataset.json").read_bytes()) | {"license": license_name}
    (root / "dataset.json").write_text(json.dumps(manifest))
    export(CroissantFolder(), str(root), str(tmp_path / "out"))
    described = json.loads((tmp_path / "out" / "croissant.json").read_bytes())
    expected = "https://creativecommons.org/licenses/by/4.0/" if license_name == "CC-BY-4.0" else license_name
    assert described["license"] == expected
    opened(tmp_path / "out" / "croissant.json")
