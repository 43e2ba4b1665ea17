"""Looking after a dataset: what it holds, whether it is whole, and its catalogue."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from farm.commands.options import AsJson, DatasetUri, EndpointUrl
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (info, verify, compact):
        app.command()(command)


def info(
    uri: DatasetUri,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say what a dataset holds, how far it has come, and why samples were rejected."""
    from farm.dataset.info import info as look
    from farm.dataset.show import show_info

    summary = look(uri, endpoint_url=endpoint_url)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        show_info(summary, OUT_CONSOLE)


def verify(
    uri: DatasetUri,
    fast: Annotated[bool, typer.Option("--fast", help="Check sizes and metadata only, not every byte.")] = False,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check that a dataset is whole and unchanged. Exit code 1 if it is not; every fault is named."""
    from farm.dataset.show import progress_bar, show_verification
    from farm.dataset.verify import verify as check

    with progress_bar(ERROR_CONSOLE, "verifying shards") as progress:
        report = check(uri, thorough=not fast, endpoint_url=endpoint_url, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        show_verification(report, OUT_CONSOLE)
    raise typer.Exit(0 if report.sound else 1)


def compact(
    uri: DatasetUri,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Gather the index of all committed shards in a few Parquet files, so that readers start faster."""
    from farm.dataset.catalogue import compact as gather
    from farm.dataset.manifest import read_manifest
    from farm.storage import open_storage

    storage = open_storage(uri, endpoint_url=endpoint_url)
    read_manifest(storage)
    for key in gather(storage).parts:
        typer.echo(f"{storage.uri}/{key}")
