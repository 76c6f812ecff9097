"""Docs promise only what works: topics with readers and writers, fields and values of records.

What a run of both stages publishes is compared with what `schemas` says of it, from which
docs/topics.md is written. What is not there yet is "coming" there.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, get_args, get_origin

import pytest
from typer.testing import CliRunner

from rules.registry import ALL
from schemas.alert import Alert
from schemas.base import Published
from schemas.examples import EXAMPLES
from schemas.incident import Incident
from schemas.topics import (
    ALERTS,
    DEAD_LETTERS,
    DETECT_INPUTS,
    INCIDENT_UPDATES,
    INCIDENTS,
    KINDS,
    LATE,
    NOTIFICATIONS,
    SIGNALS,
    TOPICS,
    topic,
)
from tests.support.events.arrivals import deliver
from tests.support.events.traffic import live
from tests.support.random_runs import POLICY
from tests.support.run_comparison import documents
from worker.cli.app import app
from worker.detect.handler import Horizons
from worker.detect.stage import DETECT, Policy, detect
from worker.engine.log import Log, stored
from worker.engine.loop import StageWorker
from worker.engine.records import NewRecord
from worker.engine.stage import Pace
from worker.logs.memory import MemoryLog
from worker.logs.sqlite.log import SqliteLog
from worker.triage.stage import TRIAGE, triage

SEEDS: Final = range(20)
LATE_SHARE: Final = 0.1
RULES: Final = (
    *(rule(rule.Params()) for rule in ALL),
    *(rule(rule.Params(), mode="shadow") for rule in ALL),
)
GARBAGE: Final = b"{}"
COMING: Final = "Coming: "
ALERTS_ONLY: Final = "on alerts only"
PUBLISHED: Final[Mapping[str, type[Published]]] = {ALERTS: Alert, INCIDENTS: Incident}
CONSTANT: Final = {"status_detail"}
"""Fields that are always published, with their default."""
LISTED: Final = ("kind", "severity", "status", "status_detail", "priority", "resolution")
"""Fields whose values are promised one by one."""

published = pytest.mark.parametrize("name", PUBLISHED)


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    """What both stages make of random traffic with late events, few open alerts, and garbage."""
    horizons = Horizons(max_open_alerts=2)
    policy = Policy(rules=RULES, known_rules=RULES, dead_letter_limit=None, horizons=horizons)
    return [_run(seed, policy) for seed in SEEDS]


def _run(seed: int, policy: Policy) -> Log:
    rng = Random(seed)
    arrival = deliver(rng, live(rng), 1, LATE_SHARE)
    log = MemoryLog(partitions=1)
    log.append([record for stream in arrival.streams.values() for record in stream])
    log.append([NewRecord(SIGNALS, b"auth", GARBAGE, 0)])
    pace = Pace(poll_records=500, idle_advances=False, progress_interval=0)
    for stage in (detect(policy), triage(policy, 1)):
        worker = StageWorker(log, stage, [0], lambda: 0, pace)
        while worker.run_once():
            pass
        worker.close()
    return log


# -- topics -------------------------------------------------------------------------------


def written(logs: Iterable[Log]) -> set[str]:
    """Return the topics that have records."""
    return {each.name for log in logs for each in TOPICS for _ in stored(log, each.name)}


def test_topics_are_read_by_the_stages_that_they_name() -> None:
    """Inputs of stages, and no other topic, have a stage as their reader."""
    stages = {DETECT: detect(POLICY), TRIAGE: triage(POLICY, 1)}
    named = {name: {each.name for each in TOPICS if name in each.read_by} for name in stages}
    assert named == {name: set(stage.inputs) for name, stage in stages.items()}


def test_topics_are_written_by_the_stages_that_they_name(logs: list[Log]) -> None:
    """They have records after a run, and no others have; of originals, headers name the stage."""
    ours = {each.name for each in TOPICS if {DETECT, TRIAGE} & {*each.written_by}}
    assert written(logs) - {*DETECT_INPUTS} == ours
    for name in (LATE, DEAD_LETTERS):
        headers = [dict(record.headers) for log in logs for _, record in stored(log, name)]
        stages = {each["dlq_stage"].decode() for each in headers}
        assert stages == {*topic(name).written_by} & {DETECT, TRIAGE}


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.topic])
def test_ingest_writes_to_the_topics_that_name_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside those that you write: a line of a kind that is coming is a dead letter."""
    monkeypatch.chdir(tmp_path)
    Path("events.ndjson").write_text(json.dumps(EXAMPLES[name]))
    own = topic(KINDS[name].topic or "")
    done = CliRunner().invoke(app, ["ingest", "events.ndjson"])
    log = SqliteLog(Path("walletwatch.db"))
    found = written([log])
    log.close()
    assert found == {DEAD_LETTERS if own.is_coming else own.name}
    assert (done.exit_code == 1) == own.is_coming
    assert "ingest" in topic(DEAD_LETTERS).written_by


def test_a_topic_without_reader_or_writer_is_coming() -> None:
    """Its description says so, and so does that of its records."""
    assert {each.name for each in TOPICS if each.is_coming} == {INCIDENT_UPDATES, NOTIFICATIONS}
    for each in TOPICS:
        said = {text.startswith(COMING) for text in (each.description, each.model.__doc__ or "")}
        assert said == {each.is_coming}, each.name


# -- fields -------------------------------------------------------------------------------


def promised(
    model: type[Published], whole: type[Published], name: str = ""
) -> Iterator[tuple[str, bool]]:
    """Yield (field, whether something fills it, as its description says), parts with a dot.

    Args:
        whole: the record that the model is a part of.
    """
    for own, field in model.model_fields.items():
        text, path = field.description or "", f"{name}{own}"
        parts = (field.annotation, *get_args(field.annotation))
        yield path, not text.startswith(COMING) and (whole is Alert or ALERTS_ONLY not in text)
        if not text.startswith(COMING):
            for part in _records_of(parts):
                yield from promised(part, whole, f"{path}.")


def _records_of(parts: Iterable[Any]) -> list[type[Published]]:
    return [each for each in parts if isinstance(each, type) and issubclass(each, Published)]


def filled(document: Mapping[str, Any], model: type[Published], name: str = "") -> Iterator[str]:
    """Yield the fields of a record that have another value than their default."""
    for own, value in document.items():
        if value in (None, [], {}, (), model.model_fields[own].default):
            continue
        yield f"{name}{own}"
        field = model.model_fields[own]
        for part in _records_of((field.annotation, *get_args(field.annotation))):
            for inner in value if isinstance(value, list) else [value]:
                yield from filled(inner, part, f"{name}{own}.")


def records(logs: Iterable[Log], name: str) -> list[dict[str, Any]]:
    """Return what was published on a topic, tombstones left out."""
    found = [each for log in logs for _, each in documents(log, name)]
    return [each for each in found if "tombstone" not in each]


@published
def test_fields_are_filled_unless_they_are_coming(name: str, logs: list[Log]) -> None:
    """And what is coming never is."""
    model = PUBLISHED[name]
    found = {each for record in records(logs, name) for each in filled(record, model)}
    fields = promised(model, model)
    assert found == {each for each, is_filled in fields if is_filled and each not in CONSTANT}


@published
def test_values_are_used_unless_they_are_coming(name: str, logs: list[Log]) -> None:
    """A value that no record has is named as coming by the description of its field."""
    model, found = PUBLISHED[name], records(logs, name)
    for own in sorted({*LISTED} & model.model_fields.keys()):
        field = model.model_fields[own]
        values = values_of(field.annotation)
        used = {record[own] for record in found if own in record}
        assert coming(field.description or "") & values == values - used, own


def values_of(annotation: Any) -> set[str]:
    """Return the values of a literal, which may be optional."""
    parts = [each for each in (annotation, *get_args(annotation)) if get_origin(each) is Literal]
    return {value for each in parts for value in get_args(each)}


def coming(description: str) -> set[str]:
    """Return the words of the clauses of a description that say that something is coming."""
    clauses = re.split(r"[;.]", description)
    return {word for each in clauses if "oming" in each for word in re.findall(r"\w+", each)}


def test_what_is_coming_is_seen() -> None:
    """Only words of the same clause are."""
    assert coming("open, then resolved; acknowledged is coming.") == {
        "acknowledged", "is", "coming",
    }  # fmt: skip
    assert coming("standalone. Coming: parent or child.") >= {"parent", "child"}
    assert "standalone" not in coming("standalone. Coming: parent or child.")
