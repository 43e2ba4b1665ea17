"""One run of CMA-ES that survives its process.

The library's optimiser keeps matrices, histories and a generator inside; writing those out would need a pickle.
So a run is kept as what made it and what it was told: replayed, it is the same to the last bit.
Where another machine's arithmetic differs in the last bit, a replay would go astray; the digest of what was asked
shows that, and the run goes on from its mean, step size and covariance instead.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import cma
import numpy as np
from numpy.typing import NDArray

from farm.search.candidates import Array, State
from farm.seeds import Stream, generator

WORST = 1e6
"""What a candidate counts whose cost is no number: the optimiser must not see NaN."""


class Evolution:
    """CMA-ES (Hansen 2016, arXiv 1604.00772; `cma`) from one start.

    Args:
        start: `[D]` where it begins; asked as the first candidate of the first generation.
        sigma: Standard deviation of the first generation.
        population: Candidates of a generation.
        seed: Of the job.
        index: Number of this run in its search: each run draws from its own stream.
        scale: `[D]` relative standard deviations of the first generation; None for ones.
    """

    def __init__(
        self, start: Array, sigma: float, population: int, *, seed: int, index: int, scale: Array | None = None
    ) -> None:
        self._start, self._sigma, self._population = start.copy(), sigma, population
        self._seed, self._index, self._scale = seed, index, scale
        self._told: list[Array] = []
        self._digest = hashlib.sha256()
        self._asked: Array | None = None
        rng = generator(seed, Stream.SEARCH, index)
        options = {
            "popsize": population, "verbose": -9, "seed": math.nan,
            "randn": lambda *shape: rng.standard_normal(shape),
        }  # fmt: skip
        if scale is not None:
            options["CMA_stds"] = scale
        self._optimiser = cma.CMAEvolutionStrategy(start, sigma, options)

    @property
    def mean(self) -> Array:
        """`[D]` where the search is now."""
        return np.asarray(self._optimiser.mean, dtype=float)

    @property
    def exhausted(self) -> bool:
        """Whether the optimiser itself sees no sense in going on (steps or differences too small)."""
        return bool(self._told) and bool(self._optimiser.stop())

    def ask(self) -> Array:
        """`[population, D]` the next generation."""
        asked = np.asarray(self._optimiser.ask(), dtype=float)
        if not self._told:
            asked[0] = self._start
        self._digest.update(asked.tobytes())
        self._asked = asked
        return asked

    def tell(self, costs: Sequence[float] | Array) -> None:
        """The costs `[population]` of what was asked."""
        if self._asked is None:
            raise ValueError("tell comes after ask")
        told = np.nan_to_num(np.asarray(costs, dtype=float), nan=WORST, posinf=WORST)
        self._optimiser.tell(list(self._asked), told.tolist())
        self._told.append(told)
        self._asked = None

    def state(self) -> State:
        """What made it and what it was told; mean, step size and covariance for machines that count otherwise."""
        plain: dict[str, Any] = {
            "sigma": self._sigma, "population": self._population, "seed": self._seed, "index": self._index,
            "asked": self._digest.hexdigest(), "sigma_now": float(self._optimiser.sigma),
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {
            "start": self._start,
            "told": np.array(self._told).reshape(-1, self._population),
            "mean": self.mean,
            "spread": np.sqrt(np.diag(np.asarray(self._optimiser.sm.C))),
        }
        if self._scale is not None:
            arrays["scale"] = self._scale
        return State(plain, arrays)

    @classmethod
    def from_state(cls, state: State) -> Evolution:
        """The run as it was: equal to the last bit where arithmetic is equal, else from its mean and spread."""
        kept, arrays = state.plain, state.arrays
        run = cls(
            arrays["start"], kept["sigma"], kept["population"], seed=kept["seed"], index=kept["index"],
            scale=arrays.get("scale"),
        )  # fmt: skip
        for costs in arrays["told"]:
            run.ask()
            run.tell(costs)
        if run._digest.hexdigest() == kept["asked"]:
            return run
        return cls(
            arrays["mean"], kept["sigma_now"], kept["population"], seed=kept["seed"], index=kept["index"],
            scale=arrays["spread"],
        )  # fmt: skip
