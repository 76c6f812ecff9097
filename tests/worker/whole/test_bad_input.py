"""Bad input from end to end: dead letter or clear sentence, and the rest goes on unchanged."""

import gzip
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.bad_input import (
    CLEAN_ACCOUNTS,
    LAST,
    Ordeal,
    dead_letters,
    differences,
    judge_replay,
    main,
    of_clean_accounts,
    quoted,
)
from rules.contract import AnyRule, Params, Rule, State
from rules.effects import Effects
from rules.facts import Facts
from schemas.dead_letter import DEAD_LETTER_REASONS
from schemas.time import parse_time
from schemas.topics import ALERTS, DETECT_INPUTS, LATE
from tests.support.events.mutations import (
    clean_events,
    compact,
    full_login,
    full_transaction,
    mutants,
)
from tests.support.run_comparison import documents
from worker.cli.app import app
from worker.codec.bad_record import BadRecord
from worker.codec.lines import place, read_lines
from worker.detect.stage import detect
from worker.engine.log import stored
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.outcomes import Counts, FieldMended, PassedOver, summed
from worker.engine.records import NewRecord
from worker.engine.stage import Pace, Stage
from worker.errors import CheckFailed
from worker.logs.sqlite.log import SqliteLog
from worker.run.replay import replay
from worker.triage.stage import triage

PARTITIONS = 4
TOPIC_OF = dict(zip(("transaction", "login", "balance"), DETECT_INPUTS, strict=True))
LATER = {"stale_update", "unknown_incident"}
"""Reasons of incident updates, which nothing reads yet."""


def clean() -> list[bytes]:
    """Return clean events of which every rule finds something."""
    return [compact(event) for event in clean_events(CLEAN_ACCOUNTS)]


def named(lines: list[bytes]) -> list[tuple[str, int, bytes]]:
    """Return lines as they come from one file."""
    return [("events.ndjson", number, line) for number, line in enumerate(lines, 1)]


# -- 2,000 mutants (100,000 in bench/) ----------------------------------------------------


def test_every_rule_finds_something_of_the_clean_accounts() -> None:
    """Or else nothing would be shown by their being unchanged."""
    alerts, incidents = of_clean_accounts(replay(named(clean()), Ordeal().policy).log)
    for rule in ("failed_payment_sufficient_balance", "balance_mismatch", "cannot_log_in"):
        assert sum(f'"rule":"{rule}"' in alert for alert in alerts) >= 10
    assert len(incidents) >= 30


@pytest.mark.parametrize("partitions", [1, 3])
def test_2000_mutants_are_accounted_for_and_change_nothing_for_others(partitions: int) -> None:
    problems, dead = judge_replay(2000, seed=partitions, partitions=partitions)
    assert problems == []
    assert dead.total() > 500
    assert len(dead) >= 8


def test_what_goes_wrong_is_told_and_makes_the_command_fail() -> None:
    """A rule that raises, here: the verdict is not always good."""
    said: list[str] = []
    assert main(["200", "7"], said.append) == 0
    assert said[-1] == "  ok: all accounted for, clean accounts unchanged"
    ordeal = Ordeal()
    result = replay(named(clean()), ordeal.policy)
    ordeal.witness.seen.pop()
    assert "accounted for" in ordeal.account_for(len(clean()), result.log, result.counts)[0]
    other = replay(named(clean()[5:]), Ordeal().policy)
    assert len(differences(result.log, other.log)) == 2


def test_wrong_values_that_nothing_needs_change_nothing_that_is_found() -> None:
    """The same alerts and incidents as of events without such fields."""
    junk: dict[str, Any] = {
        "app_version": "7.1 beta",
        "user_agent": "Mozilla/5.0 " * 40,
        "failure_reason": "cannot\r\nbe done \ud83d",
        "extra": {str(number): "x" for number in range(17)},
        "country": "Germany",
        "network": "5g",
        "counterparty_id": "Jane Doe",
        "lock_until": "9999-12-31T23:59:59Z",
    }
    plain = clean_events(CLEAN_ACCOUNTS)
    spoilt = [json.dumps(event | junk).encode() for event in plain]
    found = [replay(named(lines), Ordeal().policy) for lines in (clean(), spoilt)]
    without, beside = (
        sorted(
            tuple(str(alert[name]) for name in ("alert_id", "kind", "severity", "title", "at"))
            for _, alert in documents(result.log, ALERTS)
        )
        for result in found
    )
    assert without == beside
    assert len(without) >= 90
    assert dead_letters(found[1].log) == {}
    mended = summed(found[1].counts, FieldMended, ("field", "how"))
    assert mended["user_agent: cut"] == sum(event["kind"] == "login" for event in plain)
    assert mended["failure_reason: cleaned"] == sum(e["kind"] == "transaction" for e in plain)
    assert mended["extra: dropped"] == len(plain)


class Server:
    """Both stages on a SQLite log whose clock follows the events that are appended."""

    def __init__(self, path: Path, *more: AnyRule) -> None:
        self.now = parse_time("2026-03-02T00:00:00Z")
        self.log = SqliteLog(path, partitions=PARTITIONS, clock=lambda: self.now)
        self.ordeal = Ordeal(more)
        self.counts = Counts()
        self._waiting: list[NewRecord] = []

    def give(self, time: str, record: NewRecord) -> None:
        """Append at that time, as fast as may be."""
        if (now := parse_time(time)) > self.now:
            self.log.append(self._waiting)
            self._waiting, self.now = [], now
        self._waiting.append(record)

    def end(self) -> None:
        """End every input in the year 8999."""
        raw = b'{"kind":"end","occurred_at":"8999-12-31T00:00:00Z"}'
        self._waiting += [
            NewRecord(t, None, raw, n) for t in DETECT_INPUTS for n in range(PARTITIONS)
        ]
        self.log.append(self._waiting)

    def work(self, poll: int = 300) -> "Server":
        """Run detect, then triage, until nothing is left."""
        self.counts = self._run(
            detect(self.ordeal.policy, lambda key: partition_of(key, PARTITIONS)), poll
        )
        self._run(triage(self.ordeal.policy, PARTITIONS), poll)
        return self

    def _run(self, stage: Stage, poll: int) -> Counts:
        pace = Pace(poll_records=poll, idle_advances=False, progress_interval=0)
        worker = StageWorker(self.log, stage, range(PARTITIONS), lambda: self.now, pace)
        try:
            while worker.run_once():
                pass
            return worker.counts
        finally:
            worker.close()


def record_of(
    kind: str, account: str, raw: bytes, chance: random.Random | None = None
) -> NewRecord:
    """Return a record for the right topic and partition, but seldom with the wrong key or place."""
    key: bytes | None = account.encode()
    partition = partition_of(account.encode(), PARTITIONS)
    if chance is not None and chance.random() < 0.05:
        key = chance.choice((None, b"", b"mutant-x", b"\xff"))
    if chance is not None and chance.random() < 0.05:
        partition = chance.randrange(PARTITIONS)
    return NewRecord(TOPIC_OF[kind], key, raw, partition)


def test_2000_mutants_on_a_server_too(tmp_path: Path) -> None:
    """There the codec sees what never would get past the reader of files."""
    alone, beside = Server(tmp_path / "alone.db"), Server(tmp_path / "beside.db")
    chance, events = random.Random(5), clean_events(CLEAN_ACCOUNTS)
    spoilt = list(mutants(2000, seed=5))
    share = len(spoilt) // len(events) + 1
    for event in events:
        time, account = str(event["occurred_at"]), str(event["account_id"])
        record = record_of(str(event["kind"]), account, compact(event))
        alone.give(time, record)
        beside.give(time, record)
        for _ in range(min(share, len(spoilt))):
            beside.give(time, record_of(*spoilt.pop(), chance))
    for server in (alone, beside):
        server.end()
        server.work()
    assert spoilt == []
    assert differences(alone.log, beside.log) == []
    ordeal, read = beside.ordeal, 2000 + len(events)
    assert ordeal.account_for(read, beside.log, beside.counts) == []
    found = set(dead_letters(beside.log))
    assert found >= {"key_mismatch", "wrong_partition", "future_timestamp", "schema", "not_json"}
    assert len(list(stored(beside.log, LATE))) > 100
    beside.log.close()
    alone.log.close()


# -- every reason -------------------------------------------------------------------------

TEXT = compact(full_login("01:00:00", account_id="mutant-1"))
MONEY = compact(full_transaction("01:00:00", account_id="mutant-1"))
HEAD = b'{"kind":"login","account_id":"mutant-1","occurred_at":"2026-03-02T01:00:00Z"'

LINES: list[tuple[str, bytes]] = [
    ("too_large", HEAD + b',"note":"' + b"first of many" * 1_000_000 + b'"}'),
    ("too_large", HEAD + b" " * 10_000_000 + b"}"),
    ("not_utf8", TEXT.replace(b"north", b"n\xf6rth")),
    ("not_utf8", TEXT.decode().encode("utf-16")),
    ("not_utf8", TEXT.decode().encode("utf-32")),
    ("not_utf8", bytes(range(256)) * 300),
    ("not_json", b"\xef\xbb\xbf" + TEXT),
    ("not_json", b"\0" * 1000),
    ("not_json", TEXT[:-1]),
    ("not_json", HEAD + b',"latitude":NaN}'),
    ("not_json", HEAD + b',"asn":-Infinity}'),
    ("schema", TEXT.replace(b'"mutant-1"', b'"mutant-1\\ud800"')),
    ("not_json", b'{"a":"' + b'\\"' * 120_000),
    ("too_deep", b"[" * 100_000),
    ("too_deep", b"[" * 50_000 + b"]" * 50_000),
    ("too_deep", HEAD + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    ("too_deep", HEAD + b',"extra":' + b'{"k":' * 40_000 + b"1" + b"}" * 40_001),
    ("duplicate_key", HEAD + b',"ip":"2001:db8::1","ip":"2001:db8::2"}'),
    ("duplicate_key", HEAD + b',"account_id":"mutant-2"}'),
    ("schema", HEAD + b"}"),
    ("schema", TEXT.replace(b'"failure"', b"1e1000000")),
    ("schema", MONEY.replace(b'"completed"', b'"done"')),
    ("schema", b'{"kind":"phone-1"}'),
    ("schema", TEXT.replace(b"2026-03-02T01:00:00.000Z", b"9999-12-31T23:59:59.999Z")),
    ("schema", TEXT.replace(b"2026-03-02T01:00:00.000Z", b"0001-01-01T00:00:00.000Z")),
    ("currency", MONEY.replace(b"EUR", b"EUX")),
    ("amount", MONEY.replace(b'"12.50"', b"12.50")),
    ("amount", MONEY.replace(b'"12.50"', b'"1e1000000"')),
    ("amount", MONEY.replace(b'"12.50"', b'"%b"' % (b"9" * 39))),
    ("unsupported_version", TEXT.replace(b'"schema_version":1', b'"schema_version":2')),
]


def test_a_heartbeat_of_a_partition_that_a_replay_does_not_have_is_passed_over_and_counted() -> (
    None
):
    """It speaks of a part of the topic only."""
    line = b'{"kind":"heartbeat","topic":"wallet.logins","partition":%d,"occurred_at":"%s"}'
    lines = [line % (number, b"2026-03-02T10:00:00.000Z") for number in (0, 3)]
    found = replay(named(lines), Ordeal().policy, partitions=2)
    assert found.counts[PassedOver("wallet.logins")] == 1


@pytest.mark.parametrize("number", range(len(LINES)))
def test_one_bad_line_among_good_ones_is_one_dead_letter(
    number: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """With its reason and its bytes; the others are as before, and no message quotes it."""
    reason, bad = LINES[number]
    good = [*clean(), LAST]
    ordeal = Ordeal()
    with caplog.at_level(logging.DEBUG):
        found = replay(named([*good[:100], bad, *good[100:]]), ordeal.policy)
    assert dead_letters(found.log) == {reason: 1}
    kept = bad[:1024] + b"..." if reason == "too_large" else bad
    assert [record.value for _, record in stored(found.log, "wallet.dead-letters")] == [kept]
    assert ordeal.account_for(len(good) + 1, found.log, found.counts) == []
    assert differences(replay(named(good), Ordeal().policy).log, found.log) == []
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


def test_every_reason_comes_about_on_a_server(tmp_path: Path) -> None:
    """Those of incident updates excepted; the clean accounts do not notice."""
    raises = _Raises(Params())
    alone, beside = Server(tmp_path / "alone.db"), Server(tmp_path / "beside.db", raises)
    events, wrong = clean_events(CLEAN_ACCOUNTS), b"mutant-2"
    bad = [record_of("login", "mutant-1", raw) for _, raw in LINES if b"transaction" not in raw]
    bad += [record_of("transaction", "mutant-1", raw) for _, raw in LINES if b"transaction" in raw]
    bad += [
        NewRecord(DETECT_INPUTS[1], wrong, TEXT, partition_of(wrong, PARTITIONS)),
        NewRecord(DETECT_INPUTS[1], b"mutant-1", TEXT, partition_of(b"mutant-1", PARTITIONS) ^ 1),
        record_of("login", "mutant-1", TEXT.replace(b"2026", b"2027")),
        *(
            record_of(
                "login", "mutant-3", compact(full_login("01:00:01", asn=n, account_id="mutant-3"))
            )
            for n in range(2)
        ),
    ]
    for number, event in enumerate(events):
        record = record_of(str(event["kind"]), str(event["account_id"]), compact(event))
        alone.give(str(event["occurred_at"]), record)
        beside.give(str(event["occurred_at"]), record)
        if number < len(bad):
            beside.give(str(event["occurred_at"]), bad[number])
    for server in (alone, beside):
        server.end()
        server.work()
    found = dead_letters(beside.log)
    assert found.keys() == set(DEAD_LETTER_REASONS) - LATER
    assert found["rule_error"] == 1
    problems = beside.ordeal.account_for(len(events) + len(bad), beside.log, beside.counts)
    assert problems == ["rule raises raised"]
    assert differences(alone.log, beside.log) == []
    alone.log.close()
    beside.log.close()


class _Raises(Rule[Params, State, Facts]):
    """Raises for one account."""

    id = "raises"
    code = "T1"
    category = "access"
    Params = Params
    State = State
    Facts = Facts

    def on_login(self, state: Any, event: Any, profile: object, fx: Effects) -> None:
        if event.account_id == "mutant-3":
            raise RuntimeError(event.ip)

    late_login = on_login


# -- files --------------------------------------------------------------------------------


def whole_files() -> dict[str, tuple[bytes, int]]:
    """Return contents of files, and the exit code of `replay` for them."""
    text = b"\n".join([*clean(), LAST]) + b"\n"
    return {
        "empty": (b"", 0),
        "blank": (b"\n \n\r\n", 0),
        "binary": (random.Random(3).randbytes(1_000_000), 1),
        "utf-16": (text.decode().encode("utf-16"), 1),
        "with byte order mark": (text.decode().encode("utf-8-sig"), 0),
        "latin-1": (text.replace(b"acc", b"\xe4cc") + b'{"kind":"\xe4"}', 1),
        "a cut gzip": (gzip.compress(text)[:-1000], 1),
        "a gzip of junk": (gzip.compress(random.Random(4).randbytes(100_000)), 1),
        "two bytes of gzip": (b"\x1f\x8b", 1),
        "10 MB without an end of line": (b"phone-1" * 1_500_000, 1),
        "100,000 brackets": (b"[" * 100_000 + b"\n" + text, 1),
    }


@pytest.mark.parametrize("name", whole_files())
def test_no_file_gives_a_traceback_or_quotes_what_it_holds(tmp_path: Path, name: str) -> None:
    content, code = whole_files()[name]
    path = tmp_path / "file"
    path.write_bytes(content)
    done = CliRunner().invoke(app, ["replay", str(path), "--out", str(tmp_path / "out")])
    if done.exception is not None:
        assert isinstance(done.exception, CheckFailed | SystemExit)
    exit_code = (
        done.exception.exit_code if isinstance(done.exception, CheckFailed) else done.exit_code
    )
    assert exit_code == code
    assert "Traceback" not in done.output
    assert not any(value in done.output for value in ("phone-1", "provider-1", "clean-"))


def test_what_came_before_the_cut_is_processed(tmp_path: Path) -> None:
    text = b"\n".join(clean() * 3)
    path = tmp_path / "events.gz"
    path.write_bytes(gzip.compress(text)[:-2000])
    lines: list[tuple[int, bytes]] = []
    with pytest.raises(CheckFailed, match=r"the gzip data is cut short or damaged$"):
        lines.extend(read_lines(str(path), 1 << 20))
    found = replay([("events.gz", *line) for line in lines], Ordeal().policy)
    assert found.events == len(lines) - isinstance(place(lines[-1][1]), BadRecord) > 100
    assert of_clean_accounts(found.log)[0]
    assert quoted(found.log) == []
