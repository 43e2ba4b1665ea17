"""`verify`, `gc`, `repair` as a stranger meets them: exit codes, what is asked, what is refused, what stays."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.dataset.manifest import read_manifest
from farm.dataset.verify_state import VerifyState, default_state
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign

CAMPAIGN = make_campaign(samples=4, gaits_per_shard=2, views=("side",), image_size=(34, 32), rgb="none", mask=False)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN)
    return folder


@pytest.fixture
def dataset(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(pristine, tmp_path / "dataset")
    return tmp_path / "dataset"


def run(*arguments: str | Path) -> Result:
    env = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)


def objects(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_state_that_nobody_asked_for_is_done_without(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder is needed")
    done = run("verify", dataset, "--workers", "1")
    assert done.exit_code == 0, done.stderr
    assert "could not go on after an interruption: the state " in done.stderr
    asked = run("verify", dataset, "--workers", "1", "--state", tmp_path / "cache" / "mine")
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "cannot be opened" in asked.stderr


def test_two_verifications_at_once_do_not_refuse_each_other(dataset: Path) -> None:
    dataset_id = read_manifest(FileStorage(dataset)).dataset_id
    other = VerifyState(default_state(dataset_id), dataset_id)
    done = run("verify", dataset, "--workers", "1")
    assert done.exit_code == 0, done.stderr
    assert other.path.exists()
    other.close(finished=True)


def test_a_disk_without_locks_is_named(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    asked = run("verify", dataset, "--workers", "1", "--state", tmp_path / "mine")
    assert asked.exit_code == 2
    assert "cannot be locked or read: No locks available; name a file on a local disk" in asked.stderr


def leftover(dataset: Path) -> Path:
    path = dataset / "shards" / "00000000" / "beaten.zarr" / "zarr.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    written_s = FileStorage(dataset).now_s() - 3 * 86400
    os.utime(path, (written_s, written_s))
    return path


def damage(dataset: Path) -> None:
    next(path for path in sorted(dataset.glob("shards/00000000/*/labels/c/**/*")) if path.is_file()).unlink()


def test_verify_deep_fast_and_in_parts(dataset: Path) -> None:
    deep = run("verify", dataset, "--deep", "--workers", "1", "--json")
    assert deep.exit_code == 0, deep.stderr
    assert json.loads(deep.stdout)["thorough"] is True
    assert not list((dataset.parent / "cache").rglob("*.jsonl")), "a run that came to its end leaves no state"
    fast = run("verify", dataset, "--fast", "--json")
    assert (fast.exit_code, json.loads(fast.stdout)["thorough"]) == (0, False)
    damage(dataset)
    assert run("verify", dataset, "--fast", "--shard", "1").exit_code == 0
    found = run("verify", dataset, "--fast", "--sample", "0")
    assert found.exit_code == 1
    assert "is missing" in found.stdout
    assert "`gaitfarm repair`" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["verify", "--fast", "--shard", "77"], "has no shard '00000077'"),
        (["verify", "--fast", "--sample", "99"], "has no sample 99"),
        (["verify", "--fast", "--state", "x"], "--state is for --deep"),
        (["verify", "--workers", "0"], "'--workers'"),
        (["gc", "--yes", "--grace", "soon"], "'soon' is no time span"),
        (["gc", "--yes", "--grace", "5m"], "below 3600 s"),
        (["gc"], "nobody can be asked here: add --yes, or --dry-run"),
        (["repair"], "nobody can be asked here: add --yes, or --dry-run"),
        (["repair", "--yes", "--fast", "--shard", "x"], "has no shard 'x'"),
    ],
)
def test_what_is_refused_changes_nothing(dataset: Path, arguments: list[str], text: str) -> None:
    leftover(dataset)
    damage(dataset)
    before = objects(dataset)
    result = run(arguments[0], dataset, *arguments[1:])
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert objects(dataset) == before


def test_gc_shows_first_and_removes_when_told(dataset: Path) -> None:
    path = leftover(dataset)
    before = objects(dataset)
    shown = run("gc", dataset, "--dry-run")
    assert shown.exit_code == 0, shown.stderr
    assert "attempt that no commit names" in shown.stdout
    assert "shards/00000000/beaten.zarr" in shown.stdout
    assert objects(dataset) == before
    told = run("gc", dataset, "--yes", "--json")
    answer = json.loads(told.stdout)
    assert (told.exit_code, answer["removed"], answer["n_objects"], answer["n_bytes"]) == (0, True, 1, 5)
    assert objects(dataset) == {
        key: data for key, data in before.items() if key != path.relative_to(dataset).as_posix()
    }
    assert run("verify", dataset, "--fast").exit_code == 0


def test_repair_shows_first_and_takes_out_when_told(dataset: Path) -> None:
    assert run("repair", dataset, "--fast", "--yes").exit_code == 0, "a sound dataset needs none"
    damage(dataset)
    before = objects(dataset)
    shown = run("repair", dataset, "--fast", "--dry-run")
    assert shown.exit_code == 1
    assert objects(dataset) == before
    done = run("repair", dataset, "--fast", "--yes")
    assert done.exit_code == 0, done.stderr
    assert "shard 00000000: taken out; its commit is kept at repaired/00000000/" in done.stdout
    assert f"gaitfarm generate tiny --out {dataset}" in done.stdout
    looked = run("verify", dataset, "--fast")
    assert looked.exit_code == 0
    assert "1 shards are not made yet: 00000000" in looked.stdout
