"""Looking at a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from farm.commands.options import AsJson, CountSeed, DatasetUri, EndpointUrl
from farm.gallery.by import By
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(gallery)


def gallery(
    uri: DatasetUri,
    out: Annotated[Path, typer.Option(help="Folder for pages, films and strips: new, empty, or to go on with.",
                                      show_default=False)],
    where: Annotated[
        str | None,
        typer.Option(help="Gaits to choose from, as SQL over the index: \"condition == 'foot_drop'\"",
                     show_default=False),
    ] = None,
    count: Annotated[int, typer.Option(help="At most so many gaits, spread over all.")] = 6,
    seed: CountSeed = 0,
    by: Annotated[
        list[By] | None,
        typer.Option(help="Add a contact sheet of all these gaits, sorted so; may be given several times.",
                     show_default=False),
    ] = None,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Draw labels over pictures: a page that plays each gait beside its curves, films and strips of every view."""
    from farm.gallery.write import write_gallery

    with Progress(console=ERROR_CONSOLE, transient=True) as bar:
        task = bar.add_task("drawing labels", total=None)
        made = write_gallery(
            uri,
            out,
            where=where,
            count=count,
            seed=seed,
            by=by or (),
            endpoint_url=endpoint_url,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        typer.echo(json.dumps(made.to_dict(), indent=1))
        return
    for name in (made.front, *made.sheets, *made.pages, *made.films, *made.strips):
        OUT_CONSOLE.print(str(out / name), highlight=False, soft_wrap=True)
