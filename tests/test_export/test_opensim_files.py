"""The exported files as OpenSim itself reads them: names, units, rates, and the very numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import opensim
import pytest
from numpy.typing import NDArray

from farm.dataset.pull_choice import Wish
from farm.dataset.reader import Gait, GaitDataset
from farm.errors import FormatError
from farm.export.opensim import OpenSimFolders, state_paths
from farm.export.opensim_tables import external_loads_text, markers_text, table_text
from farm.export.run import export
from farm.records import BODY_PLANS, GaitParameters
from workers.simulate.description import describe
from workers.simulate.export import model_file
from workers.simulate.model import build

LOUDNESS = "off"


@pytest.fixture(scope="module")
def exported(dataset: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    opensim.Logger.setLevelString(LOUDNESS)
    out = tmp_path_factory.mktemp("opensim")
    export(OpenSimFolders(), dataset, str(out), Wish(where="sample_id IN (1, 4)"))
    return out


@pytest.fixture(scope="module")
def gait(dataset: str) -> Gait:
    return GaitDataset(dataset).gait(4)


def matrix(table: opensim.TimeSeriesTable) -> NDArray[np.float64]:
    return np.asarray(table.getMatrix().to_numpy())


def test_one_folder_for_each_gait(exported: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == ["000000001", "000000004", "export.json"]


@pytest.mark.parametrize(
    ("file", "field", "axis"),
    [
        ("muscle_activation.sto", "muscle_activation", "muscles"),
        ("muscle_excitation.sto", "muscle_excitation", "muscles"),
        ("muscle_force.sto", "muscle_force", "muscles"),
        ("muscle_fiber_length.sto", "muscle_fiber_length", "muscles"),
        ("joint_moments.sto", "joint_moment", "coordinates"),
    ],
)
def test_tables_hold_the_stored_numbers(file: str, field: str, axis: str, exported: Path, gait: Gait) -> None:
    table = opensim.TimeSeriesTable(str(exported / "000000004" / file))
    assert list(table.getColumnLabels()) == list(gait.attributes[axis])
    np.testing.assert_array_equal(matrix(table).astype(np.float32), gait[field])
    np.testing.assert_allclose(table.getIndependentColumn(), np.arange(len(gait[field])) / 100.0, atol=1e-12)


def test_motion_is_in_degrees_and_metres(exported: Path, gait: Gait) -> None:
    table = opensim.TimeSeriesTable(str(exported / "000000004" / "motion.mot"))
    assert table.getTableMetaDataAsString("inDegrees") == "yes"
    names = list(table.getColumnLabels())
    assert names == list(gait.attributes["coordinates"])
    back = matrix(table)
    angles = [at for at, name in enumerate(names) if not name.startswith("pelvis_t") or name == "pelvis_tilt"]
    assert len(angles) == len(names) - 2
    back[:, angles] = np.deg2rad(back[:, angles])
    np.testing.assert_array_equal(back.astype(np.float32), gait["coordinates"])


def test_states_are_the_models_own(exported: Path, gait: Gait) -> None:
    """OpenSim finds every state of the model in the table, with the values and speeds that are stored."""
    table = opensim.TimeSeriesTable(str(exported / "000000004" / "states.sto"))
    model = build(describe(GaitParameters(sample_id=4)), name="x")
    model.initSystem()
    states = opensim.StatesTrajectory.createFromStatesTable(model, table, False, False, True)
    state = states.get(20)
    for at, name in enumerate(gait.attributes["coordinates"]):
        coordinate = model.getCoordinateSet().get(name)
        assert np.float32(coordinate.getValue(state)) == gait["coordinates"][20, at]
        assert np.float32(coordinate.getSpeedValue(state)) == gait["coordinate_speeds"][20, at]
    activation = [model.getMuscles().get(name).getActivation(state) for name in gait.attributes["muscles"]]
    np.testing.assert_allclose(activation, gait["muscle_activation"][20], rtol=1e-6)


@pytest.mark.parametrize("body_model", BODY_PLANS)
def test_state_paths_are_the_models(body_model: str) -> None:
    model = build(describe(GaitParameters(body_model=body_model)), name="x")  # type: ignore[arg-type]
    model.initSystem()
    names = BODY_PLANS[body_model].coordinates  # type: ignore[index]
    theirs = [model.getCoordinateSet().get(name).getAbsolutePathString() for name in names]
    assert state_paths(names) == theirs


def test_markers_are_the_keypoints_in_millimetres(exported: Path, gait: Gait) -> None:
    path = str(exported / "000000004" / "markers.trc")
    table = opensim.TimeSeriesTableVec3(path)
    assert list(table.getColumnLabels()) == list(gait.attributes["keypoints"])
    assert table.getTableMetaDataAsString("Units") == "mm"
    assert float(table.getTableMetaDataAsString("DataRate")) == 30.0
    points = matrix(table.flatten()).reshape(gait["keypoints_3d"].shape)
    np.testing.assert_allclose(points / 1000.0, gait["keypoints_3d"], rtol=1e-12, atol=1e-12)
    assert opensim.MarkerData(path).getNumMarkers() == points.shape[1]


def test_external_loads_act_on_the_feet(exported: Path, gait: Gait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported / "000000004")
    loads = opensim.ExternalLoads("external_loads.xml", True)
    data = opensim.TimeSeriesTable(loads.getDataFileName())
    assert [loads.get(side).get_applied_to_body() for side in range(2)] == ["calcn_r", "calcn_l"]
    columns = list(data.getColumnLabels())
    for side in range(2):
        for identifier, start in (("force", 0), ("point", 3), ("torque", 6)):
            prefix = getattr(loads.get(side), f"get_{identifier}_identifier")()
            found = matrix(data)[:, [columns.index(prefix + axis) for axis in "xyz"]].astype(np.float32)
            np.testing.assert_array_equal(found, np.nan_to_num(gait["ground_reaction"][:, side, start : start + 3]))


def test_gait_json_says_what_is_known(exported: Path, gait: Gait) -> None:
    told = json.loads((exported / "000000004" / "gait.json").read_bytes())
    assert told["parameters_and_labels"]["gait_speed"] == gait.row["gait_speed"]
    assert told["units"]["gait_speed"] == "m/s"
    assert [np.float32(event["time_s"]) for event in told["events"]] == list(gait["event_time"])


def test_model_is_written_only_for_the_person_that_was_drawn(dataset: str, tmp_path: Path) -> None:
    """The parameters of test data are chance: no campaign draws them, so no model is passed off as theirs."""
    from farm.errors import FormatError

    with pytest.raises(FormatError, match=r"was drawn by another gaitfarm.*without --model"):
        export(OpenSimFolders(write_model=model_file), dataset, str(tmp_path / "out"), Wish(where="sample_id = 1"))


def test_model_file_opens_with_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "model.osim"
    path.write_bytes(model_file(GaitParameters(sample_id=3, stature_m=1.6)))
    model = opensim.Model(str(path))
    model.initSystem()
    assert model.getMarkerSet().getSize() == 24
    assert str(tmp_path.parent) not in path.read_text("utf-8")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_come_back_whole(dtype: type[np.floating], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = (rng.standard_normal((50, 3)) * 10.0 ** rng.integers(-30, 30, (50, 3))).astype(dtype)
    values[0] = [0.0, -1.0, np.nan]
    path = tmp_path / "table.sto"
    path.write_text(table_text(np.arange(50) / 100, ["a", "b", "c"], values))
    np.testing.assert_array_equal(matrix(opensim.TimeSeriesTable(str(path))).astype(dtype), values)


def test_tables_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected \(2, 1\)"):
        table_text(np.arange(2.0), ["a"], np.zeros((2, 2)))
    with pytest.raises(ValueError, match="expected"):
        markers_text(np.arange(2.0), 30.0, ["a"], np.zeros((2, 2, 3)), file_name="x.trc")
    assert "<datafile>a&amp;b.mot</datafile>" in external_loads_text("a&b.mot")


def test_a_coordinate_that_our_models_lack_is_named() -> None:
    with pytest.raises(FormatError, match="the coordinate 'tail_flexion' is of no joint of our models"):
        state_paths(["pelvis_tx", "tail_flexion"])
