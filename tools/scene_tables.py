"""The tables of docs/cameras.md (a view's fields, shipped views, switches) and of docs/scenes.md (what may vary)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from farm.scene_config import AidsVariation, CameraVariation, LightVariation, PeopleVariation, PlaceVariation
from farm.view_config import STANDARD_VIEWS, View


def fields_table(model: type[BaseModel]) -> str:
    """One row for each field: what it is by default, within which bounds, and what it does."""
    schema = model.model_json_schema()
    rows = ["| field | default | within | what |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else f"`{_value(field.default)}`"
        rows.append(f"| `{name}` | {default} | {_bounds(schema['properties'][name])} | {field.description} |")
    return "\n".join(rows)


def standard_views_table() -> str:
    """One column for each shipped view, and a row for each field in which they differ from a plain one."""
    plain = View.model_fields
    told = [
        name
        for name in plain
        if name != "name" and any(getattr(view, name) != _default(plain[name]) for view in STANDARD_VIEWS.values())
    ]
    rows = ["| field | " + " | ".join(STANDARD_VIEWS) + " |", "|---" * (1 + len(STANDARD_VIEWS)) + "|"]
    for name in told:
        cells = [f"`{_value(getattr(view, name))}`" for view in STANDARD_VIEWS.values()]
        rows.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.default


def _value(value: Any) -> str:
    """As YAML has it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{key}: {_value(getattr(value, key))}" for key in type(value).model_fields) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(schema: Mapping[str, Any]) -> str:
    """What a field's JSON schema allows: its words, or least and most of a number or of both ends of a range."""
    for option in (schema, *schema.get("anyOf", ())):
        if "enum" in option:
            return ", ".join(f"`{word}`" for word in option["enum"])
        number = option["prefixItems"][0] if "prefixItems" in option else option
        if "minimum" in number:
            return f"{number['minimum']:g} to {number['maximum']:g}"
        if option.get("type") == "boolean":
            return "`true`, `false`"
    return ""


SCENE_TABLES = {
    "people": lambda: fields_table(PeopleVariation),
    "aids": lambda: fields_table(AidsVariation),
    "place": lambda: fields_table(PlaceVariation),
    "light": lambda: fields_table(LightVariation),
}
"""Of docs/scenes.md."""

CAMERA_TABLES = {
    "view": lambda: fields_table(View),
    "standard views": standard_views_table,
    "cameras": lambda: fields_table(CameraVariation),
}
