"""Write the table of stored arrays into docs/format.md, from the one list that the code itself uses.

python tools/format_table.py           # rewrite the table
python tools/format_table.py --check   # exit 1 if it is not current
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from farm.dataset.schema import ARRAYS, SIZES, ArraySpec
from farm.gait.columns import LABEL_COLUMNS
from farm.recheck import RECHECKED_LABELS

DOCUMENT = Path(__file__).parent.parent / "docs" / "format.md"
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


TABLES = {"arrays": arrays_table, "labels": labels_table, "rechecked": rechecked_labels}


def with_tables(text: str) -> str:
    """The document with what stands between its markers replaced."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: written by tools/format_table.py -->\n", f"\n<!-- end of {name} -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{DOCUMENT} lacks the markers of {name!r}; put {begin.strip()} and {end.strip()} into it")
        text = f"{head}{begin}{table()}{end}{tail}"
    return text


def main() -> int:
    """Rewrite or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the table is not current")
    check = parser.parse_args().check
    text = DOCUMENT.read_text("utf-8")
    current = with_tables(text)
    if check:
        if text != current:
            print(f"{DOCUMENT} is not current: run python tools/format_table.py", file=sys.stderr)
        return int(text != current)
    DOCUMENT.write_text(current, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
