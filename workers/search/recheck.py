"""Do an archive's walkers still walk? Asked of OpenSim, on every core or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from farm.control.archived import ArchivedController
from workers.ray_session import ray_session
from workers.search.tasks import walk_again


def recheck(
    walkers: Sequence[ArchivedController], workers: int | None, address: str | None
) -> Iterator[tuple[str, str]]:
    """Each walker's name and why it did not walk again (empty if it did), as they end."""
    with ray_session(address, workers) as cluster:
        yield from walk_again(walkers, threads_set=cluster.here)
