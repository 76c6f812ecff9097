"""One task: events and timers in order, proofs, pauses, and what survives a restart."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random

import msgspec
import pytest
from msgspec import Struct

from worker.engine.context import Context, Family
from worker.engine.event_time import Source
from worker.engine.keyed_state import Timer, payload_of
from worker.engine.outbox import Outbox
from worker.engine.records import NewRecord, Record, Snapshot, TopicPartition
from worker.engine.reorder import EVENT, ORDER, Entry
from worker.engine.task import Task

TOPICS = ("left", "right")
LEFT, RIGHT = 1, 2
"""As awaited inputs."""


class Event(Struct):
    """An event that sets or cancels timers of its key; a name alone does nothing else."""

    name: str
    at: int
    timers: list[Timer] = []
    cancel: list[str] = []


class Live:
    """The state of a key: what has happened to it."""

    def __init__(self, diary: list[str], timers: list[Timer]) -> None:
        self.diary = diary
        self.timers = timers


class Diary:
    """Reader and handler at once; publishes what happens, and when."""

    def __init__(self) -> None:
        self.loads = 0
        self.families: Mapping[bytes, Family] = {b"": self}

    def read(
        self, task: Task, source: Source, records: Sequence[Record], outbox: Outbox
    ) -> list[Entry]:
        """Take every record for an event, without lateness."""
        entries: list[Entry] = []
        for record in records:
            event = msgspec.msgpack.decode(record.value or b"", type=Event)
            order = max(event.at, source.inputs[0].frontier)
            source.inputs[0].prove(event.at)
            if record.offset >= source.reread_until or order >= task.applied_until:
                place = (order, event.at, source.index, -1, event.name, record.offset)
                entries.append((*place, source.index, record, event, record.key, b""))
        return entries

    def load(self, stored: bytes | None) -> Live:
        """Decode a key's state."""
        self.loads += 1
        if stored is None:
            return Live([], [])
        diary, timers = msgspec.msgpack.decode(
            payload_of(stored), type=tuple[list[str], list[Timer]]
        )
        return Live(diary, timers)

    def renewed(self, states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        return {}

    def dump(self, live: Live) -> bytes:
        """Encode a key's state."""
        return msgspec.msgpack.encode((live.diary, live.timers))

    def on_keyless(self, entry: Entry, context: Context) -> None:
        """Every record has a key here."""

    def on_event(self, live: Live, entry: Entry, context: Context) -> None:
        """Do what the event says."""
        event: Event = entry[EVENT]
        assert context.now == entry[ORDER]
        self._note(live, context, event.name)
        for timer in event.timers:
            context.set_timer(live, timer)
        for name in event.cancel:
            context.cancel_timer(live, "", name)

    def on_timer(self, live: Live, timer: Timer, context: Context) -> None:
        """Publish it; a timer of owner "next" sets another, due at the time that is its name."""
        self._note(live, context, f"{timer.owner}:{timer.name}")
        if timer.owner == "next":
            context.set_timer(live, Timer(int(timer.name), "last", timer.name))

    def finish(self, watermark: int, context: Context) -> None:
        """Everything is published already."""

    def _note(self, live: Live, context: Context, what: str) -> None:
        now, key = context.now, context.key

        def numbered(number: int) -> list[NewRecord]:
            return [NewRecord("diary", key, msgspec.msgpack.encode((now, what, number)))]

        context.outbox.outputs.append(numbered)
        live.diary.append(what)


class Bench:
    """A task that can be dropped and made again from what it last committed."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.seen: list[tuple[int, str]] = []
        """What has happened, and when."""
        self.numbers: list[int] = []
        """By which numbers it was published."""
        self._meta: bytes | None = None
        self._states: dict[bytes, bytes] = {}
        self._offsets = [0, 0]
        self._records: tuple[list[Record], list[Record]] = ([], [])
        self.task = self._make()

    @property
    def names(self) -> list[str]:
        """What has happened."""
        return [name for _, name in self.seen]

    def _make(self, renewed: Collection[str] = ()) -> Task:
        states: Iterable[tuple[bytes, bytes]] = self._states.items()
        args = (dict.fromkeys(TOPICS, 1), self.diary, self.diary)
        return Task(0, "bench", *args, Snapshot(self._meta, states, renewed))

    def give(self, side: int, *events: Event, key: bytes = b"k") -> None:
        """Append to an input, and read it."""
        stream = self._records[side]
        for event in events:
            stream.append(Record(len(stream), None, key, msgspec.msgpack.encode(event)))
        self._read(side)

    def _read(self, side: int) -> None:
        records = self._records[side][self.task.sources[side].position :]
        self.task.read(TopicPartition(TOPICS[side], 0), records)

    def pass_time(self, until: int) -> None:
        """Let both inputs say that a time is reached, and work."""
        for side in (0, 1):
            self.give(side, Event("", until), key=b"clock")
        self.work()

    def idle(self, side: int, until: int, proves: bool = False) -> None:
        """Move an input by the clock."""
        self.task.sources[side].advance(0, until, proves)

    def work(self) -> None:
        """Work and commit."""
        for record in self.task.numbered(self.task.work(0)):
            now, what, number = msgspec.msgpack.decode(record.value or b"")
            self.seen.append((now, what))
            self.numbers.append(number)
        changes, _, self._meta = self.task.save()
        for _, key, value in changes:
            self._states[key] = value

    def renew(self, side: int) -> None:
        """Drop the task, and make it again with an input that begins anew, without records."""
        self._records[side].clear()
        self.task = self._make([TOPICS[side]])
        self._read(1 - side)

    def restart(self) -> None:
        """Drop the task, make it again, and read again."""
        self.task = self._make()
        for side in (0, 1):
            self._read(side)


def without_clock(bench: Bench) -> list[str]:
    """Return what happened, without the passing of time."""
    return [name for name in bench.names if name]


def test_timers_fire_in_order_of_due_key_owner_and_name() -> None:
    """However they were set."""
    bench = Bench()
    timers = [
        Timer(20, "A", "z"),
        Timer(10, "B", "x"),
        Timer(10, "A", "y"),
        Timer(10, "A", "x"),
    ]
    bench.give(0, Event("second key", 1, timers), key=b"l")
    bench.give(0, Event("first key", 2, timers[1:2]), key=b"k")
    bench.pass_time(30)
    assert bench.seen[2:] == [(10, "B:x"), (10, "A:x"), (10, "A:y"), (10, "B:x"), (20, "A:z")]


def random_events(choice: Random, side: int) -> list[tuple[bytes, Event]]:
    """Return events of a few keys in the order of an input, many at one time, with timers."""
    at, found = 0, []
    for number in range(60):
        at += choice.choice((0, 0, 1, 3))
        timers = [
            Timer(
                at + choice.randrange(-2, 12),
                choice.choice(("", "next")),
                str(at + choice.randrange(-3, 9)),
                choice.choice((0, 0, LEFT, RIGHT, LEFT | RIGHT)),
            )
            for _ in range(choice.choice((0, 0, 1, 2)))
        ]
        key = choice.choice((b"a", b"b", b"c", b"d"))
        found.append((key, Event(f"{side}-{number}", at, timers, choice.choice(([], [str(at)])))))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_what_is_published_is_in_the_order_of_all_keys_however_many_make_one_unit(
    seed: int,
) -> None:
    """One event a unit, seven, or all of them."""
    streams = [random_events(Random(2 * seed + side), side) for side in (0, 1)]
    found = []
    for size in (1, 7, 1_000):
        bench = Bench()
        for start in range(0, 60, size):
            for side, stream in enumerate(streams):
                for key, event in stream[start : start + size]:
                    bench.give(side, event, key=key)
            bench.work()
        bench.pass_time(1_000)
        assert [now for now, _ in bench.seen] == sorted(now for now, _ in bench.seen)
        assert bench.numbers == list(range(1, len(bench.seen) + 1))
        for place, name in enumerate(bench.names):
            if name.startswith("last:"):
                assert name.replace("last", "next") in bench.names[:place]
        found.append(bench.seen)
    assert len(found[0]) > 150
    assert found[0] == found[1] == found[2]


def test_all_events_of_an_order_time_come_before_its_timers() -> None:
    """A timer due at the time of an event sees it."""
    bench = Bench()
    bench.give(0, Event("set", 1, [Timer(10, "", "due")]), Event("left", 10), Event("after", 11))
    bench.give(1, Event("right", 10))
    bench.pass_time(20)
    assert without_clock(bench) == ["set", "left", "right", ":due", "after"]


def test_a_timer_due_in_the_past_fires_after_the_present_order_time() -> None:
    """Not at once, and not with what comes later."""
    bench = Bench()
    bench.give(0, Event("first", 10, [Timer(3, "", "past")]), Event("second", 10))
    bench.give(0, Event("later", 11))
    bench.pass_time(20)
    assert bench.seen[:4] == [(10, "first"), (10, "second"), (10, ":past"), (11, "later")]


def test_of_one_name_only_the_newest_timer_fires() -> None:
    """Also where the new due is earlier, and never when it was cancelled."""
    bench = Bench()
    bench.give(0, Event("set", 1, [Timer(n, "", "again") for n in (10, 30, 20)]))
    bench.give(0, Event("and", 2, [Timer(15, "", "gone")]), Event("cancel", 3, cancel=["gone"]))
    bench.pass_time(40)
    assert without_clock(bench) == ["set", "and", "cancel", ":again"]
    assert bench.seen[-1] == (20, ":again")


def test_a_timer_at_the_watermark_waits() -> None:
    """An event of that time may still come."""
    bench = Bench()
    bench.give(0, Event("set", 1, [Timer(10, "", "due")]))
    bench.pass_time(10)
    assert without_clock(bench) == ["set"]
    assert bench.task.undecided() == []  # it judges no absence
    bench.pass_time(11)
    assert without_clock(bench) == ["set", ":due"]


def test_a_timer_that_judges_absence_is_undecided_until_it_fires() -> None:
    """It is listed with its due time and its key."""
    bench = Bench()
    bench.give(0, Event("set", 1, [Timer(10, "", "due", 1)]))
    bench.pass_time(10)
    assert bench.task.undecided() == [(10, b"k", "", "due")]
    bench.pass_time(12)
    assert bench.task.undecided() == []


@pytest.mark.parametrize("restart", [False, True])
def test_timers_are_state(restart: bool) -> None:
    """They fire exactly once, after a restart too, and a restore decodes nothing."""
    bench = Bench()
    bench.give(0, Event("set", 1, [Timer(10, "", "one"), Timer(20, "", "two")]))
    bench.pass_time(5)
    for until in (15, 25, 35):
        if restart:
            loads = bench.diary.loads
            bench.restart()
            assert bench.diary.loads == loads
        bench.pass_time(until)
    assert without_clock(bench) == ["set", ":one", ":two"]


def test_events_in_flight_are_handled_once_over_restarts() -> None:
    """Some of what is read again was applied before the commit, some was not."""
    bench = Bench()
    bench.give(0, Event("late in order", 30), Event("early in order", 30), Event("ahead", 50))
    bench.give(1, Event("a", 10), Event("b", 31))
    bench.work()
    for _ in range(3):
        bench.restart()
        bench.work()
    bench.pass_time(60)
    assert without_clock(bench) == ["a", "early in order", "late in order", "b", "ahead"]


def test_absence_waits_for_the_proof_of_the_awaited_inputs() -> None:
    """Not for the clock, and not for other inputs."""
    bench = Bench()
    timers = [Timer(10, "", "left", LEFT), Timer(10, "", "both", LEFT | RIGHT)]
    bench.give(0, Event("set", 1, timers))
    bench.idle(0, 100)
    bench.idle(1, 100)
    bench.work()
    bench.work()
    assert bench.names == ["set"]
    bench.give(0, Event("", 10), key=b"clock")  # what happens at 10 may still come
    bench.idle(0, 105)
    bench.idle(1, 105)
    bench.work()
    assert without_clock(bench) == ["set"]
    bench.give(0, Event("", 11), key=b"clock")
    bench.idle(0, 110)
    bench.idle(1, 110)
    bench.work()
    assert without_clock(bench) == ["set", ":left"]
    bench.idle(1, 50, proves=True)
    bench.idle(0, 120)
    bench.idle(1, 120)
    bench.work()
    assert without_clock(bench) == ["set", ":left", ":both"]


@pytest.mark.parametrize("restart", [False, True])
def test_what_comes_with_the_end_of_a_silence_comes_before_the_judgement(restart: bool) -> None:
    """The timer stands at the frontier just before its proof, behind the events there."""
    bench = Bench()
    bench.give(0, Event("set", 1, [Timer(10, "", "absence", LEFT)]))
    bench.idle(0, 100)
    bench.idle(1, 200)
    bench.work()
    if restart:
        bench.restart()
    bench.give(0, Event("held back", 5), Event("also", 11), Event("fresh", 150))
    bench.work()
    assert bench.seen == [(1, "set"), (100, "held back"), (100, "also"), (100, ":absence")]


def test_an_input_ahead_of_the_others_is_paused_the_slowest_never() -> None:
    """When more than so many of its events wait."""
    bench = Bench()
    bench.give(0, *(Event("ahead", at) for at in (10, 11, 12)))
    bench.give(1, Event("slow", 1), Event("slow", 1), Event("slow", 1))
    bench.work()
    assert bench.task.paused(2) == [TopicPartition("left", 0)]
    assert bench.task.paused(3) == []
    bench.give(1, Event("caught up", 20))
    bench.work()
    assert bench.task.paused(2) == []


def test_progress_and_silence_are_spoken_of_at_the_watermark() -> None:
    """Nothing decided later stands at a time before what the engine itself has said."""
    bench = Bench()
    bench.give(0, Event("set", 1, [Timer(10, "", "absence", LEFT)]))
    bench.idle(0, 100)
    bench.idle(1, 100)
    bench.task.work(0)
    assert bench.task.context(Outbox("")).now == 100
    bench.give(0, Event("", 11), Event("", 300), key=b"clock")
    bench.idle(1, 300)
    bench.work()
    assert (100, ":absence") in bench.seen


def test_a_commit_names_no_offset_of_a_source_that_was_not_read() -> None:
    """Where its oldest record is, the log knows; that need not be offset 0."""
    bench = Bench()
    bench.give(0, Event("first", 1))
    bench.give(0, Event("second", 10))
    bench.idle(1, 5)
    bench.task.work(0)
    _, offsets, _ = bench.task.save()
    assert offsets.keys() == {TopicPartition(TOPICS[0], 0)}
    for until in (20, 30):
        bench.pass_time(until)
    _, offsets, _ = bench.task.save()
    assert offsets.keys() == {TopicPartition(topic, 0) for topic in TOPICS}


def test_an_input_that_begins_anew_is_read_from_its_first_record() -> None:
    """Nothing below the position of before counts as read; time does not go back."""
    bench = Bench()
    bench.give(0, *(Event(f"old-{at}", at) for at in range(1, 11)))
    bench.pass_time(12)
    watermark = bench.task.watermark
    bench.renew(0)
    source = bench.task.sources[0]
    assert (source.position, source.reread_until, source.replaying) == (0, 0, False)
    assert bench.task.watermark == watermark
    bench.give(0, Event("late", 3), Event("new", 15))
    bench.pass_time(20)
    assert without_clock(bench)[-2:] == ["late", "new"]
    assert [at for at, name in bench.seen if name == "late"] == [watermark]
    bench.restart()
    assert bench.task.sources[0].position == bench.task.sources[0].reread_until
