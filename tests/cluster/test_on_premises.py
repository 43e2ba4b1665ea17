"""The cluster files for machines of one's own and for this machine, against Ray's schema and our commands."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = ("on-premises", "local")


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name / "cluster.yaml").read_text("utf-8")))


def commands(config: dict[str, Any]) -> list[str]:
    groups = ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands")
    return [command for group in groups for command in config[group]]


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DEPLOY / "local"))
    validate_config(prepare_config(copy.deepcopy(load(name))))


@pytest.mark.parametrize("name", FILES)
def test_its_commands_are_shell_and_ray_knows_their_options(name: str) -> None:
    known = {option for parameter in start.params for option in parameter.opts}
    for command in commands(load(name)):
        checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        if "ray start" in command:
            options = {
                word.partition("=")[0] for word in command.split("ray start")[1].split() if word.startswith("--")
            }
            assert options <= known


@pytest.mark.parametrize("name", FILES)
def test_the_cluster_asks_for_a_token_and_the_head_makes_no_gait(name: str) -> None:
    config = load(name)
    starts = [command for command in commands(config) if "ray start" in command]
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert "~/.ray/auth_token" in config["file_mounts"]
    (head,) = [command for command in starts if "--head" in command]
    assert "--num-cpus=0" in head


def test_paths_on_machines_of_one_s_own_are_absolute() -> None:
    config = load("on-premises")
    assert config["max_workers"] == len(config["provider"]["worker_ips"])
    assert all("~/gaitfarm/bin/ray" in command for command in commands(config) if "ray st" in command)


def test_the_local_cluster_never_stops_other_rays() -> None:
    """`ray stop` ends every Ray of the user on this machine."""
    assert not [command for command in commands(load("local")) if "ray stop" in command]
