"""The files that `gaitfarm sample` writes, read back by OpenSim itself."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import opensim
import pytest
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.config import load_campaign
from farm.gait.keypoints import keypoints_3d
from farm.records import MUSCLES, GaitParameters, Trajectory
from farm.sampling.anatomy import BODIES, KEYPOINTS, anatomy
from farm.sampling.draw import gait_parameters_rand
from tests.norm_walk import norm_walk
from workers.simulate.engines import simulate
from workers.simulate.export import marker_positions, write_opensim_files

MODEL_TOLERANCE_M = 1e-6
"""The model's joints against the walker's own forward kinematics: the same table, other arithmetic."""

MM = 1e-3

SMALL_WOMAN = GaitParameters(
    sample_id=7, sex="female", stature_m=1.55, mass_kg=52.0, thigh_proportion=1.03, arm_proportion=0.97
)


@pytest.fixture(scope="module")
def walk() -> Trajectory:
    return norm_walk(SMALL_WOMAN, speed_m_s=1.1, duration_s=1.5)


@pytest.fixture(scope="module")
def folder(walk: Trajectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gait")
    written = write_opensim_files(SMALL_WOMAN, walk, directory)
    assert sorted(path.name for path in written.values()) == sorted(path.name for path in directory.iterdir())
    return directory


@pytest.fixture(scope="module")
def model(folder: Path) -> opensim.Model:
    return opensim.Model(str(folder / "model.osim"))


def rows(table: opensim.TimeSeriesTable) -> NDArray[np.float64]:
    return np.asarray(table.getMatrix().to_numpy())


def marker_way(table: opensim.TimeSeriesTableVec3) -> NDArray[np.float64]:
    """`[T, K, 3]` in the table's unit."""
    return rows(table.flatten()).reshape(table.getNumRows(), table.getNumColumns(), 3)


def markers_under(model: opensim.Model, motion: opensim.TimeSeriesTable, row: int) -> NDArray[np.float64]:
    """`[K, 3]` m: where the model's markers are once row `row` of a motion in degrees is applied."""
    state = model.initSystem()
    for name, value in zip(motion.getColumnLabels(), rows(motion)[row], strict=True):
        coordinate = model.getCoordinateSet().get(name)
        degrees = coordinate.getMotionType() == opensim.Coordinate.Rotational
        coordinate.setValue(state, float(np.deg2rad(value)) if degrees else float(value), False)
    model.realizePosition(state)
    markers = model.getMarkerSet()
    return np.array([markers.get(name).getLocationInGround(state).to_numpy() for name in KEYPOINTS])


def test_motion_applied_to_model_puts_markers_on_labelled_keypoints(
    folder: Path, model: opensim.Model, walk: Trajectory
) -> None:
    motion = opensim.TimeSeriesTable(str(folder / "motion.mot"))
    assert motion.getTableMetaDataAsString("inDegrees") == "yes"
    labelled = keypoints_3d(anatomy(SMALL_WOMAN), walk.body_pose, BODIES)
    bending = [KEYPOINTS.index(f"{side}_big_toe") for side in ("right", "left")]
    rigid = [k for k in range(len(KEYPOINTS)) if k not in bending]
    for row in range(0, walk.n_samples, 17):
        placed = markers_under(model, motion, row)
        np.testing.assert_allclose(placed[rigid], labelled[row, rigid], atol=MODEL_TOLERANCE_M)
        assert np.abs(placed[bending] - labelled[row, bending]).max() < 0.05  # the pictured toes bend, the model's not


def test_markers_file_is_where_the_model_has_its_markers(folder: Path, model: opensim.Model, walk: Trajectory) -> None:
    table = opensim.TimeSeriesTableVec3(str(folder / "markers.trc"))
    assert tuple(table.getColumnLabels()) == KEYPOINTS
    assert table.getTableMetaDataAsString("Units") == "mm"
    np.testing.assert_allclose(table.getIndependentColumn(), walk.time, atol=1e-9)
    way = marker_way(table) * MM
    np.testing.assert_allclose(way, marker_positions(anatomy(SMALL_WOMAN), walk), atol=1e-9)
    motion = opensim.TimeSeriesTable(str(folder / "motion.mot"))
    for row in (0, 40, 150):
        np.testing.assert_allclose(way[row], markers_under(model, motion, row), atol=MODEL_TOLERANCE_M)


def test_states_replay_in_opensim(folder: Path, model: opensim.Model, walk: Trajectory) -> None:
    """OpenSim takes the table as the model's own states: none missing, none unknown, values and speeds as recorded."""
    model.initSystem()
    table = opensim.TimeSeriesTable(str(folder / "states.sto"))
    refuse_missing, refuse_unknown, refuse_unassembled = False, False, True
    states = opensim.StatesTrajectory.createFromStatesTable(
        model, table, refuse_missing, refuse_unknown, refuse_unassembled
    )
    assert states.getSize() == walk.n_samples
    row = 77
    state = states.get(row)
    for i, name in enumerate(walk.coordinate_names):
        coordinate = model.getCoordinateSet().get(name)
        assert coordinate.getValue(state) == pytest.approx(walk.coordinates[row, i], abs=1e-9)
        assert coordinate.getSpeedValue(state) == pytest.approx(walk.coordinate_speeds[row, i], abs=1e-9)
    activations = [model.getMuscles().get(name).getActivation(state) for name in MUSCLES]
    np.testing.assert_allclose(activations, walk.muscle_activation[row], atol=1e-9)


def test_external_loads_put_the_recorded_force_on_the_foot(
    folder: Path, walk: Trajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The force that the tools read back at an instant is the recorded one, and it acts on that foot."""
    monkeypatch.chdir(folder)
    loads = opensim.ExternalLoads("external_loads.xml", True)
    data = opensim.TimeSeriesTable(str(folder / loads.getDataFileName()))
    columns = list(data.getColumnLabels())
    loaded = np.flatnonzero(walk.ground_reaction[:, 0, 1] > 100.0)[3]
    assert [loads.get(i).get_applied_to_body() for i in range(2)] == ["calcn_r", "calcn_l"]
    for side in range(2):
        force = loads.get(side)
        for identifier, start in (("force", 0), ("point", 3), ("torque", 6)):
            prefix = getattr(force, f"get_{identifier}_identifier")()
            found = [rows(data)[loaded, columns.index(prefix + axis)] for axis in "xyz"]
            expected = np.nan_to_num(walk.ground_reaction[loaded, side, start : start + 3])
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_files_name_no_other_folder(folder: Path, tmp_path: Path) -> None:
    """A gait's folder can be moved: nothing in it points to where it was made."""
    for path in folder.iterdir():
        assert str(folder.parent) not in path.read_text("utf-8"), path.name
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    opensim.Model(str(moved / "model.osim")).initSystem()


def generalized_forces(folder: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> opensim.TimeSeriesTable:
    """What OpenSim's Inverse Dynamics tool makes of the exported files."""
    shutil.copytree(folder, directory)
    monkeypatch.chdir(directory)
    tool = opensim.InverseDynamicsTool("inverse_dynamics.xml")
    tool.setResultsDir(str(directory))
    assert tool.run()
    return opensim.TimeSeriesTable(str(directory / "inverse_dynamics.sto"))


def test_inverse_dynamics_of_the_files_gives_the_simulated_moments_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Motion, ground forces and model agree: no force is left over at the pelvis, and joints need what muscles gave.

    Medians, because the tool differentiates splines through 100 Hz samples, which ring for a few samples at every
    foot strike; between strikes the agreement is to a part in a thousand.
    """
    campaign = load_campaign("demo")
    parameters = gait_parameters_rand(campaign, 0)
    walk = simulate(parameters, engine="opensim", seed=campaign.seed, duration_s=1.5, budget_s=120.0)
    assert walk.duration_s == pytest.approx(1.5)
    (tmp_path / "gait").mkdir()
    write_opensim_files(parameters, walk, tmp_path / "gait")
    table = generalized_forces(tmp_path / "gait", tmp_path / "tool", monkeypatch)
    middle = slice(10, -10)  # splines swing at the ends

    def left_over(column: str, given: NDArray[np.float64] | float) -> float:
        return float(np.median(np.abs(table.getDependentColumn(column).to_numpy() - given)[middle]))

    weight_n = parameters.mass_kg * GRAVITY_M_S2
    assert left_over("pelvis_tx_force", 0.0) < 0.005 * weight_n
    assert left_over("pelvis_ty_force", 0.0) < 0.005 * weight_n
    assert left_over("pelvis_tilt_moment", 0.0) < 0.005 * weight_n * 1.0  # at 1 m
    for joint in ("hip_flexion", "knee_angle", "ankle_angle"):
        for side in "rl":
            name = f"{joint}_{side}"
            given = walk.joint_moment[:, walk.coordinate_names.index(name)]
            assert np.ptp(given) > 10.0, f"{name} does nothing; the comparison would mean nothing"
            assert left_over(f"{name}_moment", given) < 0.03 * np.ptp(given), name


def test_ground_forces_are_what_carries_the_body(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its external loads the tool finds the whole weight missing: the loads file is really read."""
    shutil.copytree(folder, tmp_path / "bare")
    tool = opensim.InverseDynamicsTool(str(tmp_path / "bare" / "inverse_dynamics.xml"))
    tool.setExternalLoadsFileName("")
    tool.printToXML(str(tmp_path / "bare" / "inverse_dynamics.xml"))
    weight_n = SMALL_WOMAN.mass_kg * GRAVITY_M_S2
    missing = generalized_forces(tmp_path / "bare", tmp_path / "bare_out", monkeypatch)
    carried = generalized_forces(folder, tmp_path / "whole_out", monkeypatch)
    middle = slice(20, -20)

    def mean_n(table: opensim.TimeSeriesTable) -> float:
        return float(np.mean(table.getDependentColumn("pelvis_ty_force").to_numpy()[middle]))

    assert mean_n(missing) == pytest.approx(weight_n, rel=0.1)
    assert abs(mean_n(carried)) < 0.1 * weight_n


def test_skeleton_is_this_person(folder: Path) -> None:
    """What the URDF says of the mechanics, `test_third_opinion.py` asks pybullet."""
    robot = ElementTree.parse(folder / "skeleton.urdf").getroot()
    assert robot.get("name") == "gaitfarm_7"
    masses = [float(mass.attrib["value"]) for mass in robot.iter("mass")]
    assert sum(masses) == pytest.approx(SMALL_WOMAN.mass_kg)
    carried = {link.attrib["link"] for link in robot.iter("child")}
    assert {link.attrib["name"] for link in robot.iter("link")} - carried == {"ground"}
    moving = {
        joint.attrib["name"] for joint in robot.iter("joint") if joint.get("type") and joint.get("type") != "fixed"
    }
    assert moving == set(SMALL_WOMAN.plan.coordinates)


def test_foreign_trajectory_is_refused(walk: Trajectory, tmp_path: Path) -> None:
    fewer = replace(walk, muscles=walk.muscles[:-1], muscle_activation=walk.muscle_activation[:, :-1])
    with pytest.raises(RuntimeError, match="tib_ant_l/activation"):
        write_opensim_files(SMALL_WOMAN, fewer, tmp_path)
