"""A driver in a process of its own, to be killed and interrupted: `python -m tests.test_workers.drive OUT SAMPLES`."""

from __future__ import annotations

import sys

from rich.console import Console

from tests.samples import make_campaign
from tests.test_workers.faulty import THIS
from workers.generate import generate
from workers.run import Deadlines

GAITS_PER_SHARD = 4


def main() -> int:
    out, samples = sys.argv[1], int(sys.argv[2])
    campaign = make_campaign(samples=samples, gaits_per_shard=GAITS_PER_SHARD)
    console = Console(stderr=True)
    summary = generate(campaign, out, workers=2, console=console, stages=THIS, deadlines=Deadlines(60.0))
    sys.stdout.write(summary.to_json())
    return 130 if summary.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
