"""What comes of a lock: the alerts that it raises, its end, and its return."""

from typing import Final

from rules.account_lockout.facts import AccountLockoutFacts
from rules.account_lockout.failures import Evidence
from rules.account_lockout.params import AccountLockoutParams
from rules.account_lockout.state import AccountLockoutState, Lock
from rules.alerts import Draft, OpenAlert
from rules.effects import Effects
from rules.events import LOGIN, Login
from rules.facts import Quote

MAX_OPEN: Final = 8
"""Alerts of one account that may be open."""


def alert_of(lock: Lock, fx: Effects) -> OpenAlert | None:
    """Return the open alert of a lock; None if it is closed."""
    alerts = fx.open_alerts(lock.anchor)
    return next((alert for alert in alerts if alert.anchor == lock.anchor), None)


def raise_alert(anchor: str, facts: list[Quote], evidence: Evidence, fx: Effects) -> None:
    """Raise an alert; beyond MAX_OPEN let the oldest expire."""
    alerts = fx.open_alerts()
    if len(alerts) >= MAX_OPEN:
        fx.expire(alerts[0])
        fx.cancel_timer(late_timer(alerts[0].anchor))
    fx.alert(Draft(anchor=anchor, cause="auth", facts=facts, evidence=evidence))


def late_timer(anchor: str) -> str:
    """Return the name of the timer that ends the alert of a late lock."""
    return f"late:{anchor}"


def add_or_raise(lock: Lock, quotes: list[Quote], evidence: Evidence, fx: Effects) -> None:
    """Add what the event shows to the lock's alert; raise another if that is closed."""
    alert = alert_of(lock, fx)
    if alert is None:
        again: Quote = ("raised_again", True, None)
        refs = dict.fromkeys(ref for _, _, ref in lock.quotes if ref is not None)
        cited = [(ref, "lock" if ref == lock.ref else "failure") for ref in refs]
        lock.anchor = fx.ref.event_id
        raise_alert(lock.anchor, [*lock.quotes, again, *quotes], [*cited, *evidence], fx)
    elif alert.fact(quotes[0][0]) is None:
        fx.update(alert, quotes, evidence)


def await_end(lock: Lock, params: AccountLockoutParams, fx: Effects) -> None:
    """Let a timer take the lock to have ended.

    A derived one ends without a grace, and whatever is still to come of the logins.
    """
    if lock.until is None:
        fx.cancel_timer("until")
        return
    grace = 0 if lock.is_derived else params.overdue_grace_ms
    lock.ends_at = lock.until + grace
    fx.set_timer("until", lock.ends_at, () if lock.is_derived else (LOGIN,))


def end_lock(state: AccountLockoutState, lock: Lock, fx: Effects) -> None:
    """Take the account to be open again because its lock should have ended; forget a lock that was
    opened before."""
    fx.cancel_timer("until")
    if lock.opened is not None:
        state.lock = None
        return
    for alert in fx.open_alerts():
        fx.lapse(alert)
    if lock.is_derived:
        state.lock = None
    else:
        lock.anchor, lock.ends_at = "", 0


def restore(lock: Lock, event: Login, params: AccountLockoutParams, fx: Effects) -> None:
    """Take the lock to last, because a login is refused after what seemed to open it."""
    opened, lock.opened, lock.restored_at = lock.opened, None, event.occurred_at
    assert opened is not None
    await_end(lock, params, fx)
    quotes: list[Quote] = [
        ("opened_at_ms", opened.occurred_at, opened),
        *AccountLockoutFacts.quote(event, fx.ref, "restored_at_ms"),
    ]
    add_or_raise(lock, quotes, [(opened, "opening"), (fx.ref, "refusal")], fx)
