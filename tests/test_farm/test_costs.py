"""What a campaign will take: arithmetic that can be done by hand, and a dry run that leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from farm.cli import app
from farm.config import load_campaign
from farm.costs import Figures, Prices, assumed_figures, estimate, recorded_figures
from farm.dry_run import dry_run
from farm.errors import CampaignError
from farm.planning import Plan, Slice, plan_of, progress, shard_id_of
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign

FIGURES = Figures(sample_s=18.0, accepted=0.5, gait_bytes=2e6, objects=9, source="by hand")
PRICES = Prices(core_hour=0.02, gb_month=0.025, thousand_writes=0.005, thousand_reads=0.0005)


def test_a_campaign_by_hand() -> None:
    campaign = load_campaign("demo", samples=10_000).model_copy(update={"gaits_per_shard": 100})
    state = progress(plan_of(campaign), [shard_id_of(number) for number in range(20)])
    found = estimate(campaign, state, FIGURES, cores=100, prices=PRICES)
    assert (found.samples, found.samples_done, found.shards, found.shards_done) == (10_000, 2000, 100, 20)
    assert found.core_hours == pytest.approx(8000 * 18 / 3600)
    assert found.wall_hours == pytest.approx(0.4)
    assert found.bytes_left == pytest.approx(4000 * 2e6)
    assert found.objects_left == 80 * 10
    assert found.writes == 800 + 8000 + 2 * 80 + 1
    assert found.reads == 8000 + 80
    assert found.jobs_per_s == pytest.approx(8080 / 1440)
    assert found.writes_per_s == pytest.approx(8961 / 1440)
    assert found.usd_compute == pytest.approx(0.8)
    assert found.usd_requests == pytest.approx(8961 * 5e-6 + 8080 * 5e-7)
    assert found.usd_storage_month == pytest.approx(8.0 * 0.025)


@given(st.integers(1, 5000), st.integers(1, 100), st.integers(1, 8), st.integers(1, 2000))
def test_slices_and_what_is_done_add_up(samples: int, per_shard: int, of: int, cores: int) -> None:
    campaign, plan = load_campaign("demo", samples=samples), Plan(samples, per_shard)
    whole = estimate(campaign, progress(plan, ()), FIGURES, cores=cores, prices=PRICES)
    parts = [
        estimate(campaign, progress(plan, (), Slice(k, of)), FIGURES, cores=cores, prices=PRICES)
        for k in range(1, of + 1)
    ]
    assert sum(part.core_hours for part in parts) == pytest.approx(whole.core_hours)
    assert sum(part.objects_left for part in parts) == whole.objects_left
    done = estimate(campaign, progress(plan, [item.shard_id for item in plan]), FIGURES, cores=cores, prices=PRICES)
    assert (done.core_hours, done.bytes_left, done.usd_compute, done.jobs_per_s) == (0, 0, 0, 0)


def test_assumed_figures_grow_with_what_is_asked_for() -> None:
    demo = load_campaign("demo")
    long = demo.model_copy(update={"simulation": demo.simulation.model_copy(update={"duration_s": 20.0})})
    blind = demo.model_copy(update={"pictures": demo.pictures.model_copy(update={"rgb": "none"})})
    twin = demo.model_copy(update={"engine": "twin"})
    figures = assumed_figures(demo)
    assert assumed_figures(long).sample_s > 1.9 * figures.sample_s
    assert assumed_figures(blind).gait_bytes < 0.5 * figures.gait_bytes
    assert assumed_figures(twin).sample_s < figures.sample_s - 2.0
    assert figures.objects == 93


def test_a_datasets_own_shards_say_what_a_sample_takes(tmp_path: Path) -> None:
    campaign = make_campaign(samples=6, gaits_per_shard=2)
    make_dataset(str(tmp_path), campaign, rejected=[1], shards=[0, 1])
    found = dry_run(campaign, str(tmp_path), cores=2)
    assert "demo campaign" in found.figures.source, "these commits tell of no seconds"
    assert (found.samples_done, found.shards_done) == (4, 2)
    for path in sorted(tmp_path.glob("commits/*")):
        path.write_bytes(path.read_bytes().replace(b'"wall_s":0.0', b'"wall_s":30.0'))
    own = dry_run(campaign, str(tmp_path), cores=2)
    assert own.figures.source == "recorded by 2 of the dataset's own shards"
    assert (own.figures.sample_s, own.figures.accepted) == (15.0, 0.75)
    stored = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and path.name != "dataset.json")
    assert own.figures.gait_bytes == pytest.approx(stored / 3)
    assert own.core_hours == pytest.approx(2 * 15 / 3600)
    assert dry_run(campaign, str(tmp_path), cores=2, sample_s=1.0).core_hours == pytest.approx(2 / 3600)


def test_nothing_accepted_tells_nothing() -> None:
    assert recorded_figures([], []) is None


def test_a_dry_run_writes_nothing_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "data"
    arguments = ["generate", "demo", "--out", str(out), "--dry-run", "--workers", "10"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "20 samples in 5 shards" in done.output
    assert "nothing was written or started" in done.output
    assert not out.exists()
    priced = CliRunner().invoke(app, [*arguments, "--json", "--slice", "1/5", "--usd-per-core-hour", "3.6"])
    told = json.loads(priced.stdout)
    assert (told["samples"], told["shards"], told["cores"]) == (4, 1, 10)
    assert told["usd_compute"] == pytest.approx(3.6 * told["core_hours"])
    assert not out.exists()


def test_a_dry_run_refuses_another_campaigns_dataset(tmp_path: Path) -> None:
    make_dataset(FileStorage(tmp_path), make_campaign(samples=2, gaits_per_shard=2))
    with pytest.raises(CampaignError, match="holds another campaign"):
        dry_run(make_campaign(samples=4, gaits_per_shard=2), str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--slice", "3/2"], "--slice '3/2' is not K/N"),
        (["--usd-per-core-hour=-1"], "greater than or"),
        (["--sample-seconds", "0"], "greater than or"),
    ],
)
def test_what_cannot_be_reckoned_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["generate", "demo", "--out", str(tmp_path / "x"), "--dry-run", *arguments])
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "x").exists()
