"""Fitting the proposal model: an ensemble of small networks on trials of strangers, tested on people it never saw."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from farm.control.proposal import FEATURE_BITS, MOST, WEIGHT_BITS, Ensemble, Integers
from workers.propose.trials import Trials

MEMBERS = 5
WIDTH = 48
BATCH = 256
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 2e-2
NOISE = 0.05
"""Standard deviation of what is added to standardised features: who differs by less is the same to the model."""


@dataclass
class History:
    """By epoch: mean loss of the members on what they learn from, and on people who only tell when to stop."""

    train: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """How good the model is on people it never saw, as it is shipped, in integers.

    Attributes:
        auc: Chance that somebody who walks is ranked above somebody who falls.
        brier: Mean squared difference between chance and outcome; `brier_of_base` is that of the mean chance for all.
        calibration: Rows (mean chance, share that walked, how many), by tenths of the chance.
    """

    trials: int
    tested: int
    walked_share: float
    auc: float
    brier: float
    brier_of_base: float
    calibration: tuple[tuple[float, float, int], ...]


class _Members(nn.Module):
    """All members at once: their weights side by side, each with a start of its own."""

    def __init__(self, features: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        sizes = (features, WIDTH, WIDTH, 1)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for wide, narrow in itertools.pairwise(sizes):
            self.weights.append(torch.randn(MEMBERS, narrow, wide, generator=generator) * (2.0 / wide) ** 0.5)
            self.biases.append(torch.zeros(MEMBERS, narrow))

    def forward(self, x: Tensor) -> Tensor:
        """`[M, B]` logits of `[M, B, F]`."""
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.einsum("mbi,moi->mbo", x, weight) + bias[:, None, :]
            if number < len(self.weights) - 1:
                x = torch.relu(x)
        return x[:, :, 0]


def fit(
    trials: Trials, *, epochs: int, seed: int, shown: Callable[[int, float, float], None]
) -> tuple[Ensemble, History]:
    """Learn from those who are neither held out nor watched; the epoch that is best for the watched stays.

    Args:
        shown: Called after each epoch with its number, loss, and loss on the watched.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    learned = ~(trials.held_out | trials.watched)
    mean, sd = trials.told[learned].mean(axis=0), trials.told[learned].std(axis=0)
    sd = np.where(sd > 1e-6, sd, 1.0)
    standard = torch.tensor(np.clip((trials.told - mean) / sd, -MOST, MOST), dtype=torch.float32)
    walked = torch.tensor(trials.walked, dtype=torch.float32)
    x, y = standard[torch.tensor(learned)], walked[torch.tensor(learned)]
    x_watched, y_watched = standard[torch.tensor(trials.watched)], walked[torch.tensor(trials.watched)]
    members = _Members(x.shape[1], seed)
    optimiser = torch.optim.AdamW(members.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    judge = nn.BCEWithLogitsLoss()
    history, best = History(), (np.inf, members.state_dict())
    # Each member sees a bootstrap sample of its own: that is what makes them differ where data are few.
    samples = rng.integers(0, len(x), (MEMBERS, len(x)))
    for epoch in range(epochs):
        losses = []
        order = np.argsort(rng.random((MEMBERS, len(x))), axis=1)
        for first in range(0, len(x), BATCH):
            rows = torch.tensor(np.take_along_axis(samples, order[:, first : first + BATCH], axis=1))
            inputs = x[rows] + NOISE * torch.randn(rows.shape + x.shape[1:])
            loss = judge(members(inputs), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        schedule.step()
        with torch.no_grad():
            watched = float(judge(members(x_watched.expand(MEMBERS, -1, -1)), y_watched.expand(MEMBERS, -1)))
        history.train.append(float(np.mean(losses)))
        history.watched.append(watched)
        shown(epoch, history.train[-1], watched)
        if watched < best[0]:
            best = watched, {name: value.clone() for name, value in members.state_dict().items()}
    members.load_state_dict(best[1])
    return _in_integers(members, mean, sd), history


def _in_integers(members: _Members, mean: NDArray[np.float64], sd: NDArray[np.float64]) -> Ensemble:
    def fixed(values: Tensor, bits: int) -> Integers:
        return np.round(values.detach().double().numpy() * (1 << bits)).astype(np.int64)

    return Ensemble(
        mean=mean,
        sd=sd,
        weights=tuple(fixed(weight, WEIGHT_BITS) for weight in members.weights),
        biases=tuple(fixed(bias, WEIGHT_BITS + FEATURE_BITS) for bias in members.biases),
    )


def judge(ensemble: Ensemble, trials: Trials) -> Report:
    """The model in integers on those who were held out."""
    chance = ensemble.opinion(trials.told[trials.held_out]).chance
    walked = trials.walked[trials.held_out]
    share = float(walked.mean())
    bins = np.clip((chance * 10).astype(int), 0, 9)
    calibration = tuple(
        (float(chance[bins == tenth].mean()), float(walked[bins == tenth].mean()), int((bins == tenth).sum()))
        for tenth in range(10)
        if (bins == tenth).any()
    )
    return Report(
        trials=len(trials.walked),
        tested=len(walked),
        walked_share=share,
        auc=_auc(chance, walked),
        brier=float(np.mean((chance - walked) ** 2)),
        brier_of_base=share * (1.0 - share),
        calibration=calibration,
    )


def _auc(chance: NDArray[np.float64], walked: NDArray[np.bool_]) -> float:
    """Mann and Whitney's statistic, ties counted half."""
    from scipy.stats import rankdata

    ranks = rankdata(chance)
    n_walked, n_fell = int(walked.sum()), int((~walked).sum())
    if not n_walked or not n_fell:
        return float("nan")
    return float((ranks[walked].sum() - n_walked * (n_walked + 1) / 2) / (n_walked * n_fell))
