"""Writing a dataset in the forms that others' tools read."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farm.commands.options import AsJson, Count, CountSeed, EndpointUrl, Part, SplitSeed, SplitShares, wish_of
from farm.errors import UserError
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE

if TYPE_CHECKING:
    from farm.dataset.split import Split
    from farm.export.formats import Format
    from farm.export.opensim import WriteModel

FORMATS = ("webdataset", "huggingface", "opensim", "croissant")

OPTIONS_OF: Mapping[str, tuple[str, ...]] = {
    "webdataset": ("--fields", "--gaits-per-file", "--max-file-mb", "--prefix"),
    "huggingface": ("--fields", "--gaits-per-file", "--max-file-mb"),
    "opensim": ("--fields", "--model"),
    "croissant": (),
}
"""Which options each format understands beside those that choose gaits."""

PREFIX_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
MAX_PREFIX = 64

BYTES_PER_MB = 10**6


def register(app: typer.Typer, write_model: WriteModel) -> None:
    """Add this command to the command line.

    Args:
        write_model: Builds a person's `model.osim`; imports OpenSim when it is called.
    """

    @app.command()
    def export(
        format_name: Annotated[str, typer.Argument(metavar="FORMAT", help=", ".join(FORMATS) + ".")],
        uri: Annotated[str, typer.Argument(help="The dataset: path, file:// or s3://bucket/prefix.")],
        out: Annotated[
            str, typer.Option(help="Where the files go: path, file:// or s3://bucket/prefix.", show_default=False)
        ],
        where: Annotated[
            str | None,
            typer.Option(help="Gaits to export, as SQL over the index: \"gait_speed < 0.8\"", show_default=False),
        ] = None,
        views: Annotated[
            str | None, typer.Option(help="Views, with commas: front,side. All if left out.", show_default=False)
        ] = None,
        fields: Annotated[
            str | None,
            typer.Option(help="Arrays, with commas: keypoints_2d,video. What the format has by default if left out.",
                         show_default=False),
        ] = None,
        workers: Annotated[int, typer.Option(min=1, max=256, help="Files made at once, each held in memory.")] = 2,
        gaits_per_file: Annotated[
            int | None,
            typer.Option(min=1, help="webdataset, huggingface: at most so many gaits in a file.", show_default=False),
        ] = None,
        max_file_mb: Annotated[
            int | None,
            typer.Option(min=1, max=4000, help="webdataset, huggingface: about how large a file becomes, in MB.",
                         show_default=False),
        ] = None,
        prefix: Annotated[
            str | None, typer.Option(help="webdataset: what the tars' names begin with.", show_default=False)
        ] = None,
        count: Count = None,
        seed: CountSeed = 0,
        split: Part = None,
        split_seed: SplitSeed = 0,
        split_shares: SplitShares = "0.8/0.1/0.1",
        model: Annotated[
            bool, typer.Option("--model", help="opensim: also build each person's model.osim; needs OpenSim.")
        ] = False,
        endpoint_url: EndpointUrl = None,
        destination_endpoint_url: Annotated[
            str | None,
            typer.Option(help="S3-compatible endpoint of the destination, if it is another.", show_default=False),
        ] = None,
        as_json: AsJson = False,
    ) -> None:  # fmt: skip
        """Write a dataset as WebDataset, for Hugging Face, as OpenSim files, or describe it in Croissant.

        Run again, it goes on where it stopped. huggingface always divides, by --split-seed and --split-shares.
        """
        from farm.dataset.split import Split
        from farm.export.run import export as write
        from farm.export.show import export_bar, show_export

        given = {
            "--gaits-per-file": gaits_per_file, "--max-file-mb": max_file_mb, "--prefix": prefix,
            "--model": model or None, "--fields": fields,
        }  # fmt: skip
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
        division = Split.of(split_shares, seed=split_seed)
        options = {name: value for name, value in given.items() if value is not None}
        form = _form(format_name, options, division, write_model)
        with export_bar(ERROR_CONSOLE) as bar:
            report = write(
                form,
                uri,
                out,
                wish,
                workers=workers,
                endpoint_url=endpoint_url,
                destination_endpoint_url=destination_endpoint_url or endpoint_url,
                planned=bar.planned,
                progress=bar.made,
            )
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(report), indent=1))
        else:
            show_export(report, OUT_CONSOLE)


def _form(name: str, given: Mapping[str, Any], division: Split, write_model: WriteModel) -> Format:
    """The format of that name, with these options.

    Raises:
        UserError: There is no such format, or it has no such option.
    """
    from farm.export.croissant import CroissantFolder
    from farm.export.huggingface import HuggingFaceFolder
    from farm.export.opensim import OpenSimFolders
    from farm.export.webdataset import WebDatasetTars

    if name not in FORMATS:
        close = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose {', '.join(FORMATS)}"
        raise UserError(f"there is no format {name!r}; {hint}")
    for option in given:
        if option not in OPTIONS_OF[name]:
            those = [other for other in FORMATS if option in OPTIONS_OF[other]]
            raise UserError(f"{name} has no {option}, it is for {', '.join(those)}; leave it out")
    limits: dict[str, Any] = {}
    if "--gaits-per-file" in given:
        limits["gaits_per_file"] = given["--gaits-per-file"]
    if "--max-file-mb" in given:
        limits["max_file_bytes"] = given["--max-file-mb"] * BYTES_PER_MB
    if name == "webdataset":
        return WebDatasetTars(_prefix(given.get("--prefix", "gaits")), **limits)
    if name == "huggingface":
        return HuggingFaceFolder(division, **limits)
    if name == "opensim":
        return OpenSimFolders(write_model=write_model if "--model" in given else None)
    return CroissantFolder()


def _prefix(text: str) -> str:
    if not 0 < len(text) <= MAX_PREFIX or any(letter not in PREFIX_LETTERS for letter in text):
        raise UserError(f"--prefix {text!r} is no name for a file; take letters, digits, '_' and '-', such as gaits")
    return text
