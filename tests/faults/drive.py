"""A driver under faults, in a process of its own: `python -m tests.faults.drive`; the environment says what to do."""

from __future__ import annotations

import sys

from rich.console import Console

from farm.errors import UserError
from tests.faults.hooks import prepare_process
from tests.faults.orders import Order, campaign_of
from tests.faults.stages import THIS
from workers.generate import generate
from workers.run import Deadlines

WORKERS = 2


def main() -> int:
    order = Order.here()
    prepare_process(order, "driver")
    campaign = campaign_of(order.variant, order.samples, order.gaits_per_shard)
    deadlines = Deadlines(order.deadline_s, write_s=60.0, write_gait_s=1.0)
    try:
        summary = generate(
            campaign, order.uri, endpoint_url=order.endpoint_url, workers=WORKERS, console=Console(stderr=True),
            stages=THIS, deadlines=deadlines,
        )  # fmt: skip
    except UserError as error:  # as the command line does
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:  # the third signal
        return 130
    sys.stdout.write(summary.to_json())
    return 130 if summary.interrupted else 0 if summary.complete else 1


if __name__ == "__main__":
    sys.exit(main())
