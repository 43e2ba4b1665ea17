"""The report of a dataset of kinematic walkers, from storage to page."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from farm.cli import app
from farm.dataset.reader import GaitDataset
from farm.errors import FormatError, UserError
from farm.gait.norms import CYCLE_PERCENT
from farm.report import Report, write_report
from farm.report.contact_sheet import CELL_HEIGHT_PX, SheetRow, contact_sheet, moments
from farm.report.gather import gather
from farm.report.page import read_scores, read_stage_seconds
from farm.report.plots import STEP_LENGTH_FACTOR, STEP_LENGTH_POWER, vertical_force_curves
from farm.storage import open_storage
from tests.norm_dataset import norm_campaign, norm_sample, write_norm_dataset

SPEEDS = (0.8, 1.25, 1.5, 2.4)  # the last is beyond the campaign's limit


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("walkers")
    campaign = norm_campaign(samples=len(SPEEDS), gaits_per_shard=2)
    samples = [
        norm_sample(campaign, i, speed_m_s=speed, condition="foot_drop" if i == 2 else "healthy")
        for i, speed in enumerate(SPEEDS)
    ]
    write_norm_dataset(open_storage(str(folder)), campaign, samples)
    return str(folder)


@pytest.fixture(scope="module")
def written(dataset: str, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return write_report(dataset, tmp_path_factory.mktemp("report"))


def test_counts_are_those_of_the_dataset(dataset: str, written: Report) -> None:
    assert (written.n_gaits, written.n_rejected) == (3, 1)
    html = written.page.read_text("utf-8")
    assert "<b>75 %</b>" in html
    assert "speed out of range" in html
    assert "sample 3: 2.40 m/s, allowed 0.25 to 2.2" in html
    assert GaitDataset(dataset).manifest.dataset_id in html


def test_every_label_of_every_gait_is_in_the_table(dataset: str, written: Report) -> None:
    html = written.page.read_text("utf-8")
    data = gather(GaitDataset(dataset))
    assert len(data.labels) >= 30
    for column in data.labels:
        assert html.count(column.name) >= 2, column.name  # among the statistics and in the table
    for row in data.rows:
        assert f"{row['step_length']:.3f}" in html


def test_page_is_self_contained(written: Report) -> None:
    html = written.page.read_text("utf-8")
    sources = re.findall(r'src="([^"]{0,40})', html)
    assert len(sources) >= 7
    assert all(source.startswith(("data:image/png;base64,", "data:video/mp4;base64,")) for source in sources)
    assert "http" not in re.sub(r"data:[^\"]+", "", html)


def test_films_are_the_stored_bitstreams(dataset: str, written: Report) -> None:
    assert [film.name for film in written.films] == ["gait_1_front.mp4", "gait_1_side.mp4"]  # the median speed
    stored = GaitDataset(dataset).video(1, "side")
    assert written.films[1].read_bytes() == stored
    assert base64.b64encode(stored).decode() in written.page.read_text("utf-8")


def test_contact_sheet_shows_the_gaits_pictures(dataset: str, written: Report) -> None:
    """Each cell is the very picture of that gait, view and moment, and no other."""
    assert written.contact_sheet is not None
    sheet = np.asarray(Image.open(written.contact_sheet).convert("RGB"), dtype=int)
    opened = GaitDataset(dataset)
    for number, sample_id in enumerate((0, 1, 2)):
        film = opened.frames(sample_id, "front")
        row = opened.index(f"sample_id = {sample_id}")[0]
        at = moments(len(film), row["stride_time"] * 30.0)
        cells = [_cell(sheet, number, moment) for moment in range(len(at))]
        for moment, index in enumerate(at):
            # compare without the corner in which the time is written
            expected = _thumbnail(film[index])[: CELL_HEIGHT_PX - 24]
            difference = [np.abs(cell[: CELL_HEIGHT_PX - 24] - expected).mean() for cell in cells]
            assert difference[moment] < 0.5
            assert min(d for other, d in enumerate(difference) if other != moment) > difference[moment]


def _cell(sheet: np.ndarray, row: int, moment: int) -> np.ndarray:
    y = 26 + row * (CELL_HEIGHT_PX + 10)
    x = 172 + moment * (2 * CELL_HEIGHT_PX + 2 + 10)
    return sheet[y : y + CELL_HEIGHT_PX, x : x + CELL_HEIGHT_PX]


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    size = (CELL_HEIGHT_PX, CELL_HEIGHT_PX)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS), dtype=int)


def test_contact_sheet_refuses_rows_that_do_not_fit() -> None:
    picture = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    one = SheetRow("a", [], [0.0, 1.0], {"front": picture})
    with pytest.raises(ValueError, match="at least one gait"):
        contact_sheet([])
    with pytest.raises(ValueError, match="same views"):
        contact_sheet([one, SheetRow("b", [], [0.0, 1.0], {"side": picture})])
    assert Image.open(io.BytesIO(contact_sheet([one, one]))).size[1] == 26 + 2 * (CELL_HEIGHT_PX + 10)


@given(st.integers(150, 3600), st.floats(20.0, 50.0))
def test_moments_ascend_and_differ_in_phase(n_frames: int, stride_frames: float) -> None:
    at = moments(n_frames, stride_frames)
    assert np.all(at >= 0)
    assert np.all(at < n_frames)
    if n_frames > 12 * stride_frames:  # far enough apart to choose the phase freely
        phase = np.sort(at / stride_frames % 1.0)
        apart = np.diff(np.append(phase, phase[0] + 1.0))
        assert apart.min() > 0.2 - 1.1 / stride_frames
        assert np.all(np.diff(at) > 0)


def test_moments_of_a_short_film_stay_inside() -> None:
    assert moments(1).tolist() == [0] * 5
    assert set(moments(3, 30.0).tolist()) <= {0, 1, 2}


def test_curves_are_those_that_were_walked(dataset: str) -> None:
    data = gather(GaitDataset(dataset))
    assert [gait.sample_id for gait in data.curves] == [0, 1, 2]
    middle = data.curves[1]
    knee = middle.angles["knee_flexion_r"]
    assert knee.max() == pytest.approx(65, abs=6)
    assert CYCLE_PERCENT[knee.argmax()] == pytest.approx(73, abs=4)
    assert middle.angles["knee_flexion_l"] == pytest.approx(knee, abs=3.0)  # each from its own foot's strike
    force = middle.vertical_force["l"]
    assert force.max() == pytest.approx(1.08, abs=0.05)
    assert np.all(force[66:99] < 0.03)
    assert middle.norms["knee_flexion"].fraction_within > 0.9
    assert middle.norms["hip_flexion"].r > 0.95


def test_norm_walkers_lie_on_the_published_relation(dataset: str) -> None:
    """The law that the page draws is the one that the walkers were made by, up to their leg length."""
    data = gather(GaitDataset(dataset))
    speed, length = data.column("gait_speed"), data.column("step_length")
    assert length / (STEP_LENGTH_FACTOR * speed**STEP_LENGTH_POWER) == pytest.approx(np.ones(3), abs=0.12)


def test_figures_are_the_same_for_the_same_data(dataset: str) -> None:
    data = gather(GaitDataset(dataset))
    assert vertical_force_curves(data) == vertical_force_curves(data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("[1, 2]", "no estimator's test table"),
        ("{", "is not JSON"),
        ('{"scores": [{}]}', "no estimator's test table"),
    ],
)
def test_a_wrong_test_table_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "test.json").write_text(content)
    with pytest.raises(FormatError, match=f"test.json.*{message}"):
        read_scores(tmp_path)


def test_a_wrong_summary_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"stage_seconds": 3}')
    with pytest.raises(FormatError, match=r"s\.json.*no stage_seconds.*generate --json"):
        read_stage_seconds(tmp_path / "s.json")


def test_lossless_pictures_become_films_and_no_pictures_none(tmp_path: Path) -> None:
    for rgb, n_films in (("lossless", 1), ("none", 0)):
        campaign = norm_campaign(samples=1, views=("side",), rgb=rgb)
        uri = str(tmp_path / rgb)
        write_norm_dataset(open_storage(uri), campaign, [norm_sample(campaign, 0, speed_m_s=1.1)])
        made = write_report(uri, tmp_path / f"{rgb}-report")
        assert len(made.films) == n_films
        assert (made.contact_sheet is not None) == bool(n_films)
        html = made.page.read_text("utf-8")
        assert html.count("<video") == n_films
        assert "Joint angles" in html


def test_a_dataset_without_accepted_gaits_says_so(tmp_path: Path) -> None:
    campaign = norm_campaign(samples=1)
    write_norm_dataset(open_storage(str(tmp_path / "d")), campaign, [norm_sample(campaign, 0, speed_m_s=2.6)])
    made = write_report(str(tmp_path / "d"), tmp_path / "r")
    html = made.page.read_text("utf-8")
    assert "No gait was accepted yet" in html
    assert "All 1 samples were turned down" in html
    assert made.contact_sheet is None


def test_command_line_shows_tables_and_trusts_no_words(dataset: str, tmp_path: Path) -> None:
    """Everything at once on a copy of the dataset whose commit record would put a script into the page."""
    storage, copy = open_storage(dataset), open_storage(str(tmp_path / "foreign"))
    for item in storage.list(""):
        copy.put(item.key, storage.get(item.key).replace(b"2.40 m/s, allowed", b"<script>alert(1)</script>"))
    score = {"parameter": "gait_speed", "unit": "m/s", "view": "side", "n": 12, "r": 0.914, "mae": 0.0521}
    (tmp_path / "test.json").write_text(json.dumps({"scores": [score, score | {"view": "front", "r": None}]}))
    (tmp_path / "run.json").write_text(json.dumps({"uri": "x", "stage_seconds": {"simulate": 30.0, "film": 12.0}}))
    out = tmp_path / "r"
    options = ["--out", str(out), "--train", str(tmp_path), "--summary", str(tmp_path / "run.json"), "--json"]
    done = CliRunner().invoke(app, ["report", str(tmp_path / "foreign"), *options])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["n_gaits"], answer["n_rejected"]) == (3, 1)
    html = Path(answer["page"]).read_text("utf-8")
    assert "<td>0.91</td><td>0.0521</td>" in html
    assert "<td>–</td><td>0.0521</td>" in html
    assert "<td>simulate</td><td>30.0</td><td>10.0</td>" in html
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert sorted(path.name for path in out.iterdir()) == [
        "contact_sheet.png", "gait_1_front.mp4", "gait_1_side.mp4", "report.html",
    ]  # fmt: skip


def test_a_place_that_cannot_be_written_is_named(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: the report cannot be written there.*choose another --out"):
        write_report(dataset, tmp_path / "file")


def test_no_dataset_is_named_and_nothing_written(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["report", str(tmp_path / "nothing"), "--out", str(tmp_path / "r")])
    assert missing.exit_code == 2
    assert "holds no dataset" in missing.output
    assert not (tmp_path / "r").exists()


def test_coverage_counts_every_sample_and_names_thin_cells(tmp_path: Path) -> None:
    slow, fast = 1.25, 2.4  # who is too fast is turned down
    campaign = norm_campaign(samples=16, gaits_per_shard=8, views=("side",))
    samples = [
        norm_sample(
            campaign, i, speed_m_s=fast if i % 2 and i < 12 else slow, condition="foot_drop" if i % 2 else "healthy"
        )
        for i in range(16)
    ]
    write_norm_dataset(open_storage(str(tmp_path / "data")), campaign, samples)
    found = gather(GaitDataset(str(tmp_path / "data"))).coverage
    assert found is not None
    assert [(group.of, group.samples, group.accepted) for group in found.conditions] == [
        (("healthy", samples[0].parameters.side), 8, 8),
        (("foot_drop", samples[1].parameters.side), 8, 2),
    ]
    assert found.conditions[1].reason == "speed_out_of_range"
    assert found.conditions[0].reason == ""
    assert sum(count for (_, band), count in found.grid.items() if band == "1.1 to 1.3 m/s") == 10
    assert sum(count for (_, band), count in found.grid.items() if band.endswith(" m")) == 10
    assert found.thin
    assert all(cell.of[0] == "foot_drop" for cell in found.thin)
    html = write_report(str(tmp_path / "data"), tmp_path / "report").page.read_text("utf-8")
    assert "thin cell" in html
    assert "<td>25 %</td>" in html
    assert "accepted gaits by condition and side" in html
