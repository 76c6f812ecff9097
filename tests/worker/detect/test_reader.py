"""What the reader of detect decides on keys, partitions, clocks and conflicts, and only once."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from rules.contract import AnyRule
from rules.registry import ALL
from schemas.time import parse_time
from schemas.topics import ALERTS, BALANCES, DEAD_LETTERS, LATE, LOGINS, TRANSACTIONS
from tests.support.events.forging import checksum, forged
from tests.support.events.mutations import compact, full_login, full_transaction
from worker.detect.stage import Policy, detect
from worker.engine.log import stored
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.outcomes import (
    DeadLettered,
    FieldMended,
    Outcome,
    Redelivered,
    UnknownFields,
)
from worker.engine.records import NewRecord
from worker.engine.stage import Pace
from worker.logs.memory import MemoryLog

EVERY: Sequence[type[AnyRule]] = ALL
RULES = [rule(rule.Params()) for rule in EVERY]
NOW = parse_time("2026-03-02T10:00:00.000Z")
SECRET = "zq9-marked-zq9"


class Bench:
    """A log whose clock stands at 10:00 until it is moved, and detect workers on it."""

    def __init__(self, partitions: int = 1) -> None:
        self.now = NOW
        self.log = MemoryLog(partitions=partitions, clock=lambda: self.now)
        self.counts: dict[Outcome, int] = {}

    def give(
        self,
        value: bytes | dict[str, Any],
        key: str | None = "acc-1",
        topic: str = LOGINS,
        partition: int | None = 0,
    ) -> None:
        """Append one record."""
        raw = value if isinstance(value, bytes) else compact(value)
        self.log.append([NewRecord(topic, None if key is None else key.encode(), raw, partition)])

    def end(self, time: str = "2026-03-05T00:00:00Z") -> None:
        """End every input."""
        raw = msgspec.json.encode({"kind": "end", "occurred_at": time})
        for topic in (TRANSACTIONS, LOGINS, BALANCES):
            for partition in range(self.log.partitions(topic)):
                self.give(raw, None, topic, partition)

    def work(self, poll: int = 1000, policy: Policy | None = None) -> None:
        """Run all tasks until there is nothing more to read."""
        stage = detect(policy or Policy(RULES, RULES), self._partition_of())
        tasks = range(self.log.partitions(LOGINS))
        pace = Pace(poll, max_buffered=10**6, idle_advances=False, progress_interval=10**9)
        worker = StageWorker(self.log, stage, tasks, lambda: self.now, pace)
        try:
            while worker.run_once():
                pass
        finally:
            self.counts = dict(worker.counts)
            worker.close()

    def _partition_of(self) -> Callable[[bytes], int]:
        partitions = self.log.partitions(LOGINS)
        return lambda key: partition_of(key, partitions)

    def dead(self) -> list[dict[str, str]]:
        """Return the headers of all dead letters."""
        return [
            {name: value.decode() for name, value in record.headers}
            for _, record in stored(self.log, DEAD_LETTERS)
        ]

    def reasons(self) -> list[str]:
        """Return the reasons of all dead letters."""
        return [headers["dlq_reason"] for headers in self.dead()]


def test_a_bad_record_becomes_a_dead_letter_with_its_bytes_and_where_it_was() -> None:
    bench = Bench()
    bench.give(full_login())
    bench.give(b"\xff\x00rubbish", key="any key")
    bench.end()
    bench.work()
    ((_, record),) = stored(bench.log, DEAD_LETTERS)
    assert (record.key, record.value) == (b"any key", b"\xff\x00rubbish")
    assert bench.dead() == [
        {
            "dlq_reason": "not_utf8",
            "dlq_error": "record: not UTF-8 at byte 0",
            "dlq_topic": LOGINS,
            "dlq_partition": "0",
            "dlq_offset": "1",
            "dlq_timestamp": "2026-03-02T10:00:00.000Z",
            "dlq_stage": "detect",
        }
    ]
    assert bench.counts[DeadLettered(LOGINS, "not_utf8")] == 1


@pytest.mark.parametrize("key", ["acc-2", "", None, "ACC-1", "acc-1 "])
def test_a_key_that_is_not_the_account_is_key_mismatch(key: str | None) -> None:
    bench = Bench()
    bench.give(full_login(), key=key)
    bench.end()
    bench.work()
    assert bench.reasons() == ["key_mismatch"]


def test_a_key_need_not_be_text() -> None:
    bench = Bench()
    bench.log.append([NewRecord(LOGINS, b"\xff\xfe", compact(full_login()), 0)])
    bench.end()
    bench.work()
    assert bench.reasons() == ["key_mismatch"]


def test_an_account_in_a_partition_that_is_not_its_own_is_wrong_partition() -> None:
    bench = Bench(partitions=4)
    for number in range(4):
        bench.give(full_login(event_id=f"e{number}"), partition=number)
    bench.end()
    bench.work()
    right = str(partition_of(b"acc-1", 4))
    assert bench.reasons() == ["wrong_partition"] * 3
    assert right not in {headers["dlq_partition"] for headers in bench.dead()}


@pytest.mark.parametrize(("ahead", "reasons"), [(300_000, []), (300_001, ["future_timestamp"])])
def test_an_event_more_than_five_minutes_ahead_of_the_log_is_future_timestamp(
    ahead: int, reasons: list[str]
) -> None:
    bench = Bench()
    bench.now -= ahead
    bench.give(full_login("10:00:00.000"))
    bench.end()
    bench.work()
    assert bench.reasons() == reasons


def test_a_fast_clock_moves_nobodys_time() -> None:
    """Neither by an event that is accepted nor by one that is refused."""
    bench = Bench()
    for time, number in (("10:04:59", 1), ("10:10:00", 2), ("09:59:58", 3)):
        bench.give(full_login(time, event_id=f"e{number}"))
    bench.end()
    bench.work()
    assert bench.reasons() == ["future_timestamp"]
    assert list(stored(bench.log, LATE)) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("outcome", "success"), ("latitude", 1.5), ("extra", {"a": "b"}), ("ip", None)],
)
def test_a_known_id_with_other_content_is_event_id_conflict(field: str, value: Any) -> None:
    bench = Bench()
    bench.give(full_login())
    bench.give(full_login(**{field: value}))
    bench.end()
    bench.work()
    assert bench.reasons() == ["event_id_conflict"]


def test_a_known_id_with_the_same_content_is_a_redelivery_however_it_is_written() -> None:
    bench = Bench()
    event = full_login()
    spaced = msgspec.json.format(
        compact(event | {"unknown": 1, "lock_until": "2026-03-02T11:00:00.0Z"})
    )
    for raw in (compact(event), spaced, compact(dict(reversed(event.items()))), compact(event)):
        bench.give(raw)
    bench.end()
    bench.work()
    assert bench.reasons() == []
    assert bench.counts[Redelivered(LOGINS)] == 3
    assert bench.counts[UnknownFields(LOGINS)] == 1


def test_a_forged_event_with_a_known_id_is_a_conflict_whatever_its_checksum() -> None:
    """A producer can choose free text so that the CRC-32 of other content is the same."""
    bench = Bench()
    first = compact(full_login(outcome="failure"))
    other = forged(first, outcome="success")
    assert checksum(other) == checksum(first)
    for raw in (first, other, first):
        bench.give(raw)
    bench.end()
    bench.work()
    assert bench.reasons() == ["event_id_conflict"]
    assert bench.counts[Redelivered(LOGINS)] == 1


def test_wrong_values_of_fields_that_nothing_needs_reject_no_event_and_are_counted() -> None:
    """A redelivery is mended in the same way, and recognised, in a poll of its own."""
    bench = Bench()
    wrong = full_login(user_agent="x" * 257, network="5g", extra={"a": "b\n"})
    right = full_login(user_agent="x" * 256, network=None, extra={"a": "b"})
    for event in (wrong, wrong, dict(reversed(wrong.items())), right):
        bench.give(event)
    bench.give(full_login(event_id="e2", network="5g", account_id="acc 2"), key="acc 2")
    bench.end()
    bench.work(poll=1)
    assert bench.reasons() == ["schema"]
    assert bench.counts[Redelivered(LOGINS)] == 3
    mended = {each: n for each, n in bench.counts.items() if isinstance(each, FieldMended)}
    assert mended == {
        FieldMended(LOGINS, "user_agent", "cut"): 3,
        FieldMended(LOGINS, "network", "dropped"): 3,
        FieldMended(LOGINS, "extra", "cleaned"): 3,
    }


def test_the_same_id_in_another_input_or_account_is_another_event() -> None:
    bench = Bench()
    bench.give(full_login(event_id="e"))
    bench.give(full_login(event_id="e", account_id="acc-2"), key="acc-2")
    bench.give(full_transaction(event_id="e"), topic=TRANSACTIONS)
    bench.end()
    bench.work()
    assert bench.reasons() == []
    assert Redelivered(LOGINS) not in bench.counts


def test_a_dead_letter_moves_no_time() -> None:
    """Or else everything between it and the others would be late."""
    bench = Bench()
    bench.now += 86_400_000
    bench.give(full_login("12:00:00"), key="wrong")
    bench.give(full_login("10:00:00"))
    bench.end("2026-03-02T12:30:00Z")
    bench.work(poll=1)
    assert bench.reasons() == ["key_mismatch"]
    assert list(stored(bench.log, LATE)) == []


def test_a_reread_after_a_restart_publishes_no_dead_letter_twice() -> None:
    """Events that wait in the buffer make a restart read from before the bad records."""
    bench = Bench()
    bench.give(full_login("10:00:00", event_id="waits"))
    for number in range(5):
        bench.give(b"bad %d" % number)
        bench.give(full_login("10:00:01", event_id=f"e{number}"), key="wrong")
    bench.work()
    assert len(bench.reasons()) == 10
    for _ in range(3):
        bench.give(b"new")
        bench.work(poll=2)
    bench.end()
    bench.work()
    assert sorted(bench.reasons()) == sorted(["not_json"] * 8 + ["key_mismatch"] * 5)
    offsets = [headers["dlq_offset"] for headers in bench.dead()]
    assert len(set(offsets)) == len(offsets)


def test_headers_carry_nothing_of_key_or_value() -> None:
    bench = Bench()
    for name, value in full_login().items():
        for bad in (SECRET, {SECRET: SECRET}, f"{value}{SECRET}\0"):
            bench.give(full_login(event_id=f"{name}-1") | {name: bad})
            bench.give(full_login() | {name: bad}, key=SECRET)
    bench.give(full_login(account_id=SECRET), key=f"{SECRET}-2")
    bench.give(full_login(account_id=SECRET, event_id=SECRET), key=SECRET)
    bench.give(full_login(account_id=SECRET, event_id=SECRET, ip=SECRET), key=SECRET)
    bench.end()
    bench.work(policy=Policy(RULES, RULES, dead_letter_limit=None))
    reasons = set(bench.reasons())
    assert {"schema", "key_mismatch", "event_id_conflict"} <= reasons
    assert "zq9" not in str(bench.dead())
    assert "zq9" not in str(bench.counts)
    assert list(stored(bench.log, ALERTS)) == []
