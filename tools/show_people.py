"""People whom the farm can draw, side by side: the picture of docs/people.md.

    python -m tools.show_people docs/images/people.jpg

Each stands for what one parameter does: women and men, thin to heavy, short to tall, young to old, and what they wear
and hold. They walk by the norm curves (`tests.norm_walk`), filmed from an angle as a campaign films.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from farm.config import campaign_from_mapping
from farm.gait.labels import gait_labels
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from tests.norm_walk import norm_walk
from workers.render.film import set_stage, shoot

_CELL_PX, _CAPTION_PX = (150, 290), 18
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
_MOMENT = 0.55
"""Of the film, at which everybody is shown."""

Row = tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...]

_TROUSERS: Mapping[str, Any] = {"people": {"lower": ["long_trousers"], "coat_share": 0.0}}
_HEMIPARESIS = {"condition": "hemiparesis", "side": "right", "severity": 0.4}
_STIFF = {"condition": "parkinsonian", "side": "both", "severity": 0.9, "arm_swing": 0.2}


def _everybody_has(kind: str, condition: str) -> Mapping[str, Any]:
    return {**_TROUSERS, "aids": {"kinds": [kind], kind: [{"condition": condition, "share": 1.0}]}}


ROWS: tuple[Row, ...] = (
    (
        ("woman, BMI 18", {"sex": "female", "stature_m": 1.65, "mass_kg": 49.0}, _TROUSERS),
        ("BMI 23", {"sex": "female", "stature_m": 1.65, "mass_kg": 62.6}, _TROUSERS),
        ("BMI 33", {"sex": "female", "stature_m": 1.65, "mass_kg": 89.8}, _TROUSERS),
        ("man, BMI 18", {"stature_m": 1.78, "mass_kg": 57.0}, _TROUSERS),
        ("BMI 23", {"stature_m": 1.78, "mass_kg": 72.9}, _TROUSERS),
        ("BMI 33", {"stature_m": 1.78, "mass_kg": 104.6}, _TROUSERS),
    ),
    (
        ("1.50 m", {"sex": "female", "stature_m": 1.50, "mass_kg": 52.0}, _TROUSERS),
        ("1.95 m", {"stature_m": 1.95, "mass_kg": 88.0}, _TROUSERS),
        ("25 years", {"age_years": 25.0}, _TROUSERS),
        ("80 years", {"age_years": 80.0}, _TROUSERS),
        ("Monk tone 1", {}, {"people": {**_TROUSERS["people"], "skin_tones": [1]}}),
        ("Monk tone 10", {"sex": "female"}, {"people": {**_TROUSERS["people"], "skin_tones": [10]}}),
    ),
    (
        ("short trousers", {}, {"people": {"lower": ["short_trousers"], "coat_share": 0.0}}),
        ("skirt", {"sex": "female"}, {"people": {"lower": ["skirt"]}}),
        ("coat", {}, {"people": {"lower": ["long_trousers"], "coat_share": 1.0}}),
        ("orthosis", _HEMIPARESIS, _everybody_has("ankle_orthosis", "hemiparesis")),
        ("cane", _HEMIPARESIS, _everybody_has("cane", "hemiparesis")),
        ("walker frame", _STIFF, _everybody_has("walker_frame", "parkinsonian")),
    ),
)


def portrait(number: int, person: Mapping[str, Any], scene: Mapping[str, Any]) -> Image.Image:
    """One person, cut out of a film at `_MOMENT`."""
    order = {
        "name": "people", "samples": 100, "seed": 12,
        "scene": {**scene, "place": {"kinds": ["gait_lab"], "furniture": [0, 2], "passers_by": [0, 0],
                                     "foreground_share": 0.0}},
        "pictures": {"views": [{"like": "oblique", "azimuth_deg": 35.0, "azimuth_jitter_deg": 0.0}],
                     "image_size": [1024, 1024], "rgb": "lossless", "mask": False},
    }  # fmt: skip
    campaign = campaign_from_mapping(order, source="tools.show_people")
    parameters = GaitParameters(sample_id=number, **person)
    body, walk = anatomy(parameters), norm_walk(parameters, duration_s=3.0)
    labels = gait_labels(walk, body, frame_rate_hz=campaign.pictures.frame_rate_hz)
    (view,) = shoot(campaign, set_stage(campaign, parameters, body, walk, labels), labels).views
    assert view.rgb is not None
    frame = round(_MOMENT * (len(view.rgb) - 1))
    x0, y0, x1, y1 = view.bbox[frame]
    metre = (y1 - y0) / parameters.stature_m  # nearly: a walker is a little lower than he stands
    width, height = (2.15 * metre * side / _CELL_PX[1] for side in _CELL_PX)
    left, bottom = (x0 + x1 - width) / 2, y1 + 0.08 * metre
    box = (left, bottom - height, left + width, bottom)
    return Image.fromarray(view.rgb[frame]).crop(box).resize(_CELL_PX, Image.Resampling.LANCZOS)


def sheet() -> Image.Image:
    """All of `ROWS`, each person over what is said of him or her."""
    width, height = _CELL_PX[0], _CELL_PX[1] + _CAPTION_PX
    whole = Image.new("RGB", (width * max(map(len, ROWS)), height * len(ROWS)), _PAPER)
    pen = ImageDraw.Draw(whole)
    for line, row in enumerate(ROWS):
        for column, (caption, person, scene) in enumerate(row):
            number = int(np.ravel_multi_index((line, column), (len(ROWS), 8)))
            whole.paste(portrait(number, person, scene), (column * width, line * height))
            place = (column * width + 3, (line + 1) * height - _CAPTION_PX / 2)
            pen.text(place, caption, _INK, ImageFont.load_default(12), anchor="lm")
    return whole


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="picture to write, .jpg or .png")
    sheet().save(parser.parse_args().out, quality=88)


if __name__ == "__main__":
    main()
