"""The nouns, in the order in which a gait flows: parameters, trajectory, labels, quality, pictures.

Every record is a frozen value; arrays are copied on entry and made read-only, so
that no stage can reach back into its input. Shapes: T samples at
`sample_rate_hz`, Q coordinates, B bodies, M muscles, S virtual sensors, F
pictures, K keypoints. World axes are OpenSim's (x forward, y up, z right); SI
units; radians.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Sex = Literal["female", "male"]
Side = Literal["none", "right", "left", "both"]

BodyModel = Literal["planar", "3d"]


@dataclass(frozen=True)
class BodyPlan:
    """What moves in one of the two body models, and what moves it.

    Attributes:
        coordinates: Generalized coordinates. Signs are OpenSim's: `knee_angle` and `pelvis_tilt` (forward) are
            negative in flexion, `ankle_angle` positive in dorsiflexion; `pelvis_list`, `lumbar_bending` positive to
            the right, `pelvis_rotation`, `lumbar_rotation` to the left; hips positive in flexion, adduction and
            internal rotation.
        muscle_groups: Of one leg.
    """

    coordinates: tuple[str, ...]
    muscle_groups: tuple[str, ...]

    @property
    def muscles(self) -> tuple[str, ...]:
        """Right leg first."""
        return tuple(f"{group}_{side}" for side in "rl" for group in self.muscle_groups)


_SAGITTAL_GROUPS = (
    "hamstrings", "bifemsh", "glut_max", "iliopsoas", "rect_fem", "vasti", "gastroc", "soleus", "tib_ant",
)  # fmt: skip
_ARMS = ("arm_flex_r", "elbow_flex_r", "arm_flex_l", "elbow_flex_l")

PLANAR = BodyPlan(
    coordinates=(
        "pelvis_tilt", "pelvis_tx", "pelvis_ty",
        "hip_flexion_r", "knee_angle_r", "ankle_angle_r",
        "hip_flexion_l", "knee_angle_l", "ankle_angle_l",
        "lumbar_extension", *_ARMS,
    ),
    muscle_groups=_SAGITTAL_GROUPS,
)  # fmt: skip
"""Sagittal plane; Geyer & Herr 2010 name its muscle groups HAM BFSH GLU HFL RF VAS GAS SOL TA."""

SPATIAL = BodyPlan(
    coordinates=(
        "pelvis_tilt", "pelvis_list", "pelvis_rotation", "pelvis_tx", "pelvis_ty", "pelvis_tz",
        "hip_flexion_r", "hip_adduction_r", "hip_rotation_r", "knee_angle_r", "ankle_angle_r",
        "hip_flexion_l", "hip_adduction_l", "hip_rotation_l", "knee_angle_l", "ankle_angle_l",
        "lumbar_extension", "lumbar_bending", "lumbar_rotation", *_ARMS,
    ),
    muscle_groups=(*_SAGITTAL_GROUPS, "hip_abd", "hip_add"),
)  # fmt: skip
"""Three dimensions, with abductors and adductors of the hip (HAB and HAD of Song & Geyer 2015)."""

BODY_PLANS: Mapping[BodyModel, BodyPlan] = MappingProxyType({"planar": PLANAR, "3d": SPATIAL})

MUSCLE_GROUPS, MUSCLES, COORDINATES = PLANAR.muscle_groups, PLANAR.muscles, PLANAR.coordinates
"""Of the planar body, the farm's default."""


def _freeze(record: Any) -> None:
    """Copy every array field of a frozen dataclass and make the copy read-only."""
    for item in fields(record):
        value = getattr(record, item.name)
        if isinstance(value, np.ndarray):
            copy = value.copy()
            copy.flags.writeable = False
            object.__setattr__(record, item.name, copy)


MAX_STRETCH_REFLEX_S = 5.0
"""At such a gain a stretch of a fifth of a fibre length per second, beyond the threshold, calls the whole muscle."""

MAX_LEG_DIFFERENCE_M = 0.15
"""Legs further apart than this are not walked on without a raised shoe."""


@dataclass(frozen=True)
class Column:
    """One column of the `parameters` or `labels` array: name, unit ("1" if none), description."""

    name: str
    unit: str
    description: str


@dataclass(frozen=True)
class GaitParameters:
    """What was drawn for one sample: body, muscles, reflexes, condition. Defaults are the generic man.

    Empty muscle factors stand for ones, stretch reflexes without any gain for zeros.

    Attributes:
        sample_id: Number of the sample in its campaign.
        body_model: "planar" or "3d"; says which muscles there are (`BODY_PLANS`).
        condition: Name from `farm.sampling.conditions`, "healthy" if none.
        severity: 0 (none) to 1 (most severe).
        strength: `[M]` maximum isometric force relative to a body of this mass and stature, by muscle.
        fiber_length: `[M]` optimal fibre length relative to this anatomy; below 1 is a contracture.
        tendon_length: `[M]` tendon slack length relative to this anatomy.
        stretch_reflex: `[M]` gain of each muscle's stretch reflex (s), up to `MAX_STRETCH_REFLEX_S`; 0 in health:
            excitation per optimal fibre length per second of lengthening (`farm.control.reflex.StretchReflex`).
        leg_length_difference_m: By how much the right leg is longer than the left, within +-`MAX_LEG_DIFFERENCE_M`;
            the shorter leg is short of what stature and proportions give both.
        reflex_gain_names: Names of the G reflex gains.
        reflex_gains: `[2, G]` normalised gains of the right and the left leg.
    """

    sample_id: int = 0
    body_model: BodyModel = "planar"
    condition: str = "healthy"
    severity: float = 0.0
    side: Side = "none"
    sex: Sex = "male"
    age_years: float = 30.0
    stature_m: float = 1.80
    mass_kg: float = 75.2
    thigh_proportion: float = 1.0
    shank_proportion: float = 1.0
    foot_proportion: float = 1.0
    trunk_proportion: float = 1.0
    arm_proportion: float = 1.0
    leg_length_difference_m: float = 0.0
    strength: NDArray[np.float64] = field(default_factory=lambda: np.ones(0))
    fiber_length: NDArray[np.float64] = field(default_factory=lambda: np.ones(0))
    tendon_length: NDArray[np.float64] = field(default_factory=lambda: np.ones(0))
    stretch_reflex: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    activation_time_s: float = 0.010
    deactivation_time_s: float = 0.040
    neural_delay_scale: float = 1.0
    motor_noise: float = 0.0
    trunk_stiffness: float = 1.0
    trunk_lean_rad: float = 0.0
    arm_swing: float = 1.0
    target_speed_m_s: float = 1.25
    controller: str = ""
    reflex_gain_names: tuple[str, ...] = ()
    reflex_gains: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 0)))

    def __post_init__(self) -> None:
        if self.body_model not in BODY_PLANS:
            raise ValueError(f"body_model must be one of {', '.join(BODY_PLANS)}, got {self.body_model!r}")
        count = len(self.plan.muscles)
        for name in ("strength", "fiber_length", "tendon_length"):
            value = getattr(self, name)
            if value.size == 0:
                object.__setattr__(self, name, np.ones(count))
            elif value.shape != (count,) or not np.all(value > 0):
                raise ValueError(f"{name} must be {count} positive numbers, one for each muscle; got {value!r}")
        if not np.any(self.stretch_reflex):
            object.__setattr__(self, "stretch_reflex", np.zeros(count))
        elif self.stretch_reflex.shape != (count,) or not np.all(
            (self.stretch_reflex >= 0) & (self.stretch_reflex <= 5)
        ):
            raise ValueError(
                f"stretch_reflex must be {count} numbers from 0 to 5, one for each muscle; got {self.stretch_reflex!r}"
            )
        _freeze(self)
        for name in ("stature_m", "mass_kg"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)!r}")
        if not abs(self.leg_length_difference_m) <= MAX_LEG_DIFFERENCE_M:
            raise ValueError(
                f"leg_length_difference_m must be from {-MAX_LEG_DIFFERENCE_M} to {MAX_LEG_DIFFERENCE_M} m, "
                f"got {self.leg_length_difference_m!r}"
            )
        if self.reflex_gains.shape != (2, len(self.reflex_gain_names)):
            raise ValueError(
                f"reflex_gains must be [2, {len(self.reflex_gain_names)}] (right and left leg), "
                f"got shape {self.reflex_gains.shape}"
            )

    @property
    def plan(self) -> BodyPlan:
        """Coordinates and muscles of this person's body model."""
        return BODY_PLANS[self.body_model]

    def table(self) -> list[tuple[Column, float]]:
        """Every number that was drawn, with its column: what `parameters` and the catalogue store.

        Sex, side and condition are words; the index row keeps them as such, the
        float table has `sex_male` (0 or 1) and `affected_right`, `affected_left`.
        """
        rows = [(Column(name, unit, text), float(getattr(self, name))) for name, unit, text in _SCALARS]
        rows += [
            (Column("sex_male", "1", "1 male, 0 female"), float(self.sex == "male")),
            (Column("affected_right", "1", "1 if the condition affects the right leg"),
             float(self.side in ("right", "both"))),
            (Column("affected_left", "1", "1 if the condition affects the left leg"),
             float(self.side in ("left", "both"))),
        ]  # fmt: skip
        for prefix, unit, text in (
            ("strength", "1", "maximum isometric force relative to a body of this size"),
            ("fiber_length", "1", "optimal fibre length relative to this anatomy"),
            ("tendon_length", "1", "tendon slack length relative to this anatomy"),
            ("stretch_reflex", "s", "excitation per optimal fibre length per second of stretch beyond a threshold"),
        ):
            values = getattr(self, prefix)
            rows += [
                (Column(f"{prefix}_{muscle}", unit, f"{muscle}: {text}"), float(value))
                for muscle, value in zip(self.plan.muscles, values, strict=True)
            ]
        for side, gains in zip("rl", self.reflex_gains, strict=True):
            rows += [
                (Column(f"gain_{name}_{side}", "1", f"normalised reflex gain {name}, leg {side}"), float(value))
                for name, value in zip(self.reflex_gain_names, gains, strict=True)
            ]
        return rows

    def columns(self) -> list[Column]:
        """The columns of `table`, without the values."""
        return [column for column, _ in self.table()]

    @classmethod
    def from_cells(cls, sample_id: int, body_model: BodyModel, cells: Mapping[str, Any]) -> GaitParameters:
        """What was drawn, back from an index row or a rejected sample's cells: the inverse of `table`.

        Args:
            cells: By name: every number of `table`, and the words `condition`, `side`, `sex`, `controller`. What
                version 1 had not from its beginning on may be missing: then it is what everybody had.

        Raises:
            ValueError: A cell is missing or holds what cannot have been drawn.
        """
        names = [name.removeprefix("gain_").removesuffix("_r") for name in cells if re.fullmatch("gain_.*_r", name)]
        drawn: dict[str, Any] = {}
        try:
            drawn |= {name: cells[name] for name in ("condition", "side", "sex", "controller")}
            whole = {**_ADDED, **cells}
            drawn |= {name: float(whole[name]) for name, _, _ in _SCALARS}
            for factor in ("strength", "fiber_length", "tendon_length"):
                drawn[factor] = np.array([float(cells[f"{factor}_{name}"]) for name in BODY_PLANS[body_model].muscles])
            drawn["stretch_reflex"] = np.array(
                [float(cells.get(f"stretch_reflex_{name}", 0.0)) for name in BODY_PLANS[body_model].muscles]
            )
            gains = [float(cells[f"gain_{name}_{side}"]) for side in "rl" for name in names]
        except KeyError as error:
            raise ValueError(f"there is no {error.args[0]!r}") from None
        except TypeError as error:  # null
            raise ValueError(str(error)) from None
        drawn |= {"reflex_gain_names": tuple(names), "reflex_gains": np.array(gains).reshape(2, len(names))}
        return cls(sample_id=sample_id, body_model=body_model, **drawn)


_SCALARS: tuple[tuple[str, str, str], ...] = (
    ("severity", "1", "severity of the condition, 0 to 1"),
    ("age_years", "a", "age"),
    ("stature_m", "m", "stature"),
    ("mass_kg", "kg", "body mass"),
    ("thigh_proportion", "1", "thigh length relative to the generic proportion"),
    ("shank_proportion", "1", "shank length relative to the generic proportion"),
    ("foot_proportion", "1", "foot length relative to the generic proportion"),
    ("trunk_proportion", "1", "trunk length relative to the generic proportion"),
    ("arm_proportion", "1", "arm length relative to the generic proportion"),
    ("activation_time_s", "s", "muscle activation time constant"),
    ("deactivation_time_s", "s", "muscle deactivation time constant"),
    ("neural_delay_scale", "1", "sensory delays relative to 5, 10, 20 ms (hip, knee, ankle)"),
    ("motor_noise", "1", "standard deviation of signal-dependent excitation noise"),
    ("trunk_stiffness", "1", "passive lumbar stiffness relative to the generic"),
    ("trunk_lean_rad", "rad", "forward set-point of the lumbar joint"),
    ("arm_swing", "1", "gain from the opposite hip to the shoulder relative to the generic"),
    ("target_speed_m_s", "m/s", "speed for which the controller was searched"),
    ("leg_length_difference_m", "m", "by how much the right leg is longer than the left"),
)

_ADDED: Mapping[str, float] = MappingProxyType({"leg_length_difference_m": 0.0})
"""Columns that datasets of before them lack, and what everybody in those had."""


@dataclass(frozen=True)
class Trajectory:
    """One simulated walk, sampled at a fixed rate from the first instant on.

    Attributes:
        end: "completed", or why it ended early: "fell", "diverged", "stuck".
        sample_rate_hz: 100 in format version 1.
        time: `[T]` s, from 0.
        coordinates, coordinate_speeds: `[T, Q]` rad or m, and their rates.
        coordinate_accelerations: `[T, Q]`.
        body_pose: `[T, B, 7]` position xyz (m), unit quaternion wxyz, world from body.
        body_velocity: `[T, B, 6]` angular (rad/s), linear velocity of the body's origin (m/s), world axes.
        body_acceleration: `[T, B, 6]` the same, differentiated (rad/s^2, m/s^2, gravity not included).
        muscle_activation, muscle_excitation: `[T, M]` 0 to 1.
        muscle_fiber_length: `[T, M]` over optimal fibre length.
        muscle_force: `[T, M]` N, along the tendon.
        metabolic_power: `[T]` W, whole body.
        ground_reaction: `[T, 2, 9]` right, left: force xyz (N), centre of pressure xyz (m), free moment xyz (N m).
        joint_moment: `[T, Q]` N m, net muscle moment about each coordinate (0 where no muscle acts).
        wall_s: Seconds that the integration took.
        engine: What integrated it, of `farm.config.Engine`: "opensim", or "twin", its compiled equal.
    """

    end: str
    sample_rate_hz: float
    bodies: tuple[str, ...]
    coordinate_names: tuple[str, ...]
    muscles: tuple[str, ...]
    time: NDArray[np.float64]
    coordinates: NDArray[np.float64]
    coordinate_speeds: NDArray[np.float64]
    coordinate_accelerations: NDArray[np.float64]
    body_pose: NDArray[np.float64]
    body_velocity: NDArray[np.float64]
    body_acceleration: NDArray[np.float64]
    muscle_activation: NDArray[np.float64]
    muscle_excitation: NDArray[np.float64]
    muscle_fiber_length: NDArray[np.float64]
    muscle_force: NDArray[np.float64]
    metabolic_power: NDArray[np.float64]
    ground_reaction: NDArray[np.float64]
    joint_moment: NDArray[np.float64]
    end_detail: str = ""
    wall_s: float = 0.0
    engine: str = "opensim"

    def __post_init__(self) -> None:
        _freeze(self)

    @property
    def n_samples(self) -> int:
        return len(self.time)

    @property
    def duration_s(self) -> float:
        return float(self.time[-1] - self.time[0]) if len(self.time) else 0.0

    def coordinate(self, name: str) -> NDArray[np.float64]:
        """`[T]` values of one generalized coordinate."""
        return self.coordinates[:, self.coordinate_names.index(name)]

    def pose(self, body: str) -> NDArray[np.float64]:
        """`[T, 7]` poses of one body."""
        return self.body_pose[:, self.bodies.index(body)]


@dataclass(frozen=True)
class GaitLabels:
    """What a clinician would want to know of one walk.

    Attributes:
        event_time: `[E]` s, ascending.
        event_type: `[E]` 0 foot strike R, 1 foot off R, 2 foot strike L, 3 foot off L.
        values: One number for each column of `farm.gait.parameters.LABEL_COLUMNS`, NaN where undefined.
        frame_rate_hz: Rate of `keypoints_3d` and of every picture.
        frame_time: `[F]` s.
        keypoints_3d: `[F, K, 3]` m, world axes, order of `farm.sampling.anatomy.KEYPOINTS`.
        imu_acceleration: `[T, S, 3]` specific force in sensor axes (m/s^2; reads +g upwards at rest).
        imu_angular_velocity: `[T, S, 3]` rad/s in sensor axes.
    """

    event_time: NDArray[np.float64]
    event_type: NDArray[np.uint8]
    values: Mapping[str, float]
    frame_rate_hz: float
    frame_time: NDArray[np.float64]
    keypoints_3d: NDArray[np.float64]
    imu_acceleration: NDArray[np.float64]
    imu_angular_velocity: NDArray[np.float64]

    def __post_init__(self) -> None:
        _freeze(self)
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    @property
    def n_frames(self) -> int:
        return len(self.frame_time)


@dataclass(frozen=True)
class QualityReport:
    """Every reason why a gait was turned down; accepted if there is none.

    Attributes:
        reasons: Short codes ("fell", "too_few_strides", ...), each with its detail in `details`.
    """

    reasons: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "details", MappingProxyType(dict(self.details)))

    @property
    def accepted(self) -> bool:
        return not self.reasons


@dataclass(frozen=True)
class ViewFrames:
    """One camera's pictures of one gait, with exact labels.

    Attributes:
        view: Name of the view ("front", "back", "side", or a campaign's own).
        keypoints_2d: `[F, K, 2]` pixels, also outside the picture. NaN where no lens can see: behind the camera.
        visibility: `[F, K]` 0 outside the picture, 1 occluded, 2 visible.
        world_from_camera: `[F, 4, 4]`.
        intrinsics: `[3, 3]` pixels.
        distortion: `[5]` Brown and Conrady's k1, k2, p1, p2, k3 (see `farm.lens`); zeros for a pinhole.
        shutter: `[2]` s, how long each row is exposed, and from the first row's exposure to the last one's.
        bbox: `[F, 4]` x0 y0 x1 y1 of the whole person, hidden or not, cut to the picture, pixels; NaN outside it.
        rgb: `[F, H, W, 3]` uint8, or None where the campaign wants no pictures.
        mask: `[F, H, W]` uint8 part ids of `scenes.body.PARTS`, 0 background, or None.
        depth: `[F, H, W]` uint16 millimetres along the optical axis, 0 none, or None.
        crf: H.264 constant rate factor that was drawn for this gait and view; None for the campaign's.
    """

    view: str
    image_size: tuple[int, int]
    keypoints_2d: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    world_from_camera: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    distortion: NDArray[np.float64]
    shutter: NDArray[np.float64]
    bbox: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None = None
    mask: NDArray[np.uint8] | None = None
    depth: NDArray[np.uint16] | None = None
    crf: int | None = None


@dataclass(frozen=True)
class FrameSet:
    """All views of one gait.

    Attributes:
        parts: Names of the mask's ids; index 0 is the background.
        scene: What was drawn for the pictures.
        renderer: What drew them: OpenGL's vendor, renderer and version; None where nothing was drawn.
    """

    frame_rate_hz: float
    parts: tuple[str, ...]
    views: tuple[ViewFrames, ...]
    scene: Mapping[str, Any] = field(default_factory=dict)
    renderer: str | None = None

    def view(self, name: str) -> ViewFrames:
        return next(view for view in self.views if view.view == name)


@dataclass(frozen=True)
class GaitSample:
    """One sample after its whole way; labels and frames are None where the gait was turned down before."""

    parameters: GaitParameters
    trajectory: Trajectory
    labels: GaitLabels | None
    quality: QualityReport
    frames: FrameSet | None
    seconds: Mapping[str, float] = field(default_factory=dict)
