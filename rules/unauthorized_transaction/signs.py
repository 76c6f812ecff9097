"""The signs that A3 looks for: the facts of one transaction beside what is known of its account."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rules.events import Login, Ref, Transaction
from rules.facts import Quote
from rules.habits import MISPLACING, Habits, Place, place_of
from rules.marks import Marks
from rules.profile import Profile
from rules.unauthorized_transaction.facts import BESIDE, PLAIN, UnauthorizedTransactionFacts
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.points import is_known
from rules.unauthorized_transaction.state import UnauthorizedTransactionState
from rules.unauthorized_transaction.travel import is_impossible, metres_between

CONTACTS: Final = frozenset({"phone", "email"})
_OWN: Final = frozenset({*PLAIN, *BESIDE})


class Trip(NamedTuple):
    """A way that is impossible in its time."""

    metres: int
    ms: int
    masked: bool
    """One of its ends was seen through a network whose place is not that of its user."""
    start: Ref | None
    """The login where it began."""


# -- the ordinary debit ends here -----------------------------------------------------------


def is_unapproved(event: Transaction) -> bool:
    """Return whether it has an approval that was not given."""
    approval = event.authorization
    return approval is not None and (approval.result != "passed" or approval.method == "none")


def is_suspect(
    event: Transaction,
    state: UnauthorizedTransactionState,
    habits: Habits,
    marks: Marks,
    params: UnauthorizedTransactionParams,
) -> bool:
    """Return whether there may be a sign on the login side: cheap, and nearly always False."""
    if is_unapproved(event) or state.guessed is not None or state.journeys:
        return True
    since = event.occurred_at - params.new_for_ms
    for change in habits.changes:
        if change.ref.occurred_at >= since:
            return True
    devices, countries = habits.book.devices.newest, habits.countries.newest
    new = (devices is not None and devices >= since) or (
        countries is not None and countries >= since
    )
    if new and is_known(*_history(event, habits), params):
        return True
    if habits.places and event.latitude is not None and _trip(habits.places[-1], event, params):
        return True
    return _unknown_since(event, habits, marks, params) is not None


# -- the facts of one that may be suspect ---------------------------------------------------


def quotes_of_transaction(
    event: Transaction, profile: Profile, params: UnauthorizedTransactionParams
) -> list[Quote]:
    """Return the facts that need no account; the transaction's address is still missing."""
    found = UnauthorizedTransactionFacts.quote(event, None, *PLAIN)
    since = event.occurred_at - params.new_for_ms
    kinds = {c.what for c in profile.habits.changes if c.ref.occurred_at >= since}
    return [*found, ("contact_changed", " ".join(sorted(kinds & CONTACTS)), None)]


def quotes_beside_account(
    event: Transaction,
    state: UnauthorizedTransactionState,
    profile: Profile,
    marks: Marks,
    params: UnauthorizedTransactionParams,
) -> list[Quote]:
    """Return those and the facts of its account; the transaction's address is still missing."""
    habits = profile.habits
    found = quotes_of_transaction(event, profile, params)
    found += UnauthorizedTransactionFacts.quote(event, None, *BESIDE)
    names = ("history_ms", "history_logins", "history_debits")
    found += zip(names, _history(event, habits), (None, None, None), strict=True)
    found += _novelty(event, habits, params)
    found += _journey(event, habits, params)
    unknown_since = _unknown_since(event, habits, marks, params)
    found.append(("session_unknown_since_ms", unknown_since, None))
    found += _balance(event, profile, params)
    found += _signs_before(event, state, habits, params)
    return [quote for quote in found if quote[1] is not None or quote[0] in PLAIN]


def with_address(quotes: Sequence[Quote], own: Ref) -> list[Quote]:
    """Return the facts with the transaction's address where they were read from it."""
    return [(name, value, own if name in _OWN else ref) for name, value, ref in quotes]


def _history(event: Transaction, habits: Habits) -> tuple[int, int, int]:
    """Return how long and by how many logins and debits the account was known before."""
    since = event.occurred_at if habits.since is None else habits.since
    debits = habits.debits - (event.status == "completed")
    return event.occurred_at - since, habits.logins, debits


def _novelty(
    event: Transaction, habits: Habits, params: UnauthorizedTransactionParams
) -> Iterator[Quote]:
    book = habits.book
    if event.device_id is not None:
        yield "device_first_seen_ms", book.devices.last_since(), None
    if event.country is not None:
        yield "country_first_seen_ms", habits.countries.last_since(), None
    if event.counterparty_id is not None:
        yield "counterparty_new", habits.payee_is_new, None
        since = event.occurred_at - params.burst_window_ms
        if (book.counterparties.last_since() or since - 1) >= since:
            yield "new_counterparties", _new_counterparties(habits, since), None
    spending = habits.spent(event.currency)
    if spending is not None:
        before = spending.peak_before if event.status == "completed" else spending.peak
        yield "largest_before_minor", before, None


def _new_counterparties(habits: Habits, since: int) -> int:
    """Return how many were first paid since then, those known by marks of a former key too."""
    books = (habits.book, habits.former)
    return sum(book.counterparties.new_since(since) for book in books if book is not None)


def _unknown_since(
    event: Transaction, habits: Habits, marks: Marks, params: UnauthorizedTransactionParams
) -> int | None:
    """Return from when on its session would be known, if it is not and that is long enough."""
    since = habits.logins_since
    if event.session_id is None or since is None:
        return None
    since = max(since, habits.sessions_since or since)
    if since > event.occurred_at - params.session_history_ms:
        return None
    return None if habits.knows_session(event.session_id, marks) else since


def _journey(
    event: Transaction, habits: Habits, params: UnauthorizedTransactionParams
) -> Sequence[Quote]:
    """Return the facts of the trip from the last login, if it is impossible."""
    trip = _trip(habits.places[-1], event, params) if habits.places else None
    if trip is None:
        return ()
    return (
        ("travel_began_at_ms", None if trip.start is None else trip.start.occurred_at, trip.start),
        ("travel_m", trip.metres, None),
        ("travel_ms", trip.ms, None),
        ("travel_masked", trip.masked, None),
    )


def _trip(
    start: Place, event: Login | Transaction, params: UnauthorizedTransactionParams
) -> Trip | None:
    """Return the trip to the event, if it is impossible; None also if it has no place."""
    here = place_of(event)
    if here is None or here == (start.latitude, start.longitude):
        return None
    metres = metres_between((start.latitude, start.longitude), here)
    ms = event.occurred_at - start.at
    if not is_impossible(metres, ms, params.travel_km, params.travel_kmh):
        return None
    return Trip(metres, ms, start.masked or event.network in MISPLACING, start.ref)


def _balance(
    event: Transaction, profile: Profile, params: UnauthorizedTransactionParams
) -> list[Quote]:
    """Return the last balance known, if the event has none."""
    if event.available_balance is not None or event.balance_before is not None:
        return []
    known = profile.before or profile.known(event.currency)
    if known is None or known.ref.event_id == event.event_id:
        return []
    if known.at < event.occurred_at - params.max_balance_age_ms:
        return []
    return [
        ("known_balance_minor", known.minor, known.ref),
        ("known_balance_at_ms", known.at, known.ref),
    ]


def _signs_before(
    event: Transaction,
    state: UnauthorizedTransactionState,
    habits: Habits,
    params: UnauthorizedTransactionParams,
) -> Iterator[Quote]:
    """Return guessed password, changed credential and journey between logins, of lately."""
    since = event.occurred_at - params.new_for_ms
    guessed = state.guessed
    if guessed is not None and guessed.ref.occurred_at >= since:
        yield "guessed_at_ms", guessed.ref.occurred_at, guessed.ref
        yield "guess_failures", guessed.failures, None
    changes = [change for change in habits.changes if change.ref.occurred_at >= since]
    if changes:
        newest = max(changes, key=lambda change: change.ref.occurred_at)
        yield "changed_at_ms", newest.ref.occurred_at, newest.ref
        yield "changed_what", newest.what, newest.ref
    journeys = [each for each in state.journeys if each.ref.occurred_at >= since]
    if journeys:
        surest = min(journeys, key=lambda each: each.masked)
        if surest.start is not None:
            yield "logins_travel_began_at_ms", surest.start.occurred_at, surest.start
        yield "logins_travel_at_ms", surest.ref.occurred_at, surest.ref
        yield "logins_travel_m", surest.metres, None
        yield "logins_travel_ms", surest.ms, None
        yield "logins_travel_masked", surest.masked, None


# -- signs that logins leave ----------------------------------------------------------------


def failures_before(event: Login, habits: Habits, window_ms: int) -> list[Ref]:
    """Return the failed logins before a successful one, since the one before that."""
    at = event.occurred_at
    since = at - window_ms
    if habits.success_before is not None:
        since = max(since, habits.success_before + 1)
    return [each.ref for each in habits.failures if since <= each.ref.occurred_at <= at]


def trip_to(event: Login, habits: Habits, params: UnauthorizedTransactionParams) -> Trip | None:
    """Return the trip to a successful login from the one before it, if it is impossible."""
    return _trip(habits.places[-2], event, params) if len(habits.places) > 1 else None
