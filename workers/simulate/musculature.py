"""Muscles of one leg: strengths, fibre and tendon lengths, and paths over the bones, as plain tables.

From OpenSim's public gait14dof22musc (2017-03-20), whose credits read: Ajay
Seth, based on Delp, Thelen, Anderson, Yamaguchi & Zajac; adjusted by Carmichael
Ong to the muscle strengths of Handsfield et al. 2014 and Rajagopal et al. 2016.
Licence CC BY 3.0. Lengths in metres in the axes of the generic bodies of
`farm.sampling.anatomy`; z is for the right leg and changes sign for the left.
"""

from __future__ import annotations

from dataclasses import dataclass

Vec3 = tuple[float, float, float]


@dataclass(frozen=True)
class PathPoint:
    """A point that the muscle passes, in the axes of `body` (without its side's suffix).

    Attributes:
        only_while: Coordinate, from, to (rad): the point counts only there (a
            retinaculum that the muscle leaves when the joint bends away).
        moves_with: Name of the knee table whose x, y splines replace x and y.
    """

    body: str
    at: Vec3
    only_while: tuple[str, float, float] | None = None
    moves_with: str | None = None


@dataclass(frozen=True)
class MuscleSpec:
    """One musculotendon unit of the generic body.

    Attributes:
        max_isometric_force_n: At optimal fibre length, fully active.
        optimal_fiber_length_m, tendon_slack_length_m: Of the generic body.
        pennation_rad: At optimal fibre length.
        tendon_strain: Of the compliant tendon at maximum isometric force.
        passive_strain: Fibre strain at which the passive force equals the maximum isometric force.
        coordinates: The coordinates (without side) that change its length. Rotation of the hip is not among them:
            the lumped groups' small torques about the thigh's long axis are left to the joint's passive stiffness.
        path: From origin to insertion.
    """

    max_isometric_force_n: float
    optimal_fiber_length_m: float
    tendon_slack_length_m: float
    pennation_rad: float
    tendon_strain: float
    passive_strain: float
    coordinates: tuple[str, ...]
    path: tuple[PathPoint, ...]


WORKING_STRAIN = 0.514
"""Strain of a tendon at a fifth of maximum force, the mean load of walking, over its strain at maximum force: the toe
of Thelen's (2003) tendon curve. Our tendons are rigid, so they are given the length that compliant ones have at work;
at slack length the calf's fibres would be stretched to 1.45 of their optimum in every step."""

MAX_CONTRACTION_VELOCITY = 15.0
"""Optimal fibre lengths per second, as in the public model (Ong et al. 2019)."""

_PATELLA_KNOTS_RAD = (
    -2.0944, -1.99997, -1.5708, -1.45752, -1.39626, -1.0472, -0.698132, -0.526391,
    -0.349066, -0.174533, 0.0, 0.0279253, 0.0872665, 0.174533, 2.0944,
)  # fmt: skip
"""Knee angles at which the public model gives the patellar insertions."""

# The tibia of the public model slides on the femur as the knee bends (Yamaguchi & Zajac 1989). Our knee is a
# hinge, whose axis is where the tibia's origin lies at full extension; muscle lengths still follow the sliding tibia,
# because moment arms are what muscles feel of a knee.
KNEE_SPLINES: dict[str, tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]] = {
    "tibia": (
        (
            (
                -2.0944,
                -1.74533,
                -1.39626,
                -1.0472,
                -0.698132,
                -0.349066,
                -0.174533,
                0.197344,
                0.337395,
                0.490178,
                1.52146,
                2.0944,
            ),
            (
                -0.0032,
                0.00179,
                0.00411,
                0.0041,
                0.00212,
                -0.001,
                -0.0031,
                -0.005227,
                -0.005435,
                -0.005574,
                -0.005435,
                -0.00525,
            ),
        ),
        (
            (-2.0944, -1.22173, -0.523599, -0.349066, -0.174533, 0.159149, 2.0944),
            (-0.4226, -0.4082, -0.399, -0.3976, -0.3966, -0.395264, -0.396),
        ),
    ),
    "rect_fem": (
        (
            _PATELLA_KNOTS_RAD,
            (
                0.0155805,
                0.0179938,
                0.0275081,
                0.0296564,
                0.0307615,
                0.0365695,
                0.0422074,
                0.0450902,
                0.048391,
                0.0534299,
                0.0617576,
                0.0633083,
                0.066994,
                0.0733035,
                0.0573481,
            ),
        ),
        (
            _PATELLA_KNOTS_RAD,
            (
                0.0234116,
                0.0237613,
                0.0251141,
                0.0252795,
                0.0253146,
                0.0249184,
                0.0242373,
                0.0238447,
                0.0234197,
                0.0227644,
                0.020984,
                0.0205225,
                0.0191754,
                0.0159554,
                -0.0673774,
            ),
        ),
    ),
    "vasti": (
        (
            _PATELLA_KNOTS_RAD,
            (
                0.0082733,
                0.0106866,
                0.0202042,
                0.022353,
                0.0234583,
                0.0292715,
                0.0349465,
                0.037871,
                0.0412569,
                0.0465287,
                0.0554632,
                0.0571717,
                0.061272,
                0.0684368,
                0.0648818,
            ),
        ),
        (
            _PATELLA_KNOTS_RAD,
            (
                0.025599,
                0.0259487,
                0.0273124,
                0.0274796,
                0.0275151,
                0.0271363,
                0.0265737,
                0.0263073,
                0.0261187,
                0.0260129,
                0.0252923,
                0.0250526,
                0.0242191,
                0.0218288,
                -0.0685706,
            ),
        ),
    ),
}
"""Knots (knee angle, rad) and values (m) of x and y: the tibia's origin in femur axes, and the patellar
insertions of rectus femoris and vasti in tibia axes."""

MUSCLE_SPECS: dict[str, MuscleSpec] = {
    "hamstrings": MuscleSpec(
        4105.4656, 0.069, 0.349, 0.2618, 0.049, 0.8, ("hip_flexion", "hip_adduction", "knee_angle"),
        (
            PathPoint("pelvis", (-0.1192, -0.09747, 0.07151)),
            PathPoint("tibia", (-0.0348, -0.03519, -0.01891), only_while=("knee_angle", -0.55851, 0.17453)),
            PathPoint("tibia", (-0.027, -0.04771, -0.01957)),
        ),
    ),
    "bifemsh": MuscleSpec(
        557.1148, 0.11, 0.117, 0.40143, 0.049, 0.6, ("knee_angle",),
        (
            PathPoint("femur", (0.005, -0.2111, 0.0234)),
            PathPoint("tibia", (-0.0301, -0.036, 0.02943)),
            PathPoint("tibia", (-0.0234, -0.0563, 0.0343)),
        ),
    ),
    "glut_max": MuscleSpec(
        3337.5836, 0.157, 0.048, 0.0, 0.049, 0.6, ("hip_flexion", "hip_adduction"),
        (
            PathPoint("pelvis", (-0.1349, 0.0176, 0.0563)),
            PathPoint("pelvis", (-0.1376, -0.052, 0.0914)),
            PathPoint("femur", (-0.0426, -0.053, 0.0293)),
            PathPoint("femur", (-0.0156, -0.1016, 0.0419)),
        ),
    ),
    "iliopsoas": MuscleSpec(
        2697.3443, 0.117, 0.130, 0.13963, 0.049, 0.6, ("hip_flexion", "hip_adduction"),
        (
            PathPoint("pelvis", (-0.0647, 0.0887, 0.0289)),
            PathPoint("pelvis", (-0.0238, -0.057, 0.0759)),
            PathPoint("pelvis", (-0.0288, -0.0805, 0.0816), only_while=("hip_flexion", -1.5708, 0.7854)),
            PathPoint("femur", (0.0016, -0.0507, 0.0038)),
            PathPoint("femur", (-0.0188, -0.0597, 0.0104)),
        ),
    ),
    "rect_fem": MuscleSpec(
        2191.741, 0.076, 0.346, 0.08727, 0.049, 1.0, ("hip_flexion", "hip_adduction", "knee_angle"),
        (
            PathPoint("pelvis", (-0.0295, -0.0311, 0.0968)),
            PathPoint("femur", (0.0334, -0.403, 0.0019), only_while=("knee_angle", -2.61799, -1.45997)),
            PathPoint("tibia", (0.061758, 0.020984, 0.0014), moves_with="rect_fem"),
        ),
    ),
    "vasti": MuscleSpec(
        9593.9508, 0.099, 0.102, 0.05236, 0.049, 1.0, ("knee_angle",),
        (
            PathPoint("femur", (0.029, -0.1924, 0.031)),
            PathPoint("femur", (0.0335, -0.2084, 0.0285)),
            PathPoint("femur", (0.0343, -0.403, 0.0055), only_while=("knee_angle", -2.61799, -1.42)),
            PathPoint("tibia", (0.055463, 0.025292, 0.0018), moves_with="vasti"),
        ),
    ),
    "gastroc": MuscleSpec(
        4690.5738, 0.051, 0.384, 0.29671, 0.10, 0.6, ("knee_angle", "ankle_angle"),
        (
            PathPoint("femur", (-0.019, -0.3929, -0.0235)),
            PathPoint("femur", (-0.03, -0.4022, -0.0258), only_while=("knee_angle", -0.7854, 0.17453)),
            PathPoint("calcn", (0.0, 0.031, -0.0053)),
        ),
    ),
    "soleus": MuscleSpec(
        7924.9967, 0.044, 0.244, 0.43633, 0.10, 0.6, ("ankle_angle",),
        (PathPoint("tibia", (-0.0024, -0.1533, 0.0071)), PathPoint("calcn", (0.0, 0.031, -0.0053))),
    ),
    "tib_ant": MuscleSpec(
        2116.8182, 0.068, 0.238, 0.08727, 0.049, 0.6, ("ankle_angle",),
        (
            PathPoint("tibia", (0.0179, -0.1624, 0.0115)),
            PathPoint("tibia", (0.0329, -0.3951, -0.0177)),
            PathPoint("calcn", (0.1166, 0.0178, -0.0305)),
        ),
    ),
    "hip_abd": MuscleSpec(
        4460.2905, 0.0845, 0.053, 0.0, 0.049, 0.6, ("hip_flexion", "hip_adduction"),
        (PathPoint("pelvis", (-0.0855, 0.0445, 0.0766)), PathPoint("femur", (-0.0258, -0.0058, 0.0527))),
    ),
    "hip_add": MuscleSpec(
        3931.8, 0.087, 0.060, 0.08727, 0.049, 0.6, ("hip_flexion", "hip_adduction"),
        (PathPoint("pelvis", (-0.0732, -0.1174, 0.0255)), PathPoint("femur", (-0.0045, -0.1211, 0.0339))),
    ),
}  # fmt: skip
"""By muscle group, in the order of `farm.records.SPATIAL`."""
