"""Where the time of a replay goes: CPU microseconds per event by part, each part without its parts.

python -m bench.profile
"""

import time
from collections import defaultdict
from typing import Any

from bench.speed import events, policy
from rules.contract import Rule
from worker.codec import codec
from worker.detect import handler, reader
from worker.engine import loop, reorder, task
from worker.logs import memory
from worker.run import replay

PARTS = [
    ("place lines, sort them", replay, "_replay"),
    ("  read the head of a line", replay, "place"),
    ("append to the log", memory.MemoryLog, "append"),
    ("the loop", loop.StageWorker, "run_once"),
    ("read: times, keys, entries", reader.EventReader, "read"),
    ("  decode, quick way", codec.Codec, "decode"),
    ("  identity (two hashes)", reader, "identity_of"),
    ("sort, release", reorder.ReorderBuffer, "release"),
    ("process: timers, look up", task.Task, "_process"),
    ("  one event: redelivery, facts", handler.AccountHandler, "on_event"),
    ("  decode an account", handler.AccountHandler, "load"),
    ("encode what was touched", task.Task, "save"),
    ("commit", memory.MemorySession, "commit"),
]


class PartClock:
    """Charges CPU time to the innermost part that is running."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._stack: list[str] = ["elsewhere"]
        self._since = time.process_time()

    def enter(self, label: str) -> None:
        """Begin a part."""
        self._charge()
        self._stack.append(label)

    def leave(self) -> None:
        """End the innermost part."""
        self._charge()
        self._stack.pop()

    def _charge(self) -> None:
        now = time.process_time()
        self.spent[self._stack[-1]] += now - self._since
        self._since = now


def watch(clock: PartClock, label: str, owner: Any, name: str) -> None:
    """Charge every call of a function to the label."""
    inner = getattr(owner, name)

    def outer(*args: Any, **kwargs: Any) -> Any:
        clock.enter(label)
        try:
            return inner(*args, **kwargs)
        finally:
            clock.leave()

    setattr(owner, name, outer)


def main() -> int:
    """Print the table."""
    traffic = events(accounts=2000, days=2)
    which = policy()
    clock = PartClock()
    for label, owner, name in PARTS:
        watch(clock, label, owner, name)
    for rule in which.rules:
        for name in ("on_transaction", "on_login", "on_balance"):
            if getattr(type(rule), name) is not getattr(Rule, name):
                watch(clock, f"  rule {rule.code}", type(rule), name)
    clock.enter("elsewhere")
    replay.replay((("bench", n, line) for n, line in enumerate(traffic, 1)), which)
    clock.leave()
    total = sum(clock.spent.values())
    print(
        f"{len(traffic):,} events, {total / len(traffic) * 1e6:.1f} us of CPU each, clocks included"
    )
    for label in [*(label for label, *_ in PARTS), *(f"  rule {r.code}" for r in which.rules)]:
        spent = clock.spent[label]
        print(f"{label:<34} {spent / len(traffic) * 1e6:>6.2f} us  {spent / total:>4.0%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
