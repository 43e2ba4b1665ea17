"""The archive of walkers: what is in it, and how archives are put together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import TaskID, track
from rich.table import Table

from farm.commands.options import AsJson, ClusterAddress, WalksAtOnce
from farm.errors import UserError
from farm.terminal import ERROR_CONSOLE, OUT_CONSOLE

if TYPE_CHECKING:
    from farm.control.archive_info import ArchiveInfo, Recheck
    from farm.control.archived import ArchivedController

    WalkAgain = Callable[[Sequence[ArchivedController], int | None, str | None], Iterator[tuple[str, str]]]
    """Walkers, workers and a cluster's address in; each one's name and why it did not walk again, as they end."""

    Learn = Callable[..., Mapping[str, Any]]
    """See `workers.propose.learn`."""

PICTURES = (".png", ".svg", ".pdf")

Archive = Annotated[
    Path | None,
    typer.Argument(help="An archive.parquet; without, the one that comes with gaitfarm.", show_default=False),
]


def register(app: typer.Typer, walk_again: WalkAgain, learn_from: Learn) -> None:
    """Add these commands to the command line.

    Args:
        walk_again: Lets walkers walk in OpenSim; imports it when it is called.
        learn_from: Learns a proposal model; imports torch when it is called.
    """
    archive = typer.Typer(no_args_is_help=True, help="The archive of walkers: info, plot, merge, learn.")
    app.add_typer(archive, name="archive")
    archive.command()(plot)
    archive.command()(merge)

    @archive.command()
    def info(
        path: Archive = None,
        recheck: Annotated[
            int | None,
            typer.Option(min=1, help="Let so many of them, by chance, walk again in OpenSim now.", show_default=False),
        ] = None,
        seed: Annotated[int, typer.Option(min=0, help="Of that choice.")] = 0,
        workers: WalksAtOnce = None,
        address: ClusterAddress = None,
        as_json: AsJson = False,
    ) -> None:
        """Count an archive's walkers by condition, side and body; say how fast they walk, and whether they still do.

        Exit code 1 where one of those that were rechecked does not walk again.
        """
        from farm.commands.options import cluster_address
        from farm.control.archive_info import ArchiveInfo, Recheck, some_of

        walkers = _read(path)
        again: Recheck | None = None
        if recheck is not None and walkers:
            chosen = some_of(walkers, recheck, seed)
            verdicts = walk_again(chosen, workers, cluster_address(address))
            shown = track(verdicts, "walking again", len(chosen), console=ERROR_CONSOLE, transient=True)
            again = Recheck(len(chosen), {name: reason for name, reason in shown if reason})
        found = ArchiveInfo.of(walkers, again)
        if as_json:
            typer.echo(json.dumps(found.to_dict(), indent=1))
        else:
            _show(found)
        raise typer.Exit(1 if again is not None and again.fell else 0)

    @archive.command()
    def learn(
        out: Annotated[Path, typer.Option(help="Folder for the trials, the model and its report.", show_default=False)],
        path: Archive = None,
        people: Annotated[int, typer.Option(min=20, help="Strangers who try the archive's gains on the twin.")] = 1000,
        epochs: Annotated[int, typer.Option(min=1, help="Of the model's learning.")] = 30,
        seed: Annotated[int, typer.Option(min=0, help="Of the strangers, and of the model.")] = 1,
        body_model: Annotated[str, typer.Option(help="planar or 3d")] = "planar",
        workers: WalksAtOnce = None,
        address: ClusterAddress = None,
        as_json: AsJson = False,
    ) -> None:
        """Learn which of an archive's gains somebody walks with: the model behind a campaign's `controllers: proposed`.

        The same command goes on after it was interrupted, and learns anew where more --people are asked for.
        """
        from rich.progress import Progress

        from farm.commands.options import cluster_address

        if body_model not in ("planar", "3d"):
            raise UserError(f"--body-model {body_model!r} is neither planar nor 3d")
        with Progress(console=ERROR_CONSOLE, transient=True) as progress:
            tasks: dict[str, TaskID] = {}

            def shown(what: str, done: int, of: int) -> None:
                if what not in tasks:
                    tasks[what] = progress.add_task(what, total=of)
                progress.update(tasks[what], completed=done)

            found = learn_from(
                _read(path), out, people=people, seed=seed, epochs=epochs, body_model=body_model, workers=workers,
                address=cluster_address(address), shown=shown,
            )  # fmt: skip
        if as_json:
            typer.echo(json.dumps(found, indent=1))
        else:
            OUT_CONSOLE.print(
                f"{found['trials']} trials of {people} people, {found['walked_share']:.0%} walked; of people it never "
                f"saw AUC {found['auc']:.2f}, Brier score {found['brier']:.3f} ({found['brier_of_base']:.3f} by the "
                f"mean alone); {out}",
                highlight=False, soft_wrap=True,
            )  # fmt: skip


def plot(
    path: Archive = None,
    out: Annotated[Path, typer.Option(help="The picture: a .png, .svg or .pdf.")] = Path("archive.png"),
) -> None:
    """Draw what an archive covers: speeds and steps, severities, and how many walkers each condition has."""
    from farm.control.archive_info import plot_archive

    walkers = _read(path)
    if not walkers:
        raise UserError(f"{path} holds no walker, so that there is nothing to draw")
    if out.suffix not in PICTURES:
        raise UserError(f"--out {str(out)!r} ends in none of {', '.join(PICTURES)}; name the picture so")
    try:
        plot_archive(walkers, out)
    except OSError as error:
        raise UserError(f"cannot write --out {out}: {error.strerror}; choose another place") from None
    OUT_CONSOLE.print(str(out), highlight=False, soft_wrap=True)


def merge(
    paths: Annotated[list[Path], typer.Argument(help="Archives; each walker is taken once.")],
    out: Annotated[Path, typer.Option(help="The archive to write; may be one of them.", show_default=False)],
) -> None:
    """Put archives together into one."""
    from farm.control.archive_file import read_archive, united, write_archive

    if out.exists() and not any(path.exists() and path.samefile(out) for path in paths):
        raise UserError(f"--out {out} is there already; name it among the archives to add to it, or choose another")
    archives = [read_archive(path) for path in paths]
    whole = united(archives)
    write_archive(out, whole)
    twice = sum(map(len, archives)) - len(whole)
    OUT_CONSOLE.print(f"{len(whole)} walkers in {out}; {twice} stood in several", highlight=False, soft_wrap=True)


def _read(path: Path | None) -> tuple[ArchivedController, ...]:
    from farm.control.archive import shipped_archive
    from farm.control.archive_file import read_archive

    return shipped_archive() if path is None else read_archive(path)


def _show(found: ArchiveInfo) -> None:
    span = "" if found.speed_min is None else f", {found.speed_min:.2f} to {found.speed_max:.2f} m/s"
    OUT_CONSOLE.print(f"{found.walkers} walkers{span}", highlight=False)
    for counts in (found.body_models, found.sides, found.sexes):
        OUT_CONSOLE.print(", ".join(f"{name} {count}" for name, count in counts.items()), highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("condition")
    table.add_column("walkers", justify="right")
    for name, count in found.conditions.items():
        table.add_row(name, str(count))
    OUT_CONSOLE.print(table)
    if found.recheck is not None:
        OUT_CONSOLE.print(
            f"{found.recheck.share:.0%} of {found.recheck.walkers} walk again in OpenSim", highlight=False
        )
        for name, reason in found.recheck.fell.items():
            OUT_CONSOLE.print(f"{name}: {reason}", style="yellow", highlight=False, soft_wrap=True, markup=False)
