"""A folder with a log and files in which marked events have been through every command."""

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from rules.registry import ALL
from schemas.privacy import (
    ALERT,
    EXPLAINED,
    FILE_NAMES,
    INCIDENT,
    ORIGINALS,
    PLACES,
    SPOKEN,
    STATE,
    DataPlace,
    place_of,
)
from schemas.topics import ALERTS, INCIDENTS, LOGINS, TOPICS, TRANSACTIONS
from tests.support.events.canary_values import (
    ACCOUNT,
    MONEY,
    NAMES,
    found_by_every_rule,
    full,
    full_balance,
    full_login,
    line,
)
from worker.cli.app import app
from worker.engine.log import stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord
from worker.logs.sqlite.log import SqliteLog
from worker.run import runner
from worker.tokens import Tokens

PARTITIONS: Final = 2
KEY: Final = b"Zursecretkey0123456789"
SECRETS: Final = (KEY, b"Zursecretpassword", b"Zursecretvalue")
_TOLD_PER_RULE: Final = 4
_SHOWN: Final = 8
RAISES: Final = f"{ACCOUNT}-raises"
CONFIG: Final = """
log = { url = "sqlite:///wallet.db", partitions = 2 }
tokens = { key_id = "k1", key_file = "secret.key" }
shadow.rules_file = "candidate.toml"
metrics.port = 0
"""
CANDIDATE: Final = "[rules.cannot_log_in]\nthreshold = 3\n"


@dataclass
class Captured:
    """All that was written, kept or printed, by place: (where, bytes)."""

    places: dict[DataPlace, list[tuple[str, bytes]]] = field(
        default_factory=lambda: {place: [] for place in PLACES}
    )
    exits: dict[str, int] = field(default_factory=dict)

    def add(self, place: DataPlace, where: str, content: bytes) -> None:
        """Keep content of a place."""
        self.places[place].append((where, content))

    def of(self, place: DataPlace) -> bytes:
        """Return all content of a place, each record and line once."""
        return b"\n\n".join({content for _, content in self.places[place]})

    def text(self, where: str) -> str:
        """Return what a command has printed."""
        return b"".join(
            content for each in self.places.values() for name, content in each if name == where
        ).decode()


class CanaryScene:
    """A folder with a configuration, a log and files, and commands that work on them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.evidence = Captured()
        self.events: list[dict[str, Any]] = []
        self.anchors: set[str] = set()
        """Of all alerts that were raised."""
        monkeypatch.chdir(folder)
        (folder / "walletwatch.toml").write_text(CONFIG)
        (folder / "candidate.toml").write_text(CANDIDATE)
        (folder / "secret.key").write_bytes(KEY)
        (folder / "secret.key").chmod(0o600)

    @property
    def tokens(self) -> Tokens:
        """The tokens of the configured key."""
        return Tokens(("k1", KEY))

    def write(self, name: str, lines: list[bytes]) -> str:
        """Write a file of lines and return its name."""
        (self.folder / name).write_bytes(b"\n".join(lines) + b"\n")
        return name

    def call(self, place: DataPlace, *words: str, **environment: str) -> str:
        """Run a command, keep what it prints under its words, and return that."""
        done = CliRunner().invoke(app, list(words), env=environment)
        where = " ".join([*environment, *words])
        printed = (done.stdout + done.stderr).encode()
        self.evidence.add(place, where, printed)
        self.evidence.exits[where] = done.exit_code
        return printed.decode()

    def take_log(self) -> None:
        """Keep every record of every topic, and every byte of saved state."""
        log = SqliteLog(self.folder / "wallet.db")
        for topic in TOPICS:
            for _, record in stored(log, topic.name):
                parts = (record.key or b"", record.value or b"")
                self.evidence.add(place_of(topic.name), topic.name, b"\n".join(parts))
                for name, text in record.headers:
                    self.evidence.add(SPOKEN, f"{topic.name}, header {name}", text)
        log.close()
        with sqlite3.connect(self.folder / "wallet.db") as db:
            for key, value in db.execute("SELECT key, value FROM states"):
                self.evidence.add(STATE, "states", bytes(key) + b"\n" + bytes(value))
            for (meta,) in db.execute("SELECT meta FROM tasks WHERE meta IS NOT NULL"):
                self.evidence.add(STATE, "tasks", bytes(meta))
        db.close()

    def take_files(self) -> None:
        """Keep the names of all files."""
        for path in self.folder.rglob("*"):
            self.evidence.add(FILE_NAMES, "names", str(path.relative_to(self.folder)).encode())


# -- what is sent -------------------------------------------------------------------------


def good() -> list[dict[str, Any]]:
    """Return events of which every rule finds something, with marked amounts among them."""
    wrong_row = full("row") | {"status": "completed", "available_balance": None}
    events = [
        full("failed"),
        {name: value for name, value in wrong_row.items() if value is not None},
        full_balance("failed"),
        *[
            full_login("raises")
            | {"event_id": f"{NAMES['event_id']}-r{n}", "occurred_at": f"2026-03-02T10:00:0{n}Z"}
            for n in range(5)
        ],
        full("raises") | {"status": "pending"},
        *found_by_every_rule(),
    ]
    return sorted(events, key=lambda event: str(event["occurred_at"]))


def bad_lines() -> list[tuple[str, bytes]]:
    """Return marked lines that are wrong, with the reason."""
    text, money = line(full_login("bad")), line(full("bad"))
    head = text[:-1]
    return [
        ("too_large", head + b" " * 300_000 + b"}"),
        ("not_utf8", text.replace(b"Zurdevice", b"Zurdevice\xf6")),
        ("not_json", text[:-1]),
        ("too_deep", head + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}"),
        ("duplicate_key", head + b',"ip":"2001:db8:5afe:f1d0:beef:1234:5678:9abc"}'),
        ("schema", text.replace(b'"failure"', b'"Zurwords"')),
        ("schema", text.replace(b'"occurred_at":"', b'"occurred_at":"Zurwords ')),
        ("currency", money.replace(b"EUR", b"EUX")),
        ("amount", money.replace(b'"7341905.83"', b"7341905.83")),
        ("unsupported_version", head + b',"schema_version":7}'),
    ]


def bad_records() -> list[NewRecord]:
    """Return marked records that only a log can hold."""
    account = f"{ACCOUNT}-bad"
    text = line(full_login("bad"))
    right = partition_of(account.encode(), PARTITIONS)
    other = full_login("bad") | {"event_id": f"{NAMES['event_id']}-again"}
    return [
        NewRecord(LOGINS, b"somebody", text, partition_of(b"somebody", PARTITIONS)),
        NewRecord(LOGINS, account.encode(), text, right ^ 1),
        NewRecord(LOGINS, account.encode(), text.replace(b"2026", b"2199"), right),
        NewRecord(LOGINS, account.encode(), line(other), right),
        NewRecord(LOGINS, account.encode(), line(other | {"asn": 7}), right),
        *(NewRecord(LOGINS, account.encode(), raw, right) for _, raw in bad_lines()[:7]),
        *(NewRecord(TRANSACTIONS, account.encode(), raw, right) for _, raw in bad_lines()[7:]),
    ]


def late() -> list[dict[str, Any]]:
    """Return marked events that come after others of much later time."""
    return [
        full("failed") | {"event_id": f"{NAMES['event_id']}-late", "status": "completed"},
        full_login("late"),
    ]


# -- the paths ----------------------------------------------------------------------------


def on_the_log(scene: CanaryScene) -> None:
    """Ingest, append what only a log can hold, run, look at everything."""
    in_time, strays = good(), late()
    scene.events = [*in_time, *strays]
    scene.write("good.ndjson", [line(event) for event in in_time])
    scene.write("late.ndjson", [line(e) for e in [*strays, *in_time[:5], *in_time[-5:]]])
    scene.write("bad.ndjson", [raw for _, raw in bad_lines()])
    scene.call(SPOKEN, "ingest", "good.ndjson", "--json")
    log = SqliteLog(scene.folder / "wallet.db")
    log.append(bad_records())
    log.close()
    scene.call(SPOKEN, "ingest", "bad.ndjson")
    scene.call(SPOKEN, "ingest", "late.ndjson", "--end")
    scene.call(SPOKEN, "run", "--until-ended", "--json")
    scene.call(SPOKEN, "run", "--until-ended")
    for topic in TOPICS:
        place = place_of(topic.name)
        scene.call(place, "tail", topic.name, "--from-start")
        scene.call(place, "tail", topic.name, "--from-start", "--json")
    scene.call(INCIDENT, "incidents", "list", "--all")
    scene.call(INCIDENT, "incidents", "list", "--all", "--json")
    scene.call(INCIDENT, "incidents", "list", "--all", "--account", f"{ACCOUNT}-failed")
    log = SqliteLog(scene.folder / "wallet.db")
    incidents = {(record.key or b"").decode() for _, record in stored(log, INCIDENTS)}
    alerts: dict[str, list[str]] = {}
    for _, record in stored(log, ALERTS):
        alert = json.loads(record.value or b"")
        if alert["kind"] == "raised":
            alerts.setdefault(alert["rule"], []).append(alert["alert_id"])
    log.close()
    for incident in sorted(incidents)[:_SHOWN]:
        scene.call(INCIDENT, "incidents", "show", incident)
        scene.call(INCIDENT, "incidents", "show", incident, "--json")
        scene.call(EXPLAINED, "explain", incident[:12])
        scene.call(EXPLAINED, "explain", incident, "--json")
    for ids in alerts.values():
        for each in ids[:_TOLD_PER_RULE]:
            scene.call(EXPLAINED, "explain", each)
        scene.call(EXPLAINED, "explain", ids[0], "--json")
        scene.call(EXPLAINED, "explain", ids[0], "--from-history")
    scene.call(EXPLAINED, "explain", f"{NAMES['event_id']}-failed")
    scene.call(EXPLAINED, "explain", NAMES["event_id"])
    scene.call(EXPLAINED, "explain", NAMES["event_id"], "--json")
    for more in ((), ("--json",), ("--shadow",), ("--account", f"{ACCOUNT}-failed")):
        scene.call(ALERT, "alerts", "list", *more)
    for words in (("--rule", "A9"), ("--since", ACCOUNT)):
        scene.call(SPOKEN, "alerts", "list", *words)
        scene.call(SPOKEN, "incidents", "list", *words)
    scene.call(SPOKEN, "explain", ACCOUNT)
    scene.call(SPOKEN, "explain", ACCOUNT[:3])


def in_files(scene: CanaryScene) -> None:
    """Validate, replay, convert, compare thresholds."""
    spoilt = full_login("mended") | {"network": "Zurwords", "user_agent": "Zurwords " * 40}
    scene.write("mended.ndjson", [line(spoilt)])
    for words in (["validate"], ["validate", "--strict", "--json"]):
        scene.call(SPOKEN, *words, "good.ndjson", "bad.ndjson", "mended.ndjson")
    scene.call(SPOKEN, "replay", "good.ndjson", "bad.ndjson", "--out", "found", "--json")
    scene.call(SPOKEN, "replay", "good.ndjson", "late.ndjson", "--as-is", "--out", "found-too")
    for folder in ("found", "found-too"):
        for name, place in _WRITTEN.items():
            content = (scene.folder / folder / name).read_bytes()
            scene.evidence.add(place, f"{folder}/{name}", content)
    scene.write("now.toml", [b""])
    for more in ((), ("--json",)):
        scene.call(SPOKEN, "rules", "diff", "now.toml", "candidate.toml", "good.ndjson", *more)
    plant = {"rule": "cannot_log_in", "variant": "plain", "expect": "alert", "severity": "info"}
    missed = plant | {"event_ids": [f"{NAMES['event_id']}-missed"], "at": "2026-03-02T10:00:00Z"}
    scene.write("truth.ndjson", [line(missed | {"account_id": f"{ACCOUNT}-missed"})])
    scene.call(EXPLAINED, "replay", "good.ndjson", "--truth", "truth.ndjson")
    scene.call(EXPLAINED, "replay", "good.ndjson", "--truth", "truth.ndjson", "--json")
    for rule in ALL:
        scene.call(SPOKEN, "rules", "explain", rule.code, "--json")
    _convert(scene)


_WRITTEN: Final = {
    "alerts.ndjson": ALERT,
    "incidents.ndjson": INCIDENT,
    "dead-letters.ndjson": ORIGINALS,
    "late.ndjson": ORIGINALS,
}


def _convert(scene: CanaryScene) -> None:
    """A table of a foreign shape with a row that does not fit."""
    row = ",".join([f"{ACCOUNT}-csv", NAMES["event_id"], MONEY["balance"], "2026-03-02T10:00:00Z"])
    wrong = row.replace("2026", "Zurwords").encode()
    scene.write(
        "table.csv", [b"who,id,money,when", row.encode(), wrong, row.encode() + b",Zurwords"]
    )
    scene.write("map.toml", [_MAPPING.encode()])
    words = ("convert", "table.csv", "--mapping", "map.toml", "--output", "events.ndjson")
    scene.call(SPOKEN, *words, "--rejects", "rejects.ndjson")
    scene.call(SPOKEN, *words, "--json")
    scene.evidence.add(SPOKEN, "rejects", (scene.folder / "rejects.ndjson").read_bytes())


_MAPPING: Final = """
[input]
format = "csv"
[[event]]
kind = "balance"
[event.fields]
account_id = "who"
event_id = "id"
balance = "money"
balance_kind = { constant = "posted" }
source = { constant = "ledger" }
currency = { constant = "EUR" }
occurred_at = "when"
as_of = "when"
"""


def go_wrong(scene: CanaryScene, patch: pytest.MonkeyPatch) -> None:
    """Wrong settings, and a defect in the worker."""
    event = line(full("crash")).decode()

    def crash(*_: object) -> None:
        raise RuntimeError(f"cannot handle {event} with {KEY.decode()}")

    with patch.context() as broken:
        broken.setattr(runner.Runner, "run", crash)
        scene.call(SPOKEN, "run")
    bad = "engine.dedup_horizon_ms = 'Zursecretvalue'\ntokens.key = 'Zursecretvalue'\n"
    (scene.folder / "bad.toml").write_text(bad)
    scene.call(SPOKEN, "config", "check", "--config", "bad.toml")
    scene.call(SPOKEN, "config", "check", "--config", "bad.toml", "--json")
    scene.call(SPOKEN, "config", "check")
    scene.call(SPOKEN, "config", "show")
    scene.call(SPOKEN, "config", "show", "--json")
    url = "kafka://user:Zursecretpassword@broker:9092"
    scene.call(SPOKEN, "tail", ALERTS, WALLETWATCH_LOG__URL=url)
    scene.call(SPOKEN, "config", "show", WALLETWATCH_LOG__URL=url)
    scene.call(SPOKEN, "config", "check", WALLETWATCH_ENGINE__POLL_RECORDS="Zursecretvalue")
    scene.call(SPOKEN, "config", "check", WALLETWATCH_TOKENS__KEY="Zursecretvalue")
