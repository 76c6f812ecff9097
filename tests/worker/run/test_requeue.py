"""Dead letters are judged again as detect would judge them; what it would take can go back."""

from typing import Any

import pytest

from schemas.dead_letter import DeadLetterHeaders
from schemas.topics import DEAD_LETTERS, LATE, LOGINS, SIGNALS, TRANSACTIONS
from tests.support.events.mutations import compact, full_login, full_transaction
from tests.worker.detect.test_reader import NOW, RULES, Bench
from worker.codec.bad_record import bad
from worker.codec.codec import Limits
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.outcomes import Redelivered
from worker.engine.records import NewRecord, Record, TopicPartition
from worker.run.dead_letters import DeadLetter, DeadLetterFilter, dead_letters
from worker.run.replay import dead_line
from worker.run.requeue import Judge

SMALL = Policy(RULES, RULES, limits=Limits(max_event_bytes=200))
LARGE = Policy(RULES, RULES)
HOUR = 3_600_000


def again(bench: Bench, policy: Policy = LARGE, now: int = NOW) -> list[NewRecord | str]:
    """Return what would become of each dead letter of the log."""
    judge = Judge(policy, now)
    return [
        judge.again(dead)
        for dead in dead_letters(stored(bench.log, DEAD_LETTERS), DeadLetterFilter())
    ]


def of(record: NewRecord | str) -> NewRecord:
    """Return what is to be appended again."""
    assert isinstance(record, NewRecord), record
    return record


def test_what_a_higher_limit_accepts_goes_back_and_is_taken() -> None:
    """Bytes, topic and key are the original ones; the second time it is no dead letter."""
    bench = Bench(partitions=2)
    event = full_transaction()
    partition = bench._partition_of()(b"acc-1")
    bench.give(event, topic=TRANSACTIONS, partition=partition)
    bench.work(policy=SMALL)
    assert bench.reasons() == ["too_large"]
    assert again(bench, SMALL) == ["too_large"]
    (record,) = map(of, again(bench))
    assert (record.topic, record.key, record.value) == (TRANSACTIONS, b"acc-1", compact(event))
    bench.log.append([record])
    bench.end()
    bench.work(policy=LARGE)
    assert bench.reasons() == ["too_large"]
    assert sum(bench.counts.values()) == 0


def test_to_replay_twice_gives_a_redelivery() -> None:
    bench = Bench()
    bench.give(full_login())
    bench.work(policy=SMALL)
    bench.log.append([of(record) for record in again(bench) * 2])
    bench.end()
    bench.work(policy=LARGE)
    assert bench.counts[Redelivered(LOGINS)] == 1
    assert bench.reasons() == ["too_large"]
    assert list(stored(bench.log, LATE)) == []


def test_an_account_in_a_foreign_partition_goes_to_its_own() -> None:
    bench = Bench(partitions=4)
    own = bench._partition_of()(b"acc-1")
    bench.give(full_login(), partition=(own + 1) % 4)
    bench.work()
    assert bench.reasons() == ["wrong_partition"]
    bench.log.append([of(record) for record in again(bench)])
    bench.end()
    bench.work()
    assert bench.reasons() == ["wrong_partition"]


def test_a_future_event_goes_back_when_its_time_has_come() -> None:
    bench = Bench()
    bench.give(full_login("11:00:00"))
    bench.work()
    assert bench.reasons() == ["future_timestamp"]
    skew = LARGE.inputs[1].max_clock_skew
    assert again(bench, now=NOW + HOUR - skew - 1) == ["future_timestamp"]
    assert of(again(bench, now=NOW + HOUR - skew)[0]).topic == LOGINS


def test_a_line_without_a_place_is_read_as_a_line_again() -> None:
    """ingest wrote it; it has no topic of its own."""
    bench = Bench()
    wrong = bad("schema", "kind", "missing")
    whole, half = compact(full_login()), b'{"kind": "login"}'
    bench.log.append([dead_line("events.ndjson", 3, raw, wrong, "ingest") for raw in (whole, half)])
    record, why = again(bench)
    assert (of(record).topic, of(record).key, of(record).value) == (LOGINS, b"acc-1", whole)
    assert why == "schema"


@pytest.mark.parametrize("key", ["acc-2", None])
def test_a_key_that_is_not_the_account_stays_dead(key: str | None) -> None:
    """It is unknown which of both is right."""
    bench = Bench()
    bench.give(full_login(), key=key)
    bench.work()
    assert again(bench) == ["key_mismatch"]


def test_what_is_no_event_stays_dead_by_its_own_reason() -> None:
    bench = Bench()
    bench.give(b"\xff")
    bench.give({"kind": "login"})
    bench.give(full_login() | {"schema_version": 9})
    bench.log.append([NewRecord(LOGINS, b"acc-1", None, 0)])
    bench.work()
    assert again(bench) == ["not_utf8", "schema", "unsupported_version", "not_json"]


def headers(**fields: Any) -> tuple[tuple[str, bytes], ...]:
    """Return the headers of a dead letter."""
    known: dict[str, Any] = {
        "dlq_reason": "schema",
        "dlq_error": "x",
        "dlq_topic": LOGINS,
        "dlq_partition": 0,
        "dlq_offset": 7,
        "dlq_stage": "detect",
    }
    return DeadLetterHeaders(**(known | fields)).to_headers()


def verdict(value: bytes, head: tuple[tuple[str, bytes], ...]) -> NewRecord | str:
    """Return what becomes of one dead letter of acc-1."""
    record = Record(0, NOW, b"acc-1", value, head)
    (dead,) = dead_letters([(TopicPartition(DEAD_LETTERS, 0), record)], DeadLetterFilter())
    return Judge(LARGE, NOW).again(dead)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"dlq_reason": "rule_error"}, "only a rule failed"),
        ({"dlq_reason": "event_id_conflict"}, "another event has its id"),
        ({"dlq_topic": SIGNALS}, "no input of detect"),
    ],
)
def test_what_another_reading_cannot_change_stays_dead(fields: dict[str, str], why: str) -> None:
    """Though the event itself is valid."""
    assert isinstance(verdict(compact(full_login()), headers()), NewRecord)
    answer = verdict(compact(full_login()), headers(**fields))
    assert isinstance(answer, str)
    assert why in answer


@pytest.mark.parametrize("part", ["dlq_size", "dlq_key_size"])
def test_what_was_cut_stays_dead(part: str) -> None:
    """Even if its beginning is an event."""
    answer = verdict(compact(full_login()), headers(**{part: 9_999}))
    assert answer == "it was cut to what its topic takes: the whole is in its input only"


@pytest.mark.parametrize("kind", ["heartbeat", "end"])
def test_a_late_heartbeat_or_end_is_not_said_again(kind: str) -> None:
    answer = verdict(compact({"kind": kind, "occurred_at": "2026-03-02T10:00:00Z"}), headers())
    assert answer == "the time of a heartbeat or an end is past"


@pytest.mark.parametrize("head", [(), headers()[1:], (("dlq_reason", b"\xff"), *headers()[1:])])
def test_foreign_records_are_told_and_left_alone(head: tuple[tuple[str, bytes], ...]) -> None:
    assert verdict(compact(full_login()), head) == "it was not written by walletwatch"


def test_reasons_and_topics_choose() -> None:
    heads = [
        headers(),
        headers(dlq_reason="not_json"),
        headers(dlq_topic=TRANSACTIONS),
        (),
    ]
    at = TopicPartition(DEAD_LETTERS, 0)
    records = [(at, Record(n, NOW, b"", b"", head)) for n, head in enumerate(heads)]

    def chosen(wanted: DeadLetterFilter) -> list[int]:
        found: list[DeadLetter] = list(dead_letters(records, wanted))
        return [dead.record.offset for dead in found]

    assert chosen(DeadLetterFilter()) == [0, 1, 2, 3]
    assert chosen(DeadLetterFilter(reasons=["schema"])) == [0, 2]
    assert chosen(DeadLetterFilter(topics=[LOGINS])) == [0, 1]
    assert chosen(DeadLetterFilter(["schema", "not_json"], [LOGINS])) == [0, 1]
    assert chosen(DeadLetterFilter(["not_json"], [TRANSACTIONS])) == []


def test_headers_are_read_as_they_were_written() -> None:
    head = headers(dlq_timestamp=NOW)
    read = DeadLetterHeaders.from_headers((*head, ("traceparent", b"\xff")))
    assert read.to_headers() == head
    assert (read.dlq_offset, read.dlq_timestamp) == (7, NOW)
