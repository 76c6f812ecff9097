"""Recent ids of busy accounts: segments change nothing that comes out, and are written once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random

import msgspec
import pytest

from schemas.time import format_time, parse_time
from schemas.topics import DETECT_INPUTS, LOGINS
from tests.support.events.arrivals import in_order
from tests.support.events.mutations import compact, full_login
from tests.support.random_runs import POLICY, endure, run_plainly
from tests.support.run_comparison import comparable, dangling, set_aside, volumes
from tests.worker.detect.test_reader import Bench
from tests.worker.detect.test_rule_errors import with_touchy
from tests.worker.whole.test_order import story
from worker.detect import account as account_module
from worker.detect import id_segments
from worker.detect.account import LAYOUT
from worker.detect.id_segments import KeptSegment, KeptSegments
from worker.detect.redelivery import ROWS
from worker.detect.stage import DETECT, Policy, detect
from worker.engine.keyed_state import pack
from worker.engine.records import Record, Snapshot, StateChange, TopicPartition
from worker.engine.segments import SEGMENT, is_segment, owner_of, segment_key
from worker.errors import LogError
from worker.run.forget import forget

BEGIN = parse_time("2026-03-02T00:00:00Z")
DAY = 86_400_000
KEY = b"acc-1"
NO_RULES = Policy([], [])
MOST_BYTES = 256 * 1024


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of three rows, from the sixth row of an account on."""
    monkeypatch.setattr(id_segments, "SEGMENT_ROWS", 3)
    monkeypatch.setattr(id_segments, "MOST_ROWS", 6)


class Busy:
    """One account at work in a task without a log; its commits are noted."""

    def __init__(self, policy: Policy = NO_RULES) -> None:
        self._stage = detect(policy)
        self.task = self._stage.make(0, Snapshot(None, ()))
        self.saved: dict[bytes, bytes] = {}
        self.changes: list[StateChange] = []
        self.counts: Counter[str] = Counter()
        self._offset = 0
        self._meta: bytes | None = None

    def give(self, *events: tuple[str, int, str]) -> None:
        """Do one unit of work: logins by event_id, time and outcome."""
        records = [self._record(*event) for event in events]
        self.task.read(TopicPartition(LOGINS, 0), records)
        self.advance(max(self.task.watermark, *(at for _, at, _ in events)) + 1)

    def _record(self, event_id: str, at: int, outcome: str) -> Record:
        event = full_login(event_id=event_id, occurred_at=format_time(at), outcome=outcome)
        self._offset += 1
        return Record(self._offset, None, KEY, compact(event))

    def advance(self, at: int) -> None:
        """Move the time of all inputs, work and commit."""
        for source in self.task.sources:
            source.inputs[0].prove(at)
        outbox = self.task.work(None)
        self.task.numbered(outbox)
        for outcome, count in outbox.counts.items():
            self.counts[outcome.name] += count
        changes, _, self._meta = self.task.save()
        self.changes += changes
        for _, key, value in changes:
            self.saved[key] = value
            if not value:
                del self.saved[key]

    def restart(self) -> None:
        """Make the task again from what is committed."""
        again = self._stage.make(0, Snapshot(self._meta, self.saved.items()))
        self.task = again

    @property
    def segments(self) -> list[bytes]:
        """The keys of the segments that are saved, in order of their numbers."""
        return sorted(filter(is_segment, self.saved), key=lambda key: (len(key), key))


def hours(number: int, per_hour: int = 4) -> Iterator[tuple[str, int, str]]:
    """Yield events of the account."""
    for each in range(number):
        yield f"e{each}", BEGIN + each * 3_600_000 // per_hour, "success"


# -- nothing that comes out depends on them -----------------------------------------------


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.usefixtures("small")
def test_order_duplicates_polls_and_restarts_change_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without segments, for events that are late or in conflict too."""
    events, arrival, rng = story(seed, late_share=0.08 if seed % 2 else 0.0)
    endured = endure(rng, arrival)
    records = [record for stream in arrival.streams.values() for record in stream]
    with monkeypatch.context() as patch:
        patch.setattr(id_segments, "MOST_ROWS", 10**6)
        plain = run_plainly(records, arrival.partitions) if seed % 2 else None
        whole = run_plainly(in_order(events))
    if plain is None:
        assert comparable(endured) == comparable(whole)
    else:
        assert comparable(endured) == comparable(plain)
        assert set_aside(endured) == set_aside(plain)
        assert volumes(endured) == volumes(plain)
    assert dangling(endured) == []
    states = [each.states for each in endured._tasks.values()]
    assert any(is_segment(key) for kept in states for key in kept)


@pytest.mark.parametrize("seed", range(20))
def test_redeliveries_and_conflicts_are_recognised_as_in_one_row_of_rows(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over five days, in units of any size, with restarts; at the end nothing is left."""
    found = []
    for most in (6, 10**6):
        monkeypatch.setattr(id_segments, "SEGMENT_ROWS", 3)
        monkeypatch.setattr(id_segments, "MOST_ROWS", most)
        rng, busy, at = Random(seed), Busy(), BEGIN
        outcomes = ("success", "success", "failure")
        for _ in range(120):
            unit = []
            for _ in range(rng.randint(1, 12)):
                at += rng.choice((0, 1, 60_000, 900_000))
                name = f"e{max(0, at - rng.choice((0, 0, 0, DAY // 2, DAY, 2 * DAY))) // 900_000}"
                unit.append((name, at // 1000 * 1000, rng.choice(outcomes)))
            busy.give(*unit)
            if rng.random() < 0.1:
                busy.restart()
        busy.advance(at + 3 * DAY)
        assert [key for key in busy.saved if is_segment(key)] == []
        found.append((busy.counts, sorted(busy.saved.items())))
        written = Counter(key for _, key, value in busy.changes if value and is_segment(key))
        assert bool(written) == (most == 6)
        assert set(written.values()) <= {1}
    assert found[0] == found[1]
    assert min(found[0][0][name] for name in ("redelivered", "dead_letter")) > 30


# -- what is written, and when ------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_a_segment_is_written_once_and_removed_whole() -> None:
    """In order of arrival; the account's own record keeps fewer rows than a segment has."""
    busy, sizes = Busy(), []
    for event in hours(300):
        busy.give(event)
        sizes.append(len(busy.saved[KEY]))
    assert max(sizes[10:]) < max(sizes[:10])
    by_key: dict[bytes, list[bytes]] = defaultdict(list)
    for _, key, value in busy.changes:
        if is_segment(key):
            by_key[key].append(value)
    assert [owner_of(key) for key in by_key] == [KEY] * len(by_key)
    gone = [key for key, values in by_key.items() if len(values) == 2]
    assert all(values[0] and not any(values[1:]) for values in by_key.values())
    assert 60 < len(gone) < len(by_key) == 300 // 3
    assert busy.segments == [key for key in by_key if key not in gone]
    rows = b"".join(KeptSegments().load(busy.saved[key]).rows for key in busy.segments)
    assert len(rows) == 3 * ROWS.size * len(busy.segments)
    assert ROWS.times(rows) == sorted(ROWS.times(rows))


@pytest.mark.usefixtures("small")
def test_other_accounts_have_none() -> None:
    """Fewer rows than make an account busy stay in its record, and nothing else is written."""
    busy = Busy()
    busy.give(*list(hours(5)))
    assert list(busy.saved) == [KEY]


def test_no_record_of_a_busy_account_is_large() -> None:
    """A segment is as large as a record of an account that has some."""
    busy, events = Busy(), list(hours(20_000, per_hour=40_000))
    for first in range(0, len(events), 1_000):
        busy.give(*events[first : first + 1_000])
    sizes = {len(value) for _, _, value in busy.changes}
    assert max(sizes) <= MOST_BYTES
    assert max(len(value) for key, value in busy.saved.items()) < 16 * 1024
    busy.give(*events[-300:], *events[:300])
    assert busy.counts["redelivered"] == 600


@pytest.mark.usefixtures("small")
def test_a_task_counts_keys_and_not_their_segments() -> None:
    busy = Busy()
    busy.give(*list(hours(30)))
    assert len(busy.segments) == 10
    assert busy.task.keys == len(busy.saved) - len(busy.segments) == 1


def test_the_key_of_a_segment_is_that_of_no_account() -> None:
    """Nor of another account's segment; no event can have it."""
    owners = [b"a", b"a\0", b"a0", b"1", "\u20ac".encode()]
    keys = {segment_key(owner, number) for owner in owners for number in (0, 1, 10, -1)}
    assert len(keys) == 4 * len(owners)
    assert all(key.startswith(SEGMENT) for key in keys)
    assert {owner_of(key) for key in keys} == set(owners)
    bench = Bench()
    name = segment_key(KEY, 0).decode()
    bench.give(full_login(account_id=name), key=name)
    bench.end()
    bench.work()
    assert bench.reasons() == ["schema"]


# -- what goes wrong ----------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_a_unit_that_is_done_again_leaves_no_trace_in_the_index() -> None:
    """A rule that raises drops the unit, with what it has put into segments and removed."""
    events = [(name, at, "failure") for name, at, _ in hours(400)]
    rule = with_touchy(["e45", "e399"]).rules[1]
    busy = Busy(Policy([rule], [rule]))
    for first, end in ((0, 30), (30, 50), (50, 400)):  # the last one takes four days
        busy.give(*events[first:end])
    assert busy.counts["rule_error"] == 2
    recent = events[-80:]
    busy.give(*recent, *((name, at, "success") for name, at, _ in recent))
    assert busy.counts["redelivered"] == 80
    assert busy.counts["dead_letter"] == 80 + busy.counts["rule_error"]
    busy.advance(recent[-1][1] + 2 * DAY)
    assert busy.segments == []


@pytest.mark.usefixtures("small")
def test_segments_of_a_dropped_unit_are_not_taken_for_those_before_it() -> None:
    """The unit forgets as many as it makes, and is done again from its beginning."""
    first = [(name, at, "failure") for name, at, _ in hours(30)]
    later = [(f"new-{name}", at + 3 * DAY, outcome) for name, at, outcome in first]
    rule = with_touchy([later[-1][0]]).rules[1]
    busy = Busy(Policy([rule], [rule]))
    busy.give(*first)
    busy.give(*first, *later)
    assert (busy.counts["rule_error"], busy.counts["redelivered"]) == (1, 30)
    assert len(busy.segments) == 10


@pytest.mark.usefixtures("small")
def test_to_forget_an_account_removes_its_segments() -> None:
    """And counts their rows; those of another account stay."""
    bench = Bench()
    for number in range(20):
        for name in ("acc-1", "acc-10"):
            bench.give(full_login(event_id=f"e{number}", account_id=name), key=name)
    bench.end("2026-03-02T11:00:00Z")
    bench.work()
    found = forget(bench.log, POLICY, "acc-1", bench.now)
    assert found is not None
    assert found.event_ids == 20
    session = bench.log.open_session(DETECT, DETECT_INPUTS, [0])
    left = {owner_of(key) for key, _ in session.restore(0).states}
    session.close()
    assert left == {b"acc-10"}
    assert forget(bench.log, POLICY, "acc-1", bench.now) is None


@pytest.mark.usefixtures("small")
def test_a_segment_that_is_missing_or_damaged_ends_the_task() -> None:
    """A redelivery that is taken for a new event would be worse."""
    for broken in (None, pack([], b"no segment")):
        busy = Busy()
        busy.give(*list(hours(30)))
        key = busy.segments[4]
        del busy.saved[key]
        if broken is not None:
            busy.saved[key] = broken
        busy.restart()
        with pytest.raises(LogError, match=r"^The saved state of recent ids cannot be read"):
            busy.give(*list(hours(31))[-1:])


@pytest.mark.usefixtures("small")
def test_a_segment_of_a_newer_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = pack([], KeptSegments().dump(KeptSegment(bytes(ROWS.size))))
    monkeypatch.setattr(account_module, "LAYOUT", LAYOUT - 1)
    with pytest.raises(LogError, match="A newer release of walletwatch has saved recent ids"):
        KeptSegments().load(stored)


def test_rows_of_a_release_that_knew_fewer_fields_answer_by_id_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As those in the account's own record."""
    row = ROWS.pack(b"1" * 16, b"2" * 8, 3)
    stored = pack([], KeptSegments().dump(KeptSegment(row)))
    assert KeptSegments().load(stored).rows == row
    monkeypatch.setattr(account_module, "KNOWN_FIELDS_SINCE", LAYOUT + 1)
    assert KeptSegments().load(stored).rows == ROWS.pack(b"1" * 16, bytes(8), 3)


def test_what_a_segment_is_saved_as_never_changes() -> None:
    """A later release reads it."""
    row = bytes(range(ROWS.size))
    assert KeptSegments().dump(KeptSegment(row)) == msgspec.msgpack.encode([LAYOUT, row])
    assert segment_key(KEY, 12) == b"\x01acc-1\x0012"
