"""Several inputs into one order of event time: frontiers, proofs, watermark, reorder buffer. Pure.

Theory of operation. Each input of a task has a *frontier*: the time up to which it is taken to be
complete. An event is put in order at its order time, max(occurred_at, frontier at its offset); it
is late iff that differs from occurred_at. The *watermark* is the least frontier. Events with an
order time strictly below it are released, sorted; no event read later can belong before them,
because its order time cannot be below its input's frontier. So the sequence of released events
depends on the inputs alone, not on how they were polled.

A frontier moves by what was read (`proof`) and, where the input is read to its end, by the clock
(`floor`). Only the proof counts for judging absence. Where the clock has taken a frontier beyond
the proof, and the proof later catches up with what had been held back, a timer that waited for it
must come after those events, whose order time is the old frontier: `Step` remembers it.

A *source* is one partition of the log; it feeds one input, or several where the records of many
origins share it. At the start of each batch read from a source the state of its inputs is put
aside. A commit names the newest such point that no buffered event lies before; after a restart
the source is read again from there, the same advances are applied at the same offsets, and events
that were released before the commit are recognised by an order time below the saved watermark.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

BEGINNING: Final = -(2**62)
"""Before all times, in milliseconds."""


class Advance(Struct, array_like=True, frozen=True, gc=False):
    """The clock's part in the time of one input of a source, at an offset."""

    offset: int
    input: int
    time: int
    proves: bool


class Step(Struct, array_like=True, frozen=True, gc=False):
    """The proof went from `before` to `after` while the frontier stood higher."""

    before: int
    after: int
    frontier: int


class InputTime(Struct, array_like=True):
    """The time of one input at one point of its source, in milliseconds."""

    proof: int = BEGINNING
    floor: int = BEGINNING
    steps: list[Step] = []

    @property
    def frontier(self) -> int:
        """The time up to which this input is taken to be complete."""
        return self.proof if self.proof >= self.floor else self.floor

    def prove(self, time: int) -> None:
        """Take over that everything before `time` has been read."""
        if time > self.proof:
            if self.floor > self.proof:
                self.steps.append(Step(self.proof, time, self.floor))
            self.proof = time

    def advance(self, time: int, proves: bool) -> None:
        """Move by the clock."""
        if proves:
            self.prove(time)
        elif time > self.floor:
            self.floor = time

    def held_at(self, due: int) -> int:
        """The frontier just before the proof passed `due`, if the clock had taken it beyond."""
        for step in self.steps:
            if step.before <= due < step.after:
                return step.frontier
        return BEGINNING

    def copy(self) -> "InputTime":
        """Return an independent copy."""
        return InputTime(self.proof, self.floor, list(self.steps))


class SourceTime(Struct, array_like=True):
    """What a commit saves of one source."""

    offset: int = 0
    """From where to read again."""
    inputs: list[InputTime] = []
    """As they stood before the record at `offset`."""
    advances: list[Advance] = []
    """Applied at later offsets; to be applied again when those are reached."""
    position: int = 0
    """What had been read at the commit: below it, events may have been released already."""
    ended: bool = False
    """The last record read was an end."""
    bad: list[int] = []
    """Offsets of dead letters among the latest records."""
    bad_keys: list[int] = []
    """A hash of the key of each of these; fewer where an older release saved only the offsets."""


class Source:
    """One log partition as its task reads it."""

    def __init__(self, index: int, inputs: int, saved: SourceTime) -> None:
        self.index = index
        self.inputs = [time.copy() for time in saved.inputs]
        self.inputs += [InputTime() for _ in range(inputs - len(self.inputs))]
        self.position = saved.offset
        """The offset to be read next."""
        self.reread_until = saved.position
        """Below this offset everything decided at reading was decided before."""
        self.ended = saved.ended
        self.bad = list(saved.bad)
        # Records of before this was saved count like those without a key.
        self.bad_keys = [0] * (len(saved.bad) - len(saved.bad_keys)) + saved.bad_keys
        self._advances = list(saved.advances)
        self._replay = deque(saved.advances)
        self._points: deque[tuple[int, list[InputTime]]] = deque()

    @property
    def replaying(self) -> bool:
        """Whether advances of the time before the restart still wait for their offsets."""
        return bool(self._replay) or self.position < self.reread_until

    @property
    def by_the_clock(self) -> bool:
        """Whether the clock has taken an input beyond what was read, so beyond an end as well."""
        return any(time.floor > time.proof for time in self.inputs)

    def begin_batch(self, offset: int) -> None:
        """Apply what was saved for this offset, and put the state before it aside."""
        self.reach(offset)
        self._points.append((offset, [time.copy() for time in self.inputs]))

    def reach(self, offset: int) -> None:
        """Apply the saved advances that belong before this offset."""
        while self._replay and self._replay[0].offset <= offset:
            advance = self._replay.popleft()
            self.inputs[advance.input].advance(advance.time, advance.proves)

    def next_replay(self) -> int | None:
        """The offset of the next saved advance, where a batch must be split."""
        return self._replay[0].offset if self._replay else None

    def advance(self, index: int, time: int, proves: bool) -> bool:
        """Move an input by the clock at the present position; return whether it moved."""
        at = self.inputs[index]
        if time <= (at.proof if proves else at.frontier):
            return False
        at.advance(time, proves)
        new = Advance(self.position, index, time, proves)
        if self._advances and _same_but_time(self._advances[-1], new):
            self._advances[-1] = new
        else:
            self._advances.append(new)
        return True

    def save(self, oldest_buffered: int | None, watermark: int) -> SourceTime:
        """Return what must be saved now; forgets what nothing can ask for any more."""
        for time in self.inputs:
            if time.steps:
                time.steps = [step for step in time.steps if step.frontier >= watermark]
        if oldest_buffered is None:
            self._points.clear()
            offset, inputs = self.position, self.inputs
        else:
            while len(self._points) > 1 and self._points[1][0] <= oldest_buffered:
                self._points.popleft()
            offset, inputs = self._points[0]
        self._advances = [advance for advance in self._advances if advance.offset > offset]
        read = max(self.position, self.reread_until)
        return SourceTime(offset, inputs, self._advances, read, self.ended, self.bad, self.bad_keys)


def absence_judged_at(sources: Sequence[Source], due: int, awaits: int) -> int | None:
    """Return the order time at which absence at `due` is judged, None if it is not proven yet.

    Args:
        awaits: the sources whose proof must have passed `due`, as bits (1 << index).
    """
    order = due
    for source in sources:
        if awaits >> source.index & 1:
            for time in source.inputs:
                if time.proof <= due:
                    return None
                order = max(order, time.held_at(due))
    return order


def _same_but_time(one: Advance, other: Advance) -> bool:
    return (one.offset, one.input, one.proves) == (other.offset, other.input, other.proves)
