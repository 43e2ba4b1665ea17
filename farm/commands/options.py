"""Options that several commands share, and how lists in them are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from farm.errors import UserError

if TYPE_CHECKING:
    from farm.dataset.pull_choice import Wish

MAX_PORT = 65535

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

WalksAtOnce = Annotated[
    int | None, typer.Option(min=1, help="Walks at once; else one for each core.", show_default=False)
]
ClusterAddress = Annotated[
    str | None, typer.Option(help="Ray cluster: auto, host:port or ray://host:10001. Without, Ray starts here.")
]
"""Shared by commands that let people walk: `workers: WalksAtOnce = None`, `address: ClusterAddress = None`."""

Count = Annotated[int | None, typer.Option(help="At most so many gaits, spread over all.", show_default=False)]
CountSeed = Annotated[int, typer.Option(help="Of the choice of --count gaits.")]
Part = Annotated[
    str | None,
    typer.Option(help="Only gaits of this part: train, validation or test. All if left out.", show_default=False),
]
SplitSeed = Annotated[int, typer.Option(help="Of the division into parts; whoever names it has the same.")]
SplitShares = Annotated[str, typer.Option(help="Shares of train/validation/test.")]
"""These five choose among gaits, wherever gaits are taken."""


def words(text: str | None, option: str) -> tuple[str, ...] | None:
    """The names in a list with commas; None if the option was left out."""
    if text is None:
        return None
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise UserError(f"{option} is empty; name at least one, or leave it out to take all")
    return words


def wish_of(
    *,
    where: str | None,
    views: str | None,
    fields: str | None,
    count: int | None,
    seed: int,
    split: str | None,
    split_seed: int,
    split_shares: str,
) -> Wish:
    """What the options of this name ask for, in every command that takes gaits out of a dataset.

    Raises:
        UserError: One of them asks for nothing that can be.
    """
    from farm.dataset.pull_choice import Wish

    return Wish(where, words(views, "--views"), words(fields, "--fields"), count, seed, split, split_seed, split_shares)


def cluster_address(text: str | None) -> str | None:
    """An address of a Ray cluster that can be one; whether anybody answers there is seen later.

    Raises:
        UserError: It is none.
    """
    if text is None or text in ("auto", "local"):
        return text
    host, colon, port = text.removeprefix("ray://").rpartition(":")
    wanted = "write auto, host:port or ray://host:10001"
    if not colon or not host or "/" in host or any(letter.isspace() for letter in text):
        raise UserError(f"--address {text!r} is no address of a Ray cluster; {wanted}")
    try:
        host.encode("idna")
    except UnicodeError:
        raise UserError(f"--address {text!r} has the host {host!r}, which cannot be a host's name; {wanted}") from None
    if not (port.isdecimal() and 0 < int(port[:6]) <= MAX_PORT):
        raise UserError(f"--address {text!r} has the port {port!r}, which must be 1 to {MAX_PORT}; {wanted}")
    return text
