"""What the dispatcher and the training rely on in Ray; read from the installed version, no cluster is started.

How Ray behaves when workers crash, hang or are killed is tested on real actors with the dispatcher itself.
"""

from __future__ import annotations

import inspect

import ray
from ray import exceptions


def test_every_death_of_a_worker_is_a_ray_actor_error() -> None:
    """A crash shows as ActorDiedError or ActorUnavailableError; the dispatcher catches their base."""
    assert issubclass(exceptions.ActorDiedError, exceptions.RayActorError)
    assert issubclass(exceptions.ActorUnavailableError, exceptions.RayActorError)
    assert not issubclass(exceptions.RayTaskError, exceptions.RayActorError)


def test_kill_can_leave_no_restart() -> None:
    assert "no_restart" in inspect.signature(ray.kill).parameters


def test_train_v2_is_the_default() -> None:
    """The training loop is written for V2: same run name resumes, reports carry checkpoints."""
    from ray.train.v2._internal.constants import is_v2_enabled

    assert is_v2_enabled()


def test_one_version_on_driver_and_cluster() -> None:
    """Ray refuses to connect otherwise; pyproject.toml and cluster.yaml name the same."""
    assert ray.__version__ == "2.60.0"
