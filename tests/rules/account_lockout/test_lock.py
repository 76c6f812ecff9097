"""A4: the lock itself, and whether it is justified or repeated; each threshold from both sides."""

from typing import Any

import pytest

from rules.account_lockout.rule import AccountLockout
from rules.account_lockout.state import AccountLockoutState
from rules.builders import at, clock, login, txn
from rules.facts import Values
from rules.habits import MAX_FAILURES
from schemas.time import parse_time
from tests.support.events.lockout_builders import (
    DERIVED,
    FIVE,
    SEEN,
    earned,
    failed,
    kinds,
    lock,
    refused,
    run,
    thrice,
    unlock,
)

SERVICE = ("service_error", "otp_not_delivered", "timeout", "network")


@pytest.mark.parametrize(
    ("reason", "severity", "cause", "advice"),
    [
        ("customer", "info", "user_error", ("contact_support",)),
        ("max_retries", "info", "user_error", ("reset_password", "retry")),
        (
            "suspicious",
            "warning",
            "security",
            ("change_password", "review_devices", "contact_support"),
        ),
        ("admin", "warning", "unknown", ("contact_support",)),
        ("other", "warning", "unknown", ("contact_support",)),
        (None, "warning", "unknown", ("contact_support",)),
    ],
)
def test_the_reason_decides_what_a_lock_is(
    reason: str | None, severity: str, cause: str, advice: tuple[str, ...]
) -> None:
    """Severity, cause and advice."""
    scenario = earned(lock(reason=reason))
    (raised,) = scenario.raised
    assert scenario.steps == [f"raised {severity}"]
    assert (raised.verdict.suspected_root_cause, raised.verdict.owner_advice) == (cause, advice)
    assert raised.details == {"kinds": ["lock"], "reason": reason}
    assert (raised.anchor, raised.draft.cause, raised.draft.subject) == (
        "lock-10:00:00",
        "auth",
        None,
    )
    assert raised.verdict.at % 86_400_000 == 10 * 3_600_000
    assert scenario.rule.because(scenario.rule.Facts.of(scenario.judged[0]))[0].startswith(
        "The account was locked without an"
    )


def test_a_lock_that_failed_is_none() -> None:
    """Nothing was locked."""
    assert run(SEEN, lock(outcome="failure")).steps == []


def test_what_is_quoted_is_read_from_what_is_cited() -> None:
    """The lock, and the failures before it, the newest last."""
    scenario = earned(lock(lock_until=at("10:15:00")))
    (raised,) = scenario.raised
    roles = [role for _, role in raised.evidence]
    assert roles == ["failure"] * 5 + ["lock"]
    assert scenario.judged == [
        {
            "locked_at_ms": raised.verdict.at,
            "reason": "max_retries",
            "channel": "app",
            "lock_until_ms": raised.verdict.at + 15 * 60_000,
            "failures_counted": None,
            "failures_since_success": 5,
            "failures_in_window": 5,
            "observed_ms": 3_600_000,
            "locks_in_window": 1,
        }
    ]
    addressed = {name for name, _, ref in raised.facts if ref is not None}
    of_lock = {"locked_at_ms", "reason", "channel", "lock_until_ms", "failures_counted"}
    assert addressed == of_lock


def test_every_lock_is_a_signal_and_nothing_else_is() -> None:
    """Late ones too."""
    scenario = earned(lock(), unlock("10:10:00"), lock("10:20:00", "customer"), refused("10:21:00"))
    scenario.give(lock("09:30:00"), late=True)
    assert [(measure, event.event_id) for measure, event in scenario.signals] == [
        ("lock", "lock-10:00:00"),
        ("lock", "lock-10:20:00"),
        ("lock", "lock-09:30:00"),
    ]


@pytest.mark.parametrize(("first", "in_window"), [("09:45:00", 5), ("09:44:59.999", 4)])
def test_the_window_of_the_policy_includes_its_edge(first: str, in_window: int) -> None:
    """It says which failures are cited; all since the last success count."""
    scenario = run(SEEN, *failed(first, *FIVE[1:]), lock(), clock("10:01:00"))
    assert scenario.steps == ["raised info"]
    assert scenario.judged[-1]["failures_in_window"] == in_window
    assert scenario.judged[-1]["failures_since_success"] == 5
    (raised,) = scenario.raised
    assert [role for _, role in raised.evidence].count("failure") == in_window


def test_as_many_failures_as_the_policy_says_justify_a_lock() -> None:
    """One fewer does not; the parameter moves the limit."""
    six = {"policy_limit": 6}
    assert earned(lock(), clock("10:01:00")).steps == ["raised info"]
    assert earned(lock(), clock("10:01:00"), **six).steps == ["raised info", "updated error"]


@pytest.mark.parametrize(
    ("first", "expected"),
    [("09:45:00", ["raised info"]), ("09:44:59.999", ["raised info", "updated error"])],
)
def test_an_account_must_have_been_seen_for_longer_than_the_window(
    first: str, expected: list[str]
) -> None:
    """Exactly the window is too short. Any event on the logins input counts as seeing."""
    scenario = run(login(first, action="logout"), login("09:50:00"), lock(), clock("10:01:00"))
    assert scenario.steps == expected


@pytest.mark.parametrize("reason", SERVICE)
def test_failures_of_the_service_do_not_count(reason: str) -> None:
    """The owner has not been wrong."""
    scenario = run(SEEN, *failed(*FIVE[:4]), *failed(FIVE[4], reason=reason), lock())
    assert scenario.give(clock("10:01:00")).steps == ["raised info", "updated error"]


def test_refusals_do_not_count_as_failures() -> None:
    """They come from a lock."""
    scenario = run(SEEN, *failed(*FIVE[:4]), refused(FIVE[4]), lock(), clock("10:01:00"))
    assert scenario.steps == ["raised info", "updated error"]


@pytest.mark.parametrize("reason", ["otp_failed", "mfa_failed", "other"])
def test_other_failures_of_the_owner_count(reason: str) -> None:
    """Whatever the factor."""
    scenario = run(SEEN, *failed(*FIVE[:4]), *failed(FIVE[4], reason=reason), lock())
    assert scenario.give(clock("10:01:00")).steps == ["raised info"]


def test_failures_before_a_success_do_not_count() -> None:
    """The login service counts anew after it."""
    scenario = run(SEEN, *failed(*FIVE[:3]), login("09:55:00"), *failed(*FIVE[3:]), lock())
    scenario.give(clock("10:01:00"))
    assert scenario.steps == ["raised info", "updated error"]
    assert scenario.judged[-1]["failures_in_window"] == 2
    assert scenario.alerts[-1].title == "Account locked for too many retries after 2 failed logins"


@pytest.mark.parametrize("channel", ["branch", None])
def test_only_channels_that_stream_are_judged(channel: str | None) -> None:
    """Nobody knows what failed elsewhere; a parameter names those that stream."""
    scenario = run(SEEN, lock(channel=channel), clock("10:01:00"))
    assert scenario.steps == ["raised info"]
    scenario = run(SEEN, lock(), clock("10:01:00"), streaming_channels=["web"])
    assert scenario.steps == ["raised info"]
    scenario = run(SEEN, lock(channel="atm"), clock("10:01:00"), streaming_channels=["atm"])
    assert scenario.steps == ["raised info", "updated error"]


@pytest.mark.parametrize("reason", ["customer", "suspicious", "admin", None])
def test_only_too_many_retries_can_be_unjustified(reason: str | None) -> None:
    """Other reasons count no failures."""
    assert len(run(SEEN, lock(reason=reason), clock("10:01:00")).steps) == 1


def test_failures_that_are_no_longer_remembered_still_count() -> None:
    """How many came since the last success is known, even where it is not known when."""
    service = [f"09:{50 + n // 3}:{n % 3 * 10:02}" for n in range(MAX_FAILURES)]
    for first, steps in (("09:44:59", ["raised info", "updated error"]), (None, ["raised info"])):
        five = failed(first) if first else failed(*(f"{time[:6]}05" for time in FIVE))
        events = sorted(
            [*five, *failed(*service, reason="timeout")], key=lambda e: str(e["occurred_at"])
        )
        scenario = run(SEEN, *events, lock(), clock("10:01:00"))
        assert scenario.steps == steps
    scenario = run(SEEN, *failed(*service[1:], reason="timeout"), lock(), clock("10:01:00"))
    assert scenario.steps == ["raised info", "updated error"]


def test_with_many_failures_those_that_are_known_may_suffice() -> None:
    """Exactly the limit is enough, whatever was forgotten; one fewer leaves it unknown."""
    for known, count in ((5, 5), (4, None)):
        wrong = [f"09:5{n}:30" for n in range(known)]
        service = [f"09:56:{n:02}" for n in range(MAX_FAILURES - known)]
        scenario = run(SEEN, *failed(*wrong), *failed(*service, reason="timeout"), lock())
        assert scenario.judged[-1]["failures_in_window"] == count


@pytest.mark.parametrize(("oldest", "count"), [("09:45:00", None), ("09:44:59.999", 0)])
def test_what_is_forgotten_is_older_than_the_oldest_that_is_remembered(
    oldest: str, count: int | None
) -> None:
    """At the edge of the window more may have been forgotten; before it none that counts."""
    service = [oldest, *(f"09:56:{n:02}" for n in range(MAX_FAILURES - 1))]
    scenario = run(SEEN, *failed(*service, reason="timeout"), lock(), clock("10:01:00"))
    assert scenario.judged[-1]["failures_in_window"] == count


@pytest.mark.parametrize(
    ("time", "count"), [("09:49:59.999", 4), ("09:50:00", 4), ("09:50:00.001", 5)]
)
def test_failures_count_from_the_millisecond_after_a_success(time: str, count: int) -> None:
    """Those of its own millisecond are taken to have led to it."""
    scenario = run(SEEN)
    events = [login("09:50:00"), *failed(time, event_id="z")]
    for event in sorted(events, key=lambda each: str(each["occurred_at"])):
        scenario.give(event)
    for event in (*failed(*FIVE[1:]), lock(), clock("10:01:00")):
        scenario.give(event)
    assert scenario.judged[-1]["failures_in_window"] == count


def test_a_late_failure_counts_though_it_is_not_remembered() -> None:
    """It has been seen, if only after others."""
    scenario = run(SEEN, *failed(*FIVE[:4])).give(failed("09:55:00")[0], late=True)
    scenario.give(lock()).give(clock("10:01:00"))
    assert scenario.steps == ["raised info"]
    assert scenario.judged[-1]["failures_since_success"] == 5
    assert scenario.judged[-1]["failures_in_window"] == 4


@pytest.mark.parametrize(
    ("third", "severity"),
    [("2026-03-03T10:00:00.000Z", "warning"), ("2026-03-03T10:00:00.001Z", "info")],
)
def test_the_day_of_the_third_lock_includes_its_edge(third: str, severity: str) -> None:
    """Sliding, both ends included."""
    scenario = thrice(third)
    assert scenario.steps[-1] == f"raised {severity}"
    assert ("repeated" in kinds(scenario)) == (severity == "warning")


def test_locks_that_the_owner_asks_for_are_not_repeated() -> None:
    """Nor do they count for others."""
    assert thrice(at("12:00:00"), "customer").steps[-1] == "raised info"
    assert thrice(at("12:00:00"), "admin").steps[-1] == "raised warning"
    assert thrice(at("12:00:00"), repeated_locks=4).steps[-1] == "raised info"


def test_earlier_locks_are_cited() -> None:
    """Oldest first, before the lock itself."""
    raised = thrice(at("12:00:00")).raised[-1]
    assert [(ref.event_id, role) for ref, role in raised.evidence] == [
        ("lock-10:00:00", "earlier_lock"),
        ("lock-11:00:00", "earlier_lock"),
        ("lock-third", "lock"),
    ]
    assert raised.title == "Account locked again (max retries): 3 locks"


def test_locks_are_forgotten_when_they_have_left_the_window() -> None:
    """The state of an open account is empty after that."""
    scenario = earned(lock(), unlock("10:10:00"))
    assert scenario.state() != AccountLockoutState()
    day_after = parse_time("2026-03-03T10:00:00Z")
    assert scenario.pass_time(day_after).state() != AccountLockoutState()
    scenario.pass_time(day_after + 1)
    assert scenario.state() == AccountLockoutState()
    assert scenario.timers() == {}


TRANSFER = {"type": "transfer_out", "funding": "card"}


@pytest.mark.parametrize(
    ("time", "found"),
    [("10:00:00.000", ["lock"]), ("10:00:00.001", ["lock", "money_moved"])],
)
def test_a_late_reservation_of_the_moment_of_the_lock_was_under_way(
    time: str, found: list[str]
) -> None:
    """Its completion moves no money that the lock should have kept."""
    scenario = earned(lock())
    scenario.give(txn("t1", time, "pending", **TRANSFER), late=True)
    scenario.give(txn("t1", "10:05:00", **TRANSFER))
    assert kinds(scenario) == found


def test_a_derived_lock_quotes_its_first_failure() -> None:
    """Time and address are of the same event."""
    (raised,) = run(SEEN, *failed(*FIVE), **DERIVED).raised
    facts = {name: (value, ref) for name, value, ref in raised.facts}
    value, ref = facts["first_failure_at_ms"]
    assert ref is not None
    assert (ref.event_id, ref.occurred_at) == ("login-09:50:00", value)
    locked = facts["locked_at_ms"][1]
    assert locked is not None
    assert locked.event_id == "login-09:58:00"
    assert [ref.event_id for ref, _ in raised.evidence] == [f"login-{time}" for time in FIVE]
    assert [role for _, role in raised.evidence] == ["failure"] * 4 + ["lock"]


@pytest.mark.parametrize(
    ("event", "role"), [(unlock("10:05:00"), "unlock"), (login("10:05:00"), "success")]
)
def test_an_alert_says_what_opened_the_account(event: dict[str, Any], role: str) -> None:
    """An unlock, or a login that succeeded."""
    cured = earned(lock(), event).alerts[-1]
    assert (cured.step, [role for _, role in cured.evidence]) == ("cured info", [role])


@pytest.mark.parametrize(
    ("failures", "cause"), [(None, "unknown"), (0, "unknown"), (1, "user_error")]
)
def test_only_failures_that_were_seen_are_the_owners_errors(
    failures: int | None, cause: str
) -> None:
    """Even where a single one is enough for a lock."""
    rule = AccountLockout(AccountLockout.Params(policy_limit=1))
    facts: Values = {"locked_at_ms": 1, "reason": "max_retries", "channel": "branch"}
    verdict = rule.judge(rule.Facts.of({**facts, "failures_in_window": failures}))
    assert verdict is not None
    assert verdict.suspected_root_cause == cause


def test_of_nine_open_alerts_the_oldest_expires() -> None:
    """Eight may be open; the newest lock is always told."""
    scenario = run(SEEN, *(lock(f"10:0{minute}:00") for minute in range(9)))
    anchors = [alert.anchor for alert in scenario.open_alerts()]
    assert anchors == [f"lock-10:0{minute}:00" for minute in range(1, 9)]
    assert [step for step in scenario.steps if step.startswith("expired")] == ["expired error"]


def test_a_dispute_does_not_end_what_is_under_way() -> None:
    """The card may still be charged after the lock: that is no new debit."""
    events = [txn("t1", "09:59:00", status, **TRANSFER) for status in ("pending", "disputed")]
    assert kinds(earned(*events, lock(), txn("t1", "10:05:00", **TRANSFER))) == ["lock"]


def test_a_debit_of_the_very_moment_of_the_lock_does_not_hide_a_later_one() -> None:
    """Only what begins after the lock moves money."""
    scenario = earned(lock(), txn("t1", "10:00:00"))
    assert kinds(scenario) == ["lock"]
    scenario.give(txn("t2", "10:00:00.001"))
    assert kinds(scenario) == ["lock", "money_moved"]
