"""Working out again, from the events that an alert of A3 cites, what no single one shows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rules.events import Event, Login, Transaction
from rules.habits import MISPLACING, place_of
from rules.unauthorized_transaction.facts import UnauthorizedTransactionFacts
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.travel import metres_between

FAILED: Final = "failed_login"
"""Role of the failures before a guessed login."""


def disproved(
    facts: UnauthorizedTransactionFacts,
    sources: Mapping[str, Event],
    cited: Sequence[tuple[str, Event]],
    params: UnauthorizedTransactionParams,
) -> Iterator[str]:
    """Yield the names of facts that the cited events contradict: distances, spans and counts.

    What version 1 had noticed cites no start of a journey and no failure: it is not looked at.
    """
    trip = (facts.travel_m, facts.travel_ms, facts.travel_masked)
    start, end = sources.get("travel_began_at_ms"), sources.get("transaction_id")
    if start is not None and trip != _trip(start, end):
        yield "travel_m"
    trip = (facts.logins_travel_m, facts.logins_travel_ms, facts.logins_travel_masked)
    start, end = sources.get("logins_travel_began_at_ms"), sources.get("logins_travel_at_ms")
    if start is not None and trip != _trip(start, end):
        yield "logins_travel_m"
    failures = [event for role, event in cited if role == FAILED]
    if failures and facts.guess_failures != _count(facts, failures, params):
        yield "guess_failures"


def _trip(start: Event, end: Event | None) -> tuple[int, int, bool] | None:
    """Return metres, milliseconds, and whether a place is not that of its user; None if an end
    has no place."""
    if not isinstance(start, Login) or not isinstance(end, Login | Transaction):
        return None
    here, there = place_of(start), place_of(end)
    if here is None or there is None:
        return None
    misplaced = not MISPLACING.isdisjoint({start.network, end.network})
    return metres_between(here, there), end.occurred_at - start.occurred_at, misplaced


def _count(
    facts: UnauthorizedTransactionFacts,
    failures: Sequence[Event],
    params: UnauthorizedTransactionParams,
) -> int:
    """Count the failures within the window before the guessed login."""
    until = facts.guessed_at_ms or 0
    return sum(
        isinstance(event, Login)
        and event.outcome == "failure"
        and until - params.guess_window_ms <= event.occurred_at <= until
        for event in failures
    )
