"""Looking after a dataset: what it holds, whether it is whole, its catalogue, its garbage, its damaged shards."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.commands.options import AsJson, DatasetUri, EndpointUrl
from farm.errors import UserError
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE

if TYPE_CHECKING:
    from farm.dataset.verify import VerifyReport
    from farm.label_check.run import LabelReport
    from farm.storage import Storage

Workers = Annotated[
    int | None, typer.Option(min=1, help="Shards looked at at once; else one for each core.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for scripts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Deep = Annotated[
    bool,
    typer.Option("--deep/--fast", help="Read every byte, or only compare a listing with what the commits name."),
]
Shards = Annotated[
    list[str] | None, typer.Option("--shard", help="Only this shard; may be repeated.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (info, verify, compact, gc, repair):
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
    deep: Deep = True,
    workers: Workers = None,
    shard: Shards = None,
    sample: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Only the shard that holds this sample; may be repeated.", show_default=False),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Note sound shards in this file, so that the same command goes on after an interruption; else in the "
            "user's cache folder.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Also measure how true the labels are."),
    ] = False,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check that a dataset is whole and unchanged. Exit code 1 if it is not; every fault is named.

    An interrupted --deep verification goes on where it stopped when it is run again.
    """
    from farm.dataset.manifest import read_manifest
    from farm.dataset.show import show_verification, verify_bar
    from farm.dataset.verify import verify as check
    from farm.dataset.verify_state import StateError, default_state
    from farm.label_check.show import show_labels
    from farm.storage import open_storage

    if state is not None and not deep:
        raise UserError("--state is for --deep: a fast verification takes seconds and notes nothing")
    storage = open_storage(uri, endpoint_url=endpoint_url)
    ours = None
    if state is None and deep and not shard and not sample:
        ours = default_state(read_manifest(storage).dataset_id)

    def look(noted: Path | None) -> VerifyReport:
        with verify_bar(ERROR_CONSOLE, "verifying shards") as progress:
            return check(
                storage,
                thorough=deep,
                workers=workers,
                processes=deep,
                state=noted,
                shards=shard or (),
                samples=sample or (),
                progress=progress,
            )

    try:
        report = look(state or ours)
    except StateError as error:  # before anything was looked at
        if ours is None:
            raise
        # Nobody asked for a state: where there can be none, all that is lost is that this run can be gone on with.
        ERROR_CONSOLE.print(f"this verification could not go on after an interruption: {error}", markup=False)
        report = look(None)
    measured = None if not labels or report.faults else _measured(storage, shard, sample)
    if as_json:
        more = {} if not labels else {"labels": None if measured is None else measured.to_dict()}
        typer.echo(json.dumps(report.to_dict() | more, indent=1))
    else:
        show_verification(report, OUT_CONSOLE)
        if measured is not None:
            show_labels(measured, OUT_CONSOLE)
        elif labels:
            OUT_CONSOLE.print("the labels were not measured: mend the dataset first")
    raise typer.Exit(0 if report.sound and (measured is None or measured.true) else 1)


def _measured(storage: Storage, shards: list[str] | None, samples: list[int] | None) -> LabelReport:
    """How true the labels are of all gaits, or of those that were asked for."""
    from farm.dataset.reader import GaitDataset
    from farm.label_check.run import check_labels

    wanted = [f"sample_id = {int(number)}" for number in samples or ()]
    wanted += [f"shard_id = '{name}'" for name in shards or ()]
    with ERROR_CONSOLE.status("measuring labels"):
        return check_labels(GaitDataset(storage), where=" OR ".join(wanted) or None)


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


def gc(
    uri: DatasetUri,
    grace: Annotated[str, typer.Option(help="Leave what is younger: a number and s, m, h or d.")] = "24h",
    dry_run: DryRun = False,
    yes: Yes = False,
    open_staging: Annotated[
        bool, typer.Option("--open-staging", help="Also made samples of shards that are not committed yet.")
    ] = False,
    repaired: Annotated[
        bool, typer.Option("--repaired", help="Also the objects of shards that `gaitfarm repair` took out.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Take a grace time below 1h; only if nobody writes.")] = False,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Remove what no commit names and is older than the grace time: leftovers of interrupted and beaten attempts.

    Commits, dataset.json and objects that are not ours are never touched.
    """
    from farm.dataset.gc import find_garbage, seconds, sweep_garbage
    from farm.dataset.show_upkeep import show_garbage, show_swept
    from farm.storage import open_storage

    ask = _asking(dry_run, yes, "gc removes objects")
    storage = open_storage(uri, endpoint_url=endpoint_url)
    with ERROR_CONSOLE.status("listing"):
        plan = find_garbage(storage, grace_s=seconds(grace), force=force, open_staging=open_staging, repaired=repaired)
    if not as_json:
        show_garbage(plan, OUT_CONSOLE)
    go = bool(plan.garbage) and not dry_run and (not ask or typer.confirm("remove them?", err=True))
    if go:
        with ERROR_CONSOLE.status("removing"):
            plan = sweep_garbage(storage, plan)
    if as_json:
        typer.echo(json.dumps({"removed": go, **plan.to_dict()}, indent=1))
    elif go:
        show_swept(plan, OUT_CONSOLE)


def repair(
    uri: DatasetUri,
    deep: Deep = True,
    workers: Workers = None,
    shard: Shards = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take damaged shards out of a dataset, so that the next `generate` (or `pull`) makes them again.

    Their commits are kept under repaired/. Exit code 1 if damage was found and is still there.
    """
    from farm.dataset.claim import writing
    from farm.dataset.manifest import read_manifest
    from farm.dataset.repair import RepairedShard, RepairReport, again, take_out
    from farm.dataset.show import show_verification, verify_bar
    from farm.dataset.show_upkeep import show_repair
    from farm.dataset.verify import verify as check
    from farm.storage import open_storage

    ask = _asking(dry_run, yes, "repair takes shards out of the dataset")
    storage = open_storage(uri, endpoint_url=endpoint_url)
    manifest = read_manifest(storage)
    with verify_bar(ERROR_CONSOLE, "looking for damage") as progress:
        found = check(storage, thorough=deep, workers=workers, processes=deep, shards=shard or (), progress=progress)
    if not as_json:
        show_verification(found, OUT_CONSOLE)
    damaged = found.damaged_shards
    go = bool(damaged) and not dry_run
    if go and ask:
        go = typer.confirm(f"take {len(damaged)} shards out, to be made again?", err=True)
    done: list[RepairedShard] = []
    if go:
        with writing(storage, storage.probe(), say=lambda text: ERROR_CONSOLE.print(text, markup=False)) as ours:
            done = take_out(ours, damaged)
    report = RepairReport(storage.uri, tuple(done), again(storage, manifest))
    if as_json:
        typer.echo(json.dumps({"damaged": sorted(damaged), **report.to_dict()}, indent=1))
    elif go:
        show_repair(report, OUT_CONSOLE)
    raise typer.Exit(0 if len(report.taken_out) == len(damaged) else 1)


def _asking(dry_run: bool, yes: bool, what: str) -> bool:
    """Whether to ask before going on; a script cannot be asked."""
    if dry_run or yes:
        return False
    if not sys.stdin.isatty():
        raise UserError(f"{what}, and nobody can be asked here: add --yes, or --dry-run to look only")
    return True
