"""Taking data out of a dataset."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from farm.commands.options import AsJson, EndpointUrl, words
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(pull)


def pull(
    uri: Annotated[str, typer.Argument(help="The dataset to take from: path, file:// or s3://bucket/prefix.")],
    destination: Annotated[str, typer.Argument(help="Where the part goes: path, file:// or s3://bucket/prefix.")],
    where: Annotated[
        str | None,
        typer.Option(
            help="Gaits to take, as SQL over the index: \"gait_speed < 0.8 and condition == 'foot_drop'\"",
            show_default=False,
        ),
    ] = None,
    views: Annotated[
        str | None, typer.Option(help="Views to take, with commas: front,side. All if left out.", show_default=False)
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option(help="Arrays to take, with commas: keypoints_2d,labels. All if left out.", show_default=False),
    ] = None,
    endpoint_url: EndpointUrl = None,
    destination_endpoint_url: Annotated[
        str | None,
        typer.Option(help="S3-compatible endpoint of the destination, if it is another.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take a part of a dataset along, as a dataset of its own; run again, it goes on where it stopped."""
    from farm.dataset.pull import pull as take
    from farm.dataset.show import progress_bar, show_pull

    with progress_bar(ERROR_CONSOLE, "pulling shards") as progress:
        report = take(
            uri,
            destination,
            where=where,
            views=words(views, "--views"),
            fields=words(fields, "--fields"),
            endpoint_url=endpoint_url,
            destination_endpoint_url=destination_endpoint_url or endpoint_url,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report), indent=1))
    else:
        show_pull(report, OUT_CONSOLE)
