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

Models and set-ups are written by OpenSim's own writers, tables by `farm.export.opensim_tables`, which whoever exports a
dataset without OpenSim shares. Markers sit on rigid bodies: the toes of
the labelled keypoints bend (`farm.gait.keypoints.toe_flexion`), those of
`markers.trc` do not, so that inverse kinematics can reproduce them exactly.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farm.axes import transform_points
from farm.export.opensim import in_degrees
from farm.export.opensim_tables import external_loads_text, ground_forces_text, markers_text, table_text
from farm.records import GaitParameters, Trajectory
from farm.sampling.anatomy import KEYPOINTS, Anatomy
from workers.simulate.description import ModelDescription, describe
from workers.simulate.model import build
from workers.simulate.opensim_library import osim as opensim
from workers.simulate.urdf import urdf

_ONE_MODEL_AT_A_TIME = threading.Lock()
"""OpenSim's registry of types and its logger belong to the process."""


def write_opensim_files(parameters: GaitParameters, trajectory: Trajectory, directory: Path) -> dict[str, Path]:
    """Write every file of the table above into `directory`, which must exist.

    Returns:
        What each file is -> its path.
    """
    opensim.Logger.setLevelString("off")
    description = describe(parameters)
    body = description.anatomy
    model = _model(description, parameters.sample_id)
    model.initSystem()
    with _inside(directory):  # OpenSim's writers note the paths of other files as they are given: keep them relative
        model.printToXML("model.osim")
        _inverse_dynamics(model, trajectory).printToXML("inverse_dynamics.xml")
    names = trajectory.coordinate_names
    motion = table_text(trajectory.time, names, in_degrees(names, trajectory.coordinates), in_degrees=True)
    points = marker_positions(body, trajectory)
    texts = {
        "states.sto": _states(model, trajectory),
        "motion.mot": motion,
        "markers.trc": markers_text(
            trajectory.time, trajectory.sample_rate_hz, KEYPOINTS, points, file_name="markers.trc"
        ),
        "ground_forces.mot": ground_forces_text(trajectory.time, trajectory.ground_reaction),
        "external_loads.xml": external_loads_text("ground_forces.mot"),
    }
    for name, text in texts.items():
        (directory / name).write_text(text, "utf-8")
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


def model_file(parameters: GaitParameters) -> bytes:
    """`model.osim` of a person, as `write_opensim_files` writes it; for many threads."""
    with _ONE_MODEL_AT_A_TIME, tempfile.TemporaryDirectory(prefix="gaitfarm-") as folder:
        opensim.Logger.setLevelString("off")
        model = _model(describe(parameters), parameters.sample_id)
        model.initSystem()
        path = Path(folder, "model.osim")
        model.printToXML(str(path))
        return path.read_bytes()


def _model(description: ModelDescription, sample_id: int) -> opensim.Model:
    model = build(description, name=f"gaitfarm_{sample_id}")
    _add_markers(model, description.anatomy)
    return model


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


def _coordinates(model: opensim.Model, trajectory: Trajectory) -> list[opensim.Coordinate]:
    names = model.getCoordinateSet()
    return [names.get(name) for name in trajectory.coordinate_names]


def _states(model: opensim.Model, trajectory: Trajectory) -> str:
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
    return table_text(trajectory.time, names, np.column_stack([columns[name] for name in names]))


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
