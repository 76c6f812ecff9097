"""How events arrive: each after a delay, some twice, a few far too late; and heartbeats."""

from collections.abc import Iterator

from schemas.time import format_time
from worker.simulate.world.config import SimulateConfig

Event = dict[str, object]
"""One record, as it is written to a line."""
Sent = tuple[int, int, int, Event]
"""(arrival in epoch ms, account, number, event); the first three together are unique."""

TOPICS = ("wallet.transactions", "wallet.logins", "wallet.balances")
REDELIVERED_WITHIN_MS = 10 * 60_000
FIRST_HOUR_MS = 3_600_000
_MULTIPLIER = 6_364_136_223_846_793_005
_INCREMENT = 1_442_695_040_888_963_407
_MASK = (1 << 64) - 1


class Post:
    """Draws how long the events of one account travel.

    Its draws are its own, so that delivery changes nothing about what occurs.
    """

    __slots__ = ("_redelivered", "_since", "_state", "_straggling", "_straggling_ms", "lateness_ms")

    def __init__(self, config: SimulateConfig, seed: int) -> None:
        self.lateness_ms = config.lateness_ms
        self._straggling_ms = config.straggler_max_ms - config.lateness_ms + 1
        self._redelivered = config.redelivered_percent
        self._straggling = config.stragglers_per_10_000
        self._since: int | None = None
        self._state = seed

    def never_straggle(self) -> None:
        """Let every event arrive within the lateness."""
        self._straggling = 0

    def arrivals(self, at: int, event: Event) -> tuple[int, ...]:
        """Return when the event, which occurs at `at`, arrives: once or twice.

        An event that is no straggler arrives less than lateness_ms after it occurred, so it is
        never late behind one that arrived before it.
        """
        if self._since is None:
            self._since = at
        if self._straggles(at, event):
            first = at + self.lateness_ms + self._draw(self._straggling_ms)
        else:
            first = at + self._draw(self.lateness_ms)
        if self._draw(100) < self._redelivered:
            return first, first + self._draw(REDELIVERED_WITHIN_MS)
        return (first,)

    def _straggles(self, at: int, event: Event) -> bool:
        return (
            self._straggling > 0
            and self._draw(10_000) < self._straggling
            and at - (self._since or 0) >= FIRST_HOUR_MS
            and may_straggle(event)
        )

    def _draw(self, below: int) -> int:
        self._state = (self._state * _MULTIPLIER + _INCREMENT) & _MASK
        return (self._state >> 33) % below


def may_straggle(event: Event) -> bool:
    """Return whether the event may be late without making a correct detector wrong.

    A late entry without its number looks like a missing one, a login that comes too late
    leaves a session and a device unknown, and holds that come too late leave money free.
    """
    if event["kind"] == "transaction":
        return event["status"] == "completed" and "ledger_sequence" in event
    return event["kind"] == "login" and event["action"] == "logout"


def heartbeats(now: int, lateness_ms: int) -> Iterator[Event]:
    """Yield the heartbeat of every input at the arrival time `now`: all before then has arrived.

    Only stragglers come after it.
    """
    occurred_at = format_time(now - lateness_ms)
    for topic in TOPICS:
        yield {"kind": "heartbeat", "topic": topic, "occurred_at": occurred_at}
