"""Which samples OpenSim walks again, what is kept of it, and what info and report make of that.

No engine runs here: both are kinematic walkers whose speeds differ, so that every
difference is known.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from farm.config import Campaign, Engine, campaign_from_mapping
from farm.dataset.catalogue import index_of
from farm.dataset.create import open_or_create
from farm.dataset.engines import engines_of, rechecks_of
from farm.dataset.info import info
from farm.dataset.manifest import RejectedGait, ShardRecord, parse_record, record_to_json
from farm.dataset.pack import PackedGait, pack
from farm.dataset.reader import GaitDataset
from farm.dataset.show import show_info
from farm.dataset.verify import verify
from farm.dataset.writer import encode_shard
from farm.errors import CampaignError, SimulationDiverged
from farm.pipeline import Stages, make_sample
from farm.recheck import RECHECKED_LABELS, VERDICT, RecheckedSample, difference_column, is_rechecked, recheck_cells
from farm.records import FrameSet, GaitParameters, GaitSample, Trajectory
from farm.report import write_report
from farm.storage import open_storage
from tests.norm_walk import norm_walk
from tests.samples import make_samples_for
from workers.write import commit_shard

SPEEDS: dict[int, tuple[float, float]] = {0: (1.2, 1.25), 1: (1.1, 1.1), 2: (1.3, 2.4), 3: (2.4, 1.3), 4: (2.5, 2.4)}
"""Sample -> speed of the twin and of OpenSim. Above 2.2 m/s a walk is turned down."""


def campaign(engine: Engine = "twin", fraction: float = 1.0, *, seed: int = 3, samples: int = len(SPEEDS)) -> Campaign:
    return campaign_from_mapping(
        {
            "name": "two-engines", "seed": seed, "samples": samples, "gaits_per_shard": samples, "engine": engine,
            "simulation": {"recheck_fraction": fraction},
            "pictures": {"views": ["side"], "rgb": "none", "mask": False},
        },
        source="tests",
    )  # fmt: skip


class Walkers:
    """Stages whose engines walk at the speeds above; notes who was asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def simulate(
        self, parameters: GaitParameters, *, engine: Engine, seed: int, duration_s: float, budget_s: float
    ) -> Trajectory:
        self.asked.append((engine, parameters.sample_id))
        speed = SPEEDS[parameters.sample_id][engine == "opensim"]
        return replace(norm_walk(parameters, speed_m_s=speed, duration_s=duration_s), engine=engine)

    def film(self, order: Campaign, parameters: GaitParameters, *rest: object) -> FrameSet:
        frames = make_samples_for(order, [parameters.sample_id], n_samples=[1001])[0].frames
        assert frames is not None
        return frames

    def stages(self) -> Stages:
        return Stages(simulate=self.simulate, film=self.film)


@pytest.fixture(scope="module")
def samples() -> list[GaitSample]:
    return [make_sample(campaign(), i, Walkers().stages()) for i in SPEEDS]


@pytest.fixture(scope="module")
def dataset(samples: list[GaitSample], tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("two") / "engines")
    write(uri, campaign(), samples)
    return uri


def write(uri: str, order: Campaign, samples: list[GaitSample]) -> ShardRecord:
    storage = open_storage(uri)
    manifest = open_or_create(storage, order)
    return commit_shard(storage, encode_shard(order, manifest.dataset_id, "00000000", samples), worker="tests")


# --- which samples -------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**8), st.floats(0.0, 1.0))
def test_who_is_rechecked_is_a_matter_of_seed_and_sample_and_grows_with_the_share(
    seed: int, sample_id: int, share: float
) -> None:
    chosen = is_rechecked(campaign(fraction=share, seed=seed), sample_id)
    assert chosen == is_rechecked(campaign(fraction=share, seed=seed, samples=77), sample_id)
    assert is_rechecked(campaign(fraction=1.0, seed=seed), sample_id)
    assert not is_rechecked(campaign(fraction=0.0, seed=seed), sample_id)
    assert not is_rechecked(campaign("opensim", 1.0, seed=seed), sample_id)
    if chosen:
        assert is_rechecked(campaign(fraction=min(1.0, share + 0.1), seed=seed), sample_id)


def test_the_share_is_met_and_seeds_choose_differently() -> None:
    chosen = {seed: [is_rechecked(campaign(fraction=0.05, seed=seed), i) for i in range(4000)] for seed in (1, 2)}
    for seed in (1, 2):
        assert np.mean(chosen[seed]) == pytest.approx(0.05, abs=0.012)  # 3.5 standard deviations of the share
    assert chosen[1] != chosen[2]


def test_opensim_is_asked_only_for_those() -> None:
    half = campaign(fraction=0.5)
    walkers = Walkers()
    for i in (0, 1):
        made = make_sample(half, i, walkers.stages())
        assert isinstance(made, RecheckedSample) == is_rechecked(half, i)
        assert made.trajectory.engine == "twin"
    wanted = [("twin", 0), ("opensim", 0), ("twin", 1), ("opensim", 1)]
    assert walkers.asked == [(e, i) for e, i in wanted if e == "twin" or is_rechecked(half, i)]
    plain = Walkers()
    assert not isinstance(make_sample(campaign("opensim"), 0, plain.stages()), RecheckedSample)
    assert plain.asked == [("opensim", 0)]


# --- what is kept of it --------------------------------------------------------------------------------------


def test_the_differences_are_those_of_the_walks(samples: list[GaitSample]) -> None:
    first, same, fast_there, fast_here, fast_both = samples
    assert isinstance(first, RecheckedSample)
    assert first.recheck is not None
    assert first.recheck.accepted
    assert set(first.recheck.differences) == set(RECHECKED_LABELS)
    assert first.recheck.differences["gait_speed"] == pytest.approx(1.2 - 1.25, abs=0.01)
    assert "recheck" in first.seconds
    assert isinstance(same, RecheckedSample)
    assert same.recheck is not None
    assert all(value == 0.0 for value in same.recheck.differences.values())
    verdicts = [recheck_cells(s.recheck)[VERDICT] for s in samples if isinstance(s, RecheckedSample)]
    assert verdicts == ["accepted", "accepted", "speed_out_of_range", "accepted", "speed_out_of_range"]
    assert [s.quality.accepted for s in (fast_there, fast_here, fast_both)] == [True, False, False]


def test_a_recheck_that_diverges_does_not_cost_the_gait() -> None:
    walkers = Walkers()

    def simulate(parameters: GaitParameters, *, engine: Engine, **rest: float) -> Trajectory:
        if engine == "opensim":
            raise SimulationDiverged("state became NaN", time_s=1.5)
        return walkers.simulate(parameters, engine=engine, **rest)  # type: ignore[arg-type]

    made = make_sample(campaign(), 0, Stages(simulate=simulate, film=walkers.film))
    assert made.quality.accepted
    packed = pack(campaign(), made)
    assert isinstance(packed, PackedGait)
    assert packed.row[VERDICT] == "diverged"
    assert packed.row[difference_column("gait_speed")] is None


def test_index_and_rejected_entries_say_it_and_a_query_finds_it(dataset: str) -> None:
    opened = GaitDataset(dataset)
    assert dict(opened.shard("00000000").attrs)["engine"] == "twin"
    column = difference_column("step_length")
    rows = opened.index(f"{VERDICT} = 'accepted' and abs({column}) > 0.001", ["sample_id", "engine", column])
    assert [(row["sample_id"], row["engine"]) for row in rows] == [(0, "twin")]
    rejected = {gait.sample_id: gait for gait in opened.records[0].rejected}
    assert rejected[3].engine == "twin"
    assert rejected[3].recheck[VERDICT] == "accepted"
    assert rejected[4].recheck[VERDICT] == "speed_out_of_range"
    assert verify(dataset).sound


def test_who_was_not_rechecked_has_nulls_and_opensims_gaits_have_no_such_columns() -> None:
    alone = pack(campaign(fraction=0.0), make_sample(campaign(fraction=0.0), 0, Walkers().stages()))
    assert isinstance(alone, PackedGait)
    columns = [VERDICT, *map(difference_column, RECHECKED_LABELS)]
    assert [alone.row[name] for name in columns] == [None] * len(columns)
    rejected = pack(campaign(fraction=0.0), make_sample(campaign(fraction=0.0), 3, Walkers().stages()))
    assert isinstance(rejected, RejectedGait)
    assert (rejected.engine, rejected.recheck) == ("twin", {})
    truth = pack(campaign("opensim"), make_sample(campaign("opensim"), 0, Walkers().stages()))
    assert isinstance(truth, PackedGait)
    assert truth.row["engine"] == "opensim"
    assert not set(columns) & set(truth.row)


def test_records_from_before_the_twin_are_read_as_opensims(samples: list[GaitSample], tmp_path: Path) -> None:
    """A commit as the first version 1 wrote it: no word of an engine anywhere."""
    order = campaign("opensim")
    made = [make_sample(order, i, Walkers().stages()) for i in (0, 3, 4)]  # OpenSim walks 0 and 3, not 4
    document = json.loads(record_to_json(write(str(tmp_path / "old"), order, made)))
    for row in document["index"]:
        del row["engine"]
    for gait in document["rejected"]:
        del gait["engine"], gait["recheck"]
    old = parse_record(json.dumps(document).encode(), "tests")
    assert engines_of(index_of([old])) == {"opensim": 3}
    assert rechecks_of(index_of([old])).n == 0


def test_verify_finds_an_index_that_names_another_engine(dataset: str, tmp_path: Path) -> None:
    storage, copy = open_storage(dataset), open_storage(str(tmp_path / "copy"))
    for item in storage.list(""):
        data = storage.get(item.key)
        copy.put(item.key, data.replace(b'"engine":"twin"', b'"engine":"opensim"') if "commits/" in item.key else data)
    faults = verify(str(tmp_path / "copy")).faults
    assert any("engine is 'twin', its index row says 'opensim'" in fault.what for fault in faults)


def test_another_engine_is_another_campaign(dataset: str) -> None:
    with pytest.raises(CampaignError, match=r"engine is 'twin' there and 'opensim' here.*choose another place"):
        open_or_create(open_storage(dataset), campaign("opensim"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"engine": "simbody"}, r"engine: .*'opensim' or 'twin'.*got 'simbody'"),
        ({"simulation": {"recheck_fraction": 1.5}}, r"simulation\.recheck_fraction: .*less than or equal to 1.*1\.5"),
        ({"simulation": {"recheck_fractoin": 0.1}}, r"did you mean 'recheck_fraction'"),
    ],
)
def test_a_wrong_order_is_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(CampaignError, match=message):
        campaign_from_mapping({"name": "x", "samples": 1} | wrong, source="tests")


# --- what people are told ------------------------------------------------------------------------------------


def test_counts_and_differences_add_up(dataset: str, samples: list[GaitSample]) -> None:
    found = rechecks_of(index_of(GaitDataset(dataset).records))
    assert (found.n, found.n_agree, found.n_only_recorded, found.n_only_opensim) == (5, 3, 1, 1)
    speed = found.labels[0]
    both = [s.recheck.differences["gait_speed"] for s in samples[:2] if isinstance(s, RecheckedSample) and s.recheck]
    assert (speed.label, speed.unit, speed.n) == ("gait_speed", "m/s", 2)
    assert speed.mean == pytest.approx(np.mean(both))
    assert speed.largest == pytest.approx(np.max(np.abs(both)))
    assert speed.largest_share == pytest.approx(0.05 / 1.25, rel=0.1)


def test_info_says_it(dataset: str) -> None:
    told = info(dataset)
    assert told["engines"] == {"twin": 5}
    assert told["rechecks"]["n_agree"] == 3
    json.dumps(told, allow_nan=False)
    shown = io.StringIO()
    show_info(told, Console(width=200, file=shown))
    assert "twin 5; 5 rechecked in OpenSim, 3 verdicts agree" in shown.getvalue()


def test_the_report_has_a_table_for_the_twin_and_a_line_for_opensim(
    dataset: str, tmp_path: Path, cleared: Callable[[str], str]
) -> None:
    made = write_report(dataset, tmp_path / "r")
    told = made.to_dict()
    assert told["engines"] == {"twin": 5}
    assert told["rechecks"]["labels"][0]["largest"] == pytest.approx(0.05, rel=0.1)
    html = cleared(made.page.read_text("utf-8"))
    assert "5 samples integrated by twin" in html
    assert "5 were walked again in OpenSim: 3 of 5 verdicts agree" in html
    assert "1 accepted here and turned down in OpenSim; 1 turned down here and accepted in OpenSim." in html
    order = campaign("opensim")
    write(str(tmp_path / "plain"), order, [make_sample(order, 1, Walkers().stages())])
    plain = write_report(str(tmp_path / "plain"), tmp_path / "p")
    assert plain.to_dict()["rechecks"] is None
    html = cleared(plain.page.read_text("utf-8"))
    assert "Engine: OpenSim integrated every sample." in html
    assert "twin" not in html


@pytest.fixture
def cleared() -> Callable[[str], str]:
    """A page's words: no pictures, no tags, single spaces."""

    def clear(html: str) -> str:
        text = re.sub(r"<[^>]+>", "", re.sub(r"data:[^\"]+", "", html))
        return " ".join(text.split())

    return clear
