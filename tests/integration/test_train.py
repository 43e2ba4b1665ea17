"""Training from the command line on a real dataset: Ray Train, checkpoints, kill and resume, then prediction."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from tests.walk_dataset import write_walk_dataset
from workers.train.estimator import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FAST = ("--width", "12", "--steps", "8", "--batch-size", "8", "--seed", "5", "--json", "--cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_walk_dataset(tmp_path_factory.mktemp("walks") / "ds", samples=14, gaits_per_shard=4)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from farm.cli import main; main()", *map(str, arguments)]


def gaitfarm(*arguments: object, code: int = 0) -> Any:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def words(text: str) -> str:
    """What a message says, however the terminal breaks its lines."""
    return " ".join(text.split())


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load(out)[0].state_dict()


def test_kill_and_resume_end_like_an_uninterrupted_run_and_predict_answers(dataset: str, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = gaitfarm("train", dataset, "--out", whole, "--epochs", 3, *FAST)
    summary = json.loads(done.stdout)
    assert summary["epochs"] == 3
    assert summary["steps"] == 24
    assert (summary["n_train"], summary["n_validation"], summary["n_test"]) == (9, 2, 3)
    assert "too few for a meaningful correlation" in words(done.stderr)
    views = {(row["parameter"], row["view"]) for row in summary["scores"]}
    assert {view for _, view in views} == {"front", "side", "all views", "any camera"}
    assert len(views) == 5 * 4
    assert json.loads((whole / "test.json").read_text())["scores"] == summary["scores"]
    assert (whole / "test.csv").read_text().startswith("parameter,unit,view,n,r,mae")

    # a second run there is refused, another seed too, before anything is touched
    assert "already holds a training run: add --resume" in words(
        gaitfarm("train", dataset, "--out", whole, "--epochs", 3, *FAST, code=2).stderr
    )
    other = [*FAST[:-3], "6", *FAST[-2:]]
    assert "seed was 5 and is now 6" in words(
        gaitfarm("train", dataset, "--out", whole, "--resume", "--epochs", 3, *other, code=2).stderr
    )

    # killed without warning once a checkpoint is there: driver, ranks, everything of its process group
    process = subprocess.Popen(
        command("train", dataset, "--out", broken, "--epochs", 3, *FAST),
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 600
    snapshot = broken / "ray" / "run" / "checkpoint_manager_snapshot.json"
    while not snapshot.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert snapshot.exists()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    resumed = json.loads(gaitfarm("train", dataset, "--out", broken, "--resume", "--epochs", 3, *FAST).stdout)
    assert resumed["epochs"] == 3
    assert resumed["resumed_from_epoch"] >= 1
    for (name, a), b in zip(weights(whole).items(), weights(broken).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=name)

    view = GaitDataset(dataset).gait(0, fields=("keypoints_2d", "visibility"))
    np.savez(
        tmp_path / "mine.npz",
        keypoints_2d=view.arrays["views/side/keypoints_2d"][:, :17],
        visibility=view.arrays["views/side/visibility"][:, :17],
        fps=30.0,
        image_size=[256, 256],
    )
    answer = json.loads(gaitfarm("predict", whole, tmp_path / "mine.npz").stdout)
    assert 0.1 < answer["gait_speed"] < 3.0


def test_two_workers_train_one_model(dataset: str, tmp_path: Path) -> None:
    out = tmp_path / "two"
    summary = json.loads(gaitfarm("train", dataset, "--out", out, "--epochs", 2, "--workers", 2, *FAST).stdout)
    assert summary["steps"] == 16
    assert np.isfinite(summary["validation_loss"])
    assert all(torch.isfinite(value).all() for value in weights(out).values())


def test_a_time_budget_ends_training_early(dataset: str, tmp_path: Path) -> None:
    done = gaitfarm("train", dataset, "--out", tmp_path / "t", "--epochs", 100000, "--time-budget", 3, *FAST)
    summary = json.loads(done.stdout)
    assert summary["epochs"] < 100000
    assert 2.0 < summary["seconds"] < 20.0


def test_impossible_orders_are_refused_at_once(dataset: str, tmp_path: Path) -> None:
    from workers.train.loop import train

    with pytest.raises(UserError, match="holds no dataset"):
        train(str(tmp_path), tmp_path / "out")
    few = write_walk_dataset(tmp_path / "few", samples=2, gaits_per_shard=2)
    with pytest.raises(UserError, match="holds 2 accepted gaits; training needs 3"):
        train(few, tmp_path / "out")
    with pytest.raises(UserError, match="--workers is 0; it must be 1 or more"):
        train(dataset, tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        train(dataset, tmp_path / "file" / "out")
