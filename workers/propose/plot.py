"""The proposal model drawn: how it learned, and whether the chances that it gives are true."""

from __future__ import annotations

import io

from workers.propose.fit import History, Report


def plot_learning(history: History, report: Report) -> bytes:
    """A PNG of two panels: the training curve, and chance against share that walked, on people it never saw."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.8), layout="constrained")
    learned, calibration = figure.subplots(1, 2)
    epochs = range(1, len(history.train) + 1)
    learned.plot(epochs, history.train, color="#1f4e79", label="people it learns from")
    learned.plot(epochs, history.watched, color="#e08e36", label="people who tell when to stop")
    learned.set(xlabel="epoch", ylabel="cross entropy (nats)")
    learned.set_ylim(bottom=0.0)
    learned.legend(frameon=False, fontsize=8)
    calibration.plot([0, 1], [0, 1], color="#9aa3ad", linewidth=1)
    chances, shares, counts = zip(*report.calibration, strict=True)
    # Two standard errors of a share; of few trials they are wide.
    spread = [2.0 * (share * (1.0 - share) / count) ** 0.5 for share, count in zip(shares, counts, strict=True)]
    calibration.errorbar(chances, shares, yerr=spread, fmt="o", color="#1f4e79", markersize=5, capsize=2, linewidth=1)
    for chance, share, count in report.calibration:
        calibration.annotate(str(count), (chance, share), textcoords="offset points", xytext=(6, -10), fontsize=7)
    calibration.set(
        xlabel="chance that the model gives", ylabel="share that walked", xlim=(0, 1), ylim=(-0.02, 1.02),
        title=f"{report.tested} trials of people it never saw, AUC {report.auc:.2f}",
    )  # fmt: skip
    calibration.title.set_size(9)
    for axes in (learned, calibration):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    out = io.BytesIO()
    figure.savefig(out, dpi=110, format="png", metadata={"Software": None})
    return out.getvalue()
