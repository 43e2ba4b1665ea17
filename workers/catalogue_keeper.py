"""The catalogue is kept up while a campaign runs, so that its readers need not open thousands of commits.

In a thread of the driver: compacting costs about a millisecond for each new gait
(`tools/bench_scale.py`), against many seconds of making it, waits for storage most
of the time, and holds no lock that the dispatcher needs. The catalogue is derived,
so a compaction that fails is told of and tried again later, and never ends a run:
neither the ones on the way nor the last.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from farm.dataset.catalogue import compact
from farm.errors import GaitfarmError
from farm.storage import Storage
from workers.outage import Outage

EVERY_SHARDS = 256
"""New shards after which the catalogue is brought up to date: so many small requests a reader makes at worst."""

EVERY_S = 900.0
"""Where shards come slowly, they are in the catalogue after this time all the same."""

LOOK_S = 5.0
"""How often the number of new shards is looked at."""

LAST_WAIT_S = 60.0
"""How long the end of a run waits for a compaction that is under way; a daemon's thread holds no process back."""


@contextlib.contextmanager
def kept_catalogue(
    storage: Storage,
    shards: Callable[[], int],
    *,
    say: Callable[[str], None],
    interrupted: Callable[[], bool] = lambda: False,
    every_shards: int = EVERY_SHARDS,
    every_s: float = EVERY_S,
) -> Iterator[None]:
    """Compact now and then for as long as the block runs.

    Args:
        shards: How many shards this run has committed so far; asked from another thread.
        say: Tells of a compaction that failed.
        interrupted: Whether a signal ended the block; then a compaction that is under way is not waited for.
    """
    over = threading.Event()

    def keep() -> None:
        known, since_s = shards(), time.monotonic()
        while not over.wait(min(LOOK_S, every_s)):
            new = shards() - known
            if new >= every_shards or (new and time.monotonic() - since_s >= every_s):
                known += new
                try:
                    compact(storage)
                except (GaitfarmError, OSError) as error:  # the latter: no room for its temporary files
                    say(f"the catalogue could not be brought up to date ({error}); it is tried again later")
                since_s = time.monotonic()

    thread = threading.Thread(target=keep, name="gaitfarm-catalogue", daemon=True)
    thread.start()
    patience_s = LAST_WAIT_S
    try:
        yield
    except KeyboardInterrupt:
        patience_s = 0.0
        raise
    finally:
        over.set()
        thread.join(0.0 if interrupted() else patience_s)


def compact_at_end(storage: Storage, outage: Outage, *, say: Callable[[str], None]) -> None:
    """Bring the catalogue up to date as a run's last step; where that fails, say so.

    Args:
        outage: How long a storage that does not answer is waited for.
    """
    try:
        outage.ride_out(lambda: compact(storage), say)
    except (GaitfarmError, OSError) as error:
        say(f"the catalogue could not be brought up to date ({error}); run `gaitfarm compact`")
