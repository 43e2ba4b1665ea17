"""The Hugging Face folder, loaded with the `datasets` package as its users do, without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from farm.dataset.pull_choice import Wish
from farm.dataset.reader import GaitDataset
from farm.dataset.split import Split
from farm.export.huggingface import HuggingFaceFolder, nested
from farm.export.run import export

SPLIT = Split(3, 0.5, 0.25, 0.25)


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, offline, with a cache of its own."""
    for name, value in {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    return datasets


def test_load_dataset_gives_every_gait_back(dataset: str, tmp_path: Path, datasets: Any) -> None:
    fields = ("video", "keypoints_2d", "keypoints_3d", "visibility", "event_time", "world_from_camera", "intrinsics")
    export(HuggingFaceFolder(SPLIT, gaits_per_file=2), dataset, str(tmp_path / "out"), Wish(fields=fields))
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    stored = GaitDataset(dataset)
    ids = {part: [int(i) for i in rows["sample_id"]] for part, rows in loaded.items()}
    assert sorted(i for part in ids.values() for i in part) == [0, 1, 2, 3, 4, 6, 7]
    assert all(SPLIT.part_of(i) == part for part, found in ids.items() for i in found)
    for rows in loaded.values():
        for view in ("front", "side"):
            assert isinstance(rows.features[f"video_{view}"], datasets.Video)
            rows = rows.cast_column(f"video_{view}", datasets.Video(decode=False))
        for row in rows:
            gait = stored.gait(row["sample_id"], fields=[name for name in fields if name != "video"])
            assert row["gait_speed"] == gait.row["gait_speed"]
            assert row["condition"] == gait.row["condition"]
            for path, value in gait.arrays.items():
                column = path.removeprefix("views/").replace("/", "_")
                np.testing.assert_array_equal(np.array(row[column], dtype=value.dtype), value)
            film = Path(row["video_side"]["path"]).read_bytes()
            assert film == stored.video(gait.sample_id, "side")


def test_tables_alone_load_as_parquet(dataset: str, tmp_path: Path, datasets: Any) -> None:
    export(HuggingFaceFolder(SPLIT), dataset, str(tmp_path / "out"), Wish(fields=("coordinates",)))
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="train")
    stored = GaitDataset(dataset)
    for row in loaded:
        np.testing.assert_array_equal(
            np.array(row["coordinates"], dtype=np.float32), stored.gait(row["sample_id"])["coordinates"]
        )
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_card_is_valid_and_honest(dataset: str, tmp_path: Path) -> None:
    export(HuggingFaceFolder(SPLIT), dataset, str(tmp_path))
    text = (tmp_path / "README.md").read_text("utf-8")
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert match is not None
    head = yaml.safe_load(match[1])
    assert head["license"] == "cc-by-4.0"
    assert head["size_categories"] == ["n<1K"]
    (config,) = head["configs"]
    for item in config["data_files"]:
        assert list(tmp_path.glob(item["path"].replace("**", "*/*")))
    named = {feature["name"] for feature in head["dataset_info"]["features"]}
    assert {"sample_id", "video_side", "keypoints_3d", "side_keypoints_2d", "gait_speed"} <= named
    for word in ("Not for diagnosis", "```bibtex", GaitDataset(dataset).manifest.dataset_id, "simulated"):
        assert word in text


def test_hub_accepts_the_card(dataset: str, tmp_path: Path) -> None:
    """The Hub's own parser of cards takes it."""
    from huggingface_hub import DatasetCard

    export(HuggingFaceFolder(SPLIT), dataset, str(tmp_path))
    card = DatasetCard.load(tmp_path / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert "video-classification" in card.data.task_categories


def test_nested_lists_keep_shapes_and_numbers() -> None:
    values = [np.arange(n * 6, dtype=np.float32).reshape(n, 2, 3) + 100 * n for n in (2, 0, 3)]
    rows = nested(values).to_pylist()
    assert [len(row) for row in rows] == [2, 0, 3]
    for row, value in zip(rows, values, strict=True):
        assert row == value.tolist()
    assert nested([np.arange(3), np.arange(2)]).to_pylist() == [[0, 1, 2], [0, 1]]
    assert nested([np.array(4), np.array(5)]).to_pylist() == [4, 5]
