"""What an account usually does: who teaches it, what is forgotten, and what a new key costs."""

import random
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from rules.events import LOGIN, TRANSACTION, Event, Login, Ref, Transaction
from rules.habits import (
    DEBITS_COMPARED,
    MAX_CURRENCIES,
    MAX_FAILURES,
    MAX_SESSIONS,
    SESSION_BYTES,
    Habits,
    Spending,
    session_at,
)
from rules.marks import PUBLIC, Marks
from rules.profile import Profile, forget_outdated, update_profile
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.signs import quotes_beside_account
from rules.unauthorized_transaction.state import UnauthorizedTransactionState

OLD = Marks("k1", b"one")
BOTH = Marks("k2", b"two", former=("k1", b"one"))
NEW = Marks("k2", b"two")
MINUTE = 60_000
DAY = 24 * 60 * MINUTE


@dataclass
class Told:
    """Where an event comes from."""

    ref: Ref
    marks: Marks = PUBLIC


def teach(profile: Profile, event: Event, marks: Marks = PUBLIC, *, late: bool = False) -> Habits:
    """Update the profile with an event; return the habits."""
    kind = LOGIN if isinstance(event, Login) else TRANSACTION
    update_profile(
        profile, event, Told(Ref(kind, 0, event.event_id, event.occurred_at), marks), late
    )
    return profile.habits


def signed_in(at: int, outcome: str = "success", **fields: Any) -> Login:
    """Return a login event."""
    name = fields.pop("event_id", f"l{at}")
    return Login(name, "acc-1", fields.pop("action", "login"), outcome, at, **fields)


def paid(at: int, status: str = "completed", amount: int = 100, **fields: Any) -> Transaction:
    """Return a payment."""
    kind, currency = fields.pop("type", "payment"), fields.pop("currency", "EUR")
    return Transaction(f"t{at}", f"x{at}", "acc-1", kind, status, amount, currency, at, **fields)


@pytest.mark.parametrize(
    ("event", "teaches"),
    [
        (signed_in(1, device_id="d", country="DE"), True),
        (signed_in(1, "failure", device_id="d", country="DE"), False),
        (signed_in(1, action="lock", device_id="d", country="DE"), False),
        (paid(1, device_id="d", country="DE"), True),
        (paid(1, "pending", device_id="d", country="DE"), True),
        (paid(1, "failed", device_id="d", country="DE"), False),
        (paid(1, "disputed", device_id="d", country="DE"), False),
        (paid(1, type="fee", device_id="d", country="DE"), False),
        (paid(1, type="topup", device_id="d", country="DE"), False),
        (paid(1, initiator="customer", device_id="d", country="DE"), True),
        (paid(1, initiator="merchant", device_id="d", country="DE"), False),
    ],
)
def test_only_success_of_the_customer_teaches(event: Event, teaches: bool) -> None:
    """Whoever fails to get in is no habit."""
    habits = teach(Profile(), event)
    assert len(habits.book.devices) == len(habits.countries) == teaches


def test_logins_and_completed_debits_are_counted() -> None:
    """Pending ones are not; late ones are."""
    profile = Profile()
    for event in (signed_in(1), signed_in(2, "failure"), paid(3, "pending"), paid(4)):
        teach(profile, event)
    habits = teach(profile, signed_in(0), late=True)
    habits = teach(profile, paid(-1), late=True)
    assert (habits.logins, habits.debits) == (2, 2)
    assert (habits.since, habits.logins_since) == (-1, 0)


def test_failures_are_those_since_the_last_but_one_success() -> None:
    """So a success can be judged by what went before it."""
    profile = Profile()
    for at in (1, 2):
        teach(profile, signed_in(at, "failure"))
    teach(profile, signed_in(3))
    teach(profile, signed_in(4, "failure"))
    habits = teach(profile, signed_in(5))
    assert [failed.ref.occurred_at for failed in habits.failures] == [4]
    assert (habits.success_before, habits.success_at) == (3, 5)
    assert teach(profile, signed_in(6)).failures == ()


@pytest.mark.parametrize("reason", ["account_locked", "unknown_account"])
def test_what_was_no_attempt_is_no_failure(reason: str) -> None:
    """A refusal at a locked door says nothing of the password."""
    assert teach(Profile(), signed_in(1, "failure", reason=reason)).failures == ()


def test_failures_are_bounded_and_the_newest_stay() -> None:
    """And a late one is not among them."""
    profile = Profile()
    for at in range(30):
        teach(profile, signed_in(at, "failure"))
    habits = teach(profile, signed_in(3, "failure"), late=True)
    assert [f.ref.occurred_at for f in habits.failures] == list(range(30 - MAX_FAILURES, 30))


def test_an_older_success_that_comes_late_does_not_become_the_last_one() -> None:
    """But its device and its session are known from then on."""
    profile = Profile()
    teach(profile, signed_in(10, latitude=1.0, longitude=1.0))
    habits = teach(
        profile, signed_in(5, latitude=9.0, longitude=9.0, session_id="s", device_id="d"), late=True
    )
    assert (habits.success_before, habits.success_at) == (None, 10)
    assert [place.at for place in habits.places] == [10]
    assert habits.knows_session("s", PUBLIC)
    assert habits.book.devices.last_since() == 5


def test_places_are_tenths_of_a_degree_of_the_last_two_logins_that_told_one() -> None:
    """With whether the network shows another place than that of its user."""
    profile = Profile()
    for at, latitude, network in ((1, 1.0, None), (2, 52.52, "vpn"), (3, None, None)):
        teach(profile, signed_in(at, latitude=latitude, longitude=13.44, network=network))
    habits = teach(profile, signed_in(4, latitude=-0.04, longitude=0.06, network="mobile"))
    assert [(p.at, p.latitude, p.longitude, p.masked) for p in habits.places] == [
        (2, 525, 134, True),
        (4, 0, 1, True),
    ]
    teach(profile, signed_in(5, action="logout"))
    assert [place.at for place in habits.places] == [4]


def test_the_newest_change_of_each_credential_is_kept() -> None:
    """Only one that succeeded, whatever the order they come in."""
    profile = Profile()
    for at, action, outcome in (
        (5, "password_change", "success"),
        (7, "password_reset", "success"),
        (6, "password_change", "success"),
        (8, "phone_change", "failure"),
        (9, "mfa_disable", "success"),
        (9, "device_add", "success"),
    ):
        habits = teach(profile, signed_in(at, outcome, action=action))
    assert {c.what: c.ref.occurred_at for c in habits.changes} == {"password": 7, "mfa": 9}


def test_sessions_are_known_and_the_oldest_is_forgotten() -> None:
    """From then on only sessions since then are all known."""
    profile = Profile()
    for number in range(MAX_SESSIONS):
        habits = teach(profile, signed_in(number, session_id=f"s{number}"))
    assert habits.sessions_since is None
    teach(profile, signed_in(1_000, session_id="s0"))
    habits = teach(profile, signed_in(1_001, session_id="more"))
    assert habits.sessions_since == 1_001
    assert not habits.knows_session("s1", PUBLIC)
    for known in ("s0", "s2", "more"):
        assert habits.knows_session(known, PUBLIC)
    assert len(habits.book.sessions) == 4 * MAX_SESSIONS


def test_a_failed_login_knows_no_session() -> None:
    """It has not been let in."""
    habits = teach(Profile(), signed_in(1, "failure", session_id="s"))
    assert not habits.knows_session("s", PUBLIC)


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_of_the_last_50_is_exact(seed: int) -> None:
    """Before the newest, and with it."""
    rng = random.Random(seed)
    spending, amounts = Spending("EUR"), list[int]()
    for _ in range(300):
        amount = rng.choice((rng.randrange(10), rng.randrange(1_000), 1_000 - len(amounts)))
        spending.add(amount)
        assert spending.peak_before == max(amounts[-DEBITS_COMPARED:], default=0)
        amounts.append(amount)
        assert spending.peak == max(amounts[-DEBITS_COMPARED:])
        assert len(spending.peaks) <= 2 * DEBITS_COMPARED


def test_only_completed_debits_on_time_are_compared() -> None:
    """A pending one may never be paid, a late one is of the past."""
    profile = Profile()
    teach(profile, paid(1, "pending", 900))
    teach(profile, paid(2, amount=100))
    habits = teach(profile, paid(0, amount=700), late=True)
    spending = habits.spent("EUR")
    assert spending is not None
    assert (spending.count, spending.peak) == (1, 100)


def test_the_currency_that_was_not_used_for_longest_is_forgotten() -> None:
    """Not the first one, which is mostly that of home."""
    profile = Profile()
    for at, currency in enumerate(["EUR", "USD", "JPY", "GBP", "EUR", "CHF"]):
        habits = teach(profile, paid(at, currency=currency))
    assert [each.currency for each in habits.spending] == ["JPY", "GBP", "EUR", "CHF"]
    assert len(habits.spending) == MAX_CURRENCIES


def test_a_payee_is_new_at_the_first_debit_to_it() -> None:
    """Even when the next one is of the same moment; without a payee nobody is."""
    profile = Profile()
    assert teach(profile, paid(1, counterparty_id="p")).payee_is_new
    assert not teach(profile, paid(1, counterparty_id="p")).payee_is_new
    assert teach(profile, paid(2, "pending", counterparty_id="q")).payee_is_new
    assert not teach(profile, paid(3)).payee_is_new


def test_a_first_key_leaves_nothing_behind() -> None:
    """An account without a past has no former book."""
    assert teach(Profile(), signed_in(1, device_id="d"), BOTH).former is None
    habits = teach(Profile(), signed_in(1, device_id="d"))
    assert (habits.former, habits.key_id) == (None, "public")


def test_during_a_rotation_what_the_former_key_knew_is_known() -> None:
    """Since the same time; and it is marked with the new key."""
    profile = Profile()
    teach(profile, signed_in(1, device_id="d", session_id="s"), OLD)
    teach(profile, paid(2, counterparty_id="p"), OLD)
    habits = teach(profile, paid(5, counterparty_id="p", device_id="d"), BOTH)
    assert habits.book.devices.last_since() == 1
    assert not habits.payee_is_new
    assert habits.knows_session("s", BOTH)
    assert not habits.knows_session("other", BOTH)
    assert habits.former is not None
    assert len(habits.former.devices) == len(habits.former.counterparties) == 0
    teach(profile, paid(6, counterparty_id="p", device_id="d"), NEW)
    assert (habits.book.devices.last_since(), habits.since) == (1, 1)
    assert habits.former is None


def test_what_was_new_before_a_rotation_is_new_after_it() -> None:
    """A device first seen, and payees first paid, under the former key."""
    profile = Profile()
    teach(profile, signed_in(1, device_id="d"), OLD)
    teach(profile, paid(2, counterparty_id="p"), OLD)
    event = paid(5, counterparty_id="q")
    habits = teach(profile, event, BOTH)
    assert habits.book.devices.newest == 1
    params, state = UnauthorizedTransactionParams(), UnauthorizedTransactionState()
    quotes = quotes_beside_account(event, state, profile, BOTH, params)
    assert ("new_counterparties", 2) in [quote[:2] for quote in quotes]


def test_what_is_lost_with_a_key_is_learnt_anew() -> None:
    """Otherwise all of it would look new."""
    profile = Profile()
    teach(profile, signed_in(1, device_id="d", session_id="s"), OLD)
    teach(profile, paid(2, counterparty_id="p"), OLD)
    habits = teach(profile, paid(5, counterparty_id="p"), NEW)
    assert (habits.since, habits.logins, habits.debits) == (5, 0, 1)
    assert habits.sessions_since == 5
    assert not habits.knows_session("s", NEW)


def test_a_new_key_does_not_bring_back_what_was_forgotten() -> None:
    """What the former key had to forget is not new under the next one."""
    profile = Profile()
    for number in range(33):
        teach(profile, signed_in(number, device_id=f"d{number}"), OLD)
    habits = teach(profile, signed_in(100, device_id="d0"), BOTH)
    assert habits.book.devices.last_since() is None


@pytest.mark.parametrize("seed", range(5))
def test_facts_of_a_busy_account_stay_small_and_right(seed: int) -> None:
    """10,000 devices and payees: nothing that was seen before is ever called new."""
    rng = random.Random(seed)
    profile, devices, payees, now = Profile(), dict[str, int](), set[str](), 0
    for number in range(10_000):
        now += rng.randrange(10 * MINUTE)
        device, payee = f"d{rng.randrange(number + 1)}", f"p{rng.randrange(number + 1)}"
        devices.setdefault(device, now)
        if rng.random() < 0.5:
            teach(profile, signed_in(now, device_id=device, session_id=f"s{number}"))
        else:
            amount = rng.randrange(100_000)
            habits = teach(
                profile,
                paid(now, amount=amount, device_id=device, country="DE", counterparty_id=payee),
            )
            assert not (habits.payee_is_new and payee in payees)
            payees.add(payee)
        since = profile.habits.book.devices.last_since()
        assert since is None or since == devices[device]
    assert len(msgspec.msgpack.encode(profile)) <= 4_096


def test_names_never_enter() -> None:
    """Nor where exactly anybody was."""
    profile = Profile()
    told: dict[str, Any] = {
        "device_id": "device-secret",
        "session_id": "session-secret",
        "ip": "203.0.113.7",
        "latitude": 52.5234,
        "longitude": 13.4114,
    }
    teach(profile, signed_in(1, user_agent="agent-secret", **told))
    teach(profile, paid(2, counterparty_id="payee-secret", **told))
    saved = msgspec.json.encode(profile) + msgspec.msgpack.encode(profile)
    for secret in (b"secret", b"203.0.113.7", b"52.5234", b"13.4114"):
        assert secret not in saved
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(profile), type=Profile) == profile


def test_equal_amounts_are_kept_once() -> None:
    """A subscription costs no more state than one debit."""
    spending = Spending("EUR")
    for _ in range(60):
        spending.add(500)
        assert len(spending.peaks) == 2
    assert (spending.peak, spending.peak_before, spending.count) == (500, 500, 60)


@pytest.mark.parametrize(
    ("event", "learnt_anew"),
    [
        (signed_in(1, device_id="d"), True),
        (paid(1, counterparty_id="p"), True),
        (signed_in(1), False),
    ],
)
def test_devices_alone_or_payees_alone_are_lost_with_a_key(event: Any, learnt_anew: bool) -> None:
    """Then the account is young again; where nothing was lost it is not."""
    profile = Profile()
    teach(profile, event, OLD)
    habits = teach(profile, signed_in(7), NEW)
    assert habits.since == (7 if learnt_anew else 1)
    assert habits.sessions_since is None


@pytest.mark.parametrize(
    "fields", [{"device_id": "d"}, {"session_id": "s"}, {"device_id": "d", "session_id": "s"}]
)
def test_whatever_the_former_key_knew_is_kept_while_it_is_active(fields: dict[str, str]) -> None:
    """Devices or sessions alone too; nothing has to be learnt anew."""
    profile = Profile()
    teach(profile, signed_in(1, **fields), OLD)
    habits = teach(profile, signed_in(5, device_id="other"), BOTH)
    assert habits.former is not None
    assert (habits.since, habits.sessions_since, habits.logins) == (1, None, 2)
    assert habits.knows_session("s", BOTH) is ("session_id" in fields)


def test_sessions_alone_are_lost_with_a_key() -> None:
    """From then on, sessions are unknown for a while; the account itself is not."""
    profile = Profile()
    teach(profile, signed_in(1, session_id="s"), OLD)
    habits = teach(profile, signed_in(7, session_id="t"), NEW)
    assert (habits.since, habits.sessions_since, habits.logins) == (1, 7, 2)


def test_without_a_former_book_an_unknown_session_is_unknown() -> None:
    """During a rotation as without one."""
    for marks in (BOTH, NEW):
        habits = teach(Profile(), signed_in(1, session_id="s"), marks)
        assert habits.knows_session("s", marks)
        assert not habits.knows_session("t", marks)


@pytest.mark.parametrize("offset", range(1, 8))
def test_bytes_that_begin_inside_a_session_are_no_session(offset: int) -> None:
    """Wherever they begin."""
    sessions = bytearray(range(1, 13))
    wanted = bytes(sessions[offset : offset + SESSION_BYTES])
    found = session_at(sessions, wanted + b"..")
    assert found == (offset if offset % SESSION_BYTES == 0 else -1)


def test_a_session_is_found_right_before_bytes_that_look_like_it() -> None:
    """Zeros in a row, of which only some are whole."""
    assert session_at(bytearray(b"\1\1\1\1" + bytes(4) + b"\0\0\0\2"), bytes(6)) == 4
    assert session_at(bytearray(bytes(4) + b"\0\0\0\2"), bytes(6)) == 0
    assert session_at(bytearray(b"\1\0\0\0" + b"\0\0\0\2"), bytes(6)) == -1


def test_a_late_success_of_the_same_moment_is_not_a_second_one() -> None:
    """The failures since the last but one stay known."""
    profile = Profile()
    teach(profile, signed_in(4, "failure"))
    teach(profile, signed_in(5))
    habits = teach(profile, signed_in(5), late=True)
    assert (habits.success_before, habits.success_at, habits.logins) == (None, 5, 2)
    assert len(habits.failures) == 1


def test_a_failure_of_the_same_moment_as_the_success_before_does_not_count() -> None:
    """Only what came after it does."""
    profile = Profile()
    teach(profile, signed_in(3))
    teach(profile, signed_in(3, "failure"))
    teach(profile, signed_in(4, "failure"))
    habits = teach(profile, signed_in(5))
    assert [failed.ref.occurred_at for failed in habits.failures] == [4]


def test_a_session_that_logs_in_again_is_kept_once() -> None:
    """It stands last then: the first to be forgotten is the one not used for longest."""
    profile = Profile()
    habits = teach(profile, signed_in(1, session_id="s"))
    first = bytes(habits.book.sessions)
    assert teach(profile, signed_in(2, session_id="s")).book.sessions == first
    teach(profile, signed_in(3, session_id="t"))
    habits = teach(profile, signed_in(4, session_id="s"))
    assert len(habits.book.sessions) == 8
    assert habits.book.sessions[4:] == first


def test_failures_are_counted_since_the_last_login_and_do_not_fade() -> None:
    """Late ones too, if they came after it; not those of the service."""
    profile = Profile()
    teach(profile, signed_in(10))
    for at in range(11, 11 + MAX_FAILURES + 5):
        teach(profile, signed_in(at, "failure"))
    teach(profile, signed_in(50, "failure", reason="timeout"))
    teach(profile, signed_in(12, "failure", event_id="late"), late=True)
    teach(profile, signed_in(9, "failure"), late=True)
    forget_outdated(profile, 10 * DAY, DAY)
    assert (profile.habits.failures, profile.habits.failed) == ((), MAX_FAILURES + 6)
    assert teach(profile, signed_in(60)).failed == 0


def test_a_late_login_leaves_the_failures_after_it() -> None:
    """As far as they are remembered."""
    profile = Profile()
    for at in (1, 3, 5):
        teach(profile, signed_in(at, "failure"))
    assert teach(profile, signed_in(3), late=True).failed == 1


@pytest.mark.parametrize(
    ("failed_in", "again_in", "resets"),
    [
        (None, "s", False),
        ("t", "s", False),
        ("s", "s", True),
        ("s", "new", True),
        ("t", None, True),
    ],
)
def test_a_refresh_resets_no_count(
    failed_in: str | None, again_in: str | None, resets: bool
) -> None:
    """Of a session that had logged in, while somebody fails outside it."""
    profile = Profile()
    teach(profile, signed_in(1, session_id="s"))
    for at in (2, 3):
        teach(profile, signed_in(at, "failure", session_id=failed_in))
    for at in (4, 5, 6):
        habits = teach(profile, signed_in(at, session_id=again_in))
        assert habits.failed == (0 if resets else 2)
        assert habits.reset_at == (at if resets else 1)
        assert habits.success_at == at
    assert len(habits.failures) == (0 if resets else 2)
    assert teach(profile, signed_in(7, session_id="other")).failed == 0
    assert habits.reset_at == 7


def test_after_a_lock_a_refresh_resets_no_count_whatever_had_failed() -> None:
    """Until its session fails again."""
    profile = Profile()
    teach(profile, signed_in(1, session_id="s"))
    teach(profile, signed_in(2, "failure", session_id="s"))
    teach(profile, signed_in(3, action="lock"))
    assert teach(profile, signed_in(4, session_id="s")).failed == 1
    teach(profile, signed_in(5, "failure", session_id="s"))
    assert teach(profile, signed_in(6, session_id="s")).failed == 0


def test_a_session_is_known_during_a_rotation_too() -> None:
    """By the mark of the former key."""
    profile = Profile()
    teach(profile, signed_in(1, session_id="s"), OLD)
    teach(profile, signed_in(2, "failure"), BOTH)
    habits = teach(profile, signed_in(3, session_id="s"), BOTH)
    assert (habits.session_known, habits.failed) == (True, 1)
    habits = teach(profile, signed_in(4, session_id="new"), BOTH)
    assert (habits.session_known, habits.failed) == (False, 0)


def test_what_is_not_needed_costs_no_bytes() -> None:
    """After a login nothing is saved of the count."""
    profile = Profile()
    teach(profile, signed_in(1, session_id="s"))
    before = len(msgspec.msgpack.encode(profile))
    teach(profile, signed_in(2, "failure"))
    assert len(msgspec.msgpack.encode(profile)) > before
    teach(profile, signed_in(3))
    forget_outdated(profile, 10 * DAY, DAY)
    assert len(msgspec.msgpack.encode(profile)) <= before + 2
