"""What an archive holds, in figures and in a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from farm.control.archived import ArchivedController
from farm.seeds import Stream, generator, name_key


@dataclass(frozen=True)
class Recheck:
    """What OpenSim said, now, of some walkers of an archive.

    Attributes:
        walkers: How many walked once more.
        fell: Name -> why not, of those that did not walk again.
    """

    walkers: int
    fell: Mapping[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of those that walked again."""
        return (self.walkers - len(self.fell)) / self.walkers


@dataclass(frozen=True)
class ArchiveInfo:
    """An archive in figures.

    Attributes:
        conditions: Name -> walkers.
        speed_min, speed_max: m/s, as they walked; None in an empty archive.
    """

    walkers: int
    conditions: Mapping[str, int]
    sides: Mapping[str, int]
    body_models: Mapping[str, int]
    sexes: Mapping[str, int]
    speed_min: float | None
    speed_max: float | None
    recheck: Recheck | None = None

    @classmethod
    def of(cls, walkers: Sequence[ArchivedController], recheck: Recheck | None = None) -> ArchiveInfo:
        """Counted."""
        speeds = [walker.speed_m_s for walker in walkers]
        return cls(
            walkers=len(walkers),
            conditions=_count(walker.condition for walker in walkers),
            sides=_count(walker.side for walker in walkers),
            body_models=_count(walker.body_model for walker in walkers),
            sexes=_count(walker.person.sex for walker in walkers),
            speed_min=min(speeds, default=None),
            speed_max=max(speeds, default=None),
            recheck=recheck,
        )

    def to_dict(self) -> dict[str, Any]:
        """For machines; `recheck` is left out where nobody walked again."""
        plain = asdict(self)
        del plain["recheck"]
        if self.recheck is not None:
            plain["recheck"] = asdict(self.recheck) | {"share": self.recheck.share}
        return plain


def _count(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def some_of(walkers: Sequence[ArchivedController], count: int, seed: int) -> list[ArchivedController]:
    """So many walkers by chance, in the archive's order; all of them if there are not more."""
    rng = generator(seed, Stream.SEARCH, 0, name_key("recheck"))
    chosen = rng.permutation(len(walkers))[:count]
    return [walkers[number] for number in np.sort(chosen)]


def plot_archive(walkers: Sequence[ArchivedController], path: Path) -> None:
    """Draw what an archive covers, a row of panels for each body model.

    From the left: how fast and in what steps they walk; each condition's severities and speeds; how many there are.

    Args:
        path: A file whose name says its format (.png, .svg, .pdf).
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    bodies = sorted({walker.body_model for walker in walkers})
    names = sorted({walker.condition for walker in walkers})
    colour = {name: colormaps["tab20"](number % 20) for number, name in enumerate(names)}
    figure = Figure(figsize=(14.0, 4.4 * len(bodies)), layout="constrained")
    panels = figure.subplots(len(bodies), 3, squeeze=False, width_ratios=(1.1, 1.1, 0.8))
    for (steps, severities, counts), body in zip(panels, bodies, strict=True):
        own = [walker for walker in walkers if walker.body_model == body]
        for name in names:
            those = [walker for walker in own if walker.condition == name]
            speeds = [walker.speed_m_s for walker in those]
            lengths = [walker.descriptors.get("step_length", np.nan) for walker in those]
            look = {"s": 16, "color": colour[name], "alpha": 0.75, "linewidths": 0}
            steps.scatter(speeds, lengths, **look)
            severities.scatter([walker.severity for walker in those], speeds, **look)
        steps.set(xlabel="speed (m/s)", ylabel="step length (m)", title=f"{body}: {len(own)} walkers")
        severities.set(xlabel="severity", ylabel="speed (m/s)", xlim=(-0.03, 1.03), title="severity and speed")
        numbers = [sum(walker.condition == name for walker in own) for name in names]
        counts.barh(range(len(names)), numbers, color=[colour[name] for name in names])
        counts.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
        counts.invert_yaxis()
        counts.set(xlabel="walkers", title="by condition")
        for panel in (steps, severities, counts):
            panel.grid(alpha=0.25, linewidth=0.6)
            panel.set_axisbelow(True)
    figure.savefig(path, dpi=120)
