"""A4: an account is locked, and what speaks against the lock.

Finds: every lock, one alert each at its time. Reason customer or max_retries is info, any other
(or none) a warning. It is raised further when the lock is
- `unjustified` (error): for too many retries, though fewer failures than `policy_limit` were seen;
- `repeated` (warning): one of at least `repeated_locks` that the owner did not ask for;
- `overdue` (error): a login is refused as locked though the lock should have ended;
- `money_moved` (error): a debit of the owner begins while the account is locked.

Why it matters: who is locked out cannot pay; a lock that fails its purpose protects nobody.

What makes it wrong, and what is done about it:
- the owner asked for the lock, or mistyped: only info;
- failures that are not seen cannot be counted: `unjustified` is judged only for channels whose
  logins stream here, and once the account has been observed for longer than the policy's window;
- the failure that led to the lock may carry its millisecond: too few are counted again when all
  events of that moment are known;
- a timed lock ends by itself, and clocks differ: refusals are overdue only after a grace;
- a debit may have been under way before the lock: its transaction is remembered;
- fixed windows miss bursts across their borders: all windows slide.

A newer lock takes the place of the older one: refusals, debits and the end by time are judged for
the newest alone. The alerts of both are cured when the account opens: by an unlock, a successful
login, or at the end of the newest lock if no login was refused since it should have ended. At most
`MAX_OPEN` alerts are open; of more, the oldest expires. A refusal after that end raises a new
alert. An unlock in the same millisecond takes the lock back if it comes after it in the order of
event ids. A late lock is judged by its reason alone; late refusals and debits are not judged.

With `derive_locks` (for producers that send no locks) `derive_limit` failures within
`derive_window_ms` count as a lock for max_retries, by the failure that completes them.

Details of an alert: `kinds` (lock and what else was found, the worst last), `reason`. Of more than
ten locks in the window ten are counted.
"""

from collections.abc import Sequence
from typing import Final

from rules.account_lockout import reasons
from rules.account_lockout.examples import EXAMPLES
from rules.account_lockout.facts import DEBIT, LOCK, AccountLockoutFacts, is_unjustified, verdict_of
from rules.account_lockout.failures import Evidence, derived_of, failures_of
from rules.account_lockout.params import AccountLockoutParams
from rules.account_lockout.state import (
    AccountLockoutState,
    Lock,
    add_under_way,
    earlier_locks,
    is_new_in,
    remember_lock,
    track_debit,
)
from rules.alerts import Draft, OpenAlert, Verdict
from rules.contract import Otherwise, Rule
from rules.effects import Effects
from rules.events import LOGIN, Event, Login, Ref, Transaction
from rules.facts import Quote
from rules.profile import Profile

MAX_OPEN: Final = 8
"""Alerts of one account that may be open."""


class AccountLockout(Rule[AccountLockoutParams, AccountLockoutState, AccountLockoutFacts]):
    """See the module."""

    id = "account_lockout"
    code = "A4"
    category = "access"
    Params = AccountLockoutParams
    State = AccountLockoutState
    Facts = AccountLockoutFacts
    EXAMPLES = EXAMPLES

    # -- deciding -------------------------------------------------------------------------

    def judge(self, facts: AccountLockoutFacts) -> Verdict | None:
        """Decide from the lock and from what speaks against it."""
        return verdict_of(facts, self.params)

    def answers(self, facts: AccountLockoutFacts, event: Event) -> bool:
        """Return whether the event opens the account at the time of the lock or after it."""
        return (
            isinstance(event, Login)
            and _opens_account(event)
            and facts.locked_at_ms is not None
            and event.occurred_at >= facts.locked_at_ms
        )

    def because(self, facts: AccountLockoutFacts) -> Sequence[str]:
        """Return why it was locked, and what speaks against the lock."""
        return reasons.because(facts, self.params)

    def otherwise(self, facts: AccountLockoutFacts) -> Sequence[Otherwise]:
        """Return what would have made it milder."""
        return reasons.otherwise(facts, self.params)

    # -- noticing -------------------------------------------------------------------------

    def on_transaction(
        self, state: AccountLockoutState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Look for a debit that begins while the account is locked."""
        lock = state.lock
        if lock is None and not state.under_way and event.status != "pending":
            return  # nearly always
        track_debit(state, event)
        if lock is None:
            return
        add_under_way(lock, event, profile)
        if not is_new_in(lock, event):
            return
        if lock.crowded:
            fx.count("too_many_under_way")
        else:
            self._add_or_raise(lock, AccountLockoutFacts.quote(event, fx.ref, *DEBIT), "debit", fx)

    def late_transaction(
        self, state: AccountLockoutState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Remember what was under way before the lock."""
        track_debit(state, event, late=True)
        if state.lock is not None:
            add_under_way(state.lock, event, profile)

    def on_login(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Raise a lock, close what an opening cures, judge refusals."""
        lock = state.lock
        if lock is not None and 0 < lock.ends_at < event.occurred_at:
            self._expire_lock(lock, fx)  # its timer still waits for its proof
            if _opens_account(event):
                state.lock = None
                return
        if event.outcome == "success":
            if event.action == "lock":
                self._handle_lock(state, event, profile, fx)
            elif _opens_account(event):
                self._handle_opening(state, event, fx)
        elif event.action == "login":
            if event.reason == "account_locked":
                self._handle_refusal(lock, event, fx)
            elif lock is None and self.params.derive_locks:
                self._derive_lock(state, event, profile, fx)

    def late_login(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Raise a late lock by its reason; let a late opening correct what was found."""
        if event.outcome != "success":
            return
        if event.action == "lock":
            self._handle_late_lock(event, profile, fx)
        elif _opens_account(event):
            self._handle_opening(state, event, fx)

    def on_timer(
        self, state: AccountLockoutState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """End a lock, count the failures of its moment, or forget old locks."""
        lock = state.lock
        if name == "forget":
            state.locks = []
        elif name == "until" and lock is not None:
            self._expire_lock(lock, fx)
        elif name == "count" and lock is not None:
            quotes, evidence = failures_of(lock.at, profile.habits, self.params)
            alert = _alert_of(lock, fx)
            if alert is not None:
                fx.update(alert, quotes, evidence)
        for alert in fx.open_alerts():
            if name == _late_timer(alert.anchor):
                fx.lapse(alert)

    # -- locks ----------------------------------------------------------------------------

    def _handle_lock(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        fx.signal("lock", event)
        ref = fx.ref
        of_lock = AccountLockoutFacts.quote(event, ref, *LOCK)
        lock = remember_lock(state, ref, of_lock, event.lock_until, profile)
        if lock.until is None:
            fx.cancel_timer("until")
        else:
            lock.ends_at = lock.until + self.params.overdue_grace_ms
            fx.set_timer("until", lock.ends_at, (LOGIN,))
        quotes, evidence = failures_of(ref.occurred_at, profile.habits, self.params)
        if is_unjustified(AccountLockoutFacts.of_quotes([*of_lock, *quotes]), self.params):
            # More may carry the same millisecond and come after it.
            quotes = []
            fx.set_timer("count", ref.occurred_at)
        if event.reason != "customer":
            repeated, earlier = self._count_locks(state, ref, fx)
            quotes, evidence = quotes + repeated, earlier + evidence
        self._raise(lock.anchor, [*of_lock, *quotes], [*evidence, (ref, "lock")], fx)

    def _derive_lock(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Take failures since the last success and the last lock for a lock, if they suffice."""
        ref = fx.ref
        last = state.locks[-1].occurred_at if state.locks else None
        failures = derived_of(ref, last, profile.habits, self.params)
        if not failures:
            return
        fx.signal("lock", event)
        quotes: list[Quote] = [
            *AccountLockoutFacts.quote(event, ref, "locked_at_ms"),
            ("derived_failures", len(failures), None),
            ("first_failure_at_ms", failures[0].occurred_at, failures[0]),
        ]
        lock = remember_lock(state, ref, quotes, None, profile)
        repeated, earlier = self._count_locks(state, ref, fx)
        evidence = [*earlier, *((failure, "failure") for failure in failures[:-1]), (ref, "lock")]
        self._raise(lock.anchor, [*quotes, *repeated], evidence, fx)

    def _handle_late_lock(self, event: Login, profile: Profile, fx: Effects) -> None:
        """Judge it by its reason alone; it is over with the success that has been seen since."""
        fx.signal("lock", event)
        quotes = AccountLockoutFacts.quote(event, fx.ref, *LOCK)
        self._raise(event.event_id, quotes, [(fx.ref, "lock")], fx)
        due = profile.habits.success_at
        if due is None or due < event.occurred_at:
            due = event.lock_until and event.lock_until + self.params.overdue_grace_ms
        if due is not None:
            fx.set_timer(_late_timer(event.event_id), due, (LOGIN,))

    def _count_locks(
        self, state: AccountLockoutState, ref: Ref, fx: Effects
    ) -> tuple[list[Quote], Evidence]:
        window = self.params.repeated_window_ms
        fx.set_timer("forget", ref.occurred_at + window)
        earlier = earlier_locks(state, ref, window)
        evidence = [(lock, "earlier_lock") for lock in earlier]
        return [("locks_in_window", len(earlier) + 1, None)], evidence

    # -- what follows a lock --------------------------------------------------------------

    def _handle_refusal(self, lock: Lock | None, event: Login, fx: Effects) -> None:
        if lock is None or lock.until is None or event.occurred_at <= lock.until:
            return
        if event.occurred_at > lock.until + self.params.overdue_grace_ms:
            refusal = AccountLockoutFacts.quote(event, fx.ref, "refused_at_ms")
            self._add_or_raise(lock, refusal, "refusal", fx)
        else:
            lock.ends_at = 0
            fx.cancel_timer("until")

    def _add_or_raise(self, lock: Lock, quotes: list[Quote], role: str, fx: Effects) -> None:
        """Add what the event shows to the lock's alert; raise another if that is closed."""
        alert = _alert_of(lock, fx)
        if alert is None:
            again: Quote = ("raised_again", True, None)
            cited = dict.fromkeys(ref for _, _, ref in lock.quotes if ref is not None)
            evidence = [(ref, "lock" if ref == lock.ref else "failure") for ref in cited]
            lock.anchor = fx.ref.event_id
            facts = [*lock.quotes, again, *quotes]
            self._raise(lock.anchor, facts, [*evidence, (fx.ref, role)], fx)
        elif alert.fact(quotes[0][0]) is None:
            fx.update(alert, quotes, [(fx.ref, role)])

    def _raise(self, anchor: str, facts: list[Quote], evidence: Evidence, fx: Effects) -> None:
        alerts = fx.open_alerts()
        if len(alerts) >= MAX_OPEN:
            fx.expire(alerts[0])
        fx.alert(Draft(anchor=anchor, cause="auth", facts=facts, evidence=evidence))

    def _handle_opening(self, state: AccountLockoutState, event: Login, fx: Effects) -> None:
        for alert in fx.open_alerts():
            if self.answers(AccountLockoutFacts.of_quotes(alert.facts), event):
                fx.settle(alert, "unlock" if event.action == "unlock" else "success")
                fx.cancel_timer(_late_timer(alert.anchor))
        if state.lock is not None and state.lock.at <= event.occurred_at:
            state.lock = None
            fx.cancel_timer("until")
            fx.cancel_timer("count")

    def _expire_lock(self, lock: Lock, fx: Effects) -> None:
        """Take the account to be open again, because its lock should have ended."""
        for alert in fx.open_alerts():
            fx.lapse(alert)
        lock.anchor, lock.ends_at = "", 0
        fx.cancel_timer("until")


def _alert_of(lock: Lock, fx: Effects) -> OpenAlert | None:
    return next((alert for alert in fx.open_alerts() if alert.anchor == lock.anchor), None)


def _late_timer(anchor: str) -> str:
    return f"late:{anchor}"


def _opens_account(event: Login) -> bool:
    return event.outcome == "success" and event.action in ("login", "unlock")
