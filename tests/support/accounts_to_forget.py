"""Four accounts with an open alert each, of which one is to be forgotten."""

from pathlib import Path

import msgspec

from schemas.topics import ALERTS, DETECT_INPUTS, INCIDENTS
from tests.support.random_runs import PLAIN, POLICY
from tests.support.run_comparison import documents
from worker.detect.stage import detect
from worker.engine.log import Log
from worker.engine.loop import StageWorker
from worker.engine.records import NewRecord
from worker.engine.stage import Stage
from worker.logs.sqlite.log import SqliteLog
from worker.triage.stage import triage

PARTITIONS = 2
ACCOUNTS = ("keeps-1", "goes", "keeps-2", "keeps-3")
NOW = 1_772_500_000_000


def login(account: str, number: int, second: int) -> NewRecord:
    """Return a failed login."""
    event = {
        "event_id": f"{account}-{number}",
        "account_id": account,
        "action": "login",
        "outcome": "failure",
        "reason": "bad_credentials",
        "occurred_at": f"2026-03-02T10:{second // 60:02}:{second % 60:02}Z",
        "device_id": f"phone-of-{account}",
    }
    return NewRecord(DETECT_INPUTS[1], account.encode(), msgspec.json.encode(event))


def heartbeats(minute: int) -> list[NewRecord]:
    """Return a heartbeat for every partition of every input."""
    value = b'{"kind":"heartbeat","occurred_at":"2026-03-02T10:%02d:00Z"}' % minute
    return [NewRecord(t, None, value, n) for t in DETECT_INPUTS for n in range(PARTITIONS)]


def first() -> list[NewRecord]:
    """Return failures of every account, enough for an alert."""
    return [login(a, n, 10 * n) for n in range(6) for a in ACCOUNTS] + heartbeats(20)


def then() -> list[NewRecord]:
    """Return later failures of every account, enough for an alert again."""
    return [login(a, 10 + n, 1500 + 10 * n) for n in range(6) for a in ACCOUNTS] + heartbeats(50)


def work(log: Log) -> None:
    """Run both stages until nothing is left."""
    for stage in (detect(POLICY), triage(POLICY, PARTITIONS)):
        work_in(log, stage)


def work_in(log: Log, stage: Stage) -> None:
    worker = StageWorker(log, stage, range(PARTITIONS), lambda: NOW, PLAIN)
    while worker.run_once():
        pass
    worker.close()


def of(log: Log, account: str) -> list[str]:
    """Return what became of the alerts of an account, in order."""
    return [a["kind"] for _, a in documents(log, ALERTS) if a.get("account_id") == account]


def statuses(log: Log) -> dict[str, str]:
    """Return the newest status per account token."""
    newest = {i["incident_id"]: i for _, i in documents(log, INCIDENTS)}
    return {i["account_token"]: i["status"] for i in newest.values()}


def filled(path: Path) -> SqliteLog:
    """Make a log on which every account has an open alert."""
    log = SqliteLog(path, partitions=PARTITIONS, clock=lambda: NOW)
    log.append(first())
    work(log)
    return log
