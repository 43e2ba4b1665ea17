"""A label report for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from farm.label_check.findings import LAWS
from farm.label_check.run import LabelReport

MAX_NAMED = 40


def show_labels(report: LabelReport, console: Console) -> None:
    """Every check with its share, the figures, what is wrong (up to a page), and the verdict."""
    checks = Table("check", "holds", "at least", "cases", "what", box=None, padding=(0, 2, 0, 0))
    for check, share in report.shares.items():
        style = "bold red" if check in report.broken else "green"
        law = LAWS[check]
        checks.add_row(check, Text(f"{100 * share:.2f}%", style), f"{100 * law.limit:g}%", f"{report.cases[check]:,}",
                       law.what)  # fmt: skip
    console.print(checks)
    figures = Table("figure", "median", "95 %", "99 %", "largest", box=None, padding=(0, 2, 0, 0))
    for name, values in report.figures.items():
        figures.add_row(name, *(f"{values[key]:.4g}" for key in ("median", "p95", "p99", "max")))
    console.print(figures)
    for item in report.wrong[:MAX_NAMED]:
        console.print(Text.assemble(("wrong ", "bold red"), str(item)), soft_wrap=True)
    if len(report.wrong) > MAX_NAMED:
        console.print(f"... and {len(report.wrong) - MAX_NAMED} more; --json lists them all")
    faults = f"{len(report.broken)} laws broken, {len(report.wrong)} labels wrong"
    verdict = ("true", "bold green") if report.true else (faults, "bold red")
    console.print(Text.assemble(verdict, f": the labels of {report.n_gaits} gaits"), soft_wrap=True)
