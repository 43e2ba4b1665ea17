"""One moment of one gait as all views of a dataset saw it, side by side: the picture of docs/cameras.md.

python -m tools.show_views DATASET docs/images/cameras.png [--sample ID] [--share 0.6]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from farm.dataset.reader import GaitDataset

_COLUMNS = 4
_GAP_PX = 6
_CAPTION_PX = 22
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def sheet(dataset: GaitDataset, sample_id: int, share: float) -> Image.Image:
    """Pictures of all views at `share` (0 to 1) of the film, each over its view's name."""
    pictures = []
    for view in dataset.manifest.views:
        frames = dataset.frames(sample_id, view)
        pictures.append(Image.fromarray(frames[round(share * (len(frames) - 1))]))
    width, height = pictures[0].size
    rows = -(-len(pictures) // _COLUMNS)
    columns = min(_COLUMNS, len(pictures))
    cell = (width + _GAP_PX, height + _CAPTION_PX)
    whole = Image.new("RGB", (columns * cell[0] - _GAP_PX, rows * cell[1]), _PAPER)
    pen = ImageDraw.Draw(whole)
    for number, (view, picture) in enumerate(zip(dataset.manifest.views, pictures, strict=True)):
        x, y = number % _COLUMNS * cell[0], number // _COLUMNS * cell[1]
        whole.paste(picture, (x, y))
        pen.text((x + 2, y + height + _CAPTION_PX / 2), view, _INK, ImageFont.load_default(13), anchor="lm")
    return whole


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="folder or s3:// URI")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--sample", type=int, help="sample id; the first accepted one without it")
    parser.add_argument("--share", type=float, default=0.6, help="moment, 0 the film's first picture, 1 its last")
    asked = parser.parse_args()
    dataset = GaitDataset(asked.dataset)
    first = min(int(row["sample_id"]) for row in dataset.index())
    sheet(dataset, asked.sample if asked.sample is not None else first, asked.share).save(asked.out, optimize=True)


if __name__ == "__main__":
    main()
