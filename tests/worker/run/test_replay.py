"""Replay: the same findings however little is in memory, and how little that is."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from schemas.dead_letter import OriginHeaders
from schemas.time import format_time
from schemas.topics import (
    ALERTS,
    BALANCES,
    DEAD_LETTERS,
    DETECT_INPUTS,
    INCIDENT_UPDATES,
    INCIDENTS,
    LATE,
    LOGINS,
    SIGNALS,
    TRANSACTIONS,
)
from tests.support.events.traffic import SECOND, START, Event, live
from tests.support.random_runs import POLICY
from tests.support.run_comparison import comparable, dangling, documents, set_aside
from worker.engine.log import stored
from worker.engine.records import NewRecord
from worker.logs.memory import MemoryLog
from worker.run import replay as module
from worker.run.replay import Replayed, replay
from worker.run.spool import Room

Lines = list[tuple[str, int, bytes]]

KINDS = {TRANSACTIONS: b"transaction", LOGINS: b"login", BALANCES: b"balance"}
ONE_SHOT = Room(1 << 40, 1 << 40)


def as_line(event: Event) -> bytes:
    """Return an event as a line of a file."""
    return b'{"kind":"%s",' % KINDS[event.topic] + event.value[1:]


def named(lines: Sequence[bytes]) -> Lines:
    """Return lines with the name of their file and their numbers."""
    return [("file", number, line) for number, line in enumerate(lines, 1)]


def history(seed: int) -> Lines:
    """Return a history as it arrives: disordered, partly late, with copies, beats and junk."""
    rng = Random(seed)
    arriving: list[tuple[int, bytes]] = []
    for event in live(rng):
        line = as_line(event)
        arriving.append((event.at + rng.choice((0, 0, 900, 4_000, 9 * SECOND)), line))
        if rng.random() < 0.05:
            arriving.append((event.at + 6 * SECOND, line))
        if rng.random() < 0.03:
            arriving.append((event.at, beat(rng, event)))
        if rng.random() < 0.02:
            arriving.append((event.at, line.replace(b'"occurred_at":"2', b'"occurred_at":"x')))
        if rng.random() < 0.02:
            arriving.append((event.at, b'{"kind":'))
    arriving.sort(key=lambda item: item[0])
    return named([line for _, line in arriving])


def beat(rng: Random, event: Event) -> bytes:
    """Return a heartbeat or an end around the event, of all partitions or of one."""
    fields: dict[str, Any] = {
        "kind": rng.choice(("heartbeat", "heartbeat", "end")),
        "topic": rng.choice(DETECT_INPUTS),
        "occurred_at": format_time(event.at - 5 * SECOND),
    }
    if rng.random() < 0.5:
        fields["partition"] = rng.randint(0, 4)
    return msgspec.json.encode(fields)


def exactly(found: Replayed) -> dict[str, Any]:
    """Return all output of a replay, addresses included, without the number of progress signals."""
    alerts = [{**alert, "origin_sequence": 0} for _, alert in documents(found.log, ALERTS)]
    return {
        "alerts": sorted(map(msgspec.json.encode, alerts)),
        "incidents": documents(found.log, INCIDENTS),
        "set aside": set_aside(found.log),
        "events": found.events,
        "counts": {reason: count for reason, count in found.counts.items() if count},
        "undecided": sorted(map(repr, found.undecided)),
    }


@pytest.mark.parametrize("as_is", [False, True], ids=["sorted", "as it came"])
def test_slices_and_runs_of_any_size_change_nothing(as_is: bool) -> None:
    """Alerts with their addresses, incidents, late events, dead letters, counts, what is open."""
    late = fired = 0
    for seed in range(60):
        rng = Random(f"{seed} {as_is}")
        lines, partitions = history(seed), rng.randint(1, 4)
        whole = replay(lines, POLICY, as_is, partitions, room=ONE_SHOT)
        room = Room(rng.choice((1, 2_000, 20_000, 1 << 30)), rng.choice((1, 2, 7, 100, 1_000)))
        keep = rng.random() < 0.5
        pieces = replay(lines, POLICY, as_is, partitions, keep_inputs=keep, room=room)
        assert exactly(pieces) == exactly(whole), f"seed {seed}: {room}"
        assert not keep or dangling(pieces.log) == [], f"seed {seed}: {room}"
        late += len(documents(whole.log, "wallet.late"))
        fired += len(documents(whole.log, ALERTS))
    assert fired > 500
    assert (late > 100) is as_is


@pytest.mark.parametrize("as_is", [False, True], ids=["sorted", "as it came"])
def test_dead_letters_and_late_events_are_the_lines_they_were(as_is: bool) -> None:
    """Of each its file and number are known: after sorting, on disk, in slices, pruned or not."""
    found = 0
    for seed in range(40):
        rng = Random(f"{seed} {as_is} lines")
        texts = [line for _, _, line in history(seed)]
        lines, numbers = [], dict.fromkeys(("one", LOGINS, "three"), 0)
        for text in texts:
            name = rng.choice(list(numbers))
            numbers[name] += rng.randint(1, 3)  # empty lines lie between
            lines.append((name, numbers[name], text))
        room = Room(rng.choice((1, 2_000, 1 << 30)), rng.choice((1, 7, 100)))
        keep = rng.random() < 0.5
        result = replay(lines, POLICY, as_is, rng.randint(1, 4), keep_inputs=keep, room=room)
        by_place = {(name, number): text for name, number, text in lines}
        for topic in (DEAD_LETTERS, LATE):
            for at, record in stored(result.log, topic):
                origin = OriginHeaders.from_headers(record.headers)
                own = (origin.dlq_topic, origin.dlq_offset)
                assert by_place[result.lines.get((at, record.offset), own)] == record.value
                found += (at, record.offset) in result.lines
    assert found > (200 if as_is else 100)


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_line_of_a_file_that_is_called_as_a_topic_is_that_line(partitions: int) -> None:
    """It is no address in the log, though it looks like one."""
    good = [line for _, _, line in long_history((LOGINS,))[:5]]
    lines = [*((LOGINS, n, line) for n, line in enumerate(good, 1)), (LOGINS, 2, b"{")]
    result = replay(lines, POLICY, partitions=partitions)
    ((_, letter),) = stored(result.log, DEAD_LETTERS)
    assert dict(letter.headers)["dlq_offset"] == b"2"
    assert result.lines == {}


def test_what_is_published_about_files_has_the_time_of_the_decision() -> None:
    """No clock runs: not the one of the machine, and none that stands at 1970."""
    kinds = set()
    for seed in range(10):
        log = replay(history(seed), POLICY, as_is=seed % 2 == 1, partitions=2).log
        for _, alert in documents(log, ALERTS):
            assert alert["published_at"] == alert["detected_at"]
            kinds.add(alert["kind"])
        for _, incident in documents(log, INCIDENTS):
            if "tombstone" not in incident:
                assert incident["published_at"] == incident["updated_at"]
        for topic in (ALERTS, INCIDENTS, DEAD_LETTERS, LATE):
            for _, record in stored(log, topic):
                assert b"1970-" not in (record.value or b"")
                assert "dlq_timestamp" not in dict(record.headers)
    assert {"raised", "cured", "expired"} <= kinds


def test_the_order_of_lines_with_equal_times_is_kept() -> None:
    """Offsets in the log are those of a stable sort, wherever the runs were cut."""
    lines = history(7)
    whole, pieces = (replay(lines, POLICY, room=room).log for room in (ONE_SHOT, Room(1, 3)))
    for topic in DETECT_INPUTS:
        assert list(stored(pieces, topic)) == list(stored(whole, topic))


class Watched(MemoryLog):
    """A log that remembers the most records of inputs and signals that it held at a time."""

    most = 0

    def append(self, records: Sequence[NewRecord]) -> None:
        super().append(records)
        topics = (*DETECT_INPUTS, SIGNALS)
        held = sum(len(p.records) for topic in topics for p in self._topics[topic])
        Watched.most = max(Watched.most, held)


def long_history(topics: Sequence[str]) -> Lines:
    """Return 6,000 events of 40 accounts, one in 50 seconds, of these topics in turn."""
    lines = []
    for n in range(6_000):
        at = format_time(START + n * 50 * SECOND)
        topic = topics[n % len(topics)]
        fields = {
            TRANSACTIONS: {
                "transaction_id": f"t-{n}",
                "type": "payment",
                "status": "completed",
                "amount": "1.00",
                "currency": "EUR",
            },
            LOGINS: {"action": "login", "outcome": "success"},
            BALANCES: {
                "balance": "5.00",
                "balance_kind": "posted",
                "currency": "EUR",
                "as_of": at,
                "source": "ledger",
            },
        }[topic]
        head = {"kind": KINDS[topic].decode(), "event_id": f"e-{n}", "account_id": f"a-{n % 40}"}
        lines.append(msgspec.json.encode(head | {"occurred_at": at} | fields))
    return named(lines)


@pytest.mark.parametrize("as_is", [False, True], ids=["sorted", "as it came"])
@pytest.mark.parametrize(
    "topics",
    [
        DETECT_INPUTS,
        (TRANSACTIONS,),
        (LOGINS,),
        (*[TRANSACTIONS] * 9, LOGINS),
        (*[TRANSACTIONS] * 99, LOGINS),
        (*[LOGINS] * 999, BALANCES, TRANSACTIONS),
    ],
    ids=[
        "all",
        "transactions only",
        "logins only",
        "logins are few",
        "logins are rare",
        "two are rare",
    ],
)
def test_the_log_holds_a_few_slices_and_no_more(
    topics: Sequence[str], as_is: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever inputs are silent, or nearly silent."""
    monkeypatch.setattr(module, "MemoryLog", Watched)
    monkeypatch.setattr(Watched, "most", 0)
    lines = long_history(topics)
    found = replay(lines, POLICY, as_is, keep_inputs=False, room=Room(slice_records=100))
    assert found.events == 6_000
    assert not set_aside(found.log)
    assert 100 < Watched.most <= 400
    for topic in (*DETECT_INPUTS, SIGNALS):
        ((first, following),) = found.log.offsets(topic)
        assert first == following > 0


def test_inputs_are_kept_unless_told_otherwise() -> None:
    """For what reads them again."""
    lines = long_history(DETECT_INPUTS)[:600]
    log = replay(lines, POLICY, room=Room(slice_records=50)).log
    assert [len(list(stored(log, topic))) for topic in DETECT_INPUTS] == [201, 201, 201]


@pytest.mark.parametrize("lines", [[], [b"{"], [b'{"kind":"login","occurred_at":"never"}']])
def test_without_any_time_there_is_no_end_and_nothing_hangs(lines: list[bytes]) -> None:
    """Of an input of which nothing is known."""
    found = replay(named(lines), POLICY, keep_inputs=False, room=Room(1, 1))
    assert comparable(found.log) == ([], [])
    assert found.events == 0


def test_a_heartbeat_of_an_input_that_no_rule_reads_is_in_the_log_as_well() -> None:
    """After all that was waited for."""
    lines = [line for _, _, line in long_history(DETECT_INPUTS)[:30]]
    said = {"kind": "heartbeat", "topic": INCIDENT_UPDATES, "occurred_at": format_time(START)}
    found = replay(named([msgspec.json.encode(said), *lines]), POLICY, room=Room(1, 7))
    assert len(list(stored(found.log, INCIDENT_UPDATES))) == 1


def test_a_line_without_a_usable_time_keeps_its_place_behind_the_line_before() -> None:
    """Wherever that one is sorted."""
    lines = [line for _, _, line in long_history((LOGINS,))[:3]]
    broken = lines[0].replace(b'"occurred_at":"2', b'"occurred_at":"x')
    log = replay(named([lines[2], broken, lines[1], lines[0]]), POLICY, room=Room(1, 1)).log
    values = [record.value for _, record in stored(log, LOGINS)]
    assert values[:4] == [lines[0], lines[1], lines[2], broken]
