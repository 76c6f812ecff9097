"""Whatever a producer writes is put aside: any key, value, headers, time and size, at most cut."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import any_record
from schemas.dead_letter import DeadLetterHeaders
from schemas.late import LateHeaders
from schemas.time import parse_time
from schemas.topics import BALANCES, DEAD_LETTERS, LATE, LOGINS, SIGNALS, TRANSACTIONS
from tests.support.events.mutations import compact, full_login
from tests.worker.detect.test_reader import RULES
from worker.detect.stage import Policy, detect
from worker.engine.cutting import RECORD_BYTES, fitting
from worker.engine.log import stored
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.records import Commit, NewRecord, Record, TopicPartition
from worker.engine.stage import Pace
from worker.errors import LogError
from worker.logs.memory import MemoryLog, MemorySession
from worker.triage.stage import triage

NOW = parse_time("2026-03-02T10:00:00.000Z")
LARGEST_NUMBER = 2**63 - 1
POLICY = Policy(RULES, RULES, dead_letter_limit=None)


class NarrowLog(MemoryLog):
    """A log whose topics of dead letters and late events take no record above a limit."""

    def __init__(self, limit: int, time: int | None = NOW, partitions: int = 2) -> None:
        super().__init__(partitions=partitions, clock=None if time is None else lambda: time)
        self.limit = limit

    def record_limit(self, topic: str) -> int:
        return self.limit

    def open_session(self, *arguments: Any) -> MemorySession:
        session = super().open_session(*arguments)
        commit = session.commit

        def checked(unit: Commit) -> None:
            for record in unit.outputs:
                if record.topic in (DEAD_LETTERS, LATE) and framed(record) > self.limit:
                    raise LogError(f"{record.topic} takes no record of {framed(record)} bytes")
            commit(unit)

        session.commit = checked  # type: ignore[method-assign]
        return session


def framed(record: NewRecord) -> int:
    """Return how large the batch of one record is on Kafka, at most."""
    parts = [record.key or b"", record.value or b""]
    for name, value in record.headers:
        parts += [name.encode(), value]
    return 61 + 20 + sum(len(part) + 5 for part in parts)


def work(log: MemoryLog, policy: Policy = POLICY) -> None:
    """Run both stages until there is nothing more to read, and start them again."""
    partitions = log.partitions(LOGINS)
    pace = Pace(100, idle_advances=False, progress_interval=10**9)
    for _ in range(2):
        for stage in (
            detect(policy, lambda key: partition_of(key, partitions)),
            triage(policy, partitions),
        ):
            worker = StageWorker(log, stage, None, lambda: NOW, pace)
            while worker.run_once():
                pass
            worker.close()


def check_set_aside(log: MemoryLog, given_records: Sequence[NewRecord]) -> None:
    """Each record is a dead letter once, whole or with what it was."""
    originals = {
        (at, record.offset): record
        for topic in (TRANSACTIONS, LOGINS, BALANCES, SIGNALS)
        for at, record in stored(log, topic)
    }
    found = {}
    for _, letter in stored(log, DEAD_LETTERS):
        headers = DeadLetterHeaders.from_headers(letter.headers)
        place = TopicPartition(headers.dlq_topic, headers.dlq_partition), headers.dlq_offset
        assert place not in found
        found[place] = headers
        check_part(letter, originals[place], headers)
    bad = {place for place, record in originals.items() if b"progress" not in (record.value or b"")}
    assert found.keys() == bad
    assert len(bad) >= len(given_records)


def check_part(letter: Record, whole: Record, headers: DeadLetterHeaders | LateHeaders) -> None:
    """What was cut says what it was cut from; what was not says nothing."""
    for kept, original, size, digest in (
        (letter.value, whole.value, headers.dlq_size, headers.dlq_sha256),
        (letter.key, whole.key, headers.dlq_key_size, headers.dlq_key_sha256),
    ):
        content = original or b""
        assert content.startswith(kept or b"")
        if len(kept or b"") < len(content):
            assert (size, digest) == (len(content), sha256(content).hexdigest())
        else:
            assert (size, digest) == (None, None)


ANY_BYTES = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.builds(
        lambda part, times: part * times, st.binary(min_size=1, max_size=9), st.integers(0, 900)
    ),
)
HEADERS = st.lists(
    st.tuples(st.text(max_size=9).filter(lambda t: t.isprintable()), st.binary(max_size=20)),
    max_size=5,
)
ODD_RECORDS = st.builds(
    NewRecord,
    topic=st.sampled_from([TRANSACTIONS, LOGINS, BALANCES, SIGNALS]),
    key=ANY_BYTES,
    value=ANY_BYTES.map(lambda value: value and b"\xff" + value),
    partition=st.integers(0, 1),
    headers=HEADERS.map(tuple),
)


@given(
    records=st.lists(ODD_RECORDS, min_size=1, max_size=12),
    limit=st.integers(1_500, 9_000),
    time=st.sampled_from([None, NOW, 0, -1, -(2**63), LARGEST_NUMBER]),
)
def test_any_record_becomes_a_dead_letter(
    records: list[NewRecord], limit: int, time: int | None
) -> None:
    log = NarrowLog(limit, time)
    log.append(records)
    work(log)
    check_set_aside(log, records)


@given(
    key=ANY_BYTES,
    time=st.sampled_from([None, NOW, 0, -1, -(2**63), LARGEST_NUMBER]),
    length=st.integers(1, 128),
)
def test_a_valid_event_beside_any_key_and_time_ends_no_worker(
    key: bytes | None, time: int | None, length: int
) -> None:
    log = NarrowLog(2_000, time)
    event = compact(full_login(account_id="a" * length))
    own = b"a" * length
    log.append([NewRecord(LOGINS, each, event, p) for p in range(2) for each in (own, key)])
    work(log)
    reasons = {
        DeadLetterHeaders.from_headers(letter.headers).dlq_reason
        for _, letter in stored(log, DEAD_LETTERS)
    }
    assert reasons <= {"key_mismatch", "wrong_partition", "future_timestamp"}


def test_fuzzed_records_on_sqlite_are_all_accounted_for() -> None:
    """A small run of the benchmark."""
    said: list[str] = []
    assert any_record.main(["1500", "7", "sqlite"], said.append) == 0
    assert said[-1] == "  ok: all accounted for"
    assert "any record on SQLite: " in said[0]


def test_the_benchmark_finds_a_dead_letter_of_another_record() -> None:
    log = NarrowLog(RECORD_BYTES, partitions=1)
    log.append([NewRecord(LOGINS, b"k", b"\xff", 0), NewRecord(LOGINS, b"k", b"\xfe", 0)])
    work(log)
    assert any_record.check_letters(log) == ([], {"not_utf8": 2})
    ((_, first), _) = stored(log, DEAD_LETTERS)
    log.append([NewRecord(DEAD_LETTERS, b"k", b"other", 0, first.headers)])
    problems, _ = any_record.check_letters(log)
    assert len(problems) == 2


def test_a_late_event_is_cut_to_what_its_topic_takes() -> None:
    log = NarrowLog(2_500, partitions=1)
    large = full_login("09:00:00", event_id="late") | {f"note-{n}": "x" * 200 for n in range(20)}
    events = [full_login("10:00:00"), large]
    log.append([NewRecord(LOGINS, b"acc-1", compact(event), 0) for event in events])
    end = compact({"kind": "end", "occurred_at": "2026-03-05T00:00:00Z"})
    log.append([NewRecord(topic, None, end, 0) for topic in (TRANSACTIONS, LOGINS, BALANCES)])
    work(log)
    ((_, letter),) = stored(log, LATE)
    headers = LateHeaders.from_headers(letter.headers)
    assert headers.dlq_size == len(compact(large))
    check_part(letter, Record(1, NOW, b"acc-1", compact(large)), headers)
    assert list(stored(log, DEAD_LETTERS)) == []


@pytest.mark.parametrize(
    ("key", "value"), [(100, 10**6), (10**6, 100), (10**6, 10**6), (0, 3 * 10**6), (600, 600)]
)
def test_most_of_the_room_is_used_and_a_key_keeps_half_of_it(key: int, value: int) -> None:
    limit = 1_000_000
    record = NewRecord(DEAD_LETTERS, b"k" * key, b"v" * value, headers=(("dlq_error", b"x" * 99),))
    cut = fitting(record, limit)
    assert framed(cut) <= limit
    if key + value < limit - 700:
        assert cut is record
    else:
        assert framed(cut) > limit - 700
        assert len(cut.key or b"") >= min(key, 499_000)
        assert len(cut.value or b"") >= min(value, 100)


def test_a_record_that_just_fits_is_whole() -> None:
    for size in range(RECORD_BYTES - 520, RECORD_BYTES - 500):
        record = NewRecord(DEAD_LETTERS, b"", b"v" * size)
        assert (fitting(record, RECORD_BYTES) is record) == (size <= RECORD_BYTES - 512)


def test_without_any_room_nothing_is_left_but_the_headers() -> None:
    cut = fitting(NewRecord(DEAD_LETTERS, b"k", b"v" * 99, headers=(("a", b"b"),)), 10)
    assert (cut.key, cut.value) == (b"", b"")
    assert [name for name, _ in cut.headers] == [
        "a",
        "dlq_key_size",
        "dlq_key_sha256",
        "dlq_size",
        "dlq_sha256",
    ]
