"""Options that several commands share, and how lists in them are read."""

from __future__ import annotations

from typing import Annotated

import typer

from farm.errors import UserError

DatasetUri = Annotated[str, typer.Argument(help="A dataset: path, file:// or s3://bucket/prefix.")]
"""The dataset that a command is about: `uri: DatasetUri`."""

EndpointUrl = Annotated[
    str | None,
    typer.Option(
        envvar="AWS_ENDPOINT_URL", help="S3-compatible endpoint; leave out for AWS itself.", show_default=False
    ),
]
"""Shared by every command that opens storage: `endpoint_url: EndpointUrl = None`."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
"""Shared by every command that a machine may read: `as_json: AsJson = False`."""


def words(text: str | None, option: str) -> tuple[str, ...] | None:
    """The names in a list with commas; None if the option was left out."""
    if text is None:
        return None
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise UserError(f"{option} is empty; name at least one, or leave it out to take all")
    return words
