"""The gallery's HTML: one page for each gait that plays its films beside its curves, and a front page of all.

A page holds its styles, its script and its gait's numbers; beside it lie only the films and pictures that it shows. It
asks no network for anything, and its content security policy lets it ask none, so that it works from a folder
(`file://`), from a bucket and from a mail's attachment alike. What a dataset says is data there, never markup or code.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import Markup
from numpy.typing import NDArray

from farm.dataset.gaits import Gait
from farm.dataset.manifest import DatasetManifest
from farm.gait.events import OFF_L, OFF_R, STRIKE_L, STRIKE_R
from farm.gallery.curves import Curve
from farm.gallery.outline import outline_path
from farm.gallery.overlay import BONES, BOX, EVENT, EVENT_FRAMES, EVENTS, OCCLUDED, OUTLINE, VISIBLE

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "visible": VISIBLE, "occluded": OCCLUDED, "outline": OUTLINE, "box": BOX, "event": EVENT,
}  # fmt: skip
"""The films' own, for the same things drawn by the page."""

TITLES: Mapping[str, str] = {
    "hip_flexion": "hip flexion", "knee_flexion": "knee flexion", "ankle_dorsiflexion": "ankle dorsiflexion",
    "vertical_force": "vertical ground force",
}  # fmt: skip
UNITS: Mapping[str, str] = {"deg": "degrees", "BW": "body weights"}
DECIMALS: Mapping[str, int] = {"deg": 1, "BW": 3}


@dataclass(frozen=True)
class Film:
    """One view's film beside a page: the file's name, and its width and height in px."""

    view: str
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Entry:
    """One gait on the front page: its page, a picture of it, and words."""

    title: str
    lines: Sequence[str]
    page: str
    picture: str


@dataclass(frozen=True)
class Sheet:
    """One contact sheet on the front page."""

    title: str
    name: str


def gait_page(data: Mapping[str, Any], films: Sequence[Film], *, title: str, lines: Sequence[str]) -> str:
    """The page that plays one gait.

    Args:
        data: Of `page_data`.
        films: Of its views, in the same order, of as many pictures as it has.
        lines: Who walks, how.
    """
    return _rendered("gait.html", script="gallery.js", title=title, lines=lines, films=films, data=data)


def front_page(
    manifest: DatasetManifest, uri: str, entries: Sequence[Entry], sheets: Sequence[Sheet], *, n_gaits: int
) -> str:
    """The page that leads to the gaits' pages; `n_gaits` is how many the dataset has."""
    return _rendered(
        "index.html", script="", manifest=manifest, uri=uri, entries=entries, sheets=sheets, n_gaits=n_gaits
    )


def page_data(gait: Gait, views: Sequence[Mapping[str, Any]], curves: Sequence[Curve]) -> dict[str, Any]:
    """What the script draws of a gait, as plain values for JSON; times in s, places in px.

    Args:
        gait: With its events, if they are stored.
        views: `view_data` of each, at least one.
        curves: What is drawn beside the films; may be empty.
    """
    rate = float(gait.attributes["frame_rate_hz"])
    n_frames = len(views[0]["points"])
    names = tuple(gait.attributes["keypoints"])
    at = {name: number for number, name in enumerate(names)}
    times, codes = gait.arrays.get("event_time", ()), gait.arrays.get("event_type", ())
    events = [(float(time), int(code)) for time, code in zip(times, codes, strict=True)]
    return {
        "rate": rate,
        "frames": n_frames,
        "names": names,
        "bones": [[at[first], at[second]] for first, second in BONES if first in at and second in at],
        "views": list(views),
        "events": [
            {
                "time": round(time, 4),
                "frame": round(time * rate),
                "words": EVENTS[code][0],
                "keypoint": at.get(EVENTS[code][1], -1),
            }
            for time, code in events
        ],
        "event_frames": EVENT_FRAMES,
        "stances": {
            "r": _stances(events, STRIKE_R, OFF_R, n_frames / rate),
            "l": _stances(events, STRIKE_L, OFF_L, n_frames / rate),
        },
        "curves": [_curve(curve, float(gait.attributes["sample_rate_hz"])) for curve in curves],
    }


def view_data(gait: Gait, view: str) -> dict[str, Any]:
    """The labels of one view, from its keypoints, visibility, and if they are there its boxes and masks."""
    path = f"views/{view}"
    box, mask = gait.arrays.get(f"{path}/bbox"), gait.arrays.get(f"{path}/mask")
    keypoints = gait[f"{path}/keypoints_2d"]
    return {
        "name": view,
        "points": _numbers(keypoints.reshape(len(keypoints), -1), 1),
        "visibility": ["".join(map(str, row)) for row in gait[f"{path}/visibility"].tolist()],
        "boxes": None if box is None else _numbers(box, 1),
        "outlines": None if mask is None else [outline_path(picture) for picture in mask],
    }


def _curve(curve: Curve, sample_rate_hz: float) -> dict[str, Any]:
    decimals = DECIMALS[curve.unit]
    return {
        "title": TITLES[curve.name],
        "unit": UNITS[curve.unit],
        "rate": sample_rate_hz,
        "sides": {side: _numbers(values, decimals) for side, values in curve.sides.items()},
        "cycles": {side: _numbers(values, decimals) for side, values in curve.cycles.items()},
        "strides": {side: _numbers(values, 4) for side, values in curve.strides.items()},
        "low": _numbers(curve.norm.mean - 2 * curve.norm.total_sd, decimals),
        "mean": _numbers(curve.norm.mean, decimals),
        "high": _numbers(curve.norm.mean + 2 * curve.norm.total_sd, decimals),
    }


def _stances(events: Sequence[tuple[float, int]], strike: int, off: int, end: float) -> list[list[float]]:
    """When a foot is on the floor, from its strikes and offs in the order of time; cut by the walk's start and end."""
    stances, since = [], 0.0
    for time, code in events:
        if code == strike:
            since = time
        elif code == off:
            stances.append([round(since, 4), round(time, 4)])
            since = end
    if since < end:
        stances.append([round(since, 4), round(end, 4)])
    return stances


def _numbers(values: NDArray[Any], decimals: int) -> Any:
    """Nested lists; JSON has no NaN, so that what is undefined is null."""
    rounded = np.round(np.asarray(values, dtype=float), decimals)
    known = rounded.astype(object)
    known[~np.isfinite(rounded)] = None
    return known.tolist()


def _rendered(template: str, *, script: str, **values: Any) -> str:
    environment = Environment(autoescape=select_autoescape(default=True), undefined=StrictUndefined)
    environment.filters["words"] = lambda code: str(code).replace("_", " ")
    style = _text("gallery.css")
    for name, (red, green, blue) in COLOURS.items():
        style = style.replace(f"var(--{name})", f"#{red:02x}{green:02x}{blue:02x}")
    code = _text(script) if script else ""
    policy = f"default-src 'none'; img-src 'self' file:; media-src 'self' file:; style-src {_source(style)}"
    if code:
        policy += f"; script-src {_source(code)}"
    return environment.from_string(_text(template)).render(
        policy=policy,
        style=Markup(style),  # noqa: S704  (our own file)
        script=Markup(code),  # noqa: S704
        **values,
    )


def _text(name: str) -> str:
    return (resources.files("farm.gallery") / "templates" / name).read_text("utf-8")


def _source(text: str) -> str:
    """What a content security policy calls a script or style by: nothing else of its kind runs on the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
