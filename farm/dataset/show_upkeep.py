"""What `gaitfarm gc` and `gaitfarm repair` tell people at a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from farm.dataset.gc import GcPlan
from farm.dataset.repair import RepairReport

MAX_LINES = 40
"""Groups shown one by one; `--json` has them all."""

_WORDS = {
    "attempt": "attempt that no commit names",
    "staging": "made samples of a committed shard",
    "unfinished": "write that was interrupted",
    "catalogue": "superseded catalogue",
    "probe": "forgotten test write",
}


def show_garbage(plan: GcPlan, console: Console) -> None:
    """What may go, and why the rest stays."""
    table = Table("what", "where", "objects", "size", "age", box=None, padding=(0, 2, 0, 0))
    for item in plan.garbage[:MAX_LINES]:
        row = (_WORDS[item.kind], item.where, str(len(item.keys)), decimal(item.n_bytes), _age(item.age_s))
        table.add_row(*(Text(cell) for cell in row))
    if plan.garbage:
        console.print(table)
    if len(plan.garbage) > MAX_LINES:
        console.print(f"... and {len(plan.garbage) - MAX_LINES} more; --json lists them all")
    console.print(f"{plan.n_objects} objects ({decimal(plan.n_bytes)}) can go", soft_wrap=True)
    notes = (
        (plan.n_young, f"belong to no commit, and are younger than {_age(plan.grace_s)}: they stay"),
        (plan.n_staged, "are made samples of shards that are not committed yet: they let a run go on (--open-staging)"),
        (plan.n_repaired, "are of shards that a repair took out: they stay (--repaired)"),
        (
            len(plan.foreign),
            f"are none of ours and are not touched, such as {plan.foreign[0]!r}" if plan.foreign else "",
        ),
        (
            len(plan.damaged_commits),
            "shards have a commit that cannot be read; nothing of theirs goes: gaitfarm repair",
        ),
    )
    for count, words in notes:
        if count:
            console.print(Text(f"{count} {words}"), soft_wrap=True)


def show_swept(plan: GcPlan, console: Console) -> None:
    """What has gone."""
    console.print(
        Text.assemble(("removed ", "bold green"), f"{plan.n_objects} objects, {decimal(plan.n_bytes)}"), soft_wrap=True
    )


def show_repair(report: RepairReport, console: Console) -> None:
    """What became of each damaged shard, and what to do next."""
    for shard in report.shards:
        kept = f"; its commit is kept at {shard.kept_at}" if shard.kept_at else ""
        console.print(Text(f"shard {shard.shard_id}: {shard.outcome}{kept}"), soft_wrap=True)
    if report.taken_out:
        console.print(Text.assemble(("have them again: ", "bold"), report.again), soft_wrap=True)


def _age(age_s: float) -> str:
    for unit, length_s in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if age_s >= length_s:
            return f"{age_s / length_s:.1f}".removesuffix(".0") + unit
    return f"{age_s:.0f}s"
