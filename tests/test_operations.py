"""docs/operations.md describes every metric and every alert, and no others."""

import re
from pathlib import Path

import pytest

from tests.test_docs import documents, rows, section
from worker.config.load import default_settings
from worker.config.rule_settings import build_rules
from worker.detect.stage import DETECT
from worker.observe.metrics import PREFIX, Metrics
from worker.triage.stage import TRIAGE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8")
CASES = (ROOT / "deploy" / "prometheus" / "alerts.test.yml").read_text("utf-8")
PARTS = re.compile("_(bucket|sum|count)$")
PREFIXES = ("walletwatch_", "process_")
"""Of metrics: its own, and those that every client of Prometheus gives of its process."""


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics((DETECT, TRIAGE), build_rules(default_settings())[0])


def test_the_table_has_every_metric(metrics: Metrics) -> None:
    """With its labels and what it means."""
    table = rows(section(PAGE, "## Metrics and probes"))
    listed = [row for row in table if row[0].startswith(PREFIXES)]
    assert listed == [
        [family.name, "`, `".join(family.labels), family.meaning] for family in metrics.families
    ]


def test_the_registry_holds_what_the_table_says(metrics: Metrics) -> None:
    """Nothing is exposed that is not in the list, and with no other labels."""
    families = {family.name.removesuffix("_total"): family for family in metrics.families}
    exposed = list(metrics.registry.collect())
    assert sorted(each.name for each in exposed) == sorted(families)
    for each in exposed:
        assert each.documentation == families[each.name].meaning
        for sample in each.samples:
            assert sample.labels.keys() - {"le"} == set(families[each.name].labels)


def named(text: str) -> set[str]:
    """Return the metrics that a text names, without what makes them parts of a histogram."""
    found = re.findall(rf"(?<![\w:])(?:{'|'.join(PREFIXES)})\w+", text)
    return {PARTS.sub("", name) for name in found}


def test_alerts_use_metrics_that_exist(metrics: Metrics) -> None:
    """As do their tests, the page, and what is recorded."""
    known = {family.name for family in metrics.families}
    assert named(ALERTS)
    assert named(ALERTS) | named(CASES) | named(PAGE) <= known
    recorded = set(re.findall(r"record: (\S+)", ALERTS))
    assert set(re.findall(r"\bjob_topic:\S+", ALERTS)) == recorded


@documents
def test_metrics_that_are_named_exist(path: Path, metrics: Metrics) -> None:
    """On every page, not only on that of operations."""
    found = {name for name in named(path.read_text("utf-8")) if name.startswith(PREFIX)}
    assert found <= {family.name for family in metrics.families}


def test_every_alert_says_what_to_do() -> None:
    """On the page under its name, beginning with how bad it is; it has a case of its own."""
    alerts = re.findall(r"- alert: (\w+)\n(.*?)(?=\n\n|\Z)", ALERTS, re.DOTALL)
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == [name for name, _ in alerts]
    for name, text in alerts:
        (severity,) = re.findall(r"severity: (\w+)\n", text)
        entry = section(PAGE, f"### {name}").strip()
        assert entry.startswith(f"{severity.capitalize()}. "), name
        assert f"runbook: docs/operations.md#{name.lower()}" in text
        assert f"alertname: {name}" in CASES


def test_named_finds_metrics_only() -> None:
    """Recorded names have one inside; parts of a histogram are its own."""
    text = "sum(walletwatch_a_total{x=1}) job:walletwatch_b:sum walletwatch_c_seconds_bucket"
    assert named(text) == {"walletwatch_a_total", "walletwatch_c_seconds"}
