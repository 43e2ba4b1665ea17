"""The tables of docs/labels.md: keypoints, other skeletons' joints, and the laws that labels are held to."""

from __future__ import annotations

from farm.gait.keypoints import own_parts
from farm.joint_orders import JOINT_ORDERS, Mix
from farm.label_check.findings import LAWS
from farm.sampling.anatomy import KEYPOINT_STATIONS, KEYPOINTS


def keypoints_table() -> str:
    """One row for each keypoint; a left one stands with its right one."""
    rows = ["| keypoint | fixed to | parts of the mask around it |", "|---|---|---|"]
    for name in KEYPOINTS:
        if name.startswith("left_"):
            continue
        word = f"`{name}`" + (", and left" if name.startswith("right_") else "")
        body, parts = KEYPOINT_STATIONS[name][0], ", ".join(f"`{part}`" for part in own_parts(name))
        rows.append(f"| {word} | `{body}` | {parts} |")
    return "\n".join(rows)


def orders_table() -> str:
    """One row for each skeleton: its joints in order, with what is not one keypoint spelt out."""
    rows = ["| order | joints |", "|---|---|"]
    rows += [
        f"| `{name}` | " + ", ".join(f"{joint}{_spelt(joint, mix)}" for joint, mix in order.joints.items()) + " |"
        for name, order in JOINT_ORDERS.items()
    ]
    return "\n".join(rows)


def laws_table() -> str:
    """One row for each check."""
    rows = ["| law | must hold for | of |", "|---|---|---|"]
    rows += [f"| `{name}` | {law.limit:.0%} | {law.what} |" for name, law in LAWS.items()]
    return "\n".join(rows)


def _spelt(joint: str, mix: Mix) -> str:
    if not mix:
        return " (unknown)"
    if tuple(mix) == (joint,):
        return ""
    return " (" + " + ".join(f"{weight:.4g} {name}" for name, weight in mix.items()).replace("+ -", "- ") + ")"


LABEL_TABLES = {"keypoints": keypoints_table, "orders": orders_table, "laws": laws_table}
