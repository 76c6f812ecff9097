"""What rules cost that read nothing of an event: a replay with eight of them more, and without."""

import statistics
from typing import Any

from bench.speed import events, policy, replayed
from rules.contract import Params, Rule, State
from rules.effects import Effects
from rules.events import LOGIN, TRANSACTION, Login, Transaction
from rules.facts import Facts
from rules.profile import Profile
from worker.detect.stage import Policy

EXTRA = 8
ROUNDS = 5
MOST_MICROSECONDS = 1.5


class _State(State):
    """What such a rule would remember."""

    times: list[int] = []


class _Idle(Rule[Params, _State, Facts]):
    """Reads what simulated traffic does not have: interest, and owners who unlock accounts."""

    category = "payment"
    Params = Params
    State = _State
    reads = {TRANSACTION: {"type": ("interest",)}, LOGIN: {"action": ("unlock",)}}

    def on_transaction(
        self, state: _State, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Remember the event."""
        state.times.append(event.occurred_at)

    def on_login(self, state: _State, event: Login, profile: Profile, fx: Effects) -> None:
        """Remember the event."""
        state.times.append(event.occurred_at)


def _extra() -> list[Rule[Any, Any, Any]]:
    names = [{"id": f"idle_{n}", "code": f"Z{n}"} for n in range(1, EXTRA + 1)]
    return [type("Idle", (_Idle,), each)(Params()) for each in names]


def main() -> int:
    """Print the cost of the extra rules; return 1 if it is above the mark."""
    lines = events(accounts=3000, days=2)
    plain = policy()
    rules = [*plain.rules, *_extra()]
    more = Policy(rules, rules, dead_letter_limit=None)
    rows = [(replayed(lines, plain), replayed(lines, more)) for _ in range(ROUNDS)]
    costs = [(with_extra - without) / len(lines) * 1e6 for without, with_extra in rows]
    cost = statistics.median(costs)
    print(f"{len(lines):,} events; {EXTRA} rules that read nothing of them, {ROUNDS} pairs of runs")
    print(f"they add {cost:.2f} µs per event ({min(costs):.2f} to {max(costs):.2f})")
    good = cost <= MOST_MICROSECONDS
    print("extra rules: " + ("as required" if good else "MORE than is allowed"))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
