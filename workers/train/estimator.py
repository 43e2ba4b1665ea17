"""The estimator: a small temporal network from normalised keypoints to five gait parameters.

One uncalibrated camera shows proportions and times, not metres. The network
therefore estimates what can be seen, step length and width in statures and step
time, and, apart from that, how tall the walker probably is; metres, speed and
cadence follow by arithmetic, so that speed = step length / step time and cadence
= 60 / step time hold exactly in every answer.

The file is safetensors (no code in it, nothing is unpickled) with one metadata
entry that says what it is; see `save` and `load`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from farm.errors import FormatError
from workers.train.keypoints import CHANNELS, N_WHOLE

CHECKPOINT_FORMAT = "gaitfarm-estimator"
CHECKPOINT_VERSION = 1
CHECKPOINT_NAME = "estimator.safetensors"

OUTPUTS: tuple[str, ...] = ("log_step_length_statures", "log_step_time_s", "step_width_statures", "log_stature_m")
CENTRE = (-1.0, -0.60, 0.060, 0.53)
SPREAD = (0.25, 0.20, 0.035, 0.08)
"""Mean and SD by which outputs are standardised: adults' walking at all speeds (step 0.37 of stature, 0.55 s, width
0.10 m, stature 1.70 m). Constants, not the data's own, so that checkpoints of different datasets compare."""

MIN_SPREAD = 0.02
"""Added to each input's SD: what varies less than this is noise and is not blown up."""


@dataclass(frozen=True)
class EstimatorConfig:
    """Size of the network: `width` channels at 15 Hz and half as many more at 7.5 Hz, `blocks` at each rate."""

    width: int = 48
    blocks: tuple[int, int] = (2, 3)
    channels: int = len(CHANNELS)
    n_whole: int = N_WHOLE


class _Block(nn.Module):
    """Residual pair of temporal convolutions; normalised over channels at each moment, so gaps cannot leak in time."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(width, width, 3, padding=1)
        self.scale = nn.Parameter(torch.full((1, width, 1), 0.3))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        y = torch.relu(self.first(_normalised(x) * valid))
        out: Tensor = x + self.scale * self.second(y * valid)
        return out


def _normalised(x: Tensor) -> Tensor:
    """Root mean square over channels `[B, C, T]` brought to one (Zhang & Sennrich 2019)."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-5)


class GaitEstimator(nn.Module):
    """Residual temporal convolutions with attention pooling; beside them, the clip as a whole.

    The whole is every channel's mean and SD, how far left and right are apart
    (`keypoints.spread`), and the rhythm's autocorrelation, which shows the step
    time that pooled convolutions only approximate. They make a dozen gaits go a
    long way.
    """

    frame_scale: Tensor
    whole_scale: Tensor

    def __init__(self, config: EstimatorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EstimatorConfig()
        w = config.width
        widths = (w, w * 3 // 2)
        self.stem = nn.Conv1d(config.channels, w, 6, stride=2, padding=2)
        self.stages = nn.ModuleList(
            nn.ModuleList(_Block(width, 2 ** (i % 3)) for i in range(n))
            for width, n in zip(widths, config.blocks, strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv1d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(widths))
        self.heads = 4
        self.attention = nn.Conv1d(widths[-1], self.heads, 1)
        n_whole = config.n_whole + 2 * config.channels
        self.register_buffer("frame_scale", torch.stack([torch.zeros(config.channels), torch.ones(config.channels)]))
        self.register_buffer("whole_scale", torch.stack([torch.zeros(n_whole), torch.ones(n_whole)]))
        self.whole = nn.Sequential(nn.Linear(n_whole, w * 3), nn.GELU(), nn.Linear(w * 3, w * 2), nn.GELU())
        self.overview = nn.Linear(w * 2, len(OUTPUTS))
        self.head = nn.Sequential(
            nn.Linear(widths[-1] * (self.heads + 1) + w * 2, w * 2),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(w * 2, len(OUTPUTS)),
        )

    @torch.no_grad()
    def calibrate(self, frames: Tensor, whole: Tensor, valid: Tensor) -> None:
        """Standardise inputs as they are in these clips, for good; the statistics are part of the checkpoint.

        Inputs differ a hundredfold in how much they vary, and the faint ones matter: without this, step width is
        not learned in the first thousand steps.
        """
        seen = frames[valid]
        self.frame_scale = torch.stack([seen.mean(0), seen.std(0) + MIN_SPREAD])
        overall = self._overall(frames, whole, valid)
        self.whole_scale = torch.stack([overall.mean(0), overall.std(0) + MIN_SPREAD])

    @staticmethod
    def _overall(frames: Tensor, whole: Tensor, valid: Tensor) -> Tensor:
        """`whole` with every channel's mean and SD over valid moments: `[B, N_WHOLE + 2 C]`."""
        mask = valid[..., None].to(frames.dtype)
        n = mask.sum(1).clamp(min=1.0)
        mean = (frames * mask).sum(1) / n
        deviation = torch.sqrt(((frames - mean[:, None]) * mask).square().sum(1) / n + 1e-6)
        return torch.cat([whole, mean, deviation], dim=1)

    def forward(self, frames: Tensor, whole: Tensor, valid: Tensor) -> Tensor:
        """Standardised `OUTPUTS` `[B, 4]`.

        Args:
            frames: `[B, T, C]` by `keypoints.CHANNELS`.
            whole: `[B, N_WHOLE]`.
            valid: `[B, T]` bool; False moments are ignored.
        """
        overall = self.whole(_standardised(self._overall(frames, whole, valid), self.whole_scale))
        mask = valid[:, None].to(frames.dtype)
        x = self.stem(_standardised(frames, self.frame_scale).transpose(1, 2) * mask)
        mask = _halved(mask)
        for i, stage in enumerate(self.stages):
            if i:
                x = self.downs[i - 1](x * mask)
                mask = _halved(mask)
            for block in stage:  # type: ignore[attr-defined]
                x = block(x, mask)
        x = _normalised(x)
        weight = torch.softmax(self.attention(x).masked_fill(mask == 0, -1e4), dim=-1)
        attended = torch.einsum("bht,bct->bhc", weight, x).flatten(1)
        average = (x * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)
        # the clip as a whole has its own way to the answer: among hundreds of pooled features it would drown,
        # and it alone explains most (r 0.99 of step time, 0.8 of step width after 300 steps)
        out: Tensor = self.overview(overall) + self.head(torch.cat([attended, average, overall], dim=1))
        return out


def _standardised(x: Tensor, scale: Tensor) -> Tensor:
    """Last axis by its mean and spread `[2, C]`; cut at 5 SD, so that one odd input cannot drown the others."""
    return ((x - scale[0]) / scale[1]).clamp(-5.0, 5.0)


def _halved(mask: Tensor) -> Tensor:
    """`[B, 1, T // 2]`: which moments at half the rate have a valid one below them."""
    return nn.functional.max_pool1d(mask, 2, stride=2)


def standardised_targets(labels: Tensor, stature_m: Tensor) -> Tensor:
    """`[B, 4]` standardised `OUTPUTS` of `labels` `[B, 5]` (by `variation.LABELS`) and `stature_m` `[B]`."""
    _, step, time, _, width = labels.unbind(-1)
    raw = torch.stack([torch.log(step / stature_m), torch.log(time), width / stature_m, torch.log(stature_m)], dim=-1)
    return (raw - raw.new_tensor(CENTRE)) / raw.new_tensor(SPREAD)


def gait_from_outputs(outputs: Tensor) -> Tensor:
    """`[..., 5]` gait_speed, step_length, step_time, cadence, step_width (m/s, m, s, steps/min, m)."""
    raw = outputs * outputs.new_tensor(SPREAD) + outputs.new_tensor(CENTRE)
    stature = torch.exp(raw[..., 3])
    step, time = torch.exp(raw[..., 0]) * stature, torch.exp(raw[..., 1])
    return torch.stack([step / time, step, time, 60.0 / time, raw[..., 2].clamp(min=0.0) * stature], dim=-1)


def loss(outputs: Tensor, labels: Tensor, stature_m: Tensor) -> Tensor:
    """Huber loss of what is estimated and of what follows from it: metric step length and speed (both in logarithms).

    The derived terms make the network hedge stature and step length together:
    in metres, an error of the one may mend the other's.
    """
    target = standardised_targets(labels, stature_m)
    spread = outputs.new_tensor(SPREAD)
    error = outputs - target
    length = (error * spread)[:, 0] + (error * spread)[:, 3]
    derived = torch.stack([length / SPREAD[0], (length - (error * spread)[:, 1]) / 0.35], dim=-1)
    every = torch.cat([error * error.new_tensor([1.0, 1.5, 1.0, 0.5]), derived], dim=-1)
    return nn.functional.huber_loss(every, torch.zeros_like(every), delta=1.0)


def save(model: GaitEstimator, *, provenance: Mapping[str, object]) -> bytes:
    """The checkpoint's bytes; `provenance` (dataset, seed, steps, software) travels in the header."""
    header = {
        "format": CHECKPOINT_FORMAT,
        "version": str(CHECKPOINT_VERSION),
        "config": json.dumps(asdict(model.config)),
        "provenance": json.dumps(dict(provenance), sort_keys=True),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    return safetensors_bytes(tensors, metadata=header)


def checkpoint_path(path: Path) -> Path:
    """The checkpoint file that `path` names: itself, or the one inside a folder that `gaitfarm train` made.

    Raises:
        FormatError: There is none.
    """
    if path.is_dir():
        inside = path / CHECKPOINT_NAME
        if inside.is_file():
            return inside
        raise FormatError(
            f"{path}: no {CHECKPOINT_NAME} in this folder; give the --out folder of a finished `gaitfarm train`"
        )
    if not path.is_file():
        raise FormatError(
            f"{path}: there is no such checkpoint; give the --out folder of `gaitfarm train`, or the file in it"
        )
    return path


def load(path: Path) -> tuple[GaitEstimator, dict[str, object]]:
    """The network (in evaluation mode, on the CPU) and its provenance from a checkpoint file or its folder.

    Raises:
        FormatError: No such file, not ours, damaged, or of another version.
    """
    path = checkpoint_path(Path(path))
    foreign = (
        f"{path}: not a gaitfarm checkpoint (wanted safetensors with format {CHECKPOINT_FORMAT!r}, "
        "such as `gaitfarm train` writes into its --out)"
    )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != CHECKPOINT_FORMAT:
                raise FormatError(f"{foreign}; its header says {header.get('format')!r}")
            _check_version(path, header.get("version"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{foreign}; it is something else, or damaged: {error}") from None
    try:
        fields = json.loads(header["config"])
        config = EstimatorConfig(**fields | {"blocks": tuple(fields["blocks"])})
        if (config.channels, config.n_whole) != (len(CHANNELS), N_WHOLE):
            raise ValueError(f"it reads {config.channels} channels, this gaitfarm makes {len(CHANNELS)}")
        model = GaitEstimator(config)
        model.load_state_dict(tensors)
        provenance = json.loads(header.get("provenance", "{}"))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise FormatError(f"{path}: a damaged gaitfarm checkpoint: {reason}; copy or train it again") from None
    return model.eval(), provenance


def _check_version(path: Path, version: str | None) -> None:
    if version != str(CHECKPOINT_VERSION):
        raise FormatError(
            f"{path}: checkpoint version {version!r}, this gaitfarm reads {CHECKPOINT_VERSION}; "
            "install the gaitfarm that wrote it, or train again"
        )
