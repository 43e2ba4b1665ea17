"""The faults' tests share one reference for each campaign, and end with one line of JSON, as the soak does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.faults.checker import Findings
from tests.faults.rounds import Outcome, reference_of
from tests.faults.schedule import Round
from tests.faults.soak import summary
from tests.integration.conftest import S3Root, ceph, s3_environment, s3_root

__all__ = ["S3Root", "ceph", "s3_environment", "s3_root"]

_outcomes: list[Outcome] = []


@pytest.fixture(scope="session")
def reference() -> Callable[[Round], Findings]:
    """What an undisturbed run of a round's campaign makes; made once for each campaign."""
    found: dict[tuple[int, int, int], Findings] = {}

    def of(plan: Round) -> Findings:
        key = (plan.variant, plan.samples, plan.gaits_per_shard)
        if key not in found:
            found[key] = reference_of(plan)
        return found[key]

    return of


@pytest.fixture(scope="session")
def outcomes() -> list[Outcome]:
    """Where the short suite puts what came of its rounds."""
    return _outcomes


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _outcomes:
        line = summary(_outcomes, sum(outcome.seconds for outcome in _outcomes))
        terminalreporter.write_line(f"fault suite: {json.dumps(line)}")
