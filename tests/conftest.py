"""Says loudly which tests did not run, and in CI counts that as a failure; ends with what the fault suite found.

A suite that skips in silence looks as green as one that passes. On a laptop a
missing Ceph or GPU is fine, but is named at the end; with CI=true only what
needs a GPU may be left out.

All this comes out of reports, which reach the process that sums up whether tests
ran in it or in others (`pytest -n`, see `tests.turns`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.turns import Turns, in_order

EXCUSED_IN_CI = "GPU"
"""A skip is excused in CI only if its reason says this word: CI machines have none."""

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

FAULT_ROUND = "fault round"
"""Property of a test's report that holds the outcome of a round of faults, as JSON."""

_not_run: list[tuple[str, str]] = []
"""(test, reason) of every test that was skipped."""

_fault_rounds: list[dict[str, Any]] = []


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # one of several processes that run tests
        os.environ.pop("COLUMNS", None)  # pytest-xdist's 80 would be the width of every console that is made later
        config.pluginmanager.register(Turns(), "turns")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items[:] = in_order(items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _not_run.append((report.nodeid, reason.removeprefix("Skipped: ")))
    if report.when == "teardown":  # a test's properties stand in each of its reports
        _fault_rounds.extend(json.loads(str(told)) for name, told in report.user_properties if name == FAULT_ROUND)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _not_run.append((f"all of {report.nodeid}", reason.removeprefix("Skipped: ")))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if IN_CI and _unexcused() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield  # pytest's own summary first: what must be heard comes last
    _sum_up_the_faults(terminalreporter)
    _name_what_did_not_run(terminalreporter)


def _sum_up_the_faults(terminalreporter: pytest.TerminalReporter) -> None:
    """One line of JSON, as the soak's last one."""
    if not _fault_rounds:
        return
    from tests.faults.rounds import Outcome
    from tests.faults.soak import summary

    outcomes = [Outcome(**told) for told in _fault_rounds]
    line = summary(outcomes, sum(outcome.seconds for outcome in outcomes))
    terminalreporter.write_line(f"fault suite: {json.dumps(line)}")


def _name_what_did_not_run(terminalreporter: pytest.TerminalReporter) -> None:
    deselected = len(terminalreporter.stats.get("deselected", []))
    if not _not_run and not deselected:
        return
    write = terminalreporter.write_line
    terminalreporter.section(f"{len(_not_run) + deselected} TESTS DID NOT RUN", sep="!", yellow=True, bold=True)
    for reason, count in Counter(reason for _, reason in _not_run).most_common():
        write(f"{count} x {reason}", yellow=True)
        for name in [name for name, why in _not_run if why == reason]:
            write(f"      {name}")
    if deselected:
        write(f"{deselected} x left out on the command line (-k, -m, --deselect)", yellow=True)
    if IN_CI and _unexcused():
        write(f"CI=true: {len(_unexcused())} of these must run here, so this run has failed.", red=True, bold=True)


def _unexcused() -> list[str]:
    return [name for name, reason in _not_run if EXCUSED_IN_CI not in reason]
