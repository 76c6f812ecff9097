"""A4 decided: from the facts that an alert quotes, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from rules.account_lockout.params import AccountLockoutParams
from rules.account_lockout.state import MAX_LOCKS
from rules.contract import Value, Values, Verdict
from schemas.base import RootCause, Severity

Kind = Literal["lock", "repeated", "unjustified", "overdue", "money_moved"]
KINDS: Final[tuple[Kind, ...]] = ("lock", "repeated", "unjustified", "overdue", "money_moved")
"""What can be found, the worst last."""
RANKS: Final[tuple[Severity, ...]] = ("info", "warning", "error")

LOCK: Final = ("locked_at_ms", "reason", "channel", "lock_until_ms")
"""Facts that are read from the lock."""
REFUSAL: Final = ("refused_at_ms",)
"""Facts that are read from a refused login."""
DEBIT: Final = (
    "debit_at_ms",
    "debit_type",
    "debit_amount_minor",
    "debit_currency",
    "debit_exponent",
)
"""Facts that are read from a debit."""
QUOTED: Final[Mapping[str, Callable[[Any], Value]]] = {
    "locked_at_ms": attrgetter("occurred_at"),
    "reason": attrgetter("reason"),
    "channel": attrgetter("channel"),
    "lock_until_ms": attrgetter("lock_until"),
    "first_failure_at_ms": attrgetter("occurred_at"),
    "refused_at_ms": attrgetter("occurred_at"),
    "debit_at_ms": attrgetter("occurred_at"),
    "debit_type": attrgetter("type"),
    "debit_amount_minor": attrgetter("amount"),
    "debit_currency": attrgetter("currency"),
    "debit_exponent": attrgetter("exponent"),
}
_ADVICE: Final[Mapping[str | None, tuple[str, ...]]] = {
    "max_retries": ("reset_password", "retry"),
    "suspicious": ("change_password", "review_devices", "contact_support"),
}


class Case(Struct, kw_only=True):
    """The facts of one alert."""

    locked_at_ms: int | None
    """None: it was not locked."""
    reason: str | None = None
    channel: str | None = None
    lock_until_ms: int | None = None
    failures_in_window: int | None = None
    """That count for the policy, within policy_window_ms before; None: not known."""
    observed_ms: int | None = None
    """How long logins of the account had been seen; None: not known."""
    locks_in_window: int = 0
    """That the owner did not ask for, within repeated_window_ms, this one included."""
    derived_failures: int | None = None
    """Failures within derive_window_ms that count as a lock; None: a lock was told."""
    first_failure_at_ms: int | None = None
    refused_at_ms: int | None = None
    debit_at_ms: int | None = None
    debit_type: str | None = None
    debit_amount_minor: int | None = None
    debit_currency: str | None = None
    debit_exponent: int | None = None
    raised_again: bool = False
    """Whether the lock's own alert was closed before."""

    @property
    def why(self) -> str | None:
        """Why it was locked."""
        return self.reason if self.derived_failures is None else "max_retries"


def kinds_of(case: Case, params: AccountLockoutParams) -> list[Kind]:
    """Return what is found, the worst last; nothing if there was no lock."""
    if case.locked_at_ms is None or not _is_derived_rightly(case, params):
        return []
    found: list[Kind] = ["lock"]
    if case.locks_in_window >= params.repeated_locks:
        found.append("repeated")
    if _is_unjustified(case, params):
        found.append("unjustified")
    if _is_overdue(case, params):
        found.append("overdue")
    if _moves_money(case):
        found.append("money_moved")
    return found


def is_unjustified(facts: Values, params: AccountLockoutParams) -> bool:
    """Say whether a lock with these facts had too few failures."""
    return "unjustified" in kinds_of(msgspec.convert(facts, Case), params)


def _is_derived_rightly(case: Case, params: AccountLockoutParams) -> bool:
    if case.derived_failures is None:
        return True
    assert case.first_failure_at_ms is not None
    assert case.locked_at_ms is not None
    return (
        params.derive_locks
        and case.derived_failures >= params.derive_limit
        and case.locked_at_ms - case.first_failure_at_ms <= params.derive_window_ms
    )


def _is_unjustified(case: Case, params: AccountLockoutParams) -> bool:
    return (
        case.reason == "max_retries"
        and case.channel in params.streaming_channels
        and case.observed_ms is not None
        and case.observed_ms > params.policy_window_ms
        and case.failures_in_window is not None
        and case.failures_in_window < params.policy_limit
    )


def _is_overdue(case: Case, params: AccountLockoutParams) -> bool:
    return (
        case.refused_at_ms is not None
        and case.lock_until_ms is not None
        and case.refused_at_ms > case.lock_until_ms + params.overdue_grace_ms
    )


def _moves_money(case: Case) -> bool:
    assert case.locked_at_ms is not None
    return (
        case.debit_at_ms is not None
        and case.debit_at_ms > case.locked_at_ms
        and (case.lock_until_ms is None or case.debit_at_ms <= case.lock_until_ms)
    )


def severity_of(kind: Kind, case: Case) -> Severity:
    """Return how bad one finding is."""
    if kind == "lock":
        return "info" if case.why in ("customer", "max_retries") else "warning"
    return "warning" if kind == "repeated" else "error"


def verdict_of(facts: Values, params: AccountLockoutParams) -> Verdict | None:
    """Decide; None if there was no lock."""
    case = msgspec.convert(facts, Case)
    kinds = kinds_of(case, params)
    if not kinds or case.locked_at_ms is None:
        return None
    return Verdict(
        at=_at(case),
        severity=max((severity_of(kind, case) for kind in kinds), key=RANKS.index),
        title=_title(kinds[-1], case),
        suspected_root_cause=_root_cause(kinds, case, params),
        owner_advice=_ADVICE.get(case.why, ("contact_support",)),
        details={"kinds": list(kinds), "reason": case.why},
    )


def words(code: str | None) -> str:
    """Return a code for people."""
    return (code or "not told").replace("_", " ")


def locks(case: Case) -> str:
    """Return for people how many locks there were."""
    more = " or more" if case.locks_in_window >= MAX_LOCKS else ""
    return f"{case.locks_in_window}{more} locks"


def overdue_ms(case: Case) -> int:
    """Return how long after the end of the lock a login was refused, in milliseconds."""
    assert case.refused_at_ms is not None
    assert case.lock_until_ms is not None
    return case.refused_at_ms - case.lock_until_ms


def _at(case: Case) -> int:
    later = case.refused_at_ms or case.debit_at_ms if case.raised_again else None
    at = later or case.locked_at_ms
    assert at is not None
    return at


def _title(worst: Kind, case: Case) -> str:
    if worst == "money_moved":
        return f"{words(case.debit_type).capitalize()} while the account was locked"
    if worst == "overdue":
        return (
            f"Login refused as locked {overdue_ms(case) / 1000:.15g} seconds after the lock "
            "should have ended"
        )
    if worst == "unjustified":
        return f"Account locked for too many retries after {case.failures_in_window} failed logins"
    if worst == "repeated":
        return f"Account locked again ({words(case.why)}): {locks(case)}"
    if case.derived_failures is not None:
        return f"Account taken to be locked after {case.derived_failures} failed logins"
    return f"Account locked ({words(case.why)})"


def _root_cause(kinds: Sequence[Kind], case: Case, params: AccountLockoutParams) -> RootCause:
    if "money_moved" in kinds or case.why == "suspicious":
        return "security"
    if "unjustified" in kinds or "overdue" in kinds:
        return "technical"
    failures = case.failures_in_window or 0
    earned = case.derived_failures is not None or failures >= params.policy_limit
    if case.why == "customer" or (case.why == "max_retries" and earned):
        return "user_error"
    return "unknown"
