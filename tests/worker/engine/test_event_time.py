"""Frontiers, proofs, idle advances, what a commit saves of them, and the reorder buffer."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.event_time import BEGINNING, Advance, InputTime, Source, SourceTime, Step
from worker.engine.records import Record
from worker.engine.reorder import Entry, ReorderBuffer

# -- the time of one input ----------------------------------------------------------------


def test_the_frontier_is_the_proof_or_what_the_clock_made_of_it() -> None:
    """Neither falls."""
    time = InputTime()
    assert time.frontier == BEGINNING
    time.prove(100)
    time.prove(50)
    assert (time.proof, time.frontier) == (100, 100)
    time.advance(300, proves=False)
    time.advance(200, proves=False)
    assert (time.proof, time.frontier) == (100, 300)
    time.advance(250, proves=True)
    assert (time.proof, time.frontier) == (250, 300)
    time.prove(400)
    assert (time.proof, time.frontier) == (400, 400)


def test_a_due_that_the_proof_passes_below_the_clock_was_held_at_the_frontier_before() -> None:
    """Each step of the proof remembers the frontier it was below."""
    time = InputTime(proof=100)
    time.advance(500, proves=False)
    time.prove(200)
    time.advance(600, proves=False)
    time.prove(900)
    assert time.steps == [Step(100, 200, 500), Step(200, 900, 600)]
    assert [time.held_at(due) for due in (99, 100, 199, 200, 899)] == [
        BEGINNING,
        500,
        500,
        600,
        600,
    ]
    assert time.held_at(900) == BEGINNING  # not passed: a due at the proof is not proven


def test_a_proof_that_leads_holds_nothing() -> None:
    """Where the clock is behind, a timer is judged at its due itself."""
    time = InputTime(proof=100, floor=100)
    time.prove(200)
    assert time.steps == []
    assert time.held_at(150) == BEGINNING


# -- advances -----------------------------------------------------------------------------


def test_advances_at_one_offset_collapse_into_the_newest() -> None:
    """However long an input idles, little is saved."""
    source = Source(0, 2, SourceTime())
    source.begin_batch(0)
    source.position = 1
    assert all(source.advance(0, time, proves=False) for time in (10, 20, 30))
    assert source.advance(0, 15, proves=True)
    assert source.advance(1, 40, proves=False)
    assert source.save(0, BEGINNING).advances == [
        Advance(1, 0, 30, False),
        Advance(1, 0, 15, True),
        Advance(1, 1, 40, False),
    ]


def test_an_advance_that_changes_nothing_is_none() -> None:
    """Neither is one behind the frontier, nor a proof behind the proof."""
    source = Source(0, 1, SourceTime())
    assert source.advance(0, 100, proves=False)
    assert not source.advance(0, 100, proves=False)
    assert source.advance(0, 50, proves=True)
    assert not source.advance(0, 50, proves=True)
    source.inputs[0].prove(200)
    assert not source.advance(0, 150, proves=False)


def test_save_forgets_what_nothing_asks_for_any_more() -> None:
    """Advances before the offset to go on from, and steps below the watermark."""
    source = Source(0, 1, SourceTime())
    source.inputs[0] = InputTime(0, 500, [Step(0, 1, 100), Step(1, 2, 500)])
    source.begin_batch(0)
    source.position = 5
    source.advance(0, 600, proves=False)
    source.begin_batch(5)
    source.position = 7
    saved = source.save(oldest_buffered=5, watermark=500)
    assert (saved.offset, saved.position, saved.advances) == (5, 7, [])
    assert saved.inputs[0].floor == 600
    assert source.inputs[0].steps == [Step(1, 2, 500)]


def test_a_batch_is_split_where_an_advance_was_made() -> None:
    """Only so do the events behind it meet the frontier they met first."""
    source = Source(0, 1, SourceTime(0, [InputTime()], [Advance(3, 0, 70, False)], position=5))
    source.begin_batch(0)
    assert source.next_replay() == 3
    assert source.replaying
    source.reach(3)
    assert source.inputs[0].frontier == 70
    assert source.next_replay() is None
    assert source.replaying  # offsets 0 to 4 are still to be read again
    source.position = 5
    assert not source.replaying


# -- a commit is enough to go on from -----------------------------------------------------

LATENESS = 5
INPUTS = 2
Times = tuple[int, ...]


@dataclass
class Reading:
    """A source that is read, advanced, saved and dropped; the records are (input, time)."""

    records: list[tuple[int, int]] = field(default_factory=list)
    frontiers: list[Times] = field(default_factory=list)
    """Of all inputs, as the record at each offset met them the first time."""
    oldest: int = 0
    """Below this offset nothing is buffered."""
    source: Source = field(default_factory=lambda: Source(0, INPUTS, SourceTime()))
    saved: bytes = b""

    def read(self, count: int) -> None:
        """Read up to `count` records as a task does, and compare what they meet."""
        while count and self.source.position < len(self.records):
            source = self.source
            start = source.position
            source.begin_batch(start)
            stop = min(start + count, len(self.records), source.next_replay() or 2**62)
            for index, time in self.records[start:stop]:
                met = tuple(each.frontier for each in source.inputs)
                if len(self.frontiers) == source.position:
                    self.frontiers.append(met)
                assert met == self.frontiers[source.position]
                source.inputs[index].prove(time - LATENESS)
                source.position += 1
            source.reach(source.position)
            count -= stop - start

    def advance(self, index: int, time: int, proves: bool) -> None:
        """Move an input by the clock, as the loop does: only at the end of what there is."""
        if self.source.position == len(self.records) and not self.source.replaying:
            self.source.advance(index, time, proves)

    def save(self, oldest: int) -> None:
        """Commit, with the oldest buffered event at an offset at or above the last one's."""
        self.oldest = max(self.oldest, min(oldest, len(self.frontiers)))
        buffered = self.oldest if self.oldest < self.source.position else None
        self.saved = msgspec.msgpack.encode(self.source.save(buffered, BEGINNING))

    def restart(self) -> None:
        """Go on from the last commit; what was read or advanced since is undone."""
        saved = msgspec.msgpack.decode(self.saved, type=SourceTime) if self.saved else None
        self.source = Source(0, INPUTS, saved or SourceTime())
        del self.frontiers[saved.position if saved else 0 :]
        self.oldest = min(self.oldest, len(self.frontiers))


times = st.integers(0, 60)
indexes = st.integers(0, INPUTS - 1)
steps = st.one_of(
    st.tuples(st.just("append"), st.lists(st.tuples(indexes, times), min_size=1, max_size=6)),
    st.tuples(st.just("read"), st.integers(1, 5)),
    st.tuples(st.just("advance"), indexes, times, st.booleans()),
    st.tuples(st.just("save"), st.integers(0, 30)),
    st.tuples(st.just("restart")),
)


@given(st.lists(steps, max_size=40))
def test_every_record_meets_the_same_frontiers_after_any_restarts(
    story: list[tuple[Any, ...]],
) -> None:
    """Whatever was read, advanced, saved and dropped in between, in whatever order."""
    reading = Reading()
    for name, *arguments in story:
        if name == "append":
            reading.records += arguments[0]
        else:
            getattr(reading, name)(*arguments)


@given(st.lists(steps, max_size=30), st.integers(1, 5))
def test_reading_again_ends_where_the_commit_stood(story: list[tuple[Any, ...]], size: int) -> None:
    """Proofs, floors, steps and position are those of the commit, in polls of any size."""
    reading = Reading()
    for name, *arguments in story:
        if name == "append":
            reading.records += arguments[0]
        elif name != "restart":
            getattr(reading, name)(*arguments)
    reading.save(0)
    before, position = reading.source.inputs, reading.source.position
    reading.records = reading.records[:position]
    reading.restart()
    while reading.source.position < position:
        reading.read(size)
    assert [(each.proof, each.floor) for each in reading.source.inputs] == [
        (each.proof, each.floor) for each in before
    ]
    for due in range(-10, 61):
        for index in range(INPUTS):
            assert reading.source.inputs[index].held_at(due) == before[index].held_at(due)
    assert not reading.source.replaying


def test_a_commit_in_the_middle_of_reading_again_keeps_how_far_was_read() -> None:
    """Or else a second restart would decide again what was decided before the first."""
    source = Source(0, 1, SourceTime(offset=3, inputs=[InputTime()], position=9))
    source.begin_batch(3)
    source.position = 4
    assert source.save(3, BEGINNING).position == 9


# -- the reorder buffer -------------------------------------------------------------------

BLANK = Record(0, None, None, None)


def entry(
    order: int,
    offset: int,
    occurred: int = 0,
    rank: int = 0,
    sequence: int = -1,
    event_id: str = "",
    source: int = 0,
) -> Entry:
    """Return a buffered event; by default everything but its order time and offset is equal."""
    return (order, occurred, rank, sequence, event_id, offset, source, BLANK, None, None, b"")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (entry(1, 9, occurred=9), entry(2, 0)),
        (entry(1, 9, occurred=1, rank=2), entry(1, 0, occurred=2)),
        (entry(1, 9, rank=0, sequence=9), entry(1, 0, rank=1)),
        (entry(1, 9, sequence=4, event_id="z"), entry(1, 0, sequence=5, event_id="a")),
        (entry(1, 9, sequence=-1, event_id="z"), entry(1, 0, sequence=0, event_id="a")),
        (entry(1, 9, event_id="a"), entry(1, 0, event_id="b")),
        (entry(1, 0, event_id="a"), entry(1, 9, event_id="a")),
    ],
)
def test_equal_order_times_are_told_apart(first: Entry, then: Entry) -> None:
    """By occurred_at, input, sequence if given, event_id, offset: in this order."""
    buffer = ReorderBuffer()
    buffer.extend([then, first])
    assert buffer.release(3) == [first, then]


def test_the_watermark_itself_is_not_released() -> None:
    """An event of that time may still come."""
    buffer = ReorderBuffer()
    buffer.extend([entry(5, 0), entry(4, 1)])
    assert [e[0] for e in buffer.release(5)] == [4]
    assert len(buffer) == 1
    assert [e[0] for e in buffer.release(6)] == [5]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3))), max_size=8),
    st.lists(st.integers(0, 60), min_size=8, max_size=8),
)
def test_what_is_released_is_sorted_and_complete(
    batches: list[list[tuple[int, int]]], marks: list[int]
) -> None:
    """Nothing is lost or doubled, and what is held is what is left."""
    buffer, offset, given_to, back = ReorderBuffer(), 0, [], []
    for batch, mark in zip(batches, marks, strict=False):
        entries = [
            entry(order, offset + n, source=source) for n, (order, source) in enumerate(batch)
        ]
        offset += len(batch)
        buffer.extend(entries)
        given_to += entries
        released = buffer.release(mark)
        assert released == sorted(released)
        assert all(e[0] < mark for e in released)
        back += released
        left = [e for e in given_to if e not in back]
        counts, oldest = buffer.held(4)
        assert counts == [sum(e[6] == source for e in left) for source in range(4)]
        assert oldest == [
            min((e[5] for e in left if e[6] == source), default=None) for source in range(4)
        ]
    assert sorted(back + buffer.release(61)) == sorted(given_to)
