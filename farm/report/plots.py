"""The report's figures, each as PNG bytes: pure functions of `ReportData`, no global matplotlib state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farm.gait.norms import CYCLE_PERCENT, norm_band
from farm.report.coverage import Coverage
from farm.report.gather import ANGLES, ReportData

STEP_LENGTH_FACTOR, STEP_LENGTH_POWER, STEP_LENGTH_LOG_SD = 0.553, 0.528, 0.079
"""step length (m) = 0.553 v^0.528, log-SD 0.079: our fit to 51 adults at 6 treadmill speeds (Fukuchi, Fukuchi & Duarte
2018, PeerJ 6:e4640, CC BY 4.0)."""

COLOURS = ("#2f6fb3", "#d1622b", "#3a9a5b", "#8a5bb5", "#c2a01e", "#b5476d", "#4b9aa5", "#7a7a7a")
"""One for each condition, in order; told apart also by people who do not see red or green well."""

_BAND = "#c9d3df"
_INK = "#2b2f36"
_DPI = 110

_ANGLE_TITLES = {
    "hip_flexion": "hip flexion",
    "knee_flexion": "knee flexion",
    "ankle_dorsiflexion": "ankle dorsiflexion",
}

DISTRIBUTIONS: tuple[tuple[str, str], ...] = (
    ("gait_speed", "speed (m/s)"),
    ("step_length", "step length (m)"),
    ("cadence", "cadence (steps/min)"),
    ("double_support_fraction", "double support (of stride)"),
    ("cost_of_transport", "cost of transport (J/kg/m)"),
    ("stature_m", "stature (m)"),
    ("mass_kg", "mass (kg)"),
    ("age_years", "age (years)"),
)


def joint_angle_curves(data: ReportData) -> bytes:
    """Every gait's mean hip, knee and ankle curve over healthy adults' mean +- 2 SD; right solid, left dashed."""
    figure, axes = _figure(1, len(ANGLES), (11.5, 3.6))
    for name, axis in zip(ANGLES, axes, strict=True):
        _band(axis, name, 2.0)
        for gait in data.curves:
            for side, style in (("r", "-"), ("l", (0, (4, 2)))):
                curve = gait.angles.get(f"{name}_{side}")
                if curve is not None:
                    axis.plot(CYCLE_PERCENT, curve, color=_colour(data, gait.condition), ls=style, **_thin(data))
        axis.set(title=_ANGLE_TITLES[name], xlabel="gait cycle (%)", xlim=(0, 100))
    axes[0].set_ylabel("degrees, flexion +")
    _legend(axes[-1], data)
    return _png(figure)


def vertical_force_curves(data: ReportData) -> bytes:
    """Every gait's mean vertical ground force, in body weights."""
    figure, (axis,) = _figure(1, 1, (5.6, 3.6))
    _band(axis, "vertical_force", 2.0)
    for gait in data.curves:
        for side, style in (("r", "-"), ("l", (0, (4, 2)))):
            if side in gait.vertical_force:
                axis.plot(
                    CYCLE_PERCENT,
                    gait.vertical_force[side],
                    color=_colour(data, gait.condition),
                    ls=style,
                    **_thin(data),
                )
    axis.set(xlabel="gait cycle (%)", ylabel="vertical force (body weights)", xlim=(0, 100))
    axis.set_ylim(bottom=0)
    _legend(axis, data)
    return _png(figure)


def speed_and_step_length(data: ReportData) -> bytes:
    """Each gait's step length at its speed, over the published relation for adults."""
    figure, (axis,) = _figure(1, 1, (5.6, 3.6))
    speed, length = data.column("gait_speed"), data.column("step_length")
    finite = speed[np.isfinite(speed)]
    top = max(1.9, float(finite.max()) * 1.05) if len(finite) else 1.9
    grid = np.linspace(0.2, top, 100)
    law = STEP_LENGTH_FACTOR * grid**STEP_LENGTH_POWER
    spread = np.exp(2 * STEP_LENGTH_LOG_SD)
    axis.fill_between(grid, law / spread, law * spread, color=_BAND, lw=0)
    axis.plot(grid, law, color=_INK, lw=1, label="51 adults: 0.553 v$^{0.528}$, ± 2 SD")
    condition = np.array([str(row.get("condition", "")) for row in data.rows])
    for name in data.conditions:
        chosen = condition == name
        axis.scatter(speed[chosen], length[chosen], s=26, color=_colour(data, name), label=_words(name), zorder=3)
    axis.set(xlabel="speed (m/s)", ylabel="step length (m)", xlim=(0, top))
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    return _png(figure)


def distributions(data: ReportData) -> bytes:
    """Histograms of the main labels and of the people; conditions stacked."""
    present = [(name, title) for name, title in DISTRIBUTIONS if np.isfinite(data.column(name)).any()]
    columns = 4
    rows = max(1, -(-len(present) // columns))
    figure, axes = _figure(rows, columns, (11.5, 2.3 * rows))
    condition = np.array([str(row.get("condition", "")) for row in data.rows])
    for axis, (name, title) in zip(axes, present, strict=False):
        values = data.column(name)
        finite = np.isfinite(values)
        bins = np.histogram_bin_edges(values[finite], bins=min(30, max(6, int(np.sqrt(finite.sum()) * 2))))
        groups = [values[finite & (condition == each)] for each in data.conditions]
        axis.hist(groups, bins=bins.tolist(), stacked=True, color=[_colour(data, each) for each in data.conditions])
        axis.set_xlabel(title)
        axis.ticklabel_format(axis="x", useOffset=False)
        axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axis in axes[len(present) :]:
        axis.set_axis_off()
    _patch_legend(axes[0], data)
    return _png(figure)


def rejections(data: ReportData) -> bytes:
    """How many samples each reason turned down."""
    reasons = list(data.rejections)[::-1]
    figure, (axis,) = _figure(1, 1, (5.6, 0.9 + 0.32 * max(1, len(reasons))))
    axis.barh([_words(item.reason) for item in reasons], [item.count for item in reasons], color=COLOURS[0])
    axis.set_xlabel("samples")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure)


def coverage_grid(found: Coverage) -> bytes:
    """Accepted gaits by condition and side, over bands of severity, speed and stature; an empty field is a dash."""
    rows = [group.of for group in found.conditions]
    counts = np.array([[found.grid.get((row, band), 0) for band in found.bands] for row in rows], dtype=float)
    figure, (axis,) = _figure(1, 1, (11.5, 1.6 + 0.27 * len(rows)))
    axis.imshow(np.log1p(counts), cmap="Blues", aspect="auto", vmax=max(1.0, 1.3 * float(np.log1p(counts).max())))
    for (row, column), count in np.ndenumerate(counts):
        severity_of_the_healthy = found.bands[column].startswith("severity") and rows[row][-1] == "none"
        shown = "" if severity_of_the_healthy else f"{count:.0f}" if count else "–"
        axis.text(column, row, shown, ha="center", va="center", fontsize=8, color=_INK)
    axis.set_yticks(range(len(rows)), [_words(" ".join(part for part in row if part != "none")) for row in rows])
    axis.set_xticks(range(len(found.bands)), [*found.bands], rotation=40, ha="left")
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return _png(figure)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, colors=_INK)
        axis.xaxis.label.set_size(9)
        axis.yaxis.label.set_size(9)
        axis.title.set_size(10)
    return figure, list(axes.flat)


def _band(axis: Axes, name: str, n_sd: float) -> None:
    band = norm_band(name)
    low, high = band.mean - n_sd * band.total_sd, band.mean + n_sd * band.total_sd
    axis.fill_between(CYCLE_PERCENT, low, high, color=_BAND, lw=0, label=f"healthy adults, ± {n_sd:g} SD")
    axis.plot(CYCLE_PERCENT, band.mean, color="#8592a3", lw=1)


def _colour(data: ReportData, condition: str) -> str:
    return COLOURS[data.conditions.index(condition) % len(COLOURS)]


def _thin(data: ReportData) -> dict[str, Any]:
    n = max(1, len(data.curves))
    return {"lw": 1.3 if n <= 12 else 0.7, "alpha": float(np.clip(12 / n, 0.25, 0.9))}


def _legend(axis: Axes, data: ReportData) -> None:
    shown = {gait.condition for gait in data.curves}
    for name in data.conditions:
        if name in shown:
            axis.plot([], [], color=_colour(data, name), label=_words(name))
    axis.legend(frameon=False, fontsize=8)


def _patch_legend(axis: Axes, data: ReportData) -> None:
    if len(data.conditions) > 1:
        for name in data.conditions:
            axis.bar([np.nan], [0], color=_colour(data, name), label=_words(name))
        axis.legend(frameon=False, fontsize=7)


def _words(code: str) -> str:
    return code.replace("_", " ")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # without the date and version that matplotlib writes by default, equal data give equal bytes
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
