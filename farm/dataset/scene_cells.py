"""What was drawn for a gait's pictures, as cells of its index row: `scene_*`, one for each number or word.

`scenes.parameters.SceneParameters` says what there is, and its record is flattened as it comes, so
that a field which is added there is stored from then on. Names are joined by underscores
(`scene_place_kind`, `scene_camera_side_height_m`); colours and directions become three columns
each. Of a list of things, such as furniture, there are their number and their kinds; the rest of it
follows from the campaign's seed and the sample's number, as all of it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Cell = str | float | int | None

PREFIX = "scene"
_PARTS = {"rgb": ("r", "g", "b"), "direction": ("x", "y", "z")}
_SEPARATOR = " "


def scene_cells(record: Mapping[str, Any]) -> dict[str, Cell]:
    """Cells of one gait, from `SceneParameters.record()`; none where nothing was drawn.

    Raises:
        ValueError: Two fields would have the same column.
    """
    cells: dict[str, Cell] = {}
    for name, value in _leaves(PREFIX, record):
        if name in cells:
            raise ValueError(f"the scene has two fields for the column {name!r}; rename one")
        cells[name] = value
    return cells


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Cell]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(f"{name}_{'camera' if key == 'cameras' else key}", part)
    elif isinstance(value, str) or not isinstance(value, Sequence):
        yield name, value
    elif all(isinstance(part, Mapping) for part in value):
        yield f"{name}_count", len(value)
        yield f"{name}_kinds", _SEPARATOR.join(str(part.get("kind", "")) for part in value)
    else:
        axes = _PARTS["direction"] if name.endswith("direction") else _PARTS["rgb"]
        suffixes = axes if len(value) == len(axes) else tuple(map(str, range(len(value))))
        for suffix, part in zip(suffixes, value, strict=True):
            yield f"{name}_{suffix}", part
