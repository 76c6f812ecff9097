"""Why an alert of A4 was raised, and what would have made it milder, in sentences."""

from collections.abc import Iterator, Sequence

from rules.account_lockout.facts import (
    RANKS,
    AccountLockoutFacts,
    Finding,
    failed_logins,
    findings_of,
    locks,
    overdue_ms,
    severity_of,
    since_success,
    words,
)
from rules.account_lockout.params import MAX_GRACE_MS, AccountLockoutParams
from rules.contract import Otherwise
from rules.counts import counted
from rules.facts import Value
from rules.habits import MAX_FAILED
from schemas.money import from_minor
from schemas.time import format_span


def because(facts: AccountLockoutFacts, params: AccountLockoutParams) -> Sequence[str]:
    """Return why it was locked, and what speaks against the lock."""
    sentences = [_lock_sentence(facts, params)]
    if facts.restored_at_ms is not None:
        sentences.append(_restored_sentence(facts))
    sentences += [
        _finding_sentence(finding, facts, params) for finding in findings_of(facts, params)[1:]
    ]
    return sentences


def _lock_sentence(facts: AccountLockoutFacts, params: AccountLockoutParams) -> str:
    if facts.derived_failures is not None:
        window, lasts = format_span(params.derive_window_ms), format_span(params.derive_lock_ms)
        return (
            f"{failed_logins(facts.derived_failures)} within {window} count as a lock of {lasts} "
            "(derive_locks, derive_limit, derive_window_ms, derive_lock_ms)."
        )
    until, seen = "without an end", ""
    if facts.lock_until_ms is not None and facts.locked_at_ms is not None:
        until = f"for {format_span(facts.lock_until_ms - facts.locked_at_ms)}"
    if facts.reason == "max_retries":
        seen = "".join(f"; {each}" for each in _failures(facts, params))
    return f"The account was locked {until}: reason {words(facts.reason)}{seen}."


def _failures(facts: AccountLockoutFacts, params: AccountLockoutParams) -> Iterator[str]:
    if facts.failures_counted is not None:
        yield f"the login service had counted {failed_logins(facts.failures_counted)}"
    if facts.failures_since_success is not None:
        yield f"seen since the last login that succeeded: {since_success(facts)}"
    if facts.failures_in_window is not None:
        window = format_span(params.policy_window_ms)
        yield f"seen in the {window} before: {facts.failures_in_window} (policy_window_ms)"


def _restored_sentence(facts: AccountLockoutFacts) -> str:
    opened = format_span((facts.opened_at_ms or 0) - (facts.locked_at_ms or 0))
    refused = format_span((facts.restored_at_ms or 0) - (facts.opened_at_ms or 0))
    return (
        f"It seemed to be open {opened} after the lock, but {refused} after that a login was "
        "refused as locked: so the lock lasts."
    )


def _finding_sentence(
    finding: Finding, facts: AccountLockoutFacts, params: AccountLockoutParams
) -> str:
    if finding == "repeated":
        return (
            f"There were {locks(facts)} within {format_span(params.repeated_window_ms)}: from "
            f"{params.repeated_locks} on that is a warning (repeated_locks, repeated_window_ms)."
        )
    if finding == "unjustified":
        return _unjustified_sentence(facts, params)
    if finding == "stricter":
        return (
            f"The login service locks after {failed_logins(facts.failures_counted)}, the policy "
            f"that is configured here after {params.policy_limit} (policy_limit)."
        )
    if finding == "overdue":
        return (
            f"A login was refused as locked {format_span(overdue_ms(facts))} after the lock should "
            f"have ended; {format_span(params.overdue_grace_ms)} are excused (overdue_grace_ms)."
        )
    after = format_span((facts.debit_at_ms or 0) - (facts.locked_at_ms or 0))
    return (
        f"{words(facts.debit_type).capitalize()} of {_money(facts)} began {after} after the lock, "
        "and nothing had opened the account."
    )


def _unjustified_sentence(facts: AccountLockoutFacts, params: AccountLockoutParams) -> str:
    if facts.failures_counted is not None:
        return (
            "The login service counted failures from before the last success, which should have "
            "set its counter back."
        )
    return (
        f"The policy locks after {failed_logins(params.policy_limit)} (policy_limit), and all "
        f"logins had been seen for longer than {format_span(params.policy_window_ms)} "
        "(policy_window_ms)."
    )


def otherwise(facts: AccountLockoutFacts, params: AccountLockoutParams) -> Sequence[Otherwise]:
    """Return what would have made it milder: of several equal findings, all of them together."""
    findings = findings_of(facts, params)
    ranks = [RANKS.index(severity_of(finding, facts)) for finding in findings]
    worst = [finding for finding, rank in zip(findings, ranks, strict=True) if rank == max(ranks)]
    claims = [_claims(finding, facts, params) for finding in worst]
    if len(claims) == 1:
        return claims[0]
    together = [claim[0] for claim in claims]
    return [
        Otherwise(
            sentence="milder only if all of this: " + "; ".join(c.sentence for c in together),
            facts={name: value for claim in together for name, value in claim.facts.items()},
        )
    ]


def _claims(
    finding: Finding, facts: AccountLockoutFacts, params: AccountLockoutParams
) -> list[Otherwise]:
    """Return what would have spared one finding; the first of them by other facts."""
    if finding == "lock":
        return _without_lock(facts, params)
    if finding == "unjustified":
        return _with_failures(facts, params)
    if finding == "stricter":
        return _by_the_policy(facts, params)
    if finding == "repeated":
        fewer = params.repeated_locks - 1
        most = counted(fewer, "lock")
        sentence = f"milder if there had been no more than {most} (repeated_locks)"
        return [Otherwise(sentence=sentence, facts={"locks_in_window": fewer})]
    if finding == "overdue":
        return _in_time(facts, params)
    sentence = "milder if the debit had begun at the time of the lock or before"
    return [Otherwise(sentence=sentence, facts={"debit_at_ms": facts.locked_at_ms})]


def _without_lock(facts: AccountLockoutFacts, params: AccountLockoutParams) -> list[Otherwise]:
    if facts.derived_failures is not None:
        limit = params.derive_limit
        fewer = f"no alert if fewer than {limit} logins had failed (derive_limit)"
        never = "no alert if failures did not count as a lock (derive_locks)"
        return [
            Otherwise(sentence=fewer, facts={"derived_failures": limit - 1}),
            Otherwise(sentence=never, params={"derive_locks": False}),
        ]
    if severity_of("lock", facts) == "warning":
        sentence = "only info if the owner had asked for the lock"
        return [Otherwise(sentence=sentence, facts={"reason": "customer"})]
    sentence = "no alert only if the account had not been locked: every lock is named"
    return [Otherwise(sentence=sentence, facts={"locked_at_ms": None})]


def _with_failures(facts: AccountLockoutFacts, params: AccountLockoutParams) -> list[Otherwise]:
    limit, window = params.policy_limit, params.policy_window_ms
    since = facts.failures_since_success or 0
    if facts.failures_counted is not None:
        as_many = failed_logins(facts.failures_counted)
        return [
            Otherwise(
                sentence=f"milder if {as_many} had been seen since the last success",
                facts={"failures_since_success": min(facts.failures_counted, MAX_FAILED)},
            ),
            Otherwise(
                sentence=f"milder if the login service had counted {since} or fewer",
                facts={"failures_counted": since},
            ),
        ]
    found = [
        Otherwise(
            sentence=f"milder if {limit} or more failed logins had been seen (policy_limit)",
            facts={"failures_since_success": limit},
        ),
        Otherwise(
            sentence=f"milder if logins had been seen for no longer than {format_span(window)} "
            "(policy_window_ms)",
            facts={"observed_ms": window},
        ),
    ]
    if since:
        sentence = f"milder if policy_limit were {since}"
        found.append(Otherwise(sentence=sentence, params={"policy_limit": since}))
    return found


def _by_the_policy(facts: AccountLockoutFacts, params: AccountLockoutParams) -> list[Otherwise]:
    limit, counted_there = params.policy_limit, facts.failures_counted
    seen: dict[str, Value] = {}
    if facts.failures_since_success is not None:
        seen["failures_since_success"] = max(facts.failures_since_success, limit)
    found = [
        Otherwise(
            sentence=f"only info if the login service had counted {limit} or more (policy_limit)",
            facts={"failures_counted": limit} | seen,
        )
    ]
    if counted_there:
        sentence = f"only info if policy_limit were {counted_there}"
        found.append(Otherwise(sentence=sentence, params={"policy_limit": counted_there}))
    return found


def _in_time(facts: AccountLockoutFacts, params: AccountLockoutParams) -> list[Otherwise]:
    assert facts.lock_until_ms is not None
    grace = params.overdue_grace_ms
    found = [
        Otherwise(
            sentence=f"milder if the refusal had come no later than {format_span(grace)} after the "
            "end of the lock (overdue_grace_ms)",
            facts={"refused_at_ms": facts.lock_until_ms + grace},
        )
    ]
    if overdue_ms(facts) <= MAX_GRACE_MS:
        found.append(
            Otherwise(
                sentence=f"milder if overdue_grace_ms were {overdue_ms(facts)}",
                params={"overdue_grace_ms": overdue_ms(facts)},
            )
        )
    return found


def _money(facts: AccountLockoutFacts) -> str:
    minor = from_minor(facts.debit_amount_minor or 0, facts.debit_exponent or 0)
    return f"{minor} {facts.debit_currency}"
