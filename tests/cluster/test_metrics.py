"""What Ray's own exporter serves during a real run, and whether the dashboard asks for that and nothing else."""

from __future__ import annotations

import io
import json
import os
import re
import threading
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pytest
import ray
import ray.util.metrics
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from tests.cluster.local_cluster import wait_for
from tests.samples import make_campaign
from tests.test_workers.faulty import FAULTS_VARIABLE, THIS, write_faults
from workers import ray_session
from workers.generate import generate
from workers.meters import CAMPAIGN, METRICS, Meters
from workers.run import Deadlines
from workers.staging import Written
from workers.summary import RunSummary

pytestmark = pytest.mark.alone  # what Ray reports every few seconds is waited for

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy" / "grafana" / "gaitfarm.json").read_text("utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]

IN_PROMETHEUS = {
    f"ray_{name}{'_total' if metric.kind == 'counter' else ''}": metric for name, metric in METRICS.items()
}

FROM_ELSEWHERE = {"gaitfarm_bytes", "gaitfarm_storage_retries"}
"""Metrics that the run below may end without: nothing is repeated on a disk, and a shard may be a moment old."""


def test_the_dashboard_draws_every_metric_and_no_other() -> None:
    asked = {name for text in EXPRESSIONS for name in re.findall(r"\bray_\w+", text)}
    assert asked == set(IN_PROMETHEUS)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_its_expressions_use_tags_that_the_metrics_have(text: str) -> None:
    for name, selector in re.findall(r"\b(ray_\w+)\{([^}]*)\}", text):
        tags = set(re.findall(r"(\w+)=~?\"", selector))
        assert CAMPAIGN in tags, "all panels follow the campaign that was chosen"
        assert tags <= {CAMPAIGN, *IN_PROMETHEUS[name].tags}
        grouped = {tag for tags in re.findall(r"\bby \(([^)]*)\)", text) for tag in tags.split(", ")}
        assert grouped <= {CAMPAIGN, *IN_PROMETHEUS[name].tags}
        if IN_PROMETHEUS[name].kind == "counter":
            rate = re.search(rf"(?:rate|increase)\({name}", text)
            assert rate or text.startswith(f"sum({name}"), "a counter is shown by its rate or its sum"
    assert text.count("(") == text.count(")")


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not cells & taken, f"{panel['title']} covers another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}", "no data source of one installation"
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "campaign"}
    assert DASHBOARD["schemaVersion"] >= 36


@pytest.mark.parametrize(("ours", "shards"), [(True, 1), (False, 0)])
def test_a_shard_without_bytes_counts_for_who_committed_it(
    monkeypatch: pytest.MonkeyPatch, ours: bool, shards: int
) -> None:
    counted: Counter[str] = Counter()

    def inc(metric: ray.util.metrics.Counter, value: float, **_: object) -> None:
        counted[metric.info["name"]] += int(value)

    monkeypatch.setattr(ray.util.metrics.Counter, "inc", inc)
    Meters("mine").written(Written("00000000", 0, 4, bytes=0, seconds=2.0, ours=ours))
    assert (counted["gaitfarm_shards"], counted["gaitfarm_bytes"]) == (shards, 0)
    assert counted["gaitfarm_stage_seconds"] == 2


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Sample name -> (tags, value) of everything of ours that the exporter served while and after a run ran."""
    folder = tmp_path_factory.mktemp("metrics")
    faults = folder / "faults.json"
    # Ray reports gauges every ten seconds, as they then are: the run must last for two of these.
    slow = dict.fromkeys((0, 2, 4, 6, 7, 8, 9, 10), "slow")
    write_faults(faults, slow | {1: ("segfault", 1), 3: "diverge", 5: ("raise", 1)})
    campaign = make_campaign(samples=12, gaits_per_shard=4)
    before = dict(os.environ)
    os.environ.update({FAULTS_VARIABLE: str(faults), **ray_session.RAY_SETTINGS})
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    ended: list[RunSummary] = []

    def run() -> None:
        console = Console(file=io.StringIO())
        ended.append(
            generate(campaign, str(folder / "data"), workers=2, stages=THIS, deadlines=Deadlines(60.0), console=console)
        )

    try:
        with ray_session.started_ray(2):
            url = "http://{NodeManagerAddress}:{MetricsExportPort}/metrics".format(**ray.nodes()[0])
            driver = threading.Thread(target=run)
            driver.start()

            def all_there() -> bool:
                try:
                    with urlopen(url, timeout=10) as answer:
                        text = answer.read().decode("utf-8")
                except OSError:  # the exporter is still starting
                    return False
                for family in text_string_to_metric_families(text):
                    for sample in family.samples:
                        if sample.name.startswith("ray_gaitfarm"):
                            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
                wanted = {
                    name
                    for name in IN_PROMETHEUS
                    if name.removeprefix("ray_").removesuffix("_total") not in FROM_ELSEWHERE
                }
                return not driver.is_alive() and wanted <= set(found)

            try:
                wait_for("every metric", all_there, limit_s=240.0, tell=lambda: str(sorted(found)))
            finally:
                driver.join(240.0)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert ended[0].clean
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ray_exports_them_under_these_names_with_these_tags(
    scraped: dict[str, list[tuple[dict[str, str], float]]],
) -> None:
    assert set(scraped) <= set(IN_PROMETHEUS)
    for name, samples in scraped.items():
        for tags, value in samples:
            assert {CAMPAIGN, *IN_PROMETHEUS[name].tags} <= set(tags), name
            assert tags[CAMPAIGN] == make_campaign(samples=1).name
            assert value >= 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_they_count_what_happened(scraped: dict[str, list[tuple[dict[str, str], float]]]) -> None:
    def most(name: str, **tags: str) -> float:
        values = [value for found, value in scraped[name] if tags.items() <= found.items()]
        return max(values, default=0.0)

    assert most("ray_gaitfarm_samples_total", outcome="accepted") >= 1
    assert most("ray_gaitfarm_rejections_total", reason="diverged") == 1
    assert most("ray_gaitfarm_lost_attempts_total", cause="crashed") == 1
    assert most("ray_gaitfarm_lost_attempts_total", cause="raised") == 1
    assert most("ray_gaitfarm_workers_replaced_total") >= 1
    assert most("ray_gaitfarm_workers", state="wanted") == 2
    assert most("ray_gaitfarm_stage_seconds_total", stage="simulate") > 0
    assert min(value for _, value in scraped["ray_gaitfarm_samples_left"]) < 12
