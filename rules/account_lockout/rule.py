"""A4: an account is locked, and what speaks against the lock.

Finds: every lock, one alert each at its time. Reason customer or max_retries is info, any other
(or none) a warning. It is raised further when the lock is
- `unjustified` (error): for too many retries, though the login service counted more failures than
  came after the last successful login (its counter was not reset); or, where it does not say what
  it counted, though fewer than `policy_limit` came after that login;
- `stricter` (warning): for fewer failures than `policy_limit`, as the service itself says: another
  policy is in force than the one configured here;
- `repeated` (warning): one of at least `repeated_locks` that the owner did not ask for;
- `overdue` (error): a login is refused as locked though the lock should have ended;
- `money_moved` (error): a debit of the owner begins while the account is locked.

Why it matters: who is locked out cannot pay; a lock that fails its purpose protects nobody.

What makes it wrong, and what is done about it:
- the owner asked for the lock, or mistyped: only info;
- services count over hours or days: failures count since the last login that succeeded, however
  long ago they were, late ones too; `policy_window_ms` only says which of them are cited;
- failures that are not seen cannot be counted: `unjustified` and `stricter` are judged only for
  channels whose logins stream here; before any success has been seen what the service counted is
  trusted, and where it does not say, nothing is judged; without its count the account must have
  been observed for longer than the policy's window too;
- an app refreshes its session during the lock: a success of a session that had logged in before
  opens nothing, resets no count and ends no derived lock; where its own session failed just before,
  and no lock came after that, it is a login and resets the count;
- a login is let in, or an unlock reported, though the account stays locked: a refusal by
  `lock_until` restores the lock and raises it again; a lock without an end is not restored;
- refusals do not extend a lock: it is overdue by its own `lock_until`;
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
event ids. A late lock is judged by what it says itself; late refusals and debits are not judged. A
late opening opens nothing if a refusal after it, by `lock_until`, has been seen.

With `derive_locks` (for producers that send no locks) `derive_limit` failures within
`derive_window_ms` count as a lock for max_retries, by the failure that completes them. It ends
after `derive_lock_ms` or with a success; as that end is a guess, no refusal is overdue by it.

Details of an alert: `kinds` (lock and what else was found, the worst last), `reason`. Of more than
ten locks in the window ten are counted.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from rules.account_lockout import reasons
from rules.account_lockout.examples import EXAMPLES
from rules.account_lockout.facts import DEBIT, LOCK, AccountLockoutFacts, is_unjustified, verdict_of
from rules.account_lockout.failures import Evidence, derived_of, failures_of, quotes_of_late
from rules.account_lockout.outcome import (
    add_or_raise,
    alert_of,
    await_end,
    end_lock,
    late_timer,
    raise_alert,
    restore,
)
from rules.account_lockout.params import AccountLockoutParams
from rules.account_lockout.state import (
    AccountLockoutState,
    add_under_way,
    earlier_locks,
    is_new_in,
    note_under_way,
    remember_lock,
    track_debit,
)
from rules.alerts import Verdict
from rules.contract import Otherwise, Rule
from rules.effects import Effects
from rules.events import LOGIN, Event, Login, Ref, Transaction
from rules.facts import Quote
from rules.profile import Profile


class AccountLockout(Rule[AccountLockoutParams, AccountLockoutState, AccountLockoutFacts]):
    """See the module."""

    id = "account_lockout"
    code = "A4"
    version = 2
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
        since = facts.restored_at_ms or facts.locked_at_ms
        return (
            isinstance(event, Login)
            and _may_open(event)
            and since is not None
            and event.occurred_at >= since
        )

    def because(self, facts: AccountLockoutFacts) -> Sequence[str]:
        """Return why it was locked, and what speaks against the lock."""
        return reasons.because(facts, self.params)

    def otherwise(self, facts: AccountLockoutFacts) -> Sequence[Otherwise]:
        """Return what would have made it milder."""
        return reasons.otherwise(facts, self.params)

    @classmethod
    def upgrade(cls, version: int, saved: Sequence[Any]) -> AccountLockoutState | None:
        """Return the state of version 1: its derived locks had no end, they get the default."""
        if version != 1:
            return None
        state = msgspec.convert(saved, AccountLockoutState)
        lock = state.lock
        if lock is not None and lock.is_derived:
            lock.until = lock.ends_at = lock.at + AccountLockoutParams().derive_lock_ms
        return state

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
            debit = AccountLockoutFacts.quote(event, fx.ref, *DEBIT)
            add_or_raise(lock, debit, [(fx.ref, "debit")], fx)

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
        opens, lock = _opens_account(event, profile), state.lock
        if lock is not None and 0 < lock.ends_at < event.occurred_at:
            end_lock(state, lock, fx)  # its timer still waits for its proof
            if opens:
                state.lock = None
                return
        if opens:
            self._handle_opening(state, event, fx)
        elif event.outcome == "success":
            if event.action == "lock":
                self._handle_lock(state, event, profile, fx)
        elif event.action == "login":
            if event.reason == "account_locked":
                self._handle_refusal(state, event, profile, fx)
            elif state.lock is None or state.lock.opened is not None:
                self._derive_lock(state, event, profile, fx)

    def late_login(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Raise a late lock by its reason; let what comes late correct what was found."""
        lock = state.lock
        if _opens_account(event, profile):
            self._handle_opening(state, event, fx)
        elif event.outcome == "success":
            if event.action == "lock":
                self._handle_late_lock(event, profile, fx)
        elif event.action == "login" and lock is not None:
            alert = alert_of(lock, fx)
            window_ms = self.params.policy_window_ms
            if alert is not None:
                quotes = quotes_of_late(event, alert, profile.habits, window_ms)
                fx.update(alert, quotes, [(fx.ref, "failure")])

    def on_timer(
        self, state: AccountLockoutState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """End a lock, count the failures of its moment, or forget old locks."""
        lock = state.lock
        if name == "forget":
            state.locks = []
        elif name == "until" and lock is not None:
            end_lock(state, lock, fx)
        elif name == "count" and lock is not None:
            quotes, evidence = failures_of(lock.at, profile.habits, self.params)
            alert = alert_of(lock, fx)
            if alert is not None:
                fx.update(alert, quotes, evidence)
        for alert in fx.open_alerts():
            if name == late_timer(alert.anchor):
                fx.lapse(alert)

    # -- locks ----------------------------------------------------------------------------

    def _handle_lock(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        fx.signal("lock", event)
        ref = fx.ref
        of_lock = AccountLockoutFacts.quote(event, ref, *LOCK)
        lock = remember_lock(state, ref, of_lock, event.lock_until, profile)
        await_end(lock, self.params, fx)
        quotes, evidence = failures_of(ref.occurred_at, profile.habits, self.params)
        if is_unjustified(AccountLockoutFacts.of_quotes([*of_lock, *quotes]), self.params):
            # More may carry the same millisecond and come after it.
            quotes = []
            fx.set_timer("count", ref.occurred_at)
        if event.reason != "customer":
            repeated, earlier = self._count_locks(state, ref, fx)
            quotes, evidence = quotes + repeated, earlier + evidence
        raise_alert(lock.anchor, [*of_lock, *quotes], [*evidence, (ref, "lock")], fx)

    def _derive_lock(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Take failures since the last success and the last lock for a lock, if they suffice."""
        if not self.params.derive_locks:
            return
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
        until = ref.occurred_at + self.params.derive_lock_ms
        lock = remember_lock(state, ref, quotes, until, profile)
        await_end(lock, self.params, fx)
        repeated, earlier = self._count_locks(state, ref, fx)
        evidence = [*earlier, *((failure, "failure") for failure in failures[:-1]), (ref, "lock")]
        raise_alert(lock.anchor, [*quotes, *repeated], evidence, fx)

    def _handle_late_lock(self, event: Login, profile: Profile, fx: Effects) -> None:
        """Judge it by its reason alone; it is over with the success that has been seen since."""
        fx.signal("lock", event)
        quotes = AccountLockoutFacts.quote(event, fx.ref, *LOCK)
        raise_alert(event.event_id, quotes, [(fx.ref, "lock")], fx)
        due = profile.habits.reset_at
        if due is None or due < event.occurred_at:
            due = event.lock_until and event.lock_until + self.params.overdue_grace_ms
        if due is not None:
            fx.set_timer(late_timer(event.event_id), due, (LOGIN,), alert=event.event_id)

    def _count_locks(
        self, state: AccountLockoutState, ref: Ref, fx: Effects
    ) -> tuple[list[Quote], Evidence]:
        window = self.params.repeated_window_ms
        fx.set_timer("forget", ref.occurred_at + window)
        earlier = earlier_locks(state, ref, window)
        evidence = [(lock, "earlier_lock") for lock in earlier]
        return [("locks_in_window", len(earlier) + 1, None)], evidence

    # -- what follows a lock --------------------------------------------------------------

    def _handle_refusal(
        self, state: AccountLockoutState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        lock, at = state.lock, event.occurred_at
        if lock is None or lock.until is None:
            return
        if at <= lock.until:  # one that is derived, or was opened, is forgotten after that
            lock.refused_at = at
            if lock.opened is not None:
                note_under_way(lock, state, profile)
                restore(lock, event, self.params, fx)
        elif at > lock.until + self.params.overdue_grace_ms:
            refusal = AccountLockoutFacts.quote(event, fx.ref, "refused_at_ms")
            add_or_raise(lock, refusal, [(fx.ref, "refusal")], fx)
        else:
            lock.ends_at = 0
            fx.cancel_timer("until")

    def _handle_opening(self, state: AccountLockoutState, event: Login, fx: Effects) -> None:
        lock, at = state.lock, event.occurred_at
        if lock is not None and lock.at <= at < lock.refused_at:
            return  # it comes late, and a refusal after it has been seen
        for alert in fx.open_alerts():
            if self.answers(AccountLockoutFacts.of_quotes(alert.facts), event):
                fx.settle(alert, "unlock" if event.action == "unlock" else "success")
                fx.cancel_timer(late_timer(alert.anchor))
        if lock is None or at < lock.at:
            return
        fx.cancel_timer("count")
        if lock.until is None or at > lock.until:
            state.lock = None
            fx.cancel_timer("until")
        elif lock.opened is None or at > lock.opened.occurred_at:
            lock.opened, lock.ends_at = fx.ref, lock.until
            fx.set_timer("until", lock.ends_at)


def _may_open(event: Login) -> bool:
    return event.outcome == "success" and event.action in ("login", "unlock")


def _opens_account(event: Login, profile: Profile) -> bool:
    """Return whether the owner got in; a session that had been in before only stays open."""
    return _may_open(event) and not (event.action == "login" and profile.habits.session_known)
