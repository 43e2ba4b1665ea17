"""The faults' tests share one reference for each campaign, and tell what came of their rounds."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.conftest import FAULT_ROUND
from tests.faults.checker import Findings
from tests.faults.rounds import Outcome, reference_of
from tests.faults.schedule import Round
from tests.integration.conftest import S3Root, ceph, s3_environment, s3_root

__all__ = ["S3Root", "ceph", "s3_environment", "s3_root"]


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


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[Outcome], None]:
    """Puts what came of a round into the test's report, for the line that sums all rounds up."""
    return lambda outcome: record_property(FAULT_ROUND, json.dumps(outcome.to_dict()))
