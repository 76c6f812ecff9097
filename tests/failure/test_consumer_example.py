"""The example of a consumer prints what was committed, once, and nothing of what was aborted."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from schemas.topics import ALERTS, INCIDENTS
from tests.support.commands import ROOT
from tests.support.crashing_worker import DEADLINE_SECONDS
from tests.support.kafka_place import KafkaPlace
from tests.support.producer import crowd
from tests.support.run_comparison import documents

EXAMPLE = ROOT / "examples" / "consumer" / "consume.py"
ABORTED = b"""{"alert_id": "never-was", "sequence": 1, "kind": "raised", "severity": "error",
 "title": "Aborted."}"""


def consume(script: Path, place: KafkaPlace, group: str) -> list[str]:
    """Run it until it has read everything; return what it printed."""
    options = ["--prefix", place.prefix, "--group", f"{place.prefix}{group}", "--until-read"]
    done = subprocess.run(
        [sys.executable, script, place.url.removeprefix("kafka://"), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def judged(place: KafkaPlace) -> KafkaPlace:
    """A log with alerts and incidents, among which a transaction was aborted."""
    place.fill(crowd(7, 500))
    place.finish()
    with place.foreign_producer(transactional_id=f"{place.prefix}killed") as killed:
        killed.init_transactions()
        killed.begin_transaction()
        killed.send(place.prefix + ALERTS, key=b"provider:x", value=ABORTED)
        killed.flush()
        killed.abort_transaction()
    return place


def test_it_prints_what_was_committed_once(judged: KafkaPlace) -> None:
    """All alerts and the newest state of each incident; a second run goes on behind the first."""
    with closing(judged.open()) as log:
        alerts = {(alert["alert_id"], alert["kind"]) for _, alert in documents(log, ALERTS)}
        incidents = documents(log, INCIDENTS)
        count = len(documents(log, ALERTS)) + len(incidents)
    said = consume(EXAMPLE, judged, "first")
    printed = [tuple(line.split()[:3]) for line in said]
    assert {each[1:] for each in printed if each[0] == "alert"} == alerts
    newest = {key: incident["status"] for key, incident in incidents}
    assert {name: status for what, name, status in printed if what == "incident"} == newest
    assert not [line for line in said if "never-was" in line]
    assert len(said) == count > len(alerts) > 1
    assert consume(EXAMPLE, judged, "first") == []


def test_without_read_committed_it_prints_what_never_was(
    judged: KafkaPlace, tmp_path: Path
) -> None:
    """Which shows that the setting, and the test of it, are not idle."""
    careless = tmp_path / "consume.py"
    text = EXAMPLE.read_text("utf-8")
    assert text.count('"read_committed"') == 1
    careless.write_text(text.replace('"read_committed"', '"read_uncommitted"'), "utf-8")
    assert [line for line in consume(careless, judged, "second") if "never-was" in line]
