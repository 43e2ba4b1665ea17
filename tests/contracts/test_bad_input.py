# ruff: noqa: E501  (a table reads best with one case a line)
"""Bad input through the command line: one message that names the thing and the mend, exit code 2, nothing changed.

Campaign files that `test_command_line.py` has already are not repeated here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from tests.contracts.bad_input import fingerprint, make_working_folder

CASES: dict[str, tuple[str, str, str]] = {
    # name: (command line, pattern of what is named, pattern of the mend)
    # --- campaigns
    "key misspelt": ("generate misspelt.yaml --out new", r"unknown key 'gaits_per_shrad'", r"did you mean 'gaits_per_shard'"),
    "key misspelt below": ("generate misspelt_deep.yaml --out new", r"'population\.statur_m'", r"mean 'stature_m'"),
    "key misspelt in a list": ("generate misspelt_in_list.yaml --out new", r"conditions\.0\.severty", r"mean 'severity'"),
    "severity reversed": ("generate reversed_severity.yaml --out new", r"conditions\.0\.severity", r"write .*\[0\.1, 0\.9\]"),
    "range of one": ("generate range_of_one.yaml --out new", r"target_speed_m_s", r"two numbers|\[from, to\]"),
    "number for a range": ("generate range_as_number.yaml --out new", r"target_speed_m_s.*1\.0", r"\[from, to\]"),
    "infinite duration": ("generate infinite.yaml --out new", r"simulation\.duration_s", r"finite"),
    "NaN in a range": ("generate nan_in_range.yaml --out new", r"target_speed_m_s", r"finite"),
    "unknown engine": ("generate unknown_engine.yaml --out new", r"engine.*opensin", r"'opensim' or 'twin'"),
    "unknown body": ("generate unknown_body.yaml --out new", r"body_model.*2d", r"'planar' or '3d'"),
    "side of a symmetric condition": ("generate wrong_side.yaml --out new", r"healthy cannot affect side 'right'", r"possible: none"),
    "weight of nothing": ("generate weight_zero.yaml --out new", r"conditions\.0\.weight", r"greater than 0"),
    "no condition": ("generate no_conditions.yaml --out new", r"conditions", r"at least 1 item"),
    "negative seed": ("generate seed_negative.yaml --out new", r"seed", r"greater than or equal to 0"),
    "huge seed": ("generate seed_huge.yaml --out new", r"seed", r"less than|unable to parse|2\^63"),
    "too many samples": ("generate too_many.yaml --out new", r"samples", r"less than or equal to 100000000"),
    "views as a number": ("generate views_as_number.yaml --out new", r"pictures\.views", r"list|tuple"),
    "pictures too small": ("generate tiny_pictures.yaml --out new", r"pictures\.image_size\.0", r"greater than or equal to 32"),
    "unknown quality of video": ("generate crf.yaml --out new", r"pictures\.crf", r"less than or equal to 51"),
    "list for a mapping": ("generate list_for_mapping.yaml --out new", r"population", r"mapping"),
    "YAML that runs code": ("generate python_tag.yaml --out new", r"not YAML.*python/object", r"plain values"),
    "two documents": ("generate two_documents.yaml --out new", r"two_documents\.yaml.*(document|'---')", r"one campaign"),
    "key twice": ("generate key_twice.yaml --out new", r"'samples' .*twice", r"keep one"),
    "number as a key": ("generate number_as_key.yaml --out new", r"7", r"known keys: name"),
    "unfilled template": ("generate template.yaml --out new", r"template\.yaml: line 2: a key must be a word", r"template\?"),
    "list as a key": ("generate list_as_key.yaml --out new", r"line 3: a key must be a word", r"name: value"),
    "day that is none": ("generate no_such_day.yaml --out new", r"no_such_day\.yaml.*cannot be read", r"in quotes"),
    "word tagged a number": ("generate tagged_number.yaml --out new", r"tagged_number\.yaml.*cannot be read", r"in quotes"),
    "word tagged a time": ("generate tagged_time.yaml --out new", r"tagged_time\.yaml.*cannot be read", r"in quotes"),
    "number of 5000 digits": ("generate many_digits.yaml --out new", r"many_digits\.yaml.*cannot be read", r"in quotes"),
    "tab in YAML": ("generate tab.yaml --out new", r"not YAML.*line 2", r"spaces"),
    "billion laughs": ("generate bomb.yaml --out new", r"bomb\.yaml.*anchor", r"write .* out"),
    "YAML too deep": ("generate deep.yaml --out new", r"deep\.yaml", r"levels"),
    "file too large": ("generate too_large.yaml --out new", r"too_large\.yaml.*bytes", r"at most"),
    "not UTF-8": ("generate latin.yaml --out new", r"latin\.yaml.*UTF-8", r"save it as UTF-8"),
    "binary": ("generate binary.yaml --out new", r"binary\.yaml.*UTF-8", r"save it as UTF-8"),
    "folder for a campaign": ("generate set --out new", r"'set'", r"give a YAML file"),
    # --- generate, sample
    "samples below one": ("generate demo --out new --samples 0", r"--samples", r"x>=1|greater than or equal to 1"),
    "negative workers": ("generate demo --out new --workers -1", r"--workers", r"x>=1|greater than or equal to 1"),
    "label without value": ("generate demo --out new --on role", r"--on.*'role'", r"LABEL=VALUE"),
    "bad address": ("generate demo --out new --address ray//head", r"--address.*'ray//head'", r"auto, host:port or ray://"),
    "bad host": ("generate demo --out new --address a..b:6379", r"--address.*'a\.\.b'", r"auto, host:port or ray://"),
    "bad port": ("generate demo --out new --address head:99999", r"--address.*'head:99999'", r"1 to 65535"),
    "another campaign is there": ("generate good.yaml --out set", r"holds another campaign \('tiny'\)", r"choose another place"),
    "into a pulled part": ("generate good.yaml --out pulled", r"was pulled from dataset", r"choose another place"),
    "into a newer dataset": ("generate good.yaml --out newer", r"version 2", r"update|install"),
    "into somebody's folder": ("generate good.yaml --out thesis", r"thesis is not empty \(thesis\.txt\) and holds no dataset", r"choose another place"),
    "log in somebody's folder": ("generate good.yaml --out thesis --log thesis/log.jsonl", r"not empty \(thesis\.txt\)", r"choose another place"),
    "file for a folder": ("generate demo --out file.txt", r"file\.txt", r"choose another"),
    "folder below a file": ("generate demo --out file.txt/set", r"file\.txt", r"choose another"),
    "negative sample": ("sample demo --out new -- -1", r"sample -1", r"samples 0 to"),
    "sample into a file": ("sample demo 0 --out file.txt", r"file\.txt", r"another --out"),
    "seed out of range": ("sample demo 0 --out new --seed 99999999999999999999", r"seed", r"less than|2\^63|unable to parse"),
    # --- search
    "no such search": ("search severty --out new", r"no job file 'severty'", r"did you mean 'severity'"),
    "search of no search": ("search good.yaml --out new", r"good\.yaml.*`searches` is missing", r"name -> search"),
    "key of a search misspelt": ("search search_misspelt.yaml --out new", r"first: unknown key 'populaton'", r"mean 'population'"),
    "condition that is none": ("search search_unknown.yaml --out new", r"first: condition: .*limp", r"known: healthy"),
    "way that is none": ("search search_way.yaml --out new", r"along: there is no 'severty'", r"mean 'severity'"),
    "start that is none": ("search search_start.yaml --out new", r"first: there is no start 'healthy_12'", r"mean 'healthy_120'"),
    "search that is not in the file": ("search speed --out new --only fastr", r"no search fastr", r"slower, faster"),
    "search into somebody's folder": ("search speed --out thesis", r"thesis is not empty", r"choose another --out"),
    "search into a file": ("search speed --out file.txt", r"file\.txt", r"choose another"),
    # --- archive
    "archive that is missing": ("archive info nowhere.parquet", r"no archive nowhere\.parquet", r"a search leaves one"),
    "archive that is none": ("archive info file.txt", r"file\.txt: not an archive", r"archive merge"),
    "picture of no kind": ("archive plot --out new.jpeg", r"--out 'new\.jpeg'", r"\.png, \.svg, \.pdf"),
    "picture below a file": ("archive plot --out file.txt/new.png", r"file\.txt/new\.png", r"another place"),
    "merged over something else": ("archive merge model.safetensors --out file.txt", r"file\.txt is there already", r"choose another"),
    "merged from what is none": ("archive merge file.txt --out new.parquet", r"file\.txt: not an archive", r"archive merge"),
    # --- storage
    "unknown scheme": ("info gs://bucket/set", r"gs://", r"s3://bucket/prefix"),
    "file URI with a host": ("info file://set", r"file://set.*host 'set'", r"three slashes"),
    "credentials in the URI": ("info s3://me:HUSHHUSH@bucket/set", r"no credentials", r"AWS_ACCESS_KEY_ID"),
    "bad bucket": ("info s3://Bad_Bucket!/set", r"Bad_Bucket!", r"lower|3 to 63"),
    "bad endpoint": ("info s3://bucket/set --endpoint-url localhost:9000", r"localhost:9000", r"http"),
    "no credentials": ("info s3://bucket/set --endpoint-url http://127.0.0.1:9", r"credentials", r"AWS_ACCESS_KEY_ID|profile"),
    # --- reading a dataset
    "damaged identity": ("info torn", r"torn/dataset\.json", r"not JSON|damaged"),
    "no identity": ("verify nameless", r"nameless/dataset\.json.*dataset_id", r"."),
    "newer format": ("info newer", r"version 2", r"update|install|newer gaitfarm"),
    "view that is a path": ("info escaping", r"escaping/dataset\.json.*views", r"."),
    "damaged commit": ("info hurt", r"commits/00000001\.json", r"gaitfarm repair"),
    "compact what is none": ("compact thesis", r"thesis", r"holds no dataset|no dataset"),
    # --- refilm
    "refilm of nothing": ("refilm empty --out new", r"empty", r"no dataset"),
    "refilm of a part": ("refilm pulled --out new", r"pulled is a part that was pulled", r"film that dataset again"),
    "refilm of other gaits": ("refilm set --out new --campaign others.yaml", r"others\.yaml: seed is '2', .* '1'", r"leave it out"),
    "refilm by a campaign that is none": ("refilm set --out new --campaign no.yaml", r"no\.yaml", r"give a YAML file"),
    "refilm with a key misspelt": ("refilm set --out new --campaign misspelt.yaml", r"'gaits_per_shrad'", r"did you mean"),
    "refilm onto itself": ("refilm set --out set", r"simulated", r"choose another place"),
    "refilm in somebody's folder": ("refilm set --out thesis", r"thesis", r"choose another"),
    "refilm of what is not made": ("refilm other --out new", r"does not have 1 of the shards", r"gaitfarm generate"),
    "refilm by a negative seed": ("refilm set --out new --scene-seed -1", r"--scene-seed", r"x>=0|greater than or equal to 0"),
    "slice of refilm": ("refilm set --out new --slice 3/2", r"--slice '3/2'", r"--slice 1/4"),
    # --- pull
    "SQL that is none": ("pull set new --where speed<<", r"--where|expression", r"near|expected|such as"),
    "unknown column": ("pull set new --where gait_sped<1", r"gait_sped", r"mean 'gait_speed'"),
    "SQL that is a number": ("pull set new --where gait_speed+1", r"true or false", r"such as"),
    "several statements": ("pull set new --where true;DROP_TABLE_gaits", r"--where|one expression|statement", r"."),
    "SQL that reads files": ("pull set new --where (SELECT_count(*)>0_FROM_read_csv('file.txt'))", r".", r"."),
    "no gait is left": ("pull set new --where gait_speed>99", r"no gait fulfils", r"nothing was pulled"),
    "unknown field": ("pull set new --fields keypoint_2d", r"'keypoint_2d'", r"mean 'keypoints_2d'"),
    "unknown view of a pull": ("pull set new --views top", r"no view 'top'", r"front, side"),
    "empty list": ("pull set new --views ,", r"--views is empty", r"leave it out"),
    "negative count": ("pull set new --count -4", r"--count is -4", r"1 or more"),
    "unknown part": ("pull set new --split tets", r"'tets'", r"train, validation, test"),
    "shares that make no whole": ("pull set new --split train --split-shares 0.5/0.1/0.1", r"0\.5/0\.1/0\.1", r"0\.8/0\.1/0\.1"),
    "size that is none": ("pull set new --max-bytes lots", r"--max-bytes is 'lots'", r"50GB"),
    "no job": ("pull set new --jobs 0", r"--jobs is 0", r"1 or more"),
    "pull onto itself": ("pull set set", r"set", r"choose another"),
    "pull into another dataset": ("pull set other", r"holds another dataset", r"choose another"),
    "another pull is there": ("pull set pulled --where sample_id<3", r"holds another dataset", r"choose another"),
    "pull into somebody's folder": ("pull set thesis", r"thesis", r"choose another|not empty"),
    # --- export
    "unknown format": ("export webdatset set --out new", r"no format 'webdatset'", r"mean 'webdataset'"),
    "option of another format": ("export webdataset set --out new --model", r"no --model", r"leave it out"),
    "fields of no arrays": ("export croissant set --out new --fields video", r"croissant has no --fields", r"leave it out"),
    "prefix that is a path": ("export webdataset set --out new --prefix ../up", r"--prefix '\.\./up'", r"letters, digits"),
    "export into the dataset": ("export croissant set --out set/meta", r"lies in the dataset", r"beside it"),
    "export into somebody's folder": ("export webdataset set --out thesis", r"not empty \(thesis\.txt\)", r"another --out"),
    "another export is there": ("export croissant set --out exported", r"another export: format", r"another --out"),
    "export of unknown view": ("export opensim set --out new --views top", r"no view 'top'", r"front, side"),
    "files of no gait": ("export webdataset set --out new --gaits-per-file 0", r"--gaits-per-file", r"x>=1|greater than or equal to 1"),
    "export of nothing": ("export huggingface empty --out new", r"empty", r"no dataset"),
    # --- gc, repair
    "grace that is none": ("gc set --grace soon --yes", r"--grace.*'soon'", r"24h|s, m, h or d"),
    "grace too short": ("gc set --grace 5s --yes", r"5", r"--force"),
    "gc of nothing": ("gc thesis --yes", r"thesis", r"no dataset"),
    "repair of no such shard": ("repair set --shard 99999999 --yes", r"99999999", r"."),
    # --- gallery, report, train, predict
    "gallery in somebody's folder": ("gallery set --out thesis", r"thesis is not empty", r"another --out"),
    "gallery of nothing": ("gallery empty --out new", r"empty", r"no dataset"),
    "gallery of no gait": ("gallery set --out new --count 0", r"--count is 0", r"1 or more"),
    "report of an unmade training": ("report set --out new --train thesis", r"thesis", r"gaitfarm train"),
    "report with a summary that is none": ("report set --out new --summary file.txt", r"file\.txt", r"--json"),
    "report into a file": ("report set --out file.txt", r"file\.txt", r"another|folder"),
    "train on too little": ("train other --out new", r"holds 2 accepted gaits", r"needs 3"),
    "train in somebody's folder": ("train set --out thesis", r"thesis is not empty", r"another --out"),
    "width out of range": ("train set --out new --width 4", r"--width", r"8<=x<=1024|greater than or equal to 8"),
    "estimator that is none": ("predict model.safetensors keypoints.npz", r"not a gaitfarm checkpoint", r"gaitfarm train"),
    "estimator that is missing": ("predict nowhere keypoints.npz", r"nowhere", r"gaitfarm train"),
}  # fmt: skip
"""In words of a command line a blank separates arguments, and an underscore between SQL words stands for a blank."""

WITHOUT_KEYS = {
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_CONFIG_FILE": "/nonexistent",
}  # fmt: skip
PLAIN = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"} | WITHOUT_KEYS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bad")
    make_working_folder(root)
    return root


def arguments_of(line: str) -> list[str]:
    words = line.split(" ")
    return [word.replace("_", " ") if word.startswith(("true;", "(SELECT")) else word for word in words]


def check(case: str, exit_code: int, stdout: str, stderr: str) -> None:
    _, thing, mend = CASES[case]
    message = " ".join(stderr.split())
    assert exit_code == 2, f"exit code {exit_code}: {stdout}{stderr}"
    assert stdout == ""
    assert "Traceback" not in message
    assert "unexpected " not in message
    assert re.search(thing, message), f"names no {thing!r}: {message}"
    assert re.search(mend, message), f"says no {mend!r}: {message}"
    assert "HUSHHUSH" not in message


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_named_and_changes_nothing(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    before = fingerprint(folder)
    result = CliRunner().invoke(app, arguments_of(CASES[case][0]), env=PLAIN)
    after = fingerprint(folder)
    check(case, result.exit_code, result.stdout, result.stderr)
    assert after == before, "something was changed"


@pytest.mark.parametrize("case", ["key misspelt", "credentials in the URI", "unknown column", "unknown format"])
def test_the_same_from_a_shell(case: str, folder: Path) -> None:
    """As a process of its own, the streams and the exit code are the same."""
    before = fingerprint(folder)
    done = subprocess.run(
        [sys.executable, "-m", "farm.cli", *arguments_of(CASES[case][0])],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | PLAIN
        | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    check(case, done.returncode, done.stdout, done.stderr)
    assert fingerprint(folder) == before


def test_fingerprint_sees_every_change(folder: Path, tmp_path: Path) -> None:
    seen = {fingerprint(tmp_path)}
    for change in (
        lambda: (tmp_path / "a").mkdir(),
        lambda: (tmp_path / "a" / "b").write_text("1"),
        lambda: (tmp_path / "a" / "b").write_text("2"),
        lambda: (tmp_path / "a" / "b").rename(tmp_path / "c"),
    ):
        change()
        seen.add(fingerprint(tmp_path))
    assert len(seen) == 5
