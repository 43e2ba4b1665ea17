"""cluster.yaml against Ray's own schema, and against what the farm needs of it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import ValidationError  # type: ignore[import-untyped]
from ray.autoscaler._private.util import prepare_config, validate_config

from workers.meters import METRICS

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


def test_no_gait_is_made_on_the_head_and_every_worker_is_spot_with_a_profile_of_its_own() -> None:
    head = NODE_TYPES[CLUSTER["head_node_type"]]
    assert head["resources"]["CPU"] == 0
    assert "InstanceMarketOptions" not in head["node_config"]
    assert head["node_config"]["IamInstanceProfile"]["Name"] == "gaitfarm-head"
    for node in WORKERS.values():
        assert node["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
        assert node["node_config"]["IamInstanceProfile"]["Name"] == "gaitfarm-worker"
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


def test_the_spot_watch_is_started_with_options_that_it_has() -> None:
    """On a machine without a cluster it would ask for ever: here it only says what it does not understand."""
    watch = str(CLUSTER["worker_start_ray_commands"][-1])
    found = re.search(r"python (-m workers\.spot_watch .*?) >", watch)
    assert found, watch
    arguments = found[1].replace("$RAY_HEAD_IP", "127.0.0.1").split()
    asked = subprocess.run(
        [sys.executable, *arguments, "--help"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert asked.returncode == 0, asked.stderr
    assert "spot interruption" in asked.stdout
    assert watch.rstrip().endswith("< /dev/null &"), "it must not hold the start command's output open"


def test_documentation_and_cluster_agree() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    assert "--on role=sim" in text
    assert "ray up -y cluster.yaml" in text
    assert ray.__version__ in (ROOT / "pyproject.toml").read_text("utf-8")
    links = re.findall(r"\]\((\.\./[^)#]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    ports = re.findall(r"127\.0\.0\.1:(\d+)", text)
    local = (ROOT / "deploy" / "local" / "cluster.yaml").read_text("utf-8")
    assert [port for port in ports if port != "8265" and f"--dashboard-port={port}" not in local] == []


def test_documentation_names_every_metric_and_the_log_s_fields() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    for name, metric in METRICS.items():
        assert f"`ray_{name}{'_total' if metric.kind == 'counter' else ''}`" in text
    assert {tag for metric in METRICS.values() for tag in metric.tags} == {
        "outcome",
        "reason",
        "stage",
        "cause",
        "state",
    }
    example = re.search(r"```json\n(\{\"time\".*?)```", text, flags=re.DOTALL)
    assert example
    assert {"time", "level", "event", "sample_id", "shard_id", "attempt", "worker"} <= set(json.loads(example[1]))
