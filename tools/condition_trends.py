"""What severity does to the archive's gaits, as the table of docs/conditions.md.

    python -m tools.condition_trends [ARCHIVE.parquet] [--update docs/conditions.md]

A row is a condition and side. A label stands in it where it goes with severity beyond chance (|t| > 3): its value for
the mean person at the severity that a tenth of the walkers stay below, and at that which a tenth exceed, from least
squares over all walkers (`farm/control/trends.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from farm.control.archive import shipped_archive
from farm.control.archive_file import read_archive
from farm.control.archived import ArchivedController
from farm.control.trends import trend

CERTAIN = 3.0
BEGIN, END = "<!-- trends: python -m tools.condition_trends -->", "<!-- end of trends -->"

LABELS: dict[str, tuple[str, str, bool]] = {
    # label: words, format, whether its size is meant
    "gait_speed": ("speed {} m/s", "{:.2f}", False),
    "cadence": ("cadence {} /min", "{:.0f}", False),
    "step_length": ("step {} m", "{:.2f}", False),
    "step_length_asymmetry": ("step length asymmetry {}", "{:.2f}", True),
    "step_time_asymmetry": ("step time asymmetry {}", "{:.2f}", True),
    "stride_time_cv": ("stride time CV {} %", "{:.1f}", False),
    "double_support_fraction": ("double support {}", "{:.2f}", False),
    "peak_knee_flexion_r": ("knee flexion {} deg", "{:.0f}", False),
    "hip_range_r": ("hip range {} deg", "{:.0f}", False),
    "ankle_range_r": ("ankle range {} deg", "{:.0f}", False),
}

_SCALE = {"stride_time_cv": 100.0} | dict.fromkeys(
    ("peak_knee_flexion_r", "hip_range_r", "ankle_range_r"), float(np.degrees(1.0))
)


def table(rows: Sequence[ArchivedController]) -> str:
    """Markdown."""
    lines = [
        "| condition, side | walkers | severities | robust | speeds, m/s | what goes with severity (mild -> severe) |",
        "|---|---|---|---|---|---|",
    ]
    kinds = sorted({(row.body_model, row.condition, row.side) for row in rows}, key=lambda kind: (kind[1], kind[2]))
    for body_model, condition, side in kinds:
        own = [row for row in rows if (row.body_model, row.condition, row.side) == (body_model, condition, side)]
        severities, speeds = [row.severity for row in own], [row.speed_m_s for row in own]
        name = (
            f"{condition}{'' if side == 'none' else f', {side}'}{'' if body_model == 'planar' else f' ({body_model})'}"
        )
        reach = f"{min(severities):.2f} to {max(severities):.2f}" if side != "none" else ""
        lines.append(
            f"| {name} | {len(own)} | {reach} | {np.mean([row.robustness for row in own]):.2f} | "
            f"{min(speeds):.2f} to {max(speeds):.2f} | {', '.join(_trends(own)) if side != 'none' else ''} |"
        )
    return "\n".join(lines)


def _trends(rows: Sequence[ArchivedController]) -> list[str]:
    told = []
    for label, (words, digits, size) in LABELS.items():
        found = trend(rows, label, size=size)
        if found is not None and abs(found.t) > CERTAIN:
            scale = _SCALE.get(label, 1.0)
            told.append(words.format(f"{digits.format(scale * found.mild)} -> {digits.format(scale * found.severe)}"))
    return told


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path, help="without, the one that comes with gaitfarm")
    parser.add_argument("--update", type=Path, help="a Markdown file between whose marks the table goes")
    arguments = parser.parse_args()
    text = table(read_archive(arguments.archive) if arguments.archive else shipped_archive())
    if arguments.update is None:
        print(text)
        return
    page = arguments.update.read_text("utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    arguments.update.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
