"""The archive as a file: what is written is read, each walker stands there once, and no damage goes unnamed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from farm.control.archive import archive, shipped_archive
from farm.control.archive_file import read_archive, united, write_archive
from farm.control.archived import COLUMNS, ArchivedController
from farm.control.trends import trend
from farm.errors import FormatError
from farm.sampling.anatomy import anatomy


def test_the_shipped_archive_is_sound() -> None:
    rows = shipped_archive()
    assert {row.body_model for row in rows} == {"planar", "3d"}
    assert [*archive("3d"), *archive("planar")] == list(rows)
    assert len({row.name for row in rows}) == len({row.digest() for row in rows}) == len(rows)
    for row in rows:
        assert row.duration_s >= 10.0
        assert row.side != "left"
        assert (row.side == "none") == (row.severity == 0.0) == (row.condition == "healthy")
        assert row.leg_length_m == pytest.approx(anatomy(row.parameters()).leg_length_m)
        assert 0.3 < row.speed_m_s < 2.0
        assert row.robustness * 8 == round(row.robustness * 8), "a share of eight people"


ILL = 18
"""Conditions of the planar body that have walkers."""


def test_the_shipped_archive_has_walkers_of_every_condition_it_promises() -> None:
    planar = [row for row in shipped_archive() if row.body_model == "planar"]
    assert len({row.condition for row in planar} - {"healthy"}) >= ILL
    for name in sorted({row.condition for row in planar}):
        assert any(row.robustness >= 0.5 for row in planar if row.condition == name), name


@pytest.mark.parametrize(
    ("condition", "side", "label", "direction"),
    [
        ("foot_drop", "both", "ankle_range_r", +1),  # the foot hangs
        ("foot_drop", "both", "hip_range_r", +1),  # and is lifted over the floor: steppage
        ("foot_drop", "both", "gait_speed", -1),
        ("crouch", "both", "step_length", -1),
        ("crouch", "both", "double_support_fraction", +1),
        ("crouch", "both", "cadence", +1),
        ("equinus_contracture", "both", "ankle_range_r", -1),
        ("equinus_hyperreflexia", "both", "cadence", +1),
        ("hemiparesis", "right", "gait_speed", -1),
        ("hemiparesis", "right", "step_time_asymmetry", +1),  # longer steps of the sick leg
        ("hip_flexor_weakness", "both", "step_length", -1),
        ("knee_extensor_weakness", "right", "step_length", -1),
        ("leg_length_difference", "right", "step_length_asymmetry", +1),
        ("obesity", "both", "cadence", -1),
        ("sarcopenia", "both", "step_length", -1),
        ("sarcopenia", "both", "double_support_fraction", +1),
        ("stiff_knee", "both", "peak_knee_flexion_r", -1),
        ("stiff_knee", "both", "gait_speed", -1),
    ],
)
def test_the_severe_differ_from_the_mild_as_patients_do(condition: str, side: str, label: str, direction: int) -> None:
    """Directions as published, see docs/conditions.md: nothing in the search asks for them."""
    rows = [row for row in archive() if (row.condition, row.side) == (condition, side)]
    found = trend(rows, label, size=label == "step_length_asymmetry")
    assert found is not None
    assert direction * found.t > 2.0, found


def test_a_trend_is_told_apart_from_the_walkers_sizes() -> None:
    rng = np.random.default_rng(1)
    first = next(row for row in archive() if row.condition == "crouch")
    rows = []
    for severity in rng.uniform(0.1, 0.9, 40).tolist():
        leg_length_m = 0.8 + 0.1 * severity + 0.03 * float(rng.standard_normal())  # the severe happen to be tall
        speed = 1.2 * leg_length_m - 0.3 * severity + 0.01 * float(rng.standard_normal())
        rows.append(
            replace(
                first, severity=severity, leg_length_m=leg_length_m, descriptors={"gait_speed": speed, "cadence": 99.0}
            )
        )
    found = trend(rows, "gait_speed")
    assert found is not None
    low, high = np.quantile([row.severity for row in rows], [0.1, 0.9])
    assert found.severe - found.mild == pytest.approx(-0.3 * (high - low), abs=0.02)
    assert found.t < -20.0
    assert trend(rows, "step_width") is None
    assert trend(rows[:11], "gait_speed") is None


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = shipped_archive()
    write_archive(tmp_path / "a.parquet", rows)
    again = read_archive(tmp_path / "a.parquet")
    assert [row.cells() for row in again] == [row.cells() for row in rows]
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_row_is_the_walker_that_walked() -> None:
    row = next(row for row in archive() if row.name == "foot_drop_right_80")
    someone = row.parameters()
    weak = someone.plan.muscles.index("tib_ant_r")
    assert someone.strength[weak] == pytest.approx(0.1**row.severity)
    assert np.all(np.delete(someone.strength, weak) == 1.0)
    np.testing.assert_array_equal(someone.reflex_gains, row.gains)
    assert (someone.controller, someone.target_speed_m_s) == (row.name, row.target_speed_m_s)


def test_archives_are_united_with_each_walker_once() -> None:
    rows = shipped_archive()
    renamed = [replace(rows[0], name="found_again", cost=1.0)]
    faster = replace(rows[0], name="faster", target_speed_m_s=rows[0].target_speed_m_s + 0.1)
    whole = united([rows, renamed, [faster], rows])
    assert len(whole) == len(rows) + 1
    assert united([[faster], reversed_rows(rows)]) == whole


def reversed_rows(rows: tuple[ArchivedController, ...]) -> list[ArchivedController]:
    return list(rows[::-1])


def test_two_walkers_of_one_name_are_refused() -> None:
    rows = shipped_archive()
    with pytest.raises(FormatError, match=f"two different walkers are named '{rows[0].name}'"):
        united([rows, [replace(rows[1], name=rows[0].name)]])


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("body_model", "4d", "body_model|'planar' or '3d'"),
        ("side", "up", "'none', 'right', 'left' or 'both'"),
        ("condition", "limp", "no condition 'limp'"),
        ("stature_m", 9.0, "stature_m: .*2.05"),
        ("severity", 1.5, "out of range"),
        ("robustness", 1.5, "out of range"),
        ("theta_tgt_r", None, "a gain is empty"),
        ("theta_tgt_l", float("nan"), "out of range"),
        ("gait_speed", None, "gait_speed is empty"),
    ],
)
def test_a_row_that_cannot_be_is_named(column: str, value: object, text: str) -> None:
    row = shipped_archive()[0]
    with pytest.raises(FormatError, match=f"walker '{row.name}': .*({text})|({text})"):
        ArchivedController.from_cells(row.cells() | {column: value})


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(FormatError, match="there is no archive"):
        read_archive(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(FormatError, match="not an archive of walkers"):
        read_archive(path)
    duckdb.connect().execute(f"COPY (SELECT 1 AS name) TO '{path}' (FORMAT parquet)")
    with pytest.raises(FormatError, match="not an archive of walkers"):
        read_archive(path)


def test_a_file_holds_plain_columns_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_archive(path, shipped_archive())
    kinds = duckdb.connect().execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    assert {name: kind for name, kind, *_ in kinds} == dict(COLUMNS)
