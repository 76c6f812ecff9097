"""What an alert of A4 quotes, and its verdict: it follows from these facts and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from rules.account_lockout.params import AccountLockoutParams
from rules.account_lockout.state import MAX_LOCKS
from rules.alerts import Verdict
from rules.counts import counted
from rules.facts import Facts, quoted
from rules.habits import MAX_FAILED
from schemas.base import RootCause, Severity
from schemas.time import format_span

Finding = Literal["lock", "repeated", "stricter", "unjustified", "overdue", "money_moved"]
"""What can be found, the worst last."""
RANKS: Final[tuple[Severity, ...]] = ("info", "warning", "error")

LOCK: Final = ("locked_at_ms", "reason", "channel", "lock_until_ms", "failures_counted")
"""Facts that are read from the lock."""
DEBIT: Final = (
    "debit_at_ms",
    "debit_type",
    "debit_amount_minor",
    "debit_currency",
    "debit_exponent",
)
"""Facts that are read from a debit."""
_ADVICE: Final[Mapping[str | None, tuple[str, ...]]] = {
    "max_retries": ("reset_password", "retry"),
    "suspicious": ("change_password", "review_devices", "contact_support"),
}


class AccountLockoutFacts(Facts, kw_only=True):
    """The facts of one alert."""

    locked_at_ms: Annotated[int | None, quoted("occurred_at")]
    """None: it was not locked."""
    reason: Annotated[str | None, quoted("reason")] = None
    channel: Annotated[str | None, quoted("channel", compared_with="streaming_channels")] = None
    lock_until_ms: Annotated[int | None, quoted("lock_until")] = None
    failures_counted: Annotated[
        int | None, quoted("failures_counted", compared_with="policy_limit")
    ] = None
    """By the login service; None: it does not say."""
    failures_since_success: int | None = None
    """That count for a policy, since the last login that succeeded, whenever that was; MAX_FAILED:
    as many or more. None: no such login has been seen."""
    failures_in_window: Annotated[int | None, quoted(compared_with="policy_limit")] = None
    """Of those, the ones within policy_window_ms before; None: not known."""
    observed_ms: Annotated[int | None, quoted(compared_with="policy_window_ms")] = None
    """How long logins of the account had been seen; None: not known."""
    locks_in_window: Annotated[
        int, quoted(compared_with=("repeated_locks", "repeated_window_ms"))
    ] = 0
    """That the owner did not ask for, within repeated_window_ms, this one included."""
    derived_failures: Annotated[
        int | None, quoted(compared_with=("derive_locks", "derive_limit"))
    ] = None
    """Failures within derive_window_ms that count as a lock; None: an event is the lock."""
    first_failure_at_ms: Annotated[
        int | None, quoted("occurred_at", compared_with="derive_window_ms")
    ] = None
    refused_at_ms: Annotated[
        int | None, quoted("occurred_at", compared_with="overdue_grace_ms")
    ] = None
    opened_at_ms: Annotated[int | None, quoted("occurred_at")] = None
    """When it seemed to open: a refusal after that shows that it did not."""
    restored_at_ms: Annotated[int | None, quoted("occurred_at")] = None
    """Of that refusal."""
    debit_at_ms: Annotated[int | None, quoted("occurred_at", compared_with="derive_lock_ms")] = None
    debit_type: Annotated[str | None, quoted("type")] = None
    debit_amount_minor: Annotated[int | None, quoted("amount")] = None
    debit_currency: Annotated[str | None, quoted("currency")] = None
    debit_exponent: Annotated[int | None, quoted("exponent")] = None
    raised_again: bool = False
    """Whether the lock's own alert was closed before."""

    @property
    def why(self) -> str | None:
        """Why it was locked."""
        return self.reason if self.derived_failures is None else "max_retries"

    @property
    def is_counted_beyond(self) -> bool:
        """Whether the service counted more failures than came after the last success."""
        since, counted = self.failures_since_success, self.failures_counted
        return counted is not None and since is not None and since < min(counted, MAX_FAILED)

    def until(self, params: AccountLockoutParams) -> int | None:
        """Return when the lock should end (milliseconds); None: it has no end."""
        if self.derived_failures is None or self.locked_at_ms is None:
            return self.lock_until_ms
        return self.locked_at_ms + params.derive_lock_ms


def findings_of(facts: AccountLockoutFacts, params: AccountLockoutParams) -> list[Finding]:
    """Return what is found, the worst last; nothing if there was no lock."""
    if facts.locked_at_ms is None or not _is_derived_rightly(facts, params):
        return []
    found: list[Finding] = ["lock"]
    if facts.locks_in_window >= params.repeated_locks:
        found.append("repeated")
    if _is_judged(facts, params):
        if _is_unjustified(facts, params):
            found.append("unjustified")
        elif facts.failures_counted is not None and facts.failures_counted < params.policy_limit:
            found.append("stricter")
    if _is_overdue(facts, params):
        found.append("overdue")
    if _moves_money(facts, params):
        found.append("money_moved")
    return found


def is_unjustified(facts: AccountLockoutFacts, params: AccountLockoutParams) -> bool:
    """Return whether a lock with these facts had too few failures."""
    return "unjustified" in findings_of(facts, params)


def _is_derived_rightly(facts: AccountLockoutFacts, params: AccountLockoutParams) -> bool:
    if facts.derived_failures is None:
        return True
    assert facts.first_failure_at_ms is not None
    assert facts.locked_at_ms is not None
    return (
        params.derive_locks
        and facts.derived_failures >= params.derive_limit
        and facts.locked_at_ms - facts.first_failure_at_ms <= params.derive_window_ms
    )


def _is_judged(facts: AccountLockoutFacts, params: AccountLockoutParams) -> bool:
    """Return whether the failures before the lock are all known, or counted by the service."""
    return facts.reason == "max_retries" and facts.channel in params.streaming_channels


def _is_unjustified(facts: AccountLockoutFacts, params: AccountLockoutParams) -> bool:
    if facts.failures_counted is not None:
        return facts.is_counted_beyond
    since, in_window, limit = (
        facts.failures_since_success,
        facts.failures_in_window,
        params.policy_limit,
    )
    return (
        facts.observed_ms is not None
        and facts.observed_ms > params.policy_window_ms
        and since is not None
        and since < limit
        and (in_window is None or in_window < limit)
    )


def _is_overdue(facts: AccountLockoutFacts, params: AccountLockoutParams) -> bool:
    return (
        facts.refused_at_ms is not None
        and facts.lock_until_ms is not None
        and facts.refused_at_ms > facts.lock_until_ms + params.overdue_grace_ms
    )


def _moves_money(facts: AccountLockoutFacts, params: AccountLockoutParams) -> bool:
    assert facts.locked_at_ms is not None
    until = facts.until(params)
    return (
        facts.debit_at_ms is not None
        and facts.debit_at_ms > facts.locked_at_ms
        and (until is None or facts.debit_at_ms <= until)
    )


def severity_of(finding: Finding, facts: AccountLockoutFacts) -> Severity:
    """Return how bad one finding is."""
    if finding == "lock":
        return "info" if facts.why in ("customer", "max_retries") else "warning"
    return "warning" if finding in ("repeated", "stricter") else "error"


def verdict_of(facts: AccountLockoutFacts, params: AccountLockoutParams) -> Verdict | None:
    """Decide; None if there was no lock."""
    findings = findings_of(facts, params)
    if not findings or facts.locked_at_ms is None:
        return None
    return Verdict(
        at=_at(facts),
        severity=max((severity_of(finding, facts) for finding in findings), key=RANKS.index),
        title=_title(findings[-1], facts, params),
        suspected_root_cause=_root_cause(findings, facts, params),
        owner_advice=_ADVICE.get(facts.why, ("contact_support",)),
        details={"kinds": list(findings), "reason": facts.why},
    )


def words(code: str | None) -> str:
    """Return a code for people."""
    return (code or "not given").replace("_", " ")


def locks(facts: AccountLockoutFacts) -> str:
    """Return for people how many locks there were."""
    more = " or more" if facts.locks_in_window >= MAX_LOCKS else ""
    return (
        f"{facts.locks_in_window}{more} locks" if more else counted(facts.locks_in_window, "lock")
    )


def since_success(facts: AccountLockoutFacts) -> str:
    """Return for people how many failed logins came after the last one that succeeded."""
    number = facts.failures_since_success or 0
    return f"{number} or more failed logins" if number == MAX_FAILED else failed_logins(number)


def failed_logins(number: int | None) -> str:
    """Return a number of failed logins for people."""
    return counted(number or 0, "failed login")


def overdue_ms(facts: AccountLockoutFacts) -> int:
    """Return how long after the end of the lock a login was refused, in milliseconds."""
    assert facts.refused_at_ms is not None
    assert facts.lock_until_ms is not None
    return facts.refused_at_ms - facts.lock_until_ms


def _at(facts: AccountLockoutFacts) -> int:
    later = facts.restored_at_ms or facts.refused_at_ms or facts.debit_at_ms
    at = later if facts.raised_again else facts.locked_at_ms
    assert at is not None
    return at


def _title(worst: Finding, facts: AccountLockoutFacts, params: AccountLockoutParams) -> str:
    if worst == "money_moved":
        return f"{words(facts.debit_type).capitalize()} while the account was locked"
    if worst == "overdue":
        over = format_span(overdue_ms(facts))
        return f"Login refused as locked {over} after the lock should have ended"
    if worst == "repeated":
        return f"Account locked again ({words(facts.why)}): {locks(facts)}"
    if worst != "lock":
        return _title_of_count(worst, facts, params)
    if facts.restored_at_ms is not None:
        return f"Account still locked ({words(facts.why)}), though it seemed to be open"
    if facts.derived_failures is not None:
        return f"Account taken to be locked after {failed_logins(facts.derived_failures)}"
    return f"Account locked ({words(facts.why)})"


def _title_of_count(
    worst: Finding, facts: AccountLockoutFacts, params: AccountLockoutParams
) -> str:
    """Return the title of a lock for which too few logins had failed, or few by the policy."""
    if facts.failures_counted is None:
        return f"Account locked for too many retries after {since_success(facts)}"
    title = f"Account locked after {failed_logins(facts.failures_counted)}"
    if worst == "stricter":
        return f"{title}, the limit known here is {params.policy_limit}"
    return f"{title}, of which {facts.failures_since_success} came after the last success"


def _root_cause(
    findings: Sequence[Finding], facts: AccountLockoutFacts, params: AccountLockoutParams
) -> RootCause:
    if "money_moved" in findings or facts.why == "suspicious":
        return "security"
    if "unjustified" in findings or "overdue" in findings:
        return "technical"
    failures = max(facts.failures_in_window or 0, facts.failures_since_success or 0)
    was_counted = facts.failures_counted is not None and facts.failures_counted > 0
    earned = was_counted or facts.derived_failures is not None or failures >= params.policy_limit
    if facts.why == "customer" or (facts.why == "max_retries" and earned):
        return "user_error"
    return "unknown"
