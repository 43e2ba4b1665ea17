"""cluster.yaml against Ray's own schema, and against what the farm needs of it."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import ValidationError  # type: ignore[import-untyped]
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
CLUSTER = yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))
NODE_TYPES: dict[str, dict[str, Any]] = CLUSTER["available_node_types"]
WORKERS = {name: node for name, node in NODE_TYPES.items() if name != CLUSTER["head_node_type"]}


def validate(config: dict[str, Any]) -> None:
    validate_config(prepare_config(copy.deepcopy(config)))


def test_ray_accepts_it() -> None:
    validate(CLUSTER)


def _gpus_in_words(config: dict[str, Any]) -> None:
    config["available_node_types"]["gpu"]["resources"]["GPU"] = "1"


def _misspelt_key(config: dict[str, Any]) -> None:
    config["idle_timeout_minute"] = config.pop("idle_timeout_minutes")


def _no_such_head(config: dict[str, Any]) -> None:
    config["head_node_type"] = "heads"


def _labels_that_are_numbers(config: dict[str, Any]) -> None:
    config["available_node_types"]["sim-c7i"]["labels"] = {"role": 1}


@pytest.mark.parametrize("spoil", [_gpus_in_words, _misspelt_key, _no_such_head, _labels_that_are_numbers])
def test_ray_refuses_a_wrong_one(spoil: Callable[[dict[str, Any]], None]) -> None:
    config = copy.deepcopy(CLUSTER)
    spoil(config)
    with pytest.raises((ValidationError, ValueError)):
        validate(config)


def test_no_gait_is_made_on_the_head_and_every_worker_is_spot_with_the_profile() -> None:
    head = NODE_TYPES[CLUSTER["head_node_type"]]
    assert head["resources"]["CPU"] == 0
    assert "InstanceMarketOptions" not in head["node_config"]
    for node in WORKERS.values():
        assert node["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
        assert node["node_config"]["IamInstanceProfile"] == head["node_config"]["IamInstanceProfile"]
        assert node["min_workers"] == 0


def test_simulation_has_several_instance_types_behind_one_label() -> None:
    sims = [node for node in WORKERS.values() if node["labels"]["role"] == "sim"]
    assert len({node["node_config"]["InstanceType"] for node in sims}) >= 3
    assert all("GPU" not in node["resources"] for node in sims)
    assert any(node["resources"].get("GPU") for node in WORKERS.values())


def test_it_holds_no_key_and_no_account() -> None:
    text = (ROOT / "cluster.yaml").read_text("utf-8")
    assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret|aws_access_key|ssh_private_key|\b[0-9]{12}\b", text)


@pytest.mark.parametrize("group", ["setup_commands", "head_start_ray_commands", "worker_start_ray_commands"])
def test_its_commands_are_shell(group: str) -> None:
    for command in CLUSTER[group]:
        checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_the_spot_watch_uses_options_that_ray_has() -> None:
    watch = CLUSTER["worker_start_ray_commands"][-1]
    options = set(re.findall(r"--(?:address|reason-message|reason|deadline-remaining-seconds|node-id)\b", watch))
    from ray.scripts.scripts import drain_node

    known = {name for parameter in drain_node.params for name in parameter.opts}
    assert options <= known
    assert {"--reason", "--reason-message", "--deadline-remaining-seconds"} <= options
    reasons = next(p.type.choices for p in drain_node.params if p.name == "reason")  # type: ignore[attr-defined]
    assert "DRAIN_NODE_REASON_PREEMPTION" in reasons


def test_the_spot_watch_drains_when_told_and_only_then(tmp_path: Path) -> None:
    """The loop itself, with a metadata service and a `ray` of our own."""
    watch = str(CLUSTER["worker_start_ray_commands"][-1])
    notice = tmp_path / "notice"
    answers = f"*api/token*) echo token;; *spot/instance-action*) test -e {notice};; *) exit 9;;"
    (tmp_path / "curl").write_text(f'#!/bin/bash\ncase "$*" in {answers} esac\n', "utf-8")
    (tmp_path / "gaitfarm" / "bin").mkdir(parents=True)
    drained = tmp_path / "gaitfarm" / "bin" / "ray"
    drained.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n', "utf-8")
    for program in (tmp_path / "curl", drained):
        program.chmod(0o755)
    loop = watch.replace("nohup ", "").replace("> /tmp/spot-watch.log 2>&1 &", "").replace("sleep 5", "sleep 0.1")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "RAY_HEAD_IP": "10.0.0.1"}
    process = subprocess.Popen(["bash", "-c", loop], env=environment)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.6)
        notice.touch()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    arguments = (tmp_path / "arguments").read_text("utf-8").splitlines()
    assert arguments[:4] == ["drain-node", "--address=10.0.0.1:6379", "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
    assert arguments[4:] == ["--reason-message", "spot interruption", "--deadline-remaining-seconds", "110"]


def test_documentation_and_cluster_agree() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    assert "--on role=sim" in text
    assert "ray up -y cluster.yaml" in text
    assert ray.__version__ in (ROOT / "pyproject.toml").read_text("utf-8")
