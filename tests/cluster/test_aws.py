"""cluster.yaml bootstrapped and launched by Ray's own AWS provider, against moto's EC2 and IAM.

Not AWS: moto starts no machine, and knows no `resolve:ssm:` (it takes any image id). What it does check is what Ray
makes of the file: key pair, security group, subnets, and every request that a launch consists of, under the policies
that `deploy/aws/` gives to operator and head.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
import yaml
from ray.autoscaler._private.commands import _bootstrap_config
from ray.autoscaler._private.providers import _get_node_provider
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_NODE_STATUS, TAG_RAY_USER_NODE_TYPE

from tests.cluster.moto import moto_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text("utf-8")
POLICIES = ROOT / "deploy" / "aws"
ACCOUNT = "123456789012"
"""The account that moto plays."""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An account with the roles and profiles of docs/cluster.md; nothing of this machine's own AWS set-up is seen."""
    folder = tmp_path_factory.mktemp("aws")
    with moto_server(folder / "moto.log") as url, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("HOME", str(folder))  # Ray writes its key to ~/.ssh
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "admin")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "admin")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_DEFAULT_REGION", region())
        _make_roles()
        yield url


def config() -> dict[str, Any]:
    return dict(yaml.safe_load(TEXT))


def region() -> str:
    return str(config()["provider"]["region"])


def _make_roles() -> None:
    iam = boto3.client("iam")
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    for name in ("head", "worker"):
        full = f"gaitfarm-{name}"
        iam.create_role(RoleName=full, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=full, PolicyName="gaitfarm", PolicyDocument=policy(name))
        iam.create_instance_profile(InstanceProfileName=full)
        iam.add_role_to_instance_profile(InstanceProfileName=full, RoleName=full)


def policy(name: str) -> str:
    text = (POLICIES / f"{name}-policy.json").read_text("utf-8")
    return text.replace("ACCOUNT", ACCOUNT).replace("BUCKET", "some-bucket")


def bootstrapped() -> dict[str, Any]:
    """What `ray up` makes of the file before it starts anything."""
    validate_config(prepare_config(config()))
    return dict(_bootstrap_config(config(), no_config_cache=True))


@pytest.fixture(scope="module")
def ready(aws: str) -> dict[str, Any]:
    """The same, once for all tests that only look at it: moto takes seconds over its list of machines."""
    return bootstrapped()


def launch(ready: dict[str, Any], node_type: str, count: int, kind: str = "worker") -> Any:
    """What `ray up` (head) and the head's autoscaler (workers) do to start machines."""
    provider = _get_node_provider(ready["provider"], ready["cluster_name"], use_cache=False)
    node_config = copy.deepcopy(ready["available_node_types"][node_type]["node_config"])
    tags = {TAG_RAY_NODE_KIND: kind, TAG_RAY_USER_NODE_TYPE: node_type, TAG_RAY_NODE_STATUS: "uninitialized"}
    provider.create_node(node_config, tags, count)
    return provider


def instances(**tags: str) -> list[Any]:
    filters = [{"Name": f"tag:{name.replace('_', '-')}", "Values": [value]} for name, value in tags.items()]
    filters.append({"Name": "instance-state-name", "Values": ["pending", "running"]})
    pages = boto3.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]


def test_bootstrap_makes_key_group_and_subnets_and_knows_the_machines(ready: dict[str, Any]) -> None:
    key = Path(ready["auth"]["ssh_private_key"])
    assert key.is_relative_to(Path(os.environ["HOME"]) / ".ssh")
    assert key.stat().st_mode & 0o077 == 0
    assert len(boto3.client("ec2").describe_key_pairs()["KeyPairs"]) >= 1
    groups = set()
    for name, node in ready["available_node_types"].items():
        assert node["node_config"]["SubnetIds"], name
        groups |= set(node["node_config"]["SecurityGroupIds"])
        if name != "head":
            assert node["resources"]["memory"] > 1.2e9 * node["resources"]["CPU"], f"{name}: a worker needs 1.2 GB"
    (group,) = boto3.client("ec2").describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
    open_to_all = [rule for rule in group["IpPermissions"] if any(r["CidrIp"] == "0.0.0.0/0" for r in rule["IpRanges"])]
    assert [rule["FromPort"] for rule in open_to_all] == [22], "only ssh, which wants Ray's key"
    assert ready["available_node_types"]["gpu"]["resources"]["accelerator_type:L4"] == 1
    roles = {role["RoleName"] for role in boto3.client("iam").list_roles()["Roles"]}
    assert "ray-autoscaler-v1" not in roles, "Ray made no role of its own, which would allow all of EC2 and S3"


def test_head_on_demand_workers_on_spot_with_tags_and_profile(ready: dict[str, Any]) -> None:
    launch(ready, "head", 1, kind="head")
    (head,) = instances(ray_node_type="head")
    assert "InstanceLifecycle" not in head
    assert head["IamInstanceProfile"]["Arn"].endswith("/gaitfarm-head")
    assert head["InstanceType"] == "m7i.xlarge"
    for node_type in ("sim-c7i", "sim-c6i", "sim-m7a", "gpu"):
        provider = launch(ready, node_type, 2)
        started = instances(ray_user_node_type=node_type)
        assert started, node_type
        for instance in started:
            assert instance["InstanceLifecycle"] == "spot"
            assert instance["IamInstanceProfile"]["Arn"].endswith("/gaitfarm-worker")
            assert instance["InstanceType"] == ready["available_node_types"][node_type]["node_config"]["InstanceType"]
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            assert tags["ray-cluster-name"] == "gaitfarm"
            assert tags["ray-node-type"] == "worker"
        seen = provider.non_terminated_nodes({TAG_RAY_USER_NODE_TYPE: node_type})
        assert set(seen) == {instance["InstanceId"] for instance in started}
        provider.terminate_nodes(seen)
        assert instances(ray_user_node_type=node_type) == []
    provider.terminate_nodes([head["InstanceId"]])
    assert instances() == []


def test_image_ids_are_looked_up_by_ec2_itself(ready: dict[str, Any]) -> None:
    """`resolve:ssm:` is EC2's own (RunInstances takes it as ImageId); Ray passes it on untouched."""
    shipped = config()["available_node_types"]
    for name, node in ready["available_node_types"].items():
        image = node["node_config"]["ImageId"]
        assert image == shipped[name]["node_config"]["ImageId"]
        assert image.startswith("resolve:ssm:/aws/service/")
    allowed = json.loads(policy("head"))["Statement"]
    assert any("ssm:GetParameters" in statement["Action"] for statement in allowed), "the caller needs it for that"


def test_a_wrong_profile_is_caught(ready: dict[str, Any]) -> None:
    wrong = copy.deepcopy(ready)
    wrong["available_node_types"]["sim-c7i"]["node_config"]["IamInstanceProfile"] = {"Name": "gaitfram-worker"}
    with pytest.raises(BaseException, match=r"gaitfram-worker|NodeLaunch|Failed to launch"):
        launch(wrong, "sim-c7i", 1)
    assert instances(ray_user_node_type="sim-c7i") == []


@pytest.fixture
def enforced(aws: str) -> Iterator[Any]:
    """Switches moto's IAM on: from then on each request is judged by its sender's policies."""

    def switch(count: float) -> None:
        plain = {"Content-Type": "text/plain"}
        with urlopen(Request(f"{aws}/moto-api/reset-auth", str(count).encode(), plain, method="POST")):
            pass

    yield switch
    switch(float("inf"))


def _actions_alone(document: str) -> str:
    """A policy without resources and conditions: moto takes every request to EC2 as one for all resources."""
    read = json.loads(document)
    for statement in read["Statement"]:
        statement["Resource"] = "*"
        statement.pop("Condition", None)
    return json.dumps(read)


def _user(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user who has exactly one of our policies."""
    _forget_clients()
    iam = boto3.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="gaitfarm", PolicyDocument=_actions_alone(policy(name)))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    _forget_clients()


@pytest.mark.parametrize("name", ["operator", "head"])
def test_the_policies_suffice(ready: dict[str, Any], enforced: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The actions do. That resources and conditions (only this cluster's machines) allow enough, moto cannot say."""
    _user(name, monkeypatch)
    enforced(0)
    if name == "operator":
        ready = bootstrapped()
    provider = launch(ready, "head" if name == "operator" else "sim-m7a", 1)
    started = provider.non_terminated_nodes({})
    assert started
    provider.set_node_tags(started[0], {"note": "tagged"})
    provider.terminate_nodes(started)
    _forget_clients()


def test_a_worker_may_not_start_machines(ready: dict[str, Any], enforced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _user("worker", monkeypatch)
    enforced(0)
    with pytest.raises(BaseException, match=r"UnauthorizedOperation|AccessDenied|not authorized|Failed to launch"):
        launch(ready, "sim-m7a", 1)
    _forget_clients()


def _forget_clients() -> None:
    """Ray and boto3 keep what they made, with the credentials of then."""
    from ray.autoscaler._private.aws import utils

    utils.resource_cache.cache_clear()
    utils.client_cache.cache_clear()
    boto3.setup_default_session()


def test_policies_name_no_account_and_no_bucket() -> None:
    for file in sorted(POLICIES.glob("*.json")):
        text = file.read_text("utf-8")
        statements = json.loads(text)["Statement"]
        assert len({statement["Sid"] for statement in statements}) == len(statements)
        assert ACCOUNT not in text
        for statement in statements:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if action in ("*", "ec2:*", "s3:*", "iam:*")], file.name
