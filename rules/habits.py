"""What an account usually does: devices, countries, payees, sessions, logins, amounts. Pure.

Part of the shared facts (`rules.profile`), each bounded in size. Only what succeeded teaches: a
successful login, or a debit of the customer that is pending or completed. Raw names never enter:
marks stand for devices, sessions and payees, places are rounded to 0.1 degree.
"""

from functools import lru_cache
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from rules.events import Login, Ref, Transaction
from rules.marks import MARK_BYTES, Marks
from rules.seen import Seen

MAX_DEVICES: Final = 32
MAX_COUNTRIES: Final = 16
MAX_COUNTERPARTIES: Final = 64
MAX_SESSIONS: Final = 256
MAX_FAILURES: Final = 20
MAX_FAILED: Final = 255
"""Up to here failures since a login are counted; it means as many or more."""
MAX_CURRENCIES: Final = 4
DEBITS_COMPARED: Final = 50

SPENDING_TYPES: Final = frozenset({"payment", "transfer_out", "withdrawal"})
MASKING: Final = frozenset({"vpn", "relay"})
"""Networks that hide where someone is."""
MISPLACING: Final = MASKING | {"mobile"}
"""Networks whose place is not that of their user: gateways of carriers are hundreds of km away."""
CHANGES: Final = {
    "password_change": "password",
    "password_reset": "password",
    "phone_change": "phone",
    "email_change": "email",
    "mfa_enable": "mfa",
    "mfa_disable": "mfa",
}
UNCOUNTED: Final = frozenset({"account_locked", "unknown_account"})
"""Reasons of failed logins that were no attempt at this account's credentials."""
NOT_COUNTED: Final = UNCOUNTED | {"service_error", "otp_not_delivered", "timeout", "network"}
"""Reasons of failures that no policy of locks counts: the owner has not been wrong."""
SESSION_BYTES: Final = 4


class Source(Protocol):
    """The address of an event, computed when asked, and what makes marks."""

    @property
    def ref(self) -> Ref:
        """The event's address."""

    @property
    def marks(self) -> Marks:
        """What makes marks."""


class FailedLogin(Struct, array_like=True, gc=False):
    """One failed attempt to log in."""

    ref: Ref
    reason: str


class Change(Struct, array_like=True, gc=False):
    """The newest change of one kind of credential: password, phone, email or mfa."""

    what: str
    ref: Ref


class Place(Struct, array_like=True, gc=False):
    """Where a successful login came from; tenths of a degree."""

    at: int
    latitude: int
    longitude: int
    masked: bool
    """Through a network whose place is not that of its user."""
    ref: Ref | None = None
    """The login; None: a release that kept no address has saved it."""


class Spending(Struct, array_like=True, gc=False):
    """Completed debits of the customer in one currency."""

    currency: str
    count: int = 0
    peaks: list[int] = []
    """Number and amount of debits, in turn, each larger than all after it, of the last 50."""
    peak_before: int = 0
    """The largest of the 50 before the newest; 0: there were none."""

    @property
    def peak(self) -> int:
        """The largest of the last 50, in minor units; 0: there are none."""
        return self.peaks[1] if self.peaks else 0

    def add(self, minor: int) -> None:
        """Note one more debit."""
        self.peak_before = self.peak
        self.count += 1
        peaks = self.peaks
        while peaks and peaks[-1] <= minor:
            del peaks[-2:]
        peaks += (self.count, minor)
        if peaks[0] <= self.count - DEBITS_COMPARED:
            del peaks[:2]


class Book(Struct, array_like=True, omit_defaults=True, gc=False):
    """What is known by marks of one key."""

    devices: Seen = msgspec.field(default_factory=Seen)
    counterparties: Seen = msgspec.field(default_factory=Seen)
    sessions: bytearray = msgspec.field(default_factory=bytearray)
    """4 bytes of the mark of each session that has logged in; the last used comes last."""

    def __bool__(self) -> bool:
        """Whether devices or payees would be forgotten with it."""
        return bool(self.devices.rows or self.counterparties.rows)


class Habits(Struct, array_like=True, omit_defaults=True, gc=False):
    """The habits of one account. Times in milliseconds."""

    key_id: str = ""
    """Key of the marks in `book`."""
    book: Book = msgspec.field(default_factory=Book)
    countries: Seen = msgspec.field(default_factory=Seen)
    since: int | None = None
    """The first login or debit of the customer that was seen."""
    logins_since: int | None = None
    """The first event that was seen on the logins input."""
    sessions_since: int | None = None
    """From when on all sessions that have logged in are known, if some were forgotten."""
    logins: int = 0
    """Successful logins."""
    debits: int = 0
    """Completed debits of the customer."""
    success_at: int | None = None
    """The newest successful login."""
    success_before: int | None = None
    """The one before it."""
    places: tuple[Place, ...] = ()
    """Of the last successful login that had a place; before it, if another, that of the one
    before, until the next event."""
    failures: tuple[FailedLogin, ...] = ()
    """The newest failed logins since the last but one success, or since `reset_at` if that is
    earlier; oldest first."""
    changes: tuple[Change, ...] = ()
    spending: tuple[Spending, ...] = ()
    """The last used comes last."""
    former: Book | None = None
    """What is known by marks of the key before, while that is active."""
    former_id: str = ""
    payee_is_new: bool = False
    """Whether the newest debit surely was the first one to its counterparty."""
    failed: int = 0
    """Failures since `reset_at` that a policy of locks counts, late ones too; at most MAX_FAILED.

    Unlike `failures` it does not fade."""
    failed_session: int = 0
    """Mark of the session in which they failed last; 0: none was named, or a lock came after it."""
    session_known: bool = False
    """Whether the event, if a successful login, is of a session that had logged in before."""
    login_at: int | None = None
    """The newest successful login but for refreshes, where these came after it."""

    @property
    def reset_at(self) -> int | None:
        """Return since when `failed` counts: since the newest successful login but for refreshes.

        A refresh is a success of a session that had logged in before, while somebody fails outside
        that session. None: no login has succeeded.
        """
        return self.success_at if self.login_at is None else self.login_at

    def spent(self, currency: str) -> Spending | None:
        """Return the debits in that currency, if there were any."""
        for spending in self.spending:
            if spending.currency == currency:
                return spending
        return None

    def knows_session(self, session_id: str, marks: Marks) -> bool:
        """Say whether the session has logged in, as far as is known."""
        if session_at(self.book.sessions, marks.of(session_id)) >= 0:
            return True
        former, former_of = self.former, marks.former_of
        if former is None or former_of is None:
            return False
        return session_at(former.sessions, former_of(session_id)) >= 0


@lru_cache(maxsize=1 << 10)
def country_mark(country: str) -> bytes:
    """Return the mark of a country: its code, which hides nothing."""
    return country.encode().ljust(MARK_BYTES)


def place_of(event: Login | Transaction) -> tuple[int, int] | None:
    """Return latitude and longitude in tenths of a degree, None if the event has none."""
    if event.latitude is None or event.longitude is None:
        return None
    return round(event.latitude * 10), round(event.longitude * 10)


def learn_debit(habits: Habits, event: Transaction, marks: Marks, late: bool) -> None:
    """Update the habits with a pending or completed debit of the customer."""
    at = event.occurred_at
    if habits.since is None or at < habits.since:
        habits.since = at
    if len(habits.places) > 1:
        forget_place_before(habits)
    see_owner(habits, event, marks)
    habits.payee_is_new = False
    if event.counterparty_id is not None:
        former = None if habits.former is None else habits.former.counterparties
        habits.payee_is_new = _see(
            habits.book.counterparties,
            former,
            event.counterparty_id,
            at,
            MAX_COUNTERPARTIES,
            marks,
        )
    if event.status == "completed":
        habits.debits += 1
        if not late:
            _add_amount(habits, event)


def forget_place_before(habits: Habits) -> None:
    """Forget the place before the last one: only the login after it needs it."""
    habits.places = habits.places[-1:]


def see_owner(habits: Habits, event: Login | Transaction, marks: Marks) -> None:
    """Note device and country."""
    at = event.occurred_at
    if habits.key_id != marks.key_id or habits.former_id != marks.former_id:
        _change_key(habits, marks, at)
    if event.device_id is not None:
        former = None if habits.former is None else habits.former.devices
        _see(habits.book.devices, former, event.device_id, at, MAX_DEVICES, marks)
    if event.country is not None:
        habits.countries.see(country_mark(event.country), at, MAX_COUNTRIES)


def _see(seen: Seen, former: Seen | None, name: str, at: int, most: int, marks: Marks) -> bool:
    """Note a device or payee, and say whether it surely was seen for the first time."""
    mark = marks.of(name)
    if former is not None and marks.former_of is not None:
        known = former.take(marks.former_of(name))
        if known is not None:
            seen.see(mark, known, most)
    return seen.see(mark, at, most)


def session_at(sessions: bytearray, mark: bytes) -> int:
    """Return where the session of a mark begins among the sessions; negative: it is not there."""
    wanted = mark[:SESSION_BYTES]
    at = sessions.rfind(wanted)
    while at > 0 and at % SESSION_BYTES:
        at = sessions.rfind(wanted, 0, at + SESSION_BYTES - 1)
    return at


def _add_amount(habits: Habits, event: Transaction) -> None:
    spending = habits.spent(event.currency)
    if spending is None:
        spending = Spending(event.currency)
    if not habits.spending or spending is not habits.spending[-1]:
        others = [each for each in habits.spending if each is not spending]
        habits.spending = (*others, spending)[-MAX_CURRENCIES:]
    spending.add(event.amount)


def _change_key(habits: Habits, marks: Marks, at: int) -> None:
    """Go over to the key of today; where marks are lost with a key, learn anew from `at` on."""
    if not habits.key_id and not habits.book and not habits.book.sessions:
        habits.key_id, habits.former_id = marks.key_id, marks.former_id
        return  # nothing was marked yet
    lost = None
    if habits.former_id != marks.former_id:
        lost, habits.former = habits.former, None
    if habits.key_id != marks.key_id:
        before, habits.book = habits.book, Book()
        habits.book.devices.blurred_at = before.devices.blurred_at
        habits.book.counterparties.blurred_at = before.counterparties.blurred_at
        habits.book.devices.newest = before.devices.newest
        if habits.key_id != marks.former_id:
            lost = before
        elif before or before.sessions:
            habits.former = before
    habits.key_id, habits.former_id = marks.key_id, marks.former_id
    if lost is None:
        return
    if lost.sessions:
        habits.sessions_since = at
    if lost:
        habits.since = at
        habits.logins = habits.debits = 0
