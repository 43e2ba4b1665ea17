"""Drain a spot machine when AWS announces that it takes it back: `python -m workers.spot_watch --address HEAD:6379`.

Ray does not watch for interruptions. AWS tells two minutes ahead, through the
instance's metadata service (IMDSv2): no notice is a 404, a notice is a small
JSON. On a notice this tells Ray to drain the machine, which then gets no new
gait; one that is lost with it is made again elsewhere, and not held against it.

Runs beside Ray on each spot machine, started by `cluster.yaml`; small while it
waits, since Ray is loaded only when it is needed.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

IMDS = "http://169.254.169.254"
"""The metadata service, at the same address on every EC2 instance."""

TOKEN_LIFE_S = 60
ANSWER_LIMIT_S = 2.0
"""How long the metadata service, a hop away, may take to answer."""

GRACE_S = 110.0
"""Of the two minutes that AWS gives, what a gait in flight may use; the rest is for shutting down."""

HANDOVER_S = 10.0
"""How long before the announced end Ray is to have left the machine."""

GCS_LIMIT_S = 10
"""How long the cluster's head may take to answer."""


def main(arguments: list[str] | None = None) -> int:
    """Watch until a notice has been passed on to Ray, then end."""
    parser = argparse.ArgumentParser(description="Drain this machine when its spot interruption is announced.")
    parser.add_argument("--address", required=True, help="the cluster's head, as HOST:PORT")
    parser.add_argument(
        "--node-ip", help="the address under which this machine joined; else that which reaches the head"
    )
    parser.add_argument("--imds", default=IMDS, help="the instance metadata service")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two questions")
    options = parser.parse_args(arguments)
    told = ""
    while True:
        try:
            seconds_left = notice(options.imds)
            if seconds_left is not None:
                _say(f"spot interruption in {seconds_left:.0f} s: draining")
                drain(options.address, options.node_ip or own_address(options.address), seconds_left - HANDOVER_S)
                _say("drained")
                return 0
            told = ""
        except Exception as error:  # whatever it is: the next question may be answered, and nobody else asks
            if str(error) != told:
                told = str(error)
                _say(f"{type(error).__name__}: {error}; going on")
        time.sleep(options.every)


def notice(imds: str = IMDS) -> float | None:
    """Seconds until this machine is taken back; None if nothing is announced.

    Raises:
        OSError: The metadata service does not answer.
    """
    root = f"{imds.rstrip('/')}/latest"
    opener = build_opener(ProxyHandler({}))  # never through a proxy: the answer would be another machine's
    asked = Request(  # noqa: S310  (the address is the operator's)
        f"{root}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIFE_S)}
    )
    with opener.open(asked, timeout=ANSWER_LIMIT_S) as answer:
        token = answer.read(4096).decode("ascii")
    asked = Request(f"{root}/meta-data/spot/instance-action", headers={"X-aws-ec2-metadata-token": token})  # noqa: S310
    try:
        with opener.open(asked, timeout=ANSWER_LIMIT_S) as answer:
            text = answer.read(4096).decode("utf-8")
    except HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise
    return _seconds_left(text, datetime.now(UTC))


def _seconds_left(text: str, now: datetime) -> float:
    """From `{"action": "terminate", "time": "2026-11-25T08:22:00Z"}`; a notice that says no time leaves two minutes."""
    try:
        end = datetime.fromisoformat(json.loads(text)["time"])
        return (end - now).total_seconds()
    except (ValueError, KeyError, TypeError):
        return GRACE_S + HANDOVER_S


def own_address(head: str) -> str:
    """The address of this machine from which packets to the head go out: that with which it joined."""
    host, _, port = head.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, int(port)))  # sends nothing
        return str(probe.getsockname()[0])


def drain(address: str, node_ip: str, seconds_left: float) -> None:
    """Tell Ray that a machine will be gone in so many seconds; does what `ray drain-node` does.

    That command takes the node for granted that Ray started last on this machine,
    and connects to the cluster as one more driver.

    Raises:
        RuntimeError: No such machine is in the cluster, or Ray refuses.
    """
    from ray import _raylet
    from ray.core.generated import autoscaler_pb2, gcs_pb2

    alive: int = gcs_pb2.GcsNodeInfo.ALIVE  # type: ignore[attr-defined]
    preemption: int = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")  # type: ignore[attr-defined]
    gcs = _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
    nodes = gcs.get_all_node_info(timeout=GCS_LIMIT_S)
    ours = [node_id for node_id, node in nodes.items() if node.node_manager_address == node_ip and node.state == alive]
    if not ours:
        raise RuntimeError(f"no machine {node_ip} is in the cluster at {address}")
    deadline_ms = int(1000 * (time.time() + max(0.0, min(seconds_left, GRACE_S))))
    for node_id in ours:
        accepted, why_not = gcs.drain_node(
            node_id.hex(),
            preemption,
            "spot interruption",
            deadline_ms,
        )
        if not accepted:
            raise RuntimeError(f"Ray does not drain {node_ip}: {why_not}")


def _say(text: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
