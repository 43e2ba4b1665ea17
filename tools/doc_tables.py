"""Write the tables of docs/ from the code that they tell of, so that they cannot go stale.

python tools/doc_tables.py           # rewrite the tables
python tools/doc_tables.py --check   # exit 1 if one is not current
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).parent.parent))

from tools.format_tables import FORMAT_TABLES
from tools.label_tables import LABEL_TABLES
from tools.scene_tables import CAMERA_TABLES, SCENE_TABLES

DOCS = Path(__file__).parent.parent / "docs"

TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "cameras.md": CAMERA_TABLES,
    "format.md": FORMAT_TABLES,
    "labels.md": LABEL_TABLES,
    "scenes.md": SCENE_TABLES,
}
"""Document -> name of a table -> its text."""


def with_tables(document: str, text: str) -> str:
    """The document's text with what stands between its markers replaced."""
    for name, table in TABLES[document].items():
        begin, end = f"<!-- {name}: written by tools/doc_tables.py -->\n", f"\n<!-- end of {name} -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise SystemExit(
                f"docs/{document} lacks the markers of {name!r}; put {begin.strip()} and {end.strip()} into it"
            )
        text = f"{head}{begin}{table()}{end}{tail}"
    return text


def main() -> int:
    """Rewrite or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a table is not current")
    check = parser.parse_args().check
    stale = []
    for document in TABLES:
        text = (DOCS / document).read_text("utf-8")
        current = with_tables(document, text)
        if text != current:
            stale.append(document)
            if not check:
                (DOCS / document).write_text(current, "utf-8")
    if check and stale:
        print(f"not current: {', '.join(stale)}; run python tools/doc_tables.py", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
