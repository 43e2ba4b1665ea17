"""OpenSim's own table files as text, written without OpenSim: `.sto`, `.mot`, `.trc`, and the external loads' XML.

Numbers are written with as many digits as it takes to read the same number back:
a table of float32 arrays holds float32 numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

MM_PER_M = 1000.0
FEET = (("r", "calcn_r"), ("l", "calcn_l"))
"""Sides in the order of `ground_reaction`, each with the body that the ground's force acts on."""

Floats = NDArray[np.floating]


def table_text(time_s: Floats, labels: Sequence[str], columns: Floats, *, in_degrees: bool = False) -> str:
    """A `.sto` or `.mot` file, version 3.

    Args:
        time_s: `[T]` s.
        labels: `[C]`.
        columns: `[T, C]`; NaN is written as NaN, which OpenSim reads.
        in_degrees: What the header says of the rotational columns; the numbers are written as they are.

    Raises:
        ValueError: The shapes do not fit together.
    """
    if columns.shape != (len(time_s), len(labels)):
        raise ValueError(f"columns have the shape {columns.shape}, expected {(len(time_s), len(labels))}")
    head = f"inDegrees={'yes' if in_degrees else 'no'}\nDataType=double\nversion=3\nendheader\n"
    names = "\t".join(("time", *labels))
    rows = (
        "\t".join((_number(instant), *row)) for instant, row in zip(time_s.tolist(), _shortest(columns), strict=True)
    )
    return "\n".join((f"{head}{names}", *rows)) + "\n"


def markers_text(time_s: Floats, rate_hz: float, names: Sequence[str], points_m: Floats, *, file_name: str) -> str:
    """A `.trc` file, in millimetres.

    Args:
        time_s: `[F]` s, `1 / rate_hz` apart.
        points_m: `[F, K, 3]` m, world axes; where a coordinate is NaN the marker is left out of the row, as it is
            where a camera has lost it.
    """
    if points_m.shape != (len(time_s), len(names), 3):
        raise ValueError(f"points have the shape {points_m.shape}, expected {(len(time_s), len(names), 3)}")
    rate = f"{rate_hz:.6f}"
    n = str(len(time_s))
    head = [
        f"PathFileType\t4\t(X/Y/Z)\t{file_name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        "\t".join((rate, rate, n, str(len(names)), "mm", rate, "1", n)),
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{number}" for number in range(1, len(names) + 1) for axis in "XYZ"),
        "",
    ]
    flat = np.asarray(points_m, dtype=np.float64).reshape(len(time_s), -1) * MM_PER_M
    rows = [
        "\t".join((str(number), _number(instant), *("" if text == "nan" else text for text in row)))
        for number, (instant, row) in enumerate(zip(time_s.tolist(), _shortest(flat), strict=True), start=1)
    ]
    return "\n".join((*head, *rows)) + "\n"


def ground_force_labels() -> list[str]:
    """Columns of `ground_forces.mot`, in the order of `ground_reaction` `[T, 2, 9]`."""
    return [
        f"ground_{quantity}_{side}_{axis}"
        for side, _ in FEET
        for quantity, axes in (("force", ("vx", "vy", "vz", "px", "py", "pz")), ("torque", ("x", "y", "z")))
        for axis in axes
    ]


def ground_forces_text(time_s: Floats, ground_reaction: Floats) -> str:
    """`ground_forces.mot` of `ground_reaction` `[T, 2, 9]` (N, m, N m); an unloaded foot has no point, written as 0."""
    columns = np.nan_to_num(ground_reaction.reshape(len(time_s), -1))
    return table_text(time_s, ground_force_labels(), columns)


def external_loads_text(data_file: str) -> str:
    """`external_loads.xml`: says on which bodies the columns of `data_file` act."""
    forces = "".join(
        f"""\t\t\t<ExternalForce name="ground_reaction_{side}">
\t\t\t\t<applied_to_body>{foot}</applied_to_body>
\t\t\t\t<force_expressed_in_body>ground</force_expressed_in_body>
\t\t\t\t<point_expressed_in_body>ground</point_expressed_in_body>
\t\t\t\t<force_identifier>ground_force_{side}_v</force_identifier>
\t\t\t\t<point_identifier>ground_force_{side}_p</point_identifier>
\t\t\t\t<torque_identifier>ground_torque_{side}_</torque_identifier>
\t\t\t</ExternalForce>
"""
        for side, foot in FEET
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<OpenSimDocument Version="40600">\n'
        f'\t<ExternalLoads name="ground_reaction">\n\t\t<objects>\n{forces}\t\t</objects>\n\t\t<groups />\n'
        f"\t\t<datafile>{escape(data_file)}</datafile>\n\t</ExternalLoads>\n</OpenSimDocument>\n"
    )


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _shortest(columns: Floats) -> list[list[str]]:
    """Every number of `[T, C]` in the fewest digits that give it back in its own precision."""
    if columns.dtype == np.float32:
        words = columns.astype("U32")  # numpy's shortest float32
        return [[str(word) for word in row] for row in words]
    return [[_number(value) for value in row] for row in columns.tolist()]
