"""Fitting the estimator: one rank's optimiser, its averaged weights, and a state that resumes exactly.

No Ray here: `loop` runs this on one or many machines, tests run it as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from farm.errors import FormatError
from workers.train.clips import Batch
from workers.train.estimator import EstimatorConfig, GaitEstimator, loss

STATE_FORMAT = "gaitfarm-training-state-1"
WARMUP_STEPS = 30
WEIGHT_DECAY = 0.02
MAX_AVERAGING = 0.999
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class TrainSettings:
    """What determines a training run, beside the data.

    Attributes:
        seed: Of split, order, augmentation, weights and dropout.
        epochs: Of `steps` batches each.
        steps: Of one epoch, for every rank.
        batch_size: Clips of one rank's batch.
        learning_rate: At its highest; warms up, then falls to zero along a cosine over all epochs.
        width: Channels of the network.
    """

    seed: int = 1
    epochs: int = 12
    steps: int = 50
    batch_size: int = 32
    learning_rate: float = 2e-3
    width: int = 48

    @property
    def config(self) -> EstimatorConfig:
        return EstimatorConfig(width=self.width)


@dataclass(frozen=True)
class Progress:
    """How far a run is: epochs and steps done, and the seconds that they took."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0


def fresh_model(settings: TrainSettings) -> GaitEstimator:
    """The network before training: the same weights for the same seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return GaitEstimator(settings.config)


class Fitter:
    """One rank of training.

    Args:
        settings: Of the run.
        device: Where the network is.
        wrap: Turns the network into a distributed one (`ray.train.torch.prepare_model`).
        rank: Only for dropout, which differs between ranks.
    """

    def __init__(
        self,
        settings: TrainSettings,
        *,
        device: torch.device | None = None,
        wrap: Callable[[nn.Module], nn.Module] = lambda module: module,
        rank: int = 0,
    ) -> None:
        self.settings = settings
        self.progress = Progress()
        self._device = device or torch.device("cpu")
        self._rank = rank
        self._model = fresh_model(settings).to(self._device)
        self._average = fresh_model(settings).to(self._device).eval()
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=settings.learning_rate, weight_decay=WEIGHT_DECAY
        )
        self._wrapped = wrap(self._model)

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Fix the standardisation of inputs to that of `batches`, before the first step."""
        tensors = [self._tensors(batch) for batch in batches]
        frames, whole, valid = (torch.cat([t[i] for t in tensors]) for i in range(3))
        for model in (self._model, self._average):
            model.calibrate(frames, whole, valid)

    @property
    def estimator(self) -> GaitEstimator:
        """The network with its weights averaged over the last tenth of the steps: steadier than the last weights."""
        return self._average

    def learning_rate(self, elapsed_share: float = 0.0) -> float:
        """The next step's; `elapsed_share` of the time budget hastens the fall."""
        step = self.progress.step
        share = max(step / (self.settings.epochs * self.settings.steps), elapsed_share)
        warm = min(1.0, (step + 1) / WARMUP_STEPS)
        return self.settings.learning_rate * warm * max(0.01, 0.5 * (1.0 + math.cos(math.pi * min(1.0, share))))

    def begin_epoch(self) -> None:
        """Dropout's randomness depends on the epoch and the rank alone, so that a resumed run draws the same."""
        torch.manual_seed((self.settings.seed * 1_000_003 + self.progress.epoch) * 65_537 + self._rank)
        self._wrapped.train()

    def step(self, batch: Batch, *, elapsed_share: float = 0.0) -> float:
        """One optimiser step; the loss before it."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate(elapsed_share)
        frames, whole, valid, labels, stature = self._tensors(batch)
        value = loss(self._wrapped(frames, whole, valid), labels, stature)
        self._optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        self.progress = replace(self.progress, step=self.progress.step + 1)
        self._follow()
        return float(value.detach())

    def end_epoch(self, seconds: float) -> None:
        """Count an epoch that took `seconds`."""
        self.progress = replace(self.progress, epoch=self.progress.epoch + 1, seconds=self.progress.seconds + seconds)

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> float:
        """Mean loss of the averaged network."""
        values = []
        for batch in batches:
            frames, whole, valid, labels, stature = self._tensors(batch)
            values.append(float(loss(self._average(frames, whole, valid), labels, stature)))
        return sum(values) / max(1, len(values))

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averaged weights after the trained ones; young runs forget their beginnings faster."""
        step = self.progress.step
        keep = min(MAX_AVERAGING, (1.0 + step) / (10.0 + step))
        for slow, fast in zip(self._average.parameters(), self._model.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - keep)

    def _tensors(self, batch: Batch) -> tuple[Tensor, ...]:
        f = batch.features
        return (
            *(torch.from_numpy(x).to(self._device, non_blocking=True) for x in (f.frames, f.whole, f.valid)),
            torch.from_numpy(batch.labels).float().to(self._device),
            torch.from_numpy(batch.stature_m).float().to(self._device),
        )

    def state(self) -> bytes:
        """Everything that the next epoch depends on, as safetensors: weights, averages, moments, progress."""
        tensors: dict[str, Tensor] = {}
        for name, value in self._model.state_dict().items():
            tensors[f"model/{name}"] = value
        for name, value in self._average.state_dict().items():
            tensors[f"average/{name}"] = value
        for index, slots in self._optimizer.state_dict()["state"].items():
            for name, value in slots.items():
                tensors[f"optimizer/{index}/{name}"] = torch.as_tensor(value)
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        header = {"settings": asdict(self.settings), "progress": asdict(self.progress)}
        tensors["header"] = torch.frombuffer(bytearray(json.dumps(header).encode()), dtype=torch.uint8)
        return tensors_to_bytes(tensors, metadata={"format": STATE_FORMAT})

    def restore(self, state: bytes) -> None:
        """Go on where `state` was taken; the settings must be those of this run, but for the number of epochs.

        Raises:
            FormatError: Not a training state, damaged, or of a run with other settings.
        """
        try:
            tensors = tensors_from_bytes(state)
            header: Mapping[str, Any] = json.loads(bytes(tensors.pop("header").numpy()).decode())
            progress = Progress(**header["progress"])
        except Exception as error:
            raise FormatError(
                f"the training state is damaged or not gaitfarm's ({error}); train without --resume"
            ) from None
        ours = asdict(self.settings)
        for name, value in header["settings"].items():
            if name not in ("epochs", "batch_size", "steps") and ours.get(name) != value:
                raise FormatError(
                    f"cannot resume: {name} was {value!r} and is now {ours.get(name)!r}; keep it, or use another --out"
                )
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            if part == "optimizer":
                index, _, slot = rest.partition("/")
                moments.setdefault(int(index), {})[slot] = value
            else:
                parts[part][rest] = value
        self._model.load_state_dict(parts["model"])
        self._average.load_state_dict(parts["average"])
        self._optimizer.load_state_dict(
            {"state": moments, "param_groups": self._optimizer.state_dict()["param_groups"]}
        )
        self.progress = progress
