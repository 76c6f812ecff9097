"""What a stage's handler is, and what it may use while it handles one event or timer. Pure."""

from collections.abc import Callable, Mapping
from heapq import heappush
from typing import Any, Protocol

from worker.engine.keyed_state import Timer
from worker.engine.outbox import Outbox
from worker.engine.reorder import Entry

HeapEntry = tuple[int, int, bytes, str, str, int]
"""(order time, due, key, owner, name, awaits): sorts in the order in which timers fire."""


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


class Handler(Protocol):
    """What a stage does with its keys. Implementations are pure."""

    families: Mapping[bytes, Family]
    """By the first byte of their keys; b"" keeps the states of all other keys."""

    def renewed(self, states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the stored form that replaces those of an older release, where keys differ.

        Empty bytes remove a key.
        """

    def on_keyless(self, entry: Entry, context: "Context") -> None:
        """Handle one released event that belongs to no key's state."""

    def on_event(self, live: Any, entry: Entry, context: "Context") -> None:
        """Handle one released event."""

    def finish(self, watermark: int, context: "Context") -> None:
        """End a unit of work: all below the watermark has been handled."""


class Context:
    """The processor context: what a handler may use while it handles one event or timer.

    Attributes:
        now: order time of the event or timer, milliseconds; never falls.
        published_at: wall time of this unit of work, milliseconds.
        origin: the task's name on signals.
        careful: guard each rule with a copy of its state.
        touch: returns the decoded state of a key, which will be saved.
        unit: what the handler keeps over one unit of work; None until it does.
    """

    __slots__ = (
        "_heap",
        "careful",
        "key",
        "now",
        "origin",
        "outbox",
        "published_at",
        "signals",
        "task",
        "touch",
        "unit",
    )

    def __init__(
        self,
        task: int,
        heap: list[HeapEntry],
        now: int,
        signals: int,
        touch: Callable[[bytes], Any],
    ) -> None:
        self.touch = touch
        self.task = task
        self.origin = f"detect-{task}"
        self.now = now
        self.signals = signals
        self.published_at = 0
        self.careful = False
        self.key = b""
        self.outbox = Outbox("")
        self.unit: Any = None
        self._heap = heap

    def set_timer(self, live: Live, timer: Timer, key: bytes | None = None) -> None:
        """Set a timer, replacing one of the same owner and name.

        Args:
            live: the state that saves it.
            key: of that state; None: the present key.
        """
        self.cancel_timer(live, timer.owner, timer.name)
        live.timers.append(timer)
        order = timer.due if timer.due > self.now else self.now
        key = self.key if key is None else key
        heappush(self._heap, (order, timer.due, key, timer.owner, timer.name, timer.awaits))

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
