"""The command line: thin commands. How their errors become messages and exit codes stands in `farm.terminal`.

Exit codes: 0 done, 1 failed or found wanting (a dataset that does not verify, a
machine that `doctor` finds incomplete), 2 mendable by the caller (bad campaign,
unreachable storage, misspelt option).

This is the only file of `farm` that imports `workers`, and it does so inside the
command functions: `gaitfarm pull` runs where neither OpenSim, Ray, GL nor torch
is installed. Commands that need no engine stand in `farm.commands`; every
command's body lives in the room that owns the matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import typer
from rich.console import Console

import farm
from farm.commands import archive, export, look, maintain, take
from farm.commands.options import AsJson, ClusterAddress, EndpointUrl, WalksAtOnce, cluster_address, words
from farm.costs import Prices
from farm.errors import UserError
from farm.planning import Slice
from farm.records import GaitParameters
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE, NamedErrors, say_error

if TYPE_CHECKING:
    from farm.control.archived import ArchivedController

app = typer.Typer(
    name="gaitfarm",
    cls=NamedErrors,
    help="Simulate, film, label, shard and learn from human gaits. Start with: gaitfarm doctor",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gaitfarm {farm.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that stand before the command."""


@app.command()
def doctor(
    out: Annotated[str | None, typer.Option(help="Also try this storage URI (a path, file:// or s3://).")] = None,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say what this machine can do, and for each missing thing the line that mends it."""
    from workers.doctor import examine, show

    report = examine(out, endpoint_url=endpoint_url)
    if as_json:
        typer.echo(report.to_json())
    else:
        show(report, OUT_CONSOLE)
    raise typer.Exit(0 if report.healthy else 1)


@app.command()
def generate(
    campaign: Annotated[str, typer.Argument(help="A YAML file, or a shipped campaign: demo, healthy, conditions.")],
    out: Annotated[
        str,
        typer.Option(
            help="Where the dataset is or will be: a path, file:// or s3://bucket/prefix.", show_default=False
        ),
    ],
    samples: Annotated[int | None, typer.Option(min=1, help="Make this many instead of the campaign's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Use this seed instead of the campaign's.")] = None,
    address: ClusterAddress = None,
    endpoint_url: EndpointUrl = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Gaits made at once; else one for each core.", show_default=False)
    ] = None,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(min=0.0, help="GPU share that each worker renders on; else this machine's, evenly.",
                     show_default=False),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=VALUE", help="Only on machines with this Ray node label; may be repeated."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="Append what happens to this file, a JSON object a line; else beside the workers' logs.",
                     show_default=False),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option("--slice", metavar="K/N", help="Only this of N equal parts, for several drivers on one dataset.",
                     show_default=False),
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Say what is left and what it will take; write and start nothing.")
    ] = False,
    sample_seconds: Annotated[
        float | None, typer.Option(min=0.001, help="Dry run: core seconds of a sample; else by the dataset's own "
                                                   "shards, or as measured on the demo.", show_default=False)
    ] = None,
    usd_per_core_hour: Annotated[float, typer.Option(min=0.0, help="Dry run: price of a core.")] = Prices.core_hour,
    usd_per_gb_month: Annotated[float, typer.Option(min=0.0, help="Dry run: of storing.")] = Prices.gb_month,
    usd_per_thousand_writes: Annotated[
        float, typer.Option(min=0.0, help="Dry run: of PUT and LIST requests.")
    ] = Prices.thousand_writes,
    usd_per_thousand_reads: Annotated[
        float, typer.Option(min=0.0, help="Dry run: of GET and HEAD requests.")
    ] = Prices.thousand_reads,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make a campaign's dataset; run again, it goes on where it was interrupted.

    Exit code 0: all is there. 1: all is there but for samples or shards that were
    given up. 130: interrupted by Ctrl-C or SIGTERM; the same command goes on.
    """
    from farm.sampling.draw import load_drawable_campaign

    order = load_drawable_campaign(campaign, samples=samples, seed=seed)
    chosen = Slice.parse(part) if part else None
    if dry:
        from farm.dry_run import dry_run, show_estimate

        prices = Prices(usd_per_core_hour, usd_per_gb_month, usd_per_thousand_writes, usd_per_thousand_reads)
        found = dry_run(
            order, out, endpoint_url=endpoint_url, cores=workers, part=chosen, sample_s=sample_seconds, prices=prices
        )
        if as_json:
            typer.echo(json.dumps(found.to_dict(), indent=1))
        else:
            show_estimate(found, OUT_CONSOLE)
        return
    from workers.generate import generate as make_dataset
    from workers.generate import node_labels

    summary = make_dataset(
        order,
        out,
        endpoint_url=endpoint_url,
        address=cluster_address(address),
        workers=workers,
        gpus_per_worker=gpus_per_worker,
        labels=node_labels(on or []),
        part=chosen,
        log=log,
        console=ERROR_CONSOLE if as_json else OUT_CONSOLE,
    )
    _end_run(summary, as_json=as_json)


class _Summary(Protocol):
    """What `workers.summary.RunSummary` says of a run."""

    @property
    def interrupted(self) -> bool: ...
    @property
    def clean(self) -> bool: ...
    def to_json(self) -> str: ...
    def show(self, console: Console) -> None: ...


def _end_run(summary: _Summary, *, as_json: bool) -> NoReturn:
    """Say what a run did, and end with the exit code for it."""
    if as_json:
        typer.echo(summary.to_json())
    else:
        summary.show(OUT_CONSOLE)
    if summary.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(0 if summary.clean else 1)


@app.command()
def refilm(
    source: Annotated[str, typer.Argument(help="A dataset whose gaits are filmed again: path, file:// or s3://.")],
    out: Annotated[
        str, typer.Option(help="Where the new dataset is or will be: a path, file:// or s3://.", show_default=False)
    ],
    campaign: Annotated[
        str | None,
        typer.Option(help="A YAML file whose `pictures` and `scene` differ from the source's; else the same pictures.",
                     show_default=False),
    ] = None,
    scene_seed: Annotated[
        int | None, typer.Option(min=0, help="Draw other scenes, by this seed.", show_default=False)
    ] = None,
    address: ClusterAddress = None,
    source_endpoint_url: Annotated[
        str | None, typer.Option(help="S3-compatible endpoint of the source, if it has another.", show_default=False)
    ] = None,
    endpoint_url: EndpointUrl = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Gaits filmed at once; else one for each core.", show_default=False)
    ] = None,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(min=0.0, help="GPU share that each worker renders on; else this machine's, evenly.",
                     show_default=False),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=VALUE", help="Only on machines with this Ray node label; may be repeated."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="Append what happens to this file, a JSON object a line; else beside the workers' logs.",
                     show_default=False),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option("--slice", metavar="K/N", help="Only this of N equal parts, for several drivers on one dataset.",
                     show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Film a dataset's gaits again, in other scenes or by other cameras; nothing is simulated.

    Labels of the walks are the source's, bit for bit. Run again, it goes on where
    it was interrupted. Exit codes are those of `gaitfarm generate`.
    """
    from farm.dataset.reader import GaitDataset
    from farm.dataset.refilm import changes_from, refilm_campaign
    from workers.generate import generate as make_dataset
    from workers.generate import node_labels

    chosen = Slice.parse(part) if part else None
    changes, told_in = changes_from(campaign, scene_seed=scene_seed)
    filmed = GaitDataset(source, endpoint_url=source_endpoint_url or endpoint_url)
    summary = make_dataset(
        refilm_campaign(filmed, changes, told_in=told_in),
        out,
        endpoint_url=endpoint_url,
        address=cluster_address(address),
        workers=workers,
        gpus_per_worker=gpus_per_worker,
        labels=node_labels(on or []),
        part=chosen,
        log=log,
        console=ERROR_CONSOLE if as_json else OUT_CONSOLE,
        source=filmed,
    )
    _end_run(summary, as_json=as_json)


@app.command()
def sample(
    campaign: Annotated[str, typer.Argument(help="A YAML file, or a shipped campaign: demo, healthy, conditions.")],
    sample_id: Annotated[int, typer.Argument(help="Number of the sample, from 0.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist, or be empty.", show_default=False)],
    seed: Annotated[int | None, typer.Option(help="Use this seed instead of the campaign's.")] = None,
) -> None:
    """Make one gait, without Ray, and write the files that OpenSim's GUI and people open."""
    from farm.sampling.draw import load_drawable_campaign
    from workers.sample import show, write_one

    made, files = write_one(load_drawable_campaign(campaign, seed=seed), sample_id, out)
    show(made, files, OUT_CONSOLE)


@app.command()
def search(
    jobs: Annotated[
        str,
        typer.Argument(help="A YAML file, or a shipped one: first_walker, severity, speed, explore, spread, walk_3d."),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for checkpoints, the archive of what walks, and the plot.", show_default=False)
    ],
    only: Annotated[
        str | None, typer.Option(help="Only these searches of the file, with commas.", show_default=False)
    ] = None,
    workers: WalksAtOnce = None,
    address: ClusterAddress = None,
    as_json: AsJson = False,
) -> None:
    """Search reflex gains that walk, for bodies, speeds and illnesses; run again, it goes on where it was interrupted.

    Exit code 0: every search found a walker that OpenSim confirmed. 1: some did
    not. 130: interrupted by Ctrl-C or SIGTERM; the same command goes on.
    """
    from farm.search.job import chosen_jobs

    chosen = chosen_jobs(jobs, words(only, "--only"))
    from workers.search.drive import search as run_searches

    summary = run_searches(
        chosen,
        out,
        address=cluster_address(address),
        workers=workers,
        console=ERROR_CONSOLE if as_json else OUT_CONSOLE,
    )
    _end_run(summary, as_json=as_json)


@app.command()
def report(
    uri: Annotated[str, typer.Argument(help="A dataset: path, file:// or s3://bucket/prefix.")],
    out: Annotated[Path, typer.Option(help="Folder for page, contact sheet and films.", show_default=False)],
    train_result: Annotated[
        Path | None,
        typer.Option("--train", help="The --out folder of `gaitfarm train`: adds its test table.", show_default=False),
    ] = None,
    run_summary: Annotated[
        Path | None,
        typer.Option(
            "--summary",
            help="What `gaitfarm generate --json` printed, in a file: adds seconds per stage.",
            show_default=False,
        ),
    ] = None,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Draw a dataset: one HTML page with curves, tables and films, a contact sheet, one MP4 per view of a gait."""
    from farm.report import write_report

    with ERROR_CONSOLE.status("reading the dataset and drawing"):
        made = write_report(uri, out, endpoint_url=endpoint_url, train_result=train_result, run_summary=run_summary)
    if as_json:
        typer.echo(json.dumps(made.to_dict(), indent=1))
        return
    OUT_CONSOLE.print(f"page:          {made.page}", highlight=False, soft_wrap=True)
    if made.contact_sheet:
        OUT_CONSOLE.print(f"contact sheet: {made.contact_sheet}", highlight=False, soft_wrap=True)
    for film in made.films:
        OUT_CONSOLE.print(f"film:          {film}", highlight=False, soft_wrap=True)


@app.command()
def train(
    uri: Annotated[str, typer.Argument(help="The dataset to learn from: path, file:// or s3://bucket/prefix.")],
    out: Annotated[
        Path,
        typer.Option(help="Folder for estimator, test table and checkpoints; on a cluster, one that all machines see.",
                     show_default=False),
    ],
    workers: Annotated[int, typer.Option(min=1, help="Processes that train together.")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through the dataset.")] = 12,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches in an epoch; else by the dataset's size.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips in a batch of one worker.")] = 32,
    time_budget: Annotated[
        float | None, typer.Option(min=1.0, help="End after so many seconds of training.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of split, order, augmentation and weights.")] = 1,
    width: Annotated[int, typer.Option(min=8, max=1024, help="Channels of the network; 48 suits a CPU.")] = 48,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    gpu: Annotated[
        bool | None, typer.Option("--gpu/--cpu", help="One GPU for each worker, or none; else by what is there.",
                                  show_default=False)
    ] = None,
    address: ClusterAddress = None,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Train an estimator of gait parameters from 2D keypoints on a dataset, and test it on gaits held out of it."""
    from workers.train.loop import train as train_estimator

    summary = train_estimator(
        uri,
        out,
        endpoint_url=endpoint_url,
        workers=workers,
        epochs=epochs,
        steps=steps,
        time_budget_s=time_budget,
        batch_size=batch_size,
        seed=seed,
        width=width,
        resume=resume,
        use_gpu=gpu,
        address=cluster_address(address),
        console=ERROR_CONSOLE if as_json else OUT_CONSOLE,
    )
    if as_json:
        typer.echo(json.dumps(summary.as_json(), indent=1))
    else:
        OUT_CONSOLE.print(f"estimator: {summary.checkpoint}", highlight=False, soft_wrap=True)
        OUT_CONSOLE.print(f"use it:    gaitfarm predict {out} KEYPOINTS.npz", highlight=False, soft_wrap=True)


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="The --out folder of `gaitfarm train`, or the file in it.")],
    keypoints: Annotated[
        list[Path],
        typer.Argument(help="One .npz or many, each with keypoints_2d [F,17,2] in pixels (COCO-17), fps and "
                            "image_size (width, height); visibility or confidence [F,17] if you have it."),
    ],
) -> None:  # fmt: skip
    """Estimate gait parameters from anybody's keypoints: one JSON line for each file.

    gait_speed in m/s, step_length and step_width in m, step_time in s, cadence in
    steps/min. A file that cannot be read is named on stderr, the others are
    answered, and the exit code is 2.
    """
    from workers.train.predict import load_model, predict_file

    model = load_model(checkpoint)
    faults = 0
    for path in keypoints:
        try:
            typer.echo(json.dumps(predict_file(model, path)))
        except UserError as error:
            say_error(str(error))
            faults += 1
    if faults:
        raise typer.Exit(2)


def _model_file(parameters: GaitParameters) -> bytes:
    """A person's `model.osim`."""
    from workers.simulate.export import model_file

    return model_file(parameters)


def _walk_again(
    walkers: Sequence[ArchivedController], workers: int | None, address: str | None
) -> Iterator[tuple[str, str]]:
    """Walkers of an archive, in OpenSim now."""
    from workers.search.recheck import recheck

    return recheck(walkers, workers, address)


def _learn(*args: Any, **kwargs: Any) -> Mapping[str, Any]:
    """A proposal model, of an archive's walkers."""
    from workers.propose.learn import learn

    return learn(*args, **kwargs)


maintain.register(app)
take.register(app)
look.register(app)
export.register(app, _model_file)
archive.register(app, _walk_again, _learn)


def main() -> None:
    """The `gaitfarm` console script."""
    app(prog_name="gaitfarm")


if __name__ == "__main__":
    main()
