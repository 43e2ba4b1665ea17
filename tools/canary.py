"""What the canary's pictures look like here, and whether that is noted.

    python -m tools.canary                # say it
    python -m tools.canary --note         # note this renderer's hashes in workers/render/canary.json
    python -m tools.canary --png FILE     # also write the pictures, to look at

Notes are of the present shaders. Where this renderer is noted and draws otherwise now, something
about the drawing was changed; all that the other renderers were noted to draw is then worth
nothing, and --note leaves it out. So note on a renderer that is noted already, before others.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from workers.render.canary import NOTES, draw, listen, noted


def main() -> int:
    """Draw, say, note."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--note", action="store_true", help="note what this renderer draws")
    parser.add_argument("--png", type=Path, help="write the pictures into this file")
    arguments = parser.parse_args()
    song = listen()
    sys.stdout.write(f"{song.renderer}: {song.verdict}\n{json.dumps(song.hashes)}\n")
    if arguments.png is not None:
        rows = [np.concatenate(list(view), axis=1) for view in np.asarray(draw().rgb)]
        Image.fromarray(np.concatenate(rows)).save(arguments.png)
    if arguments.note:
        kept = {} if song.verdict == "changed" else noted()
        notes = dict(sorted({**kept, song.renderer: dict(song.hashes)}.items()))
        NOTES.write_text(json.dumps(notes, indent=1) + "\n", "utf-8")
    return 0 if arguments.note or song.verdict in ("as noted", "alike") else 1


if __name__ == "__main__":
    sys.exit(main())
