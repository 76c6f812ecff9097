"""Shadow mode: other thresholds on the same stream, which nobody notices but who looks for them."""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest
from typer.testing import CliRunner

from rules.builders import ACCOUNT, txn
from rules.registry import ALL
from schemas.time import format_time
from schemas.topics import ALERTS, ALERTS_SHADOW, DETECT_INPUTS, KINDS, SIGNALS, TRANSACTIONS
from tests.support.events.arrivals import deliver, in_order
from tests.support.events.traffic import DAY, MINUTE, START, Event, live
from tests.support.random_runs import PLAIN, endure, run_plainly
from tests.support.run_comparison import comparable, documents
from worker.cli.app import app
from worker.config.load import load_settings
from worker.config.rule_settings import build_rules
from worker.config.settings import Settings
from worker.detect.stage import Policy, detect
from worker.engine.log import Log, stored
from worker.engine.loop import StageWorker
from worker.engine.records import NewRecord
from worker.evaluate.compare import Run, compare
from worker.explain.lives import lives_of
from worker.logs.memory import MemoryLog
from worker.run.open_log import open_log
from worker.tokens import Tokens
from worker.triage.stage import triage

SEEDS = range(12)
A1: Final = "failed_payment_sufficient_balance"
CANDIDATE: Final = f"""
[rules.{A1}]
retry_grace_ms = 20000
max_balance_age_ms = 1500
silent_families = ["fraud"]
[rules.balance_mismatch]
tolerance_minor = 1
gap_info_ms = 1000
[rules.unauthorized_transaction]
warning_points = 60
points_new_device = 0
[rules.account_lockout]
policy_limit = 4
overdue_grace_ms = 1000
[rules.cannot_log_in]
threshold = 6
absence_ms = 60000
"""
KIND_OF: Final = {kind.topic: name for name, kind in KINDS.items()}

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a candidate, and with thresholds that change nothing."""
    monkeypatch.chdir(tmp_path)
    Path("candidate.toml").write_text(CANDIDATE)
    Path("a.toml").touch()


def settings(candidate: bool) -> Settings:
    """Return the settings without any configuration, perhaps with the candidate."""
    file = Path("candidate.toml") if candidate else None
    return load_settings(None, {}, shadow_file=file).settings


def policy(candidate: bool, **fields: Any) -> Policy:
    """Return the policy of these settings."""
    running, known = build_rules(settings(candidate))
    return Policy(rules=running, known_rules=known, dead_letter_limit=None, **fields)


def write(events: list[Event]) -> None:
    """Write events to a file."""
    lines = [
        msgspec.json.encode({"kind": KIND_OF[event.topic]} | msgspec.json.decode(event.value))
        for event in events
    ]
    Path("events.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))


def side(log: Log, topic: str, rules: Path | None) -> Run:
    """Return what stands on a topic of alerts, as found with the parameters of a file."""
    own = load_settings(None, {}, rules).settings
    _, known = build_rules(own)
    return Run(
        rules={rule.id: rule for rule in known if rule.mode == "live"},
        modes={rule.id: own.rules.mode_of(rule.id) for rule in own.rules.known},
        lives=lives_of(record.value or b"" for _, record in stored(log, topic)),
    )


def on_the_stream(log: Log) -> Any:
    """Return how the alerts in shadow differ from the live ones."""
    found = compare(side(log, ALERTS, None), side(log, ALERTS_SHADOW, Path("candidate.toml")))
    return json.loads(msgspec.json.encode(found))


def by_replaying() -> Any:
    """Return what `rules diff` says of events.ndjson."""
    ended = run(app, ["rules", "diff", "a.toml", "candidate.toml", "events.ndjson", "--json"])
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)["differences"]


def test_shadow_on_the_stream_differs_as_rules_diff_says_and_changes_nothing() -> None:
    """In disorder, with redeliveries, over crashes and restarts, in any number of tasks.

    Ids, severities and what decided are the same; live alerts and incidents are those of a run
    that has no rule in shadow.
    """
    seen: Counter[str] = Counter()
    crashes = 0
    for seed in SEEDS:
        rng = Random(seed)
        events = live(rng)
        log = endure(rng, deliver(rng, events, rng.randint(1, 4)), policy=policy(True))
        write(events)
        found = on_the_stream(log)
        assert found == by_replaying(), f"seed {seed}"
        assert comparable(log) == comparable(run_plainly(in_order(events), policy=policy(False)))
        seen.update(name for each in found for name in (each["change"], each["rule"]))
        crashes += log.crashes
    changes = ("removed", "added", "changed", "moved")
    assert min(seen[name] for name in (*changes, *(rule.id for rule in ALL))) >= 3, seen
    assert crashes >= len(SEEDS)


def test_shadow_alerts_go_to_their_topic_only() -> None:
    """And say that they are; no signal tells triage of them, nor counts anything twice."""
    events = in_order(live(Random(1)))
    with_it = run_plainly(events, policy=policy(True))
    without = run_plainly(events, policy=policy(False))
    modes = {
        topic: {alert["mode"] for _, alert in documents(with_it, topic)}
        for topic in (ALERTS, ALERTS_SHADOW)
    }
    assert modes == {ALERTS: {"live"}, ALERTS_SHADOW: {"shadow"}}
    assert list(stored(without, ALERTS_SHADOW)) == []
    told = [sorted(map(repr, documents(log, SIGNALS))) for log in (with_it, without)]
    assert told[0] == told[1]


def test_a_run_on_sqlite_differs_as_rules_diff_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the commands alone; the ids are those of files, which have no key of their own."""
    monkeypatch.setenv("WALLETWATCH_TOKENS__KEY_ID", "public")
    write(sorted(live(Random(7)), key=lambda event: event.at))
    log = ["--log", "sqlite:///log.db"]
    run(app, ["ingest", "events.ndjson", "--end", *log])
    ended = run(app, ["run", "--until-ended", "--shadow", "candidate.toml", *log])
    assert ended.exit_code == 0, ended.stderr
    opened = open_log("sqlite:///log.db")
    found = on_the_stream(opened)
    opened.close()
    assert found == by_replaying()
    assert len(found) >= 3


def work(log: MemoryLog, by: Policy) -> None:
    """Run both stages until there is nothing to do."""
    for stage in (detect(by), triage(by, 1)):
        worker = StageWorker(log, stage, [0], lambda: 0, PLAIN)
        while worker.run_once():
            pass
        worker.close()


def until(at: int) -> list[NewRecord]:
    """Return heartbeats of every input: time has come to `at`."""
    beat = msgspec.json.encode({"kind": "heartbeat", "occurred_at": format_time(at)})
    return [NewRecord(topic, None, beat, 0) for topic in DETECT_INPUTS]


def test_a_candidate_that_was_removed_leaves_nothing_open() -> None:
    """What it had raised expires, in shadow; its state is read by who does not run it."""
    events = live(Random(3))
    last = max(event.at for event in events)
    log = MemoryLog(partitions=1)
    log.append(in_order(events)[: len(events)] + until(last + MINUTE))
    work(log, policy(True))
    before = [alert for _, alert in documents(log, ALERTS_SHADOW)]
    log.append(until(last + 9 * DAY))
    work(log, policy(False))
    after = [alert for _, alert in documents(log, ALERTS_SHADOW)][len(before) :]
    assert {(alert["kind"], alert["mode"]) for alert in after} == {("expired", "shadow")}
    assert {alert["alert_id"] for alert in after} <= {alert["alert_id"] for alert in before}


def test_a_candidate_that_comes_later_begins_with_nothing() -> None:
    """A log that was worked on without one is read with one."""
    events = in_order(live(Random(3)))
    log = MemoryLog(partitions=1)
    log.append(events[:150])
    work(log, policy(False))
    log.append(events[150:])
    work(log, policy(True))
    assert comparable(log) == comparable(run_plainly(events, policy=policy(False)))
    assert list(stored(log, ALERTS_SHADOW)) != []


def refused(code: str, number: int) -> NewRecord:
    """Return the same payment refused although it is covered, for another reason each time."""
    proof = {"available_balance": "50.00", "failure_code_system": "internal", "failure_code": code}
    at = format_time(START + number * MINUTE)
    event = txn("t1", "00:00:00", "failed", **proof, event_id=f"e{number}", occurred_at=at)
    return NewRecord(TRANSACTIONS, ACCOUNT.encode(), msgspec.json.encode(event), 0)


def test_an_alert_in_shadow_gives_its_token_to_no_live_one() -> None:
    """After a rotation only a live alert that is still open keeps the former token in use."""
    former, present = ("k1", b"0123456789abcdef"), ("k2", b"fedcba9876543210")
    found = {}
    for candidate in (True, False):
        log = MemoryLog(partitions=1)
        log.append([refused("limit_exceeded", 1), *until(START + 2 * MINUTE)])
        work(log, policy(candidate, tokens=Tokens(former)))
        log.append([refused("insufficient_funds", 3), *until(START + 4 * MINUTE)])
        work(log, policy(candidate, tokens=Tokens(present, former)))
        found[candidate] = [alert["dedup_key"] for _, alert in documents(log, ALERTS)]
    token = Tokens(present).of(f"{ACCOUNT}\0t1")
    assert found[True] == found[False] == [f"{A1}:transaction:{token}"]
