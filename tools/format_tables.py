"""The tables of docs/format.md: stored arrays and labels, from the one list that the code itself uses."""

from __future__ import annotations

from farm.dataset.schema import ARRAYS, SIZES, ArraySpec
from farm.gait.columns import LABEL_COLUMNS
from farm.recheck import RECHECKED_LABELS

SYMBOLS = {"gait": "N", "sample": "T", "frame": "F", "event": "E", "coordinate": "Q", "body": "B", "muscle": "M",
           "imu": "S", "keypoint": "K", "parameter": "P", "label": "L", "row": "H", "column": "W", "byte": "bytes",
           "offset": "N+1"}  # fmt: skip
WHEN = {"always": "", "video": "`rgb: video`", "lossless": "`rgb: lossless`", "mask": "`mask: true`",
        "depth": "`depth: true`"}  # fmt: skip


def shape(spec: ArraySpec) -> str:
    """The shape as a reader sees it: letters for what varies, numbers for what the format fixes."""
    return "[" + ", ".join(SYMBOLS.get(dim) or str(SIZES[dim]) for dim in spec.dims) + "]"


def arrays_table() -> str:
    """One row for each array of the schema."""
    rows = ["| array | shape | type | unit | padded to | what |", "|---|---|---|---|---|---|"]
    for spec in ARRAYS:
        what = spec.description + (f" ({spec.axes})" if spec.axes else "")
        what += f". Only with {WHEN[spec.when]}" if WHEN[spec.when] else ""
        name = spec.name.replace("{view}", "<view>")
        padded = f"`{spec.length}`" if spec.length else ""
        rows.append(f"| `{name}` | {shape(spec)} | {spec.dtype} | {spec.unit} | {padded} | {what} |")
    return "\n".join(rows)


def labels_table() -> str:
    """One row for each column of `labels`."""
    rows = ["| label | unit | definition |", "|---|---|---|"]
    rows += [f"| `{column.name}` | {column.unit} | {column.description} |" for column in LABEL_COLUMNS]
    return "\n".join(rows)


def rechecked_labels() -> str:
    """The labels whose differences from OpenSim's are kept."""
    return ", ".join(f"`{label}`" for label in RECHECKED_LABELS) + "."


FORMAT_TABLES = {"arrays": arrays_table, "labels": labels_table, "rechecked": rechecked_labels}
