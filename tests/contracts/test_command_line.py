"""The command line as a stranger meets it: help, exit codes, and messages that name the fault and the mend."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import farm
from farm.cli import app

RUNNER = CliRunner()
_TOP = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS = sorted(_TOP)
SUBCOMMANDS = sorted((group, name) for group in _TOP for name in getattr(_TOP[group], "commands", ()))
EXPECTED_COMMANDS = {
    "archive", "compact", "doctor", "export", "gallery", "gc", "generate", "info", "predict", "pull", "repair",
    "report", "sample", "search", "train", "verify",
}  # fmt: skip


def run(*arguments: str | Path, **environment: str) -> Result:
    wide = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"} | environment
    return RUNNER.invoke(app, [str(argument) for argument in arguments], env=wide)


def said(result: Result) -> str:
    """What stands on stderr, on one line."""
    return " ".join(result.stderr.split())


def test_every_promised_command_is_there() -> None:
    assert EXPECTED_COMMANDS - set(COMMANDS) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    function = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert function.help, f"{command} has no help text"
    undescribed = [p.name for p in function.params if getattr(p, "help", None) in (None, "")]
    assert undescribed == [], f"{command}: these parameters say nothing about themselves"


@pytest.mark.parametrize(("group", "name"), SUBCOMMANDS)
def test_help_of_every_command_of_a_group(group: str, name: str) -> None:
    result = run(group, name, "--help")
    assert result.exit_code == 0
    function = _TOP[group].commands[name]
    assert function.help, f"{group} {name} has no help text"
    undescribed = [p.name for p in function.params if getattr(p, "help", None) in (None, "")]
    assert undescribed == [], f"{group} {name}: these parameters say nothing about themselves"


def test_a_reader_that_goes_away_ends_the_command_without_words() -> None:
    command = f"{sys.executable} -m farm.cli generate --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout.strip()) == (0, f"gaitfarm {farm.__version__}")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["generat", "demo"], "Did you mean 'generate'"),
        (["sample", "demo"], "Missing argument"),
        (["sample", "demo", "one", "--out", "x"], "valid integer"),
        (["doctor", "--jsn"], "No such option"),
    ],
)
def test_usage_errors_exit_with_2(arguments: list[str], text: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert text in said(result)


# --- campaigns that cannot be run ----------------------------------------------------------------------------

BAD_CAMPAIGNS = {
    "unknown key": ("name: a\nsamples: 4\nsampels: 5", ["unknown key 'sampels'", "did you mean 'samples'"]),
    "unknown nested key": (
        "name: a\nsamples: 4\npictures: {imagesize: [64, 64]}",
        ["unknown key 'pictures.imagesize'", "did you mean 'image_size'"],
    ),
    "unlike any key": ("name: a\nsamples: 4\nzzz: 1", ["unknown key 'zzz'", "known keys: name,"]),
    "reversed range": ("name: a\nsamples: 4\ntarget_speed_m_s: [1.6, 0.8]", ["target_speed_m_s", "[0.8, 1.6]"]),
    "reversed stature": (
        "name: a\nsamples: 4\npopulation: {stature_m: [1.9, 1.6]}",
        ["population.stature_m", "reversed", "[1.6, 1.9]"],
    ),
    "negative mass": (
        "name: a\nsamples: 4\npopulation: {body_mass_index: [-20, 25]}",
        ["population.body_mass_index", "greater than or equal to 15", "-20"],
    ),
    "negative deviation": ("name: a\nsamples: 4\npopulation: {strength_sd: -0.1}", ["strength_sd", "-0.1"]),
    "unknown view": (
        "name: a\nsamples: 4\npictures: {views: [sied]}",
        ["there is no view 'sied'", "front, back, side"],
    ),
    "view twice": ("name: a\nsamples: 4\npictures: {views: [side, side]}", ["side appears twice"]),
    "no view": ("name: a\nsamples: 4\npictures: {views: []}", ["views", "at least one"]),
    "unknown condition": ("name: a\nsamples: 4\nconditions: [{condition: foot_dorp}]", ["foot_dorp", "foot_drop"]),
    "no samples": ("name: a\nsamples: 0", ["samples", "greater than or equal to 1", "got 0"]),
    "fewer than no samples": ("name: a\nsamples: -3", ["samples", "got -3"]),
    "half a sample": ("name: a\nsamples: 2.5", ["samples", "2.5"]),
    "a word for a number": ("name: a\nsamples: many", ["samples", "'many'"]),
    "not a number": ("name: a\nsamples: 4\nsimulation: {duration_s: .nan}", ["simulation.duration_s"]),
    "no name": ("samples: 4", ["name is missing"]),
    "a name that is a path": ("name: ../../etc\nsamples: 4", ["name", "'../../etc'"]),
    "walk shorter than quality wants": (
        "name: a\nsamples: 4\nsimulation: {duration_s: 5}\nquality: {min_duration_s: 8}",
        ["quality.min_duration_s", "simulation.duration_s", "lower the one or raise the other"],
    ),
    "odd video": ("name: a\nsamples: 4\npictures: {image_size: [65, 64]}", ["65x64", "even"]),
    "not YAML": ("name: [a", ["not YAML"]),
    "not a mapping": ("- name: a", ["a campaign is a YAML mapping", "list"]),
    "empty": ("", ["a campaign is a YAML mapping"]),
}


@pytest.mark.parametrize("case", BAD_CAMPAIGNS)
@pytest.mark.parametrize("command", ["generate", "sample"])
def test_bad_campaign_is_named_with_its_mend(command: str, case: str, tmp_path: Path) -> None:
    text, expected = BAD_CAMPAIGNS[case]
    campaign = tmp_path / "mine.yaml"
    campaign.write_text(text, encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["0"] if command == "sample" else []
    result = run(command, campaign, *arguments, "--out", out)
    assert result.exit_code == 2, result.output
    message = said(result)
    assert message.startswith("error: ")
    assert "mine.yaml" in message
    assert [part for part in expected if part not in message] == []
    assert "Traceback" not in result.output
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("demoo", "did you mean 'demo'"),
        ("nowhere/mine.yaml", "give a YAML file or one of demo, healthy, conditions"),
        (".", "give a YAML file"),
    ],
)
def test_campaign_that_is_not_there(name: str, expected: str, tmp_path: Path) -> None:
    result = run("generate", name, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert expected in said(result)
    assert list(tmp_path.iterdir()) == []


def test_campaign_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\r\n\xff\xfe")
    result = run("generate", tmp_path / "picture.yaml", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "cannot be read as text" in said(result)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """Three faults in a file are three lines, not three runs."""
    (tmp_path / "mine.yaml").write_text("name: a\nsamples: 0\nsampels: 1\npictures: {views: [top]}", encoding="utf-8")
    result = run("generate", tmp_path / "mine.yaml", "--out", tmp_path / "out")
    assert result.stderr.count("mine.yaml: ") == 3


# --- places that cannot be read or written -------------------------------------------------------------------

SECRET = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true"}
CLOSED_PORT = "http://127.0.0.1:9"


def test_unreachable_storage_is_named(tmp_path: Path) -> None:
    for command in (["info", "s3://bucket/set"], ["generate", "demo", "--out", "s3://bucket/set"]):
        result = run(*command, "--endpoint-url", CLOSED_PORT, **SECRET)
        assert result.exit_code == 2, result.output
        assert "127.0.0.1:9" in said(result)


@pytest.mark.parametrize("command", ["info", "verify", "report", "train", "pull"])
def test_no_dataset_there(command: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    extra = {"report": ["--out", tmp_path / "r"], "train": ["--out", tmp_path / "t"], "pull": [tmp_path / "p"]}
    result = run(command, empty, *extra.get(command, []))
    assert result.exit_code == 2, result.output
    assert str(empty) in said(result)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("uri", ["gs://bucket/set", "s3://", "ftp://host/x", ""])
def test_storage_that_we_do_not_know(uri: str) -> None:
    result = run("info", uri)
    assert result.exit_code == 2
    assert "s3://bucket/prefix" in said(result)


def test_folder_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    result = run("sample", "demo", "0", "--out", tmp_path / "mine")
    assert result.exit_code == 2
    assert "not empty" in said(result)
    assert (tmp_path / "mine" / "thesis.txt").read_text("utf-8") == "years of work"


def test_sample_that_is_not_in_the_campaign(tmp_path: Path) -> None:
    result = run("sample", "demo", "99999999", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "samples 0 to" in said(result)
    assert not (tmp_path / "out").exists()


# --- errors of ours, and parts that are missing --------------------------------------------------------------


def test_unexpected_error_keeps_its_traceback_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a [bold]fault[/bold] of ours")

    monkeypatch.setattr("workers.doctor.examine", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run("doctor")
    assert result.exit_code == 1
    assert "unexpected ZeroDivisionError: a [bold]fault[/bold] of ours" in said(result)
    (log,) = tmp_path.glob("gaitfarm-*.log")
    assert str(log) in said(result)
    assert "in broken" in log.read_text("utf-8")
    assert "Traceback" not in result.output
    assert "in broken" in run("--debug", "doctor").stderr


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == {module!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Missing())
from farm.cli import main
main()
"""


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [
        ("opensim", ["sample", "demo", "0", "--out", "{out}"], "farm"),
        ("ray", ["generate", "demo", "--out", "{out}"], "farm"),
        ("torch", ["train", "{out}", "--out", "{out}"], "train"),
    ],
)
def test_missing_part_says_how_to_install_it(module: str, command: list[str], extra: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    filled = [part.format(out=out) for part in command]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module), *filled],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"needs {module}, which is not installed here: pip install 'gaitfarm[{extra}]'" in " ".join(
        done.stderr.split()
    )
    assert not out.exists()


def test_doctor_tells_machines_too() -> None:
    result = run("doctor", "--json")
    told = json.loads(result.stdout)
    assert {"Python", "OpenSim", "OpenGL (EGL)", "Ray", "PyTorch"} <= {finding["name"] for finding in told["findings"]}
    assert told["healthy"] == (result.exit_code == 0)
    for finding in told["findings"]:
        assert finding["status"] in ("ok", "warning", "missing")
        assert finding["mend"] or finding["status"] == "ok", finding
