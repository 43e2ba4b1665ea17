"""The peer: the public planar walking model under its published reflexes, in the public environment's settings.

The public OpenSim walking environment (osim-rl; Kidzinski et al. 2018, "Learning
to run challenge", and its successors) integrates gait14dof22musc with
Runge-Kutta-Merson at an accuracy of 5e-5 between control steps of 10 ms, with a
`PrescribedController` whose constants are rewritten at every control step. That
is reproduced here with OpenSim itself, so that its speed can be measured beside
ours on one machine in one run. The model file is the caller's: it is not part of
this project.

What the environment does besides (a dictionary of the whole state at each step)
is left out: the peer is at its best.
"""

from __future__ import annotations

import ctypes
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import opensim as osim
from numpy.typing import NDArray

from farm.control.reflex import GAIN_NAMES, LegGains, ReflexController

ACCURACY = 5e-5
"""Of the public environment (osim-rl, `OsimModel.integrator_accuracy`)."""

CONTROL_STEP_S = 0.010
"""`OsimModel.stepsize`."""

GAINS: dict[str, float] = {
    "theta_tgt": 1.119329, "c0": 0.638604, "cv": 0.972836, "alpha_delta": 1.877037, "knee_sw_tgt": 1.128739,
    "knee_tgt": 0.887973, "knee_off_st": 0.725505, "ankle_tgt": 1.010198, "HFL_3_PG": 1.570908, "HFL_3_DG": 1.327439,
    "HFL_6_PG": 1.119314, "HFL_6_DG": 1.086496, "HFL_10_PG": 1.113186, "GLU_3_PG": 0.635329, "GLU_3_DG": 0.790436,
    "GLU_6_PG": 3.210699, "GLU_6_DG": 1.588351, "GLU_10_PG": 1.47667, "HAM_3_GLU": 0.713692, "HAM_9_PG": -0.073638,
    "RF_1_FG": 0.910659, "RF_8_DG_knee": 0.335378, "VAS_1_FG": 0.893352, "VAS_2_PG": 0.438586, "VAS_10_PG": 0.598691,
    "BFSH_2_PG": -0.103539, "BFSH_7_DG_alpha": 2.190583, "BFSH_7_PG": 0.304568, "BFSH_8_DG": -0.167455,
    "BFSH_8_PG": 0.798142, "BFSH_9_G_HAM": 1.665285, "BFSH_9_HAM0": 0.382248, "BFSH_10_PG": -0.363679,
    "GAS_2_FG": 0.986549, "SOL_1_FG": 0.555197, "TA_5_PG": 0.660653, "TA_5_G_SOL": 1.349898,
}  # fmt: skip
"""Normalised gains published with osim-rl (MIT licence) for the planar model; the same for both legs."""

MUSCLE_GROUPS = (
    "hamstrings", "bifemsh", "glut_max", "iliopsoas", "rect_fem", "vasti", "gastroc", "soleus", "tib_ant",
)  # fmt: skip
"""The public names, in the order in which a leg's stimulations come from `ReflexController.step`."""

FRONTAL = {"abd": 0.1, "add": 0.088}
"""Constant excitation of abductors and adductors, which have no work in the plane (osim-rl)."""

POSE = {
    "pelvis_tilt": -0.2012, "pelvis_ty": 0.902, "hip_flexion_r": 0.6952, "knee_angle_r": -0.3231,
    "ankle_angle_r": -0.1709, "hip_flexion_l": 0.0528, "knee_angle_l": -0.8042, "ankle_angle_l": 0.1745,
}  # fmt: skip
"""rad and m: the published pose that leads into the gait."""

FORWARD_SPEED_M_S = 1.7
ACTIVATION = 0.05

FALLEN_HEIGHT_M = 0.6
"""The public environment ends an episode when the pelvis is lower."""


@dataclass(frozen=True)
class PeerRollout:
    """One timed walk.

    Attributes:
        end: "completed" or "fell".
        walked_s: Simulated time until the end.
        distance_m: Forward travel of the pelvis.
        wall_s, cpu_s: What the walk cost, without building the model.
        evaluations: Of the state's derivatives, by the integrator's own count; None if it cannot be asked.
    """

    end: str
    walked_s: float
    distance_m: float
    wall_s: float
    cpu_s: float
    evaluations: int | None


class PeerWalk:
    """The public model, ready for one walk.

    Args:
        model_path: `gait14dof22musc_planar_20170320.osim` as published.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the model lacks a muscle or coordinate of the public one, named.
    """

    def __init__(self, model_path: Path) -> None:
        if not model_path.is_file():
            raise FileNotFoundError(f"--peer-model {str(model_path)!r}: no such file")
        osim.Logger.setLevelString("off")
        self.model = osim.Model(str(model_path))
        self._refuse_another_model(model_path)
        self._brain = osim.PrescribedController()
        muscles = self.model.getMuscles()
        self._muscle_names = [muscles.get(i).getName() for i in range(muscles.getSize())]
        for name in self._muscle_names:
            self._brain.addActuator(muscles.get(name))
            self._brain.prescribeControlForActuator(name, osim.Constant(1.0))
        self.model.addController(self._brain)
        self.state = self.model.initSystem()
        self._stand()
        leg = LegGains.from_normalised([GAINS[name] for name in GAIN_NAMES])
        # The reduced published form has no sensory delays.
        self.reflexes = ReflexController(gains=(leg, leg), control_step_s=CONTROL_STEP_S, delay_scale=0.0)

    def _refuse_another_model(self, path: Path) -> None:
        muscles, coordinates = self.model.getMuscles(), self.model.getCoordinateSet()
        expected = [f"{group}_{side}" for side in "rl" for group in (*MUSCLE_GROUPS, *FRONTAL)]
        missing = [name for name in expected if not muscles.contains(name)]
        missing += [name for name in POSE if not coordinates.contains(name)]
        if missing:
            raise ValueError(
                f"--peer-model {str(path)!r} has no {missing[0]!r}: "
                "give gait14dof22musc_planar_20170320.osim as it was published"
            )

    def _stand(self) -> None:
        coordinates = self.model.getCoordinateSet()
        for name, value in POSE.items():
            coordinates.get(name).setValue(self.state, value, False)
        coordinates.get("pelvis_tx").setSpeedValue(self.state, FORWARD_SPEED_M_S)
        self.model.assemble(self.state)
        muscles = self.model.getMuscles()
        for name in self._muscle_names:
            muscles.get(name).setActivation(self.state, ACTIVATION)
        self.model.equilibrateMuscles(self.state)
        self._weight_n = self.model.getTotalMass(self.state) * -self.model.getGravity().get(1)
        self._muscles = {name: muscles.get(name) for name in self._muscle_names}
        self._coordinates = {name: coordinates.get(name) for name in (*POSE, "pelvis_tx")}
        functions = self._brain.get_ControlFunctions()
        self._constants = [osim.Constant.safeDownCast(functions.get(i)) for i in range(len(self._muscle_names))]
        self._feet = [osim.HuntCrossleyForce.safeDownCast(self.model.getForceSet().get(f"foot_{s}")) for s in "rl"]
        labels = self._feet[0].getRecordLabels()
        # The force on the ground comes first; the foot's load is its opposite.
        self._vertical = next(i for i in range(labels.getSize()) if "force.Y" in labels.get(i))

    def run(self, seconds: float) -> PeerRollout:
        """Walk for `seconds` or until the pelvis drops."""
        manager = osim.Manager(self.model)
        manager.setIntegratorMethod(osim.Manager.IntegratorMethod_RungeKuttaMerson)
        manager.setIntegratorAccuracy(ACCURACY)
        state = self.state
        manager.initialize(state)
        start_m = self._coordinates["pelvis_tx"].getValue(state)
        wall, cpu = time.perf_counter(), time.process_time()
        end, step = "completed", 0
        for step in range(1, round(seconds / CONTROL_STEP_S) + 1):
            self._excite(self.reflexes.step(self._sense(state)))
            state = manager.integrate(step * CONTROL_STEP_S)
            if self._coordinates["pelvis_ty"].getValue(state) < FALLEN_HEIGHT_M:
                end = "fell"
                break
        return PeerRollout(
            end, step * CONTROL_STEP_S, self._coordinates["pelvis_tx"].getValue(state) - start_m,
            time.perf_counter() - wall, time.process_time() - cpu, _evaluations(manager),
        )  # fmt: skip

    def _sense(self, state: osim.State) -> NDArray[np.float64]:
        """`farm.control.reflex.SENSES` of this instant, `[24]`."""
        self.model.realizeDynamics(state)
        at = {name: coordinate.getValue(state) for name, coordinate in self._coordinates.items()}
        rate = {name: coordinate.getSpeedValue(state) for name, coordinate in self._coordinates.items()}
        # The trunk is welded to the pelvis.
        senses = [-at["pelvis_tilt"], -at["pelvis_tilt"], -rate["pelvis_tilt"], rate["pelvis_tx"]]
        for side, foot in zip("rl", self._feet, strict=True):
            hip, knee, ankle = (f"{name}_{side}" for name in ("hip_flexion", "knee_angle", "ankle_angle"))
            senses += [
                -foot.getRecordValues(state).get(self._vertical) / self._weight_n,
                math.pi - at[hip], -rate[hip], math.pi + at[knee], rate[knee], math.pi / 2 - at[ankle],
                *(self._force(state, f"{group}_{side}") for group in ("rect_fem", "vasti", "gastroc", "soleus")),
            ]  # fmt: skip
        return np.array(senses)

    def _force(self, state: osim.State, name: str) -> float:
        muscle = self._muscles[name]
        return float(muscle.getActuation(state) / muscle.getMaxIsometricForce())

    def _excite(self, stimulations: list[float]) -> None:
        excitation = {f"{group}_{side}": level for side in "rl" for group, level in FRONTAL.items()}
        legs = (f"{group}_{side}" for side in "rl" for group in MUSCLE_GROUPS)
        excitation |= dict(zip(legs, stimulations, strict=True))
        for name, constant in zip(self._muscle_names, self._constants, strict=True):
            constant.setValue(excitation[name])


def _evaluations(manager: osim.Manager) -> int | None:
    """How often the integrator realised accelerations.

    OpenSim's Python leaves `SimTK::Integrator` unwrapped, so that its counter is asked by its C++ name.
    """
    library = next(Path(osim.__file__).parent.glob("libSimTKmath.so.*"), None)
    if library is None:
        return None
    count = getattr(ctypes.CDLL(str(library)), "_ZNK5SimTK10Integrator18getNumRealizationsEv", None)
    if count is None:
        return None
    count.argtypes, count.restype = [ctypes.c_void_p], ctypes.c_int
    return int(count(int(manager.getIntegrator())))
