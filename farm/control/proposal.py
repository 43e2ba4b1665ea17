"""Which gains a new person walks with: a model of who walks with whose gains, learned from trials of an archive.

An ensemble of small networks says how likely it is that somebody (body, condition, severity) walks with the gains of a
walker of the archive (body, severity, how they walk, how many others their gains carry), rescaled to them; how far its
members differ is how sure it is. Proposed are the gains of those near the speed that is wanted, in the order of what
the doubtful would say.

A sample must be the same on every machine, and floating point is not: whose gains come first may hang on a last bit. So
networks are kept and worked out in integers, exactly.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.control.archive import SPEED_UNIT, nearest
from farm.control.archived import ArchivedController
from farm.control.likeness import FEATURES, Who, features
from farm.errors import CampaignError, FormatError
from farm.records import BodyModel, Side

SHIPPED = "proposal_{}.npz"

FEATURE_BITS, WEIGHT_BITS = 10, 12
"""Fixed point of features and activations, and of weights."""

MOST = 8.0
"""Standard deviations beyond which a feature counts as being there."""

POOL = 24
"""So many of the nearest walkers are looked at."""

SPEED_WEIGHT = 0.5
"""In logits, of a gait that is `SPEED_UNIT` too slow or too fast; grows with the square."""

COMPETES = 0.7
"""Logits: who is so much less likely to carry somebody than the best is no alternative."""

DOUBT = 1.0
"""So many standard deviations of the members' opinions are taken off what they say on average."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Opinion:
    """What the ensemble says of several gains for one person.

    Attributes:
        chance: `[K]` that the person walks: mean of the members.
        cautious: `[K]` the same by their mean logit less its standard deviation. Who picks the best of many by `chance`
            picks errors, too; of gains that were picked this is nearer to the truth.
        doubt: `[K]` how far members differ: standard deviation of their logits.
        score: `[K]` by which gains are ranked; higher is better. A logit in fixed point, exact on every machine.
    """

    chance: NDArray[np.float64]
    cautious: NDArray[np.float64]
    doubt: NDArray[np.float64]
    score: Integers


@dataclass(frozen=True)
class Ensemble:
    """Networks in fixed point.

    Attributes:
        mean, sd: `[F]` of the features.
        weights: For each layer `[M, out, in]`.
        biases: For each layer `[M, out]`, in the fixed point of its sums.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    weights: tuple[Integers, ...]
    biases: tuple[Integers, ...]

    def opinion(self, told: NDArray[np.float64]) -> Opinion:
        """Of `[K, F]` features."""
        standard = np.clip((told - self.mean) / self.sd, -MOST, MOST)
        signal = np.round(standard * (1 << FEATURE_BITS)).astype(np.int64)
        layer = np.broadcast_to(signal, (self.weights[0].shape[0], *signal.shape))
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            layer = (np.einsum("mki,moi->mko", layer, weight) + bias[:, None, :]) >> WEIGHT_BITS
            if number < len(self.weights) - 1:
                layer = np.maximum(layer, 0)
        logits = layer[:, :, 0]
        members = len(logits)
        # In integers: mean minus standard deviation, both times the number of members.
        total = logits.sum(axis=0)
        spread = members * (logits**2).sum(axis=0) - total**2
        score = total - np.round(DOUBT * np.sqrt(spread.astype(np.float64))).astype(np.int64)
        real = logits / (1 << FEATURE_BITS)
        doubt = real.std(axis=0)
        return Opinion(_chance(real).mean(axis=0), _chance(real.mean(axis=0) - DOUBT * doubt), doubt, score)

    def to_bytes(self) -> bytes:
        """As a file of plain arrays."""
        arrays: dict[str, NDArray[Any]] = {"mean": self.mean, "sd": self.sd}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays |= {f"weight_{number}": weight.astype(np.int32), f"bias_{number}": bias}
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Ensemble:
        """The ensemble that `to_bytes` wrote.

        Raises:
            FormatError: It is none, or belongs to other conditions than this gaitfarm has.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays: Mapping[str, NDArray[Any]] = {name: file[name] for name in file.files}
            layers = range(sum(name.startswith("weight_") for name in arrays))
            found = cls(
                mean=np.asarray(arrays["mean"], dtype=float),
                sd=np.asarray(arrays["sd"], dtype=float),
                weights=tuple(arrays[f"weight_{number}"].astype(np.int64) for number in layers),
                biases=tuple(arrays[f"bias_{number}"].astype(np.int64) for number in layers),
            )
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise FormatError(f"not a proposal model ({type(error).__name__}: {str(error)[:80]})") from None
        if found.mean.shape != (len(FEATURES),):
            raise FormatError(
                f"a proposal model of {found.mean.size} features, this gaitfarm tells {len(FEATURES)} of somebody; "
                "learn it anew with `gaitfarm archive learn`"
            )
        return found


def _chance(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def proposals(
    ensemble: Ensemble,
    who: Who,
    condition: str,
    side: Side,
    speed_m_s: float,
    leg_length_m: float,
    *,
    count: int,
    body_model: BodyModel = "planar",
) -> list[ArchivedController]:
    """Walkers of the archive whose gains this person should try, best first.

    Only those of which nobody is much likelier than the last to carry them: the rest of `count` is left out.

    Args:
        who: Their own body, with `severity` (see `farm.control.likeness.who_is`).
        speed_m_s: At which they should walk.

    Raises:
        CampaignError: The archive has no walker with this condition on such a side.
    """
    near = nearest(
        condition, float(who["severity"]), side, speed_m_s, leg_length_m,
        count=POOL, body_model=body_model, competing=False,
    )  # fmt: skip
    off = np.array([row.speed_m_s * math.sqrt(leg_length_m / row.leg_length_m) - speed_m_s for row in near])
    score = ensemble.opinion(features(who, condition, near)).score
    # The score is a sum over the members, in fixed point.
    unit = len(ensemble.weights[0]) * (1 << FEATURE_BITS)
    ranked = score - np.round(SPEED_WEIGHT * (off / SPEED_UNIT) ** 2 * unit).astype(np.int64)
    order = np.argsort(-ranked, kind="stable")
    return [near[place] for place in order[:count] if ranked[place] >= ranked[order[0]] - COMPETES * unit]


@cache
def shipped_ensemble(body_model: BodyModel) -> Ensemble:
    """The one that comes with the package.

    Raises:
        CampaignError: There is none for this body model.
    """
    return Ensemble.from_bytes(_shipped_bytes(body_model))


def has_ensemble(body_model: BodyModel) -> bool:
    """Whether one comes with the package for this body model."""
    return (resources.files("farm.control") / SHIPPED.format(body_model)).is_file()


def proposal_sha256(body_model: BodyModel) -> str:
    """Identity of that ensemble, written into every dataset whose people walk with what it proposed.

    Raises:
        CampaignError: There is none for this body model.
    """
    return hashlib.sha256(_shipped_bytes(body_model)).hexdigest()


def _shipped_bytes(body_model: BodyModel) -> bytes:
    file = resources.files("farm.control") / SHIPPED.format(body_model)
    if not file.is_file():
        raise CampaignError(
            f"controllers: there is no proposal model for body_model {body_model!r}; write `controllers: nearest`"
        )
    return file.read_bytes()
