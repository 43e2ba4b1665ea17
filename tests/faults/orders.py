"""What a run under faults is told: plain values in one JSON file, which the driver and its workers read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from farm.config import Campaign, campaign_from_mapping

ORDER_VARIABLE = "GAITFARM_FAULT_ORDER"

ALWAYS = 10**6
"""As a number of times: in every attempt."""

VARIANTS = 3
"""Different campaigns; each has an undisturbed run to be compared with."""


@dataclass(frozen=True)
class Order:
    """One driver's order.

    Attributes:
        uri: Where the dataset is.
        endpoint_url: The proxy, or the store itself; None for a folder.
        variant: Which campaign.
        samples, gaits_per_shard: Its size.
        folder: Where attempts are counted and processes are numbered.
        seed: Of the faults that strike inside processes.
        sample_faults: Sample id -> fault and in how many of its attempts it strikes.
        syscall_rates: Fault of a file system call -> how often, of all calls; empty for none.
        skew_s: How far the clock that requests are signed with is ahead.
        deadline_s: After which a sample is taken to hang.
    """

    uri: str
    endpoint_url: str | None
    variant: int
    samples: int
    gaits_per_shard: int
    folder: str
    seed: int = 0
    sample_faults: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    syscall_rates: Mapping[str, float] = field(default_factory=dict)
    skew_s: float = 0.0
    deadline_s: float = 15.0

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def here(cls) -> Order:
        """The order that the environment names."""
        return cls(**json.loads(Path(os.environ[ORDER_VARIABLE]).read_text("utf-8")))


def campaign_of(variant: int, samples: int, gaits_per_shard: int) -> Campaign:
    """A valid campaign of short walks in tiny pictures: only their number, order and bytes matter here."""
    pictures = {"views": ["side"], "image_size": [32, 32], "rgb": "video", "mask": variant == 1, "depth": False}
    return campaign_from_mapping(
        {
            "name": f"faults-{variant}",
            "samples": samples,
            "gaits_per_shard": gaits_per_shard,
            "seed": 100 + variant,
            "pictures": pictures,
            "simulation": {"duration_s": 5.0},
            "quality": {"min_duration_s": 3.0, "min_strides": 1},
        },
        source="tests/faults",
    )
