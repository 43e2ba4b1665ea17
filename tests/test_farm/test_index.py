"""The index: what filters may say, and the catalogue that spares reading every commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.dataset.catalogue import compact
from farm.dataset.reader import GaitDataset
from farm.errors import FormatError, ObjectNotFoundError, UserError
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign, make_samples_for
from tests.tables import table_of, to_parquet

ROWS = (
    {"sample_id": 7, "condition": "healthy", "gait_speed": 1.2, "n_frames": 30},
    {"sample_id": 2, "condition": "foot_drop", "gait_speed": 0.7, "n_frames": 31},
    {"sample_id": 5, "condition": "foot_drop", "gait_speed": None, "n_frames": 32},
    {"sample_id": 9, "condition": "it's", "gait_speed": 0.1 + 0.2, "n_frames": 33},
)


class _CountingStorage(FileStorage):
    """Remembers which objects were read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read: list[str] = []

    def get(self, key: str) -> bytes:
        self.read.append(key)
        return super().get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.read.append(key)
        return super().get_range(key, start, length)


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (None, [2, 5, 7, 9]),
        ("gait_speed < 0.8 and condition == 'foot_drop'", [2]),
        ("gait_speed < 0.8", [2, 9]),
        ("gait_speed is null", [5]),
        ("condition = 'it''s'", [9]),
        ("condition in ('healthy', 'foot_drop') -- a comment", [2, 5, 7]),
        ("gait_speed > (select avg(gait_speed) from gaits)", [7]),
        ("sample_id % 2 = 1", [5, 7, 9]),
        ("gait_speed = 0.1 + 0.2", []),  # DuckDB's literals are exact decimals: 0.3
    ],
)
def test_filters(where: str | None, ids: list[int]) -> None:
    assert [row["sample_id"] for row in table_of(ROWS).rows(where)] == ids


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("gait_sped < 0.8", "no column 'gait_sped'; did you mean 'gait_speed'"),
        ("gait_speed", "is not true or false"),
        ("'text'", "is not true or false"),
        ("", "is not one SQL expression"),
        ("gait_speed <", "is not one SQL expression"),
        ("condition = 'x", "is not one SQL expression"),
        ("1=1; drop table gaits", "is not one SQL expression"),
        ("1=1) UNION SELECT * FROM (gaits", "is not one SQL expression"),
        ("1=1 LIMIT 1", "is not one SQL expression"),
        ("1=1 FROM gaits", "is not one SQL expression"),
        ("gait_speed < 1, sample_id < 1", "is not one SQL expression"),
        ("count(*) > 1", "not true or false|aggregate|must appear in"),
        ("sum(gait_speed) > 1", "aggregate"),
        ("(select count(*) from read_text('/etc/passwd')) > 0", "no files and no network"),
        ("(select count(*) from '/etc/passwd.csv') > 0", "no files|does not exist"),
        ("(select count(*) from read_csv('https://example.org/x.csv')) > 0", "no files and no network"),
        ("(select count(*) from ROWS) > 0", "(?i)table.*does not exist"),
    ],
)
def test_filters_that_are_refused(where: str, message: str) -> None:
    table = table_of(ROWS)
    with pytest.raises(UserError, match=message) as caught:
        table.rows(where)
    assert str(caught.value).startswith("--where ")
    assert "\n" not in str(caught.value)
    assert len(table) == len(ROWS)


def test_a_filter_cannot_unlock_the_database() -> None:
    table = table_of(ROWS)
    with pytest.raises(UserError):
        table.rows("1=1; SET enable_external_access = true")
    with pytest.raises(UserError):
        table.rows("(select count(*) from read_text('/etc/passwd')) > 0")


def test_columns() -> None:
    table = table_of(ROWS)
    assert table.rows("sample_id = 9", ["condition", "gait_speed"]) == [{"condition": "it's", "gait_speed": 0.1 + 0.2}]
    with pytest.raises(UserError, match="no column 'sped'"):
        table.rows(columns=["sped"])


def test_an_empty_index() -> None:
    assert table_of(()).rows() == []


def test_parquet_keeps_every_cell_and_takes_new_columns() -> None:
    data = to_parquet(ROWS)
    assert data[:4] == data[-4:] == b"PAR1"
    newer = {"sample_id": 11, "condition": "crouch", "gait_speed": 1.0, "n_frames": 3, "cadence": 101.5}
    rows = table_of([newer], data).rows()
    assert [row["sample_id"] for row in rows] == [2, 5, 7, 9, 11]
    assert rows[-1] == newer
    assert rows[0] == {**ROWS[1], "cadence": None}


def test_a_damaged_catalogue_is_named() -> None:
    with pytest.raises(FormatError, match="delete the objects under catalogue/ and run `gaitfarm compact`"):
        table_of(b"PAR1 and nothing else PAR1")


def test_the_catalogue_spares_reading_commits_and_newer_ones_are_read(tmp_path: Path) -> None:
    campaign = make_campaign(samples=6, gaits_per_shard=2)
    make_dataset(str(tmp_path), campaign, rejected=[1], shards=[0, 1])
    plain = GaitDataset(str(tmp_path)).index()
    (first,) = compact(FileStorage(tmp_path)).parts
    storage = _CountingStorage(tmp_path)
    assert GaitDataset(storage).index() == plain
    assert [key for key in storage.read if key.startswith("commits/")] == []
    make_dataset(str(tmp_path), campaign, rejected=[1], shards=[2])
    storage = _CountingStorage(tmp_path)
    rows = GaitDataset(storage).index()
    assert [key for key in storage.read if key.startswith("commits/")] == ["commits/00000002.json"]
    assert [row["sample_id"] for row in rows] == [0, 2, 3, 4, 5]
    (second,) = compact(FileStorage(tmp_path)).parts
    assert [item.key.rpartition("/")[2] for item in storage.list("catalogue/")] == [second.rpartition("/")[2]] * 3
    assert second != first
    assert GaitDataset(str(tmp_path)).index() == rows


def test_a_catalogue_of_commits_that_are_gone_is_not_believed(tmp_path: Path) -> None:
    campaign = make_campaign(samples=6, gaits_per_shard=2)
    make_dataset(str(tmp_path), campaign)
    compact(FileStorage(tmp_path))
    (tmp_path / "commits" / "00000001.json").unlink()
    assert [row["sample_id"] for row in GaitDataset(str(tmp_path)).index()] == [0, 1, 4, 5]


def test_reading_gaits_and_pictures(tmp_path: Path) -> None:
    campaign = make_campaign(samples=5, gaits_per_shard=2, rgb="lossless")
    make_dataset(str(tmp_path), campaign, rejected=[1])
    dataset = GaitDataset(str(tmp_path))
    truth = make_samples_for(campaign, [2, 3], n_samples=(60, 90, 75))[1]
    gait = dataset.gait(3)
    assert gait["muscle_force"].shape == (90, 18)
    assert (gait["muscle_force"] == truth.trajectory.muscle_force.astype("float32")).all()
    assert gait.row["stature_m"] == truth.parameters.stature_m
    assert (dataset.frames(3, "side") == truth.frames.view("side").rgb).all()
    assert set(dataset.gait(3, ["labels", "keypoints_2d"]).arrays) == {
        "labels", "views/front/keypoints_2d", "views/side/keypoints_2d",
    }  # fmt: skip
    for call, message in (
        (lambda: dataset.gait(1), "has no gait 1: it was rejected"),
        (lambda: dataset.frames(3, "top"), "no view 'top'; it has front, side"),
    ):
        with pytest.raises(UserError, match=message):
            call()
    with pytest.raises(ObjectNotFoundError):
        dataset.shard("00000099")


def test_a_missing_object_is_damage_not_fill_values(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), make_campaign(samples=2, gaits_per_shard=2))
    next(tmp_path.glob("shards/*/*/coordinates/c/0/0/0")).unlink()
    group = GaitDataset(str(tmp_path)).shard("00000000")
    assert group["labels"][0].shape == (39,)
    with pytest.raises(FormatError, match=r"coordinates/c/0/0/0 is missing.*gaitfarm verify"):
        group["coordinates"][0]


def test_refresh_sees_what_is_newer(tmp_path: Path) -> None:
    campaign = make_campaign(samples=4, gaits_per_shard=2)
    make_dataset(str(tmp_path), campaign, shards=[0])
    dataset = GaitDataset(str(tmp_path))
    assert len(dataset.index()) == 2
    make_dataset(str(tmp_path), campaign, shards=[1])
    assert len(dataset.index()) == 2
    dataset.refresh()
    assert len(dataset.index()) == len(dataset.records) * 2 == 4
