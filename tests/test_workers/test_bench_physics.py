"""The physics bench: what it times, how it refuses, and the figures of its one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "bench_physics.py"
TINY = (
    "--processes", "1", "--repeats", "1", "--seconds", "0.1", "--twin-seconds", "0.3", "--states", "3", "--turns", "1",
)  # fmt: skip


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments], capture_output=True, text=True, timeout=280, check=False
    )


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    done = bench(*TINY, "--bodies", "planar", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("\n") == 1, "one line"
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_every_promised_figure_is_there_or_says_why_not(report: dict[str, Any]) -> None:
    for key in ("opensim_planar_rtf", "twin_planar_rtf", "opensim_planar_rtf_cpu", "twin_planar_rtf_cpu"):
        assert report[key] > 0.0, key
    for key in ("peer_rtf", "opensim_3d_rtf", "twin_3d_rtf"):
        assert report[key] is None
        assert report["skipped"][key]
    assert set(report["skipped"]) == {"peer_rtf", "opensim_3d_rtf", "twin_3d_rtf"}
    assert 0.0 < report["accel_rel_err_max"] < 1e-8
    assert 0.0 <= report["angle_err_deg_1s"] < 0.1
    assert report["agreement"]["planar"]["compared_s"] == pytest.approx(1.0)


def test_rows_are_consistent(report: dict[str, Any]) -> None:
    assert [(row["engine"], row["body"], row["processes"]) for row in report["rows"]] == [
        ("opensim", "planar", 1),
        ("twin", "planar", 1),
    ]
    for row in report["rows"]:
        assert row["rtf_range"][0] <= row["rtf"] <= row["rtf_range"][1]
        assert row["ends"] == ["completed"]
        assert row["evaluations_per_s"] == pytest.approx(row["evaluations_per_simulated_s"] * row["rtf"])
    seconds = {row["engine"]: row["simulated_s"] for row in report["rows"]}
    assert seconds == pytest.approx({"opensim": 0.1, "twin": 0.3})


def test_the_profile_adds_up(report: dict[str, Any]) -> None:
    profile = report["profile"]["planar"]
    evaluation = {cost["part"]: cost["us"] for cost in profile["evaluation"]}
    assert set(evaluation) == {
        "skeleton", "passive joints, torques", "contact", "muscles", "path polynomials", "together",
    }  # fmt: skip
    assert evaluation["skeleton"] > 0.0
    step = {cost["part"]: cost["us"] for cost in profile["control_step"]}
    assert step["12 evaluations"] == pytest.approx(12 * sum(evaluation.values()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--peer-model", "nowhere.osim"), "--peer-model 'nowhere.osim': no such file; leave it out to skip the peer"),
        (("--repeats", "0"), "--repeats must be above 0, got 0"),
        (("--processes", "0"), "--processes must be 1 or more, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[str, ...], message: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_another_model_than_the_public_one_is_refused(tmp_path: Path) -> None:
    import opensim

    opensim.Logger.setLevelString("off")
    model = opensim.Model()
    model.setName("nobody")
    path = tmp_path / "nobody.osim"
    model.printToXML(str(path))
    sys.path.insert(0, str(TOOL.parent))
    try:
        from peer_walk import PeerWalk
    finally:
        sys.path.remove(str(TOOL.parent))
    with pytest.raises(ValueError, match=r"has no 'hamstrings_r': give gait14dof22musc_planar_20170320\.osim"):
        PeerWalk(path)
