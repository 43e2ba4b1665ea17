"""The Kubernetes manifests against Kubernetes' schemas, KubeRay's fields, and what the farm needs of them."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import ray
import typer
import yaml
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]

from farm.cli import app
from tests.cluster.kuberay_fields import RAY_CLUSTER, RAY_JOB
from workers.ray_session import MEMORY_BYTES

FOLDER = Path(__file__).parents[2] / "deploy" / "kuberay"
KUBERNETES = "1.32"
"""Whose schemas pods are held against."""


def manifest(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8")))


def check(found: dict[str, Any]) -> None:
    """Raise at the first thing that Kubernetes or KubeRay would refuse."""
    Draft202012Validator({"RayCluster": RAY_CLUSTER, "RayJob": RAY_JOB}[found["kind"]]).validate(found)
    for name, template in templates(found):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": template["spec"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def spec_of(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found["spec"]["rayClusterSpec"] if found["kind"] == "RayJob" else found["spec"])


def templates(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    spec = spec_of(found)
    return [("head", spec["headGroupSpec"]["template"])] + [
        (group["groupName"], group["template"]) for group in spec["workerGroupSpecs"]
    ]


@pytest.mark.parametrize("name", ["raycluster", "rayjob"])
def test_kubernetes_and_kuberay_know_every_field(name: str) -> None:
    check(manifest(name))


def test_the_service_account_is_valid() -> None:
    account = manifest("service-account")
    kubernetes_validate.validate(account, KUBERNETES, strict=True)
    for name in ("raycluster", "rayjob"):
        assert {t["spec"]["serviceAccountName"] for _, t in templates(manifest(name))} == {account["metadata"]["name"]}


def _misspelt_group_field(spec: dict[str, Any]) -> None:
    spec["workerGroupSpecs"][0]["maxReplica"] = spec["workerGroupSpecs"][0].pop("maxReplicas")


def _number_as_start_parameter(spec: dict[str, Any]) -> None:
    spec["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0


def _labels_as_start_parameter(spec: dict[str, Any]) -> None:
    group = spec["workerGroupSpecs"][0]
    group["rayStartParams"]["labels"] = ",".join(f"{name}={value}" for name, value in group.pop("labels").items())


def _misspelt_pod_field(spec: dict[str, Any]) -> None:
    spec["workerGroupSpecs"][1]["template"]["spec"]["nodeSelectors"] = {}


def _toleration_without_a_list(spec: dict[str, Any]) -> None:
    spec["workerGroupSpecs"][0]["template"]["spec"]["tolerations"] = {"key": "spot"}


def _autoscaler_of_no_version(spec: dict[str, Any]) -> None:
    spec["autoscalerOptions"]["version"] = "v3"


@pytest.mark.parametrize(
    "spoil",
    [
        _misspelt_group_field,
        _number_as_start_parameter,
        _labels_as_start_parameter,
        _misspelt_pod_field,
        _toleration_without_a_list,
        _autoscaler_of_no_version,
    ],
)
def test_a_wrong_one_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    found = copy.deepcopy(manifest("raycluster"))
    spoil(found["spec"])
    with pytest.raises((ValidationError, kubernetes_validate.ValidationError)):
        check(found)


def test_job_and_cluster_describe_the_same_machines() -> None:
    assert spec_of(manifest("rayjob")) == spec_of(manifest("raycluster"))


def test_the_head_makes_no_gait_and_workers_are_spot_and_start_at_none() -> None:
    spec = spec_of(manifest("raycluster"))
    assert spec["rayVersion"] == ray.__version__
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert spec["headGroupSpec"]["template"]["spec"]["nodeSelector"]["karpenter.sh/capacity-type"] == "on-demand"
    for group in spec["workerGroupSpecs"]:
        assert (group["replicas"], group["minReplicas"]) == (0, 0)
        assert group["template"]["spec"]["nodeSelector"]["karpenter.sh/capacity-type"] == "spot"
        assert group["labels"]["market"] == "spot"
    gpu = next(group for group in spec["workerGroupSpecs"] if group["labels"]["role"] == "gpu")
    (container,) = gpu["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_each_cpu_has_the_memory_of_a_worker_beside_the_object_store() -> None:
    for group in spec_of(manifest("raycluster"))["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        limits = container["resources"]["limits"]
        assert container["resources"]["requests"] == limits
        memory_bytes = int(limits["memory"].removesuffix("Gi")) * 2**30
        assert 0.7 * memory_bytes >= int(limits["cpu"]) * MEMORY_BYTES, "Ray keeps 30 % for its object store"


def test_a_reclaimed_pod_is_drained_before_kubernetes_kills_it() -> None:
    for group in spec_of(manifest("raycluster"))["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        env = {item["name"]: item["value"] for item in pod["containers"][0]["env"]}
        assert float(env["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]) < pod["terminationGracePeriodSeconds"] < 120
    from ray._private import ray_constants

    assert hasattr(ray_constants, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"), "Ray no longer drains on SIGTERM"


def test_pods_run_as_nobody_special_and_hold_no_secret() -> None:
    for name in ("raycluster", "rayjob"):
        for _, template in templates(manifest(name)):
            pod = template["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            for container in pod["containers"]:
                assert container["securityContext"]["allowPrivilegeEscalation"] is False
                assert not [e for e in container.get("env", []) if re.search("SECRET|TOKEN|PASSWORD|KEY", e["name"])]
        text = (FOLDER / f"{name}.yaml").read_text("utf-8")
        assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret|\b[0-9]{12}\b", text)
        assert manifest("raycluster")["spec"]["authOptions"]["mode"] == "token"


def test_the_job_is_a_command_that_we_have_and_leaves_no_cluster() -> None:
    job = manifest("rayjob")["spec"]
    assert job["shutdownAfterJobFinishes"] is True
    program, command, *arguments = shlex.split(job["entrypoint"])
    assert program == "gaitfarm"
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = commands[command].make_context(command, list(arguments)).params
    assert options["address"] == "auto"
    assert options["on"] == ["role=sim"]
