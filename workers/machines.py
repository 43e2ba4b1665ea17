"""The machines of a Ray cluster as the driver sees them: which are about to go, and which have gone."""

from __future__ import annotations

import socket
import time

import ray
import ray.util.client
from ray.exceptions import RayActorError, RayError

LOOK_EVERY_S = 2.0
"""How often to ask which machines are being drained. A spot machine has two minutes left when its notice comes."""

KNOCK_S = 5.0
"""How long a machine may take to accept a connection before it counts as gone."""


class Leaving:
    """The machines that Ray drains: told of a spot interruption, or given up by an autoscaler.

    Ray places nothing new on them, but goes on passing calls to actors that are
    there already, so that whoever has such actors must look himself.
    """

    def __init__(self) -> None:
        self._node_ids: frozenset[str] = frozenset()
        self._looked_s = -float("inf")

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._node_ids

    def look(self) -> None:
        """Ask Ray, if the last time is long enough ago."""
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = time.monotonic()
            self._node_ids = draining_node_ids()


def draining_node_ids() -> frozenset[str]:
    """Nodes that Ray is draining. Empty where Ray does not say: through a `ray://` address it has no way to.

    Ray 2.60 has no public call for it (`ray.nodes()` does not tell); its own Serve uses the same table.
    """
    try:
        from ray._private.state import state

        return frozenset(state.get_draining_nodes())
    except Exception:  # an interface that is not promised: without it, a notice costs the gait in flight
        return frozenset()


def machine_lost(error: RayError, node_id: str) -> bool:
    """Whether a worker died because its machine did (a spot instance taken back, for one).

    Ray itself takes some 10 to 30 s to find out that a machine is gone without a
    word, while the worker's broken connection shows at once. So its raylet is
    asked for: a machine whose raylet does not take connections any more is lost.
    """
    if isinstance(error, RayActorError) and getattr(error, "preempted", False):
        return True
    try:
        node = next((node for node in ray.nodes() if node["NodeID"] == node_id), None)  # type: ignore[no-untyped-call]
    except RayError:
        return False
    if node is None or not node["Alive"]:
        return True
    if ray.util.client.ray.is_connected():  # type: ignore[no-untyped-call]  # from outside, through ray://, machines cannot be reached
        return False
    try:
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), KNOCK_S).close()
    except OSError:
        return True
    return False
