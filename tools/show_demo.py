"""The last words of `make demo`: what was made, how good it is, and where it lies."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from farm.dataset.reader import GaitDataset
from farm.report.page import read_scores


def main(folder: Path) -> int:
    """Print where everything lies; 1 if something that the demo promises is not there."""
    console = Console()
    dataset = GaitDataset(str(folder / "dataset"))
    rows = dataset.index()
    asked = sum(len(record.sample_ids) for record in dataset.records)
    films = sorted((folder / "report").glob("gait_*.mp4"))
    places = {
        "dataset": folder / "dataset",
        "contact sheet": folder / "report" / "contact_sheet.png",
        **{f"film, {film.stem.rpartition('_')[2]}": film for film in films},
        "report": folder / "report" / "report.html",
        "estimator": folder / "estimator" / "estimator.safetensors",
        "its test": folder / "estimator" / "test.csv",
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, path in places.items():
        table.add_row(what, Text(str(path), overflow="fold"))
    console.print(Panel(table, title=f"{len(rows)} of {asked} people walked well enough", expand=False))
    console.print(_tests(folder / "estimator"))
    missing = [what for what, path in places.items() if not path.exists()]
    if len(films) < len(dataset.manifest.views):
        missing.append(f"films ({len(films)} of {len(dataset.manifest.views)} views)")
    if missing:
        console.print(f"[bold red]not there: {', '.join(missing)}[/bold red]")
    return 1 if missing else 0


def _tests(estimator: Path) -> Table:
    table = Table(title="The estimator, on people that it has not seen", title_justify="left")
    for heading in ("parameter", "view", "clips", "Pearson r", "mean absolute error"):
        table.add_column(heading, justify="left" if heading in ("parameter", "view") else "right")
    for score in read_scores(estimator):
        r = "-" if score.r is None else f"{score.r:.2f}"  # none where the truth does not vary
        table.add_row(score.parameter, score.view, str(score.n), r, f"{score.mae:.3g} {score.unit}")
    return table


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
