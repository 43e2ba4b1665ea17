"""`gaitfarm pull` as its user meets it: what it says, what it refuses, and when it asks."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.commands.take import bytes_in
from farm.errors import UserError
from farm.storage import FileStorage, StoredObject
from tests.contracts.sources import ROOT
from tests.datasets import make_dataset
from tests.samples import make_campaign


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walks")
    make_dataset(str(folder), make_campaign(samples=6, gaits_per_shard=3, rgb="none", mask=False), n_samples=(20, 30))
    return folder


def _run(*arguments: str | Path) -> Result:
    wide = {"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}
    return CliRunner().invoke(app, ["pull", *(str(argument) for argument in arguments)], env=wide)


def test_a_dry_run_says_what_it_would_take_and_takes_nothing(walks: Path, tmp_path: Path) -> None:
    result = _run(walks, tmp_path / "part", "--dry-run", "--json", "--fields", "labels")
    assert result.exit_code == 0
    estimate = json.loads(result.stdout)
    assert (estimate["n_gaits"], estimate["n_shards"], estimate["n_shards_before"]) == (6, 2, 0)
    assert estimate["cost"]["exact"]
    assert not (tmp_path / "part").exists()
    report = json.loads(_run(walks, tmp_path / "part", "--fields", "labels", "--json").stdout)
    assert (report["read_bytes"], report["requests"]) == (estimate["cost"]["read_bytes"], estimate["cost"]["requests"])
    again = json.loads(_run(walks, tmp_path / "part", "--fields", "labels", "--dry-run", "--json").stdout)
    assert (again["n_gaits"], again["n_shards_before"], again["cost"]["read_bytes"]) == (0, 2, 0)


def test_the_estimate_comes_before_the_result(walks: Path, tmp_path: Path) -> None:
    result = _run(walks, tmp_path / "part", "--count", "100")
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "to pull: 6 gaits of 2 shards. Reads " in said
    assert "--count asks for 100 gaits; there are no more than these." in said
    assert "pulled 6 gaits in 2 shards" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "--count is 0; it must be 1 or more, or left out to take every gait"),
        (["--count", "2", "--seed", "-1"], "--seed is -1; it must be a whole number from 0 to 2^63 - 1"),
        (["--split", "dev"], "no part 'dev' of a split; choose train, validation, test"),
        (["--split", "test", "--split-shares", "80/10/10"], "is not three shares (train/validation/test) that make 1"),
        (["--split", "test", "--split-seed", "-4"], "--split-seed is -4"),
        (["--max-bytes", "much"], "--max-bytes is 'much'; write a number of bytes such as 500MB, 50GB or 2TiB"),
        (["--max-bytes", "1KB"], "--max-bytes allows 1000; choose fewer gaits (--where, --count), views or fields"),
        (["--jobs", "0"], "--jobs is 0; it must be 1 or more"),
        (["--views", "top"], "has no view 'top'; it has front, side"),
        (["--fields", ","], "--fields is empty; name at least one"),
    ],
)
def test_what_is_refused_changes_nothing(walks: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = _run(walks, tmp_path / "part", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "part").exists()


@pytest.mark.parametrize(
    ("text", "n"),
    [("800000", 800_000), ("50GB", 50 * 10**9), ("1.5 GiB", 3 << 29), ("2k", 2000), ("1TB", 10**12), ("7B", 7)],
)
def test_bytes_as_people_write_them(text: str, n: int) -> None:
    assert bytes_in(text, "--max-bytes") == n


@pytest.mark.parametrize("text", ["", "GB", "-1", "1e9", "1XB", "1 2", "nan", "1,5GB"])
def test_what_is_no_number_of_bytes(text: str) -> None:
    with pytest.raises(UserError, match="--max-bytes is"):
        bytes_in(text, "--max-bytes")


@pytest.mark.parametrize(("answer", "options", "code"), [("n", [], 1), ("y", [], 0), ("", ["--yes"], 0)])
def test_a_large_pull_asks_at_a_terminal(
    walks: Path, tmp_path: Path, answer: str, options: list[str], code: int
) -> None:
    program = "import farm.commands.take as take; take.ASK_BYTES = 1000; from farm.cli import main; main()"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", program, "pull", str(walks), str(tmp_path / "part"), *options]
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        said = b"".join(worker.communicate(timeout=200))
    os.close(ours)
    assert worker.returncode == code, said
    assert (b"Go on?" in said) == (not options)
    assert (tmp_path / "part" / "dataset.json").exists() == (code == 0)


def test_info_says_which_part_of_what_it_is(walks: Path, tmp_path: Path) -> None:
    options = ["--count", "2", "--seed", "5", "--split", "train", "--split-seed", "3", "--fields", "labels"]
    assert _run(walks, tmp_path / "part", "--where", "sample_id < 6", *options).exit_code == 0
    result = CliRunner().invoke(app, ["info", str(tmp_path / "part")], env={"COLUMNS": "300", "NO_COLOR": "1"})
    said = " ".join(result.stdout.split())
    assert "where 'sample_id < 6', train of 0.8/0.1/0.1 by seed 3, 2 by seed 5" in said


def test_storage_that_fails_midway_says_how_to_go_on(
    walks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = FileStorage.list

    def losing(self: FileStorage, prefix: str = "") -> list[StoredObject]:
        found = list(listed(self, prefix))
        return found[1:] if prefix.startswith("shards/00000001/") else found

    with monkeypatch.context() as patched:
        patched.setattr(FileStorage, "list", losing)
        result = _run(walks, tmp_path / "part")
    said = " ".join(result.stderr.split())
    assert result.exit_code == 2
    assert "the storage lists no such object" in said
    assert f"what is at {tmp_path / 'part'} so far is whole, and the same command goes on from there" in said
    assert "Traceback" not in said
    assert "pulled 6 gaits in 2 shards" in _run(walks, tmp_path / "part").stdout
