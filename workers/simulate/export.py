"""One gait as OpenSim's own files, and its skeleton as URDF: what a biomechanist opens in the GUI or feeds to tools.

| file | what |
|---|---|
| `model.osim` | the person, with a marker at every keypoint |
| `states.sto` | every state variable (rad, m): replays the simulation, drives analyses |
| `motion.mot` | generalized coordinates (degrees, m) |
| `markers.trc` | the markers' way (mm), at the sample rate: input of inverse kinematics |
| `ground_forces.mot` | ground reaction of either foot (N, m, N m) |
| `external_loads.xml` | says which body `ground_forces.mot` acts on |
| `inverse_dynamics.xml` | set-up of the Inverse Dynamics tool on the files above |
| `skeleton.urdf` | masses, inertias and joints for other engines (`workers.simulate.urdf`) |

All but the last are written by OpenSim's own writers. Markers sit on rigid bodies: the toes of
the labelled keypoints bend (`farm.gait.keypoints.toe_flexion`), those of
`markers.trc` do not, so that inverse kinematics can reproduce them exactly.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farm.axes import transform_points
from farm.records import GaitParameters, Trajectory
from farm.sampling.anatomy import KEYPOINTS, Anatomy
from workers.simulate.description import describe
from workers.simulate.model import build
from workers.simulate.opensim_library import osim as opensim
from workers.simulate.urdf import urdf

MM_PER_M = 1000.0
FEET = (("r", "calcn_r"), ("l", "calcn_l"))


def write_opensim_files(parameters: GaitParameters, trajectory: Trajectory, directory: Path) -> dict[str, Path]:
    """Write every file of the table above into `directory`, which must exist.

    Returns:
        What each file is -> its path.
    """
    opensim.Logger.setLevelString("off")
    description = describe(parameters)
    body = description.anatomy
    model = build(description, name=f"gaitfarm_{parameters.sample_id}")
    _add_markers(model, body)
    model.initSystem()
    with _inside(directory):  # OpenSim's writers note the paths of other files as they are given: keep them relative
        model.printToXML("model.osim")
        _write(_states(model, trajectory), "states.sto", in_degrees=False)
        _write(_motion(model, trajectory), "motion.mot", in_degrees=True)
        opensim.TRCFileAdapter().write(_markers(body, trajectory), "markers.trc")
        _write(_ground_forces(trajectory), "ground_forces.mot", in_degrees=False)
        _external_loads("ground_forces.mot").printToXML("external_loads.xml")
        _inverse_dynamics(model, trajectory).printToXML("inverse_dynamics.xml")
    (directory / "skeleton.urdf").write_text(urdf(description, name=f"gaitfarm_{parameters.sample_id}"), "utf-8")
    return {
        "OpenSim model": directory / "model.osim",
        "states": directory / "states.sto",
        "motion (degrees)": directory / "motion.mot",
        "markers (mm)": directory / "markers.trc",
        "ground forces": directory / "ground_forces.mot",
        "external loads": directory / "external_loads.xml",
        "inverse dynamics set-up": directory / "inverse_dynamics.xml",
        "skeleton (URDF)": directory / "skeleton.urdf",
    }


def marker_positions(body: Anatomy, trajectory: Trajectory) -> NDArray[np.float64]:
    """`[T, K, 3]` world positions (m) of the keypoints' stations, toes straight."""
    stations = [body.keypoint(name) for name in KEYPOINTS]
    return np.stack([transform_points(trajectory.pose(name), point) for name, point in stations], axis=1)


@contextmanager
def _inside(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def _add_markers(model: opensim.Model, body: Anatomy) -> None:
    bodies = model.updBodySet()
    for name in KEYPOINTS:
        segment, station = body.keypoint(name)
        model.addMarker(opensim.Marker(name, bodies.get(segment), opensim.Vec3(*station.tolist())))
    model.finalizeConnections()


# --- tables --------------------------------------------------------------------------------------------------


def _table(time_s: NDArray[np.float64], labels: Iterable[str], columns: NDArray[np.float64]) -> opensim.TimeSeriesTable:
    """A table of `[T, C]` numbers."""
    times, names = opensim.StdVectorDouble(), opensim.StdVectorString()
    for instant in time_s.tolist():
        times.append(instant)
    for name in labels:
        names.append(name)
    return opensim.TimeSeriesTable(times, opensim.Matrix.createFromMat(np.ascontiguousarray(columns, float)), names)


def _write(table: opensim.TimeSeriesTable, name: str, *, in_degrees: bool) -> None:
    table.addTableMetaDataString("inDegrees", "yes" if in_degrees else "no")
    opensim.STOFileAdapter.write(table, name)


def _coordinates(model: opensim.Model, trajectory: Trajectory) -> list[opensim.Coordinate]:
    names = model.getCoordinateSet()
    return [names.get(name) for name in trajectory.coordinate_names]


def _states(model: opensim.Model, trajectory: Trajectory) -> opensim.TimeSeriesTable:
    """Every state variable of the model, under its path."""
    columns: dict[str, NDArray[np.float64]] = {}
    for i, coordinate in enumerate(_coordinates(model, trajectory)):
        path = coordinate.getAbsolutePathString()
        columns[f"{path}/value"] = trajectory.coordinates[:, i]
        columns[f"{path}/speed"] = trajectory.coordinate_speeds[:, i]
    for i, name in enumerate(trajectory.muscles):
        path = model.getMuscles().get(name).getAbsolutePathString()
        columns[f"{path}/activation"] = trajectory.muscle_activation[:, i]
    variables = model.getStateVariableNames()
    names = [variables.get(i) for i in range(variables.getSize())]
    missing = [name for name in names if name not in columns]
    if missing:
        raise RuntimeError(f"the trajectory does not know these states of the model: {', '.join(missing)}")
    return _table(trajectory.time, names, np.column_stack([columns[name] for name in names]))


def _motion(model: opensim.Model, trajectory: Trajectory) -> opensim.TimeSeriesTable:
    rotational = [
        coordinate.getMotionType() == opensim.Coordinate.Rotational for coordinate in _coordinates(model, trajectory)
    ]
    values = np.where(rotational, np.rad2deg(trajectory.coordinates), trajectory.coordinates)
    return _table(trajectory.time, trajectory.coordinate_names, values)


def _markers(body: Anatomy, trajectory: Trajectory) -> opensim.TimeSeriesTableVec3:
    table = opensim.TimeSeriesTableVec3()
    names = opensim.StdVectorString()
    for name in KEYPOINTS:
        names.append(name)
    table.setColumnLabels(names)
    for instant, points in zip(
        trajectory.time.tolist(), (marker_positions(body, trajectory) * MM_PER_M).tolist(), strict=True
    ):
        table.appendRow(instant, opensim.RowVectorVec3([opensim.Vec3(*point) for point in points]))
    rate = f"{trajectory.sample_rate_hz:.6f}"
    for key, value in {
        "DataRate": rate, "CameraRate": rate, "NumFrames": str(trajectory.n_samples),
        "NumMarkers": str(len(KEYPOINTS)), "Units": "mm", "OrigDataRate": rate, "OrigDataStartFrame": "1",
        "OrigNumFrames": str(trajectory.n_samples),
    }.items():  # fmt: skip
        table.addTableMetaDataString(key, value)
    return table


def _ground_forces(trajectory: Trajectory) -> opensim.TimeSeriesTable:
    labels = [
        f"ground_{quantity}_{side}_{axis}"
        for side, _ in FEET
        for quantity, axes in (("force", ("vx", "vy", "vz", "px", "py", "pz")), ("torque", ("x", "y", "z")))
        for axis in axes
    ]
    columns = np.nan_to_num(trajectory.ground_reaction.reshape(trajectory.n_samples, -1))  # no centre of no pressure
    return _table(trajectory.time, labels, columns)


def _external_loads(data_file: str) -> opensim.ExternalLoads:
    loads = opensim.ExternalLoads()
    loads.setName("ground_reaction")
    loads.setDataFileName(data_file)
    for side, foot in FEET:
        force = opensim.ExternalForce()
        force.setName(f"ground_reaction_{side}")
        force.set_applied_to_body(foot)
        force.set_force_expressed_in_body("ground")
        force.set_point_expressed_in_body("ground")
        force.set_force_identifier(f"ground_force_{side}_v")
        force.set_point_identifier(f"ground_force_{side}_p")
        force.set_torque_identifier(f"ground_torque_{side}_")
        loads.cloneAndAppend(force)
    return loads


def _inverse_dynamics(model: opensim.Model, trajectory: Trajectory) -> opensim.InverseDynamicsTool:
    """Inverse dynamics of the recorded motion under the recorded ground forces.

    The model's own contact is left out, since the recorded forces stand for it, and so
    are muscles and torque reflexes, whose joint moments are what is asked for.
    """
    excluded = opensim.ArrayStr()
    forces = model.getForceSet()
    for i in range(forces.getSize()):
        force = forces.get(i)
        kinds = (opensim.Muscle, opensim.SmoothSphereHalfSpaceForce, opensim.CoordinateActuator)
        if any(kind.safeDownCast(force) is not None for kind in kinds):
            excluded.append(force.getName())
    tool = opensim.InverseDynamicsTool()
    tool.setName("inverse_dynamics")
    tool.setModelFileName("model.osim")
    tool.setCoordinatesFileName("motion.mot")
    tool.setExternalLoadsFileName("external_loads.xml")
    tool.setExcludedForces(excluded)
    tool.setStartTime(float(trajectory.time[0]))
    tool.setEndTime(float(trajectory.time[-1]))
    tool.setOutputGenForceFileName("inverse_dynamics.sto")
    return tool
