"""Taking data out of a dataset."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from typing import Annotated

import typer

from farm.commands.options import AsJson, Count, CountSeed, EndpointUrl, Part, SplitSeed, SplitShares, wish_of
from farm.errors import StorageError, UserError
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE

ASK_BYTES = 10 * 10**9
"""A pull that writes more than this is agreed upon first, if somebody is there to ask."""

INTERRUPTED = 130
"""Exit code of a program that was interrupted from the keyboard: 128 and the number of SIGINT."""

_GO_ON = "what is at {uri} so far is whole, and the same command goes on from there"

_UNITS = {"": 1, "b": 1} | {
    name + suffix: base**power
    for power, name in enumerate(("k", "m", "g", "t"), start=1)
    for suffix, base in (("", 1000), ("b", 1000), ("ib", 1024))
}


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
    count: Count = None,
    seed: CountSeed = 0,
    split: Part = None,
    split_seed: SplitSeed = 0,
    split_shares: SplitShares = "0.8/0.1/0.1",
    max_bytes: Annotated[
        str | None,
        typer.Option(help="Refuse to begin if more is read or written: 500MB, 50GB, 2TiB.", show_default=False),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Shards pulled side by side.")] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and take nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a large pull.")] = False,
    endpoint_url: EndpointUrl = None,
    destination_endpoint_url: Annotated[
        str | None,
        typer.Option(help="S3-compatible endpoint of the destination, if it is another.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take a part of a dataset along, as a dataset of its own; run again, it goes on where it stopped."""
    from farm.dataset.pull import carry_out, check_size, plan_pull
    from farm.dataset.pull_show import bytes_bar, show_estimate
    from farm.dataset.show import show_pull

    wish = wish_of(
        where=where,
        views=views,
        fields=fields,
        count=count,
        seed=seed,
        split=split,
        split_seed=split_seed,
        split_shares=split_shares,
    )
    limit = None if max_bytes is None else bytes_in(max_bytes, "--max-bytes")
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}; it must be 1 or more")
    with ERROR_CONSOLE.status("reading the index"):
        plan = plan_pull(
            uri,
            destination,
            wish,
            endpoint_url=endpoint_url,
            destination_endpoint_url=destination_endpoint_url or endpoint_url,
        )
    if dry_run and as_json:
        typer.echo(json.dumps(dataclasses.asdict(plan.estimate), indent=1))
    else:
        show_estimate(plan.estimate, wish, OUT_CONSOLE if dry_run else ERROR_CONSOLE)
    check_size(plan, limit)
    if dry_run:
        return
    if plan.estimate.cost.write_bytes > ASK_BYTES and not yes and sys.stdin.isatty():
        typer.confirm("Go on?", default=True, abort=True, err=True)
    try:
        with bytes_bar(ERROR_CONSOLE, "pulling") as progress:
            report = carry_out(
                plan, jobs=jobs, progress=progress, say=lambda text: ERROR_CONSOLE.print(text, markup=False)
            )
    except StorageError as error:
        raise type(error)(f"{error} ({_GO_ON.format(uri=plan.target.uri)})") from None
    except KeyboardInterrupt:
        ERROR_CONSOLE.print(
            f"interrupted; {_GO_ON.format(uri=plan.target.uri)}",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report), indent=1))
    else:
        show_pull(report, OUT_CONSOLE)


def bytes_in(text: str, option: str) -> int:
    """A number of bytes as people write it: "50GB", "1.5 GiB", "800000".

    Raises:
        UserError: It is not one.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in _UNITS:
        raise UserError(f"{option} is {text!r}; write a number of bytes such as 500MB, 50GB or 2TiB")
    return int(float(match[1]) * _UNITS[match[2].lower()])
