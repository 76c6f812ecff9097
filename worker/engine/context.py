"""What a stage's handler is, and what it may use while it handles one event or timer. Pure."""

from collections.abc import Callable, Mapping
from heapq import heappush
from typing import Any, Protocol

from worker.engine.keyed_state import Timer
from worker.engine.outbox import Outbox
from worker.engine.reorder import Entry

DueTimer = tuple[int, int, str, str, int]
"""(order time, due, owner, name, awaits): sorts in the order in which the timers of a key fire."""

Place = tuple[int, int, Any]
"""Where an event or timer is in the order of its task: (order time, 0, entry) of an event, (order
time, 1, (due, key, owner, name)) of a timer. At one order time all events come before all timers.
"""


class RuleFailed(Exception):
    """A rule raised outside careful mode: the unit has to be worked through again."""


class Live(Protocol):
    """The decoded state of one key during one unit of work."""

    timers: list[Timer]


class Family(Protocol):
    """How the states of one kind of key are kept. Implementations are pure."""

    def load(self, stored: bytes | None) -> Any:
        """Decode a key's state; None for a key that has none."""

    def dump(self, live: Any) -> bytes:
        """Encode a key's state without timers' header; empty when there is nothing to keep."""

    def on_timer(self, live: Any, timer: Timer, context: "Context") -> None:
        """Handle one timer, already removed from the state."""


def family_of(key: bytes, families: Mapping[bytes, Family]) -> Family:
    """Return the family of a key: by its first byte, else the one of all other keys."""
    return families.get(key[:1]) or families[b""]


class Handler(Protocol):
    """What a stage does with its keys. Implementations are pure.

    The keys of one unit of work are handled one after the other, each with its events and timers in
    order: what is made of one may not depend on another.
    """

    families: Mapping[bytes, Family]
    """By the first byte of their keys; b"" keeps the states of all other keys, those of events."""

    def renewed(self, states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the stored form that replaces those of an older release, where keys differ.

        Empty bytes remove a key.
        """

    def on_keyless(self, entry: Entry, context: "Context") -> None:
        """Handle one released event that belongs to no key's state."""

    def on_event(self, live: Any, entry: Entry, context: "Context") -> None:
        """Handle one released event."""

    def finish(self, watermark: int, context: "Context") -> Place | None:
        """End a unit of work: all below the watermark has been handled, and numbered.

        Return behind which event or timer belongs what is published here; None: behind all.
        """


class Context:
    """The processor context: what a handler may use while it handles one event or timer.

    Attributes:
        now: order time of the event or timer, milliseconds; for one key it never falls.
        key: of the state that is handled.
        place: of the timer that is handled.
        wall: wall time of this unit of work, milliseconds; None where no clock runs (files).
        origin: the task's name on signals.
        signals: how many have been numbered.
        id_key: of the task, for the ids that it gives; empty: it has none.
        careful: guard each rule with a copy of its state.
        touch: returns the decoded state of a key without events, which will be saved.
        read: returns the same, to be left as it is.
        unit: what the handler keeps over one unit of work; None until it does.
        limit: timers with an order time below it fire in this unit of work.
        due: those of the key, as a heap.
    """

    __slots__ = (
        "careful",
        "due",
        "id_key",
        "key",
        "limit",
        "now",
        "origin",
        "outbox",
        "place",
        "read",
        "signals",
        "task",
        "touch",
        "unit",
        "wall",
    )

    def __init__(self, task: int, now: int, signals: int, id_key: bytes = b"") -> None:
        self.task = task
        self.origin = f"detect-{task}"
        self.now = now
        self.signals = signals
        self.id_key = id_key
        self.wall: int | None = None
        self.careful = False
        self.key = b""
        self.place: Place = (now, 1, ())
        self.outbox = Outbox("")
        self.begin(now, self.outbox)

    def begin(
        self,
        limit: int,
        outbox: Outbox,
        touch: Callable[[bytes], Any] | None = None,
        read: Callable[[bytes], Any] | None = None,
    ) -> None:
        """Begin a unit of work; without `touch` and `read`, or what is published beside one."""
        self.limit = limit
        self.outbox = outbox
        self.touch = touch or _untouchable
        self.read = read or _untouchable
        self.due: list[DueTimer] = []
        self.unit: Any = None

    @property
    def published_at(self) -> int:
        """Wall time of what is published; where no clock runs, the order time. Milliseconds."""
        return self.now if self.wall is None else self.wall

    def set_timer(self, live: Live, timer: Timer) -> None:
        """Set a timer in the state that saves it, replacing one of the same owner and name."""
        self.cancel_timer(live, timer.owner, timer.name)
        live.timers.append(timer)
        if timer.due < self.limit:
            order = timer.due if timer.due > self.now else self.now
            heappush(self.due, (order, timer.due, timer.owner, timer.name, timer.awaits))

    def cancel_timer(self, live: Live, owner: str, name: str) -> None:
        """Forget a timer, if it is set."""
        for index, timer in enumerate(live.timers):
            if timer.name == name and timer.owner == owner:
                del live.timers[index]
                return

    def next_signal(self) -> int:
        """Return the origin sequence for one more signal."""
        self.signals += 1
        return self.signals


def _untouchable(_: bytes) -> Any:
    raise AssertionError("only a unit of work touches states of other keys")
