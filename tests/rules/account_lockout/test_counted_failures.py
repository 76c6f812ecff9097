"""A4: how many failures came since the last success, and what the login service says it counted."""

from itertools import permutations
from typing import Any

import pytest

from rules.account_lockout.rule import AccountLockout
from rules.builders import clock, login
from rules.habits import MAX_FAILED
from rules.testing import Scenario
from tests.support.events.lockout_builders import FIVE, SEEN, failed, kinds, lock, on, run, unlock

INFO, WARNING = ["raised info"], ["raised warning"]
ERROR = ["raised info", "updated error"]


def days_apart(failures: int, counted: int | None, **fields: Any) -> list[Any]:
    """Return a success on the 2nd, a failure each day from the 3rd on, and a lock on the 28th."""
    told: dict[str, Any] = {} if counted is None else {"failures_counted": counted}
    return [
        login("08:00:00", **on(2, "08:00:00")),
        *(
            login("f", "failure", event_id=f"f{n}", **on(3 + n, "08:00:00"))
            for n in range(failures)
        ),
        lock("lock", **told, **on(28, "08:00:00") | fields),
        clock("28") | on(28, "09:00:00"),
    ]


@pytest.mark.parametrize(
    ("failures", "counted", "steps"),
    [
        (1, 5, ERROR),  # the success should have set the counter back
        (4, 5, ERROR),
        (0, 1, ["raised warning", "updated error"]),
        (5, 5, INFO),  # five since the success, however long ago
        (6, 5, INFO),
        (5, 6, ERROR),
        (20, 20, INFO),
        (20, 21, ERROR),
        (2, 2, WARNING),  # a stricter policy than the one configured
        (4, 4, WARNING),
        (3, 4, ["raised warning", "updated error"]),
        (0, 0, WARNING),
        (5, None, INFO),
        (4, None, ERROR),
        (0, None, ERROR),
        (20, None, INFO),
    ],
)
def test_what_was_counted_is_compared_with_what_was_seen(
    failures: int, counted: int | None, steps: list[str]
) -> None:
    """Over days, which the window of the policy does not span, and after failures have faded."""
    scenario = run(*days_apart(failures, counted))
    assert scenario.steps == steps
    assert scenario.judged[-1]["failures_since_success"] == failures
    assert scenario.judged[-1]["failures_counted"] == counted


@pytest.mark.parametrize("channel", ["branch", "phone", None])
@pytest.mark.parametrize("counted", [None, 0, 2, 5, 50])
def test_what_does_not_stream_is_not_judged(channel: str | None, counted: int | None) -> None:
    """Neither as unjustified nor as stricter."""
    assert run(*days_apart(1, counted, channel=channel)).steps == INFO


@pytest.mark.parametrize("reason", ["suspicious", "customer", "admin"])
def test_of_other_reasons_the_count_says_nothing(reason: str) -> None:
    """The lock is none for too many retries."""
    scenario = run(*days_apart(1, 2, reason=reason))
    assert kinds(scenario) == ["lock"]


@pytest.mark.parametrize(
    ("counted", "steps"),
    [(None, INFO), (0, WARNING), (4, WARNING), (5, INFO), (6, INFO), (1_000, INFO)],
)
@pytest.mark.parametrize("seen", [0, 1, 7])
def test_before_any_success_was_seen_the_service_is_trusted(
    seen: int, counted: int | None, steps: list[str]
) -> None:
    """And where it does not say what it counted, nothing is judged."""
    scenario = run(*days_apart(seen, counted)[1:])
    assert scenario.steps == steps
    assert scenario.judged[-1]["failures_since_success"] is None


def test_only_a_login_sets_the_count_back() -> None:
    """No unlock, change of the password or logout: the service may or may not count on."""
    for action in ("unlock", "password_reset", "password_change", "logout", "lock"):
        other = login("09:57:00", action=action, event_id="other")
        scenario = run(SEEN, *failed(*FIVE[:3]), other, *failed(*FIVE[4:]))
        scenario.give(lock(failures_counted=4)).give(clock("10:01:00"))
        assert scenario.judged[-1]["failures_since_success"] == 4, action
        assert "unjustified" not in kinds(scenario)


def test_a_login_that_fails_is_no_success() -> None:
    """And a failed change is no failed login."""
    wrong = login("09:57:00", "failure", action="password_change")
    scenario = run(SEEN, *failed(*FIVE[:3]), wrong, lock(failures_counted=4), clock("10:01:00"))
    assert scenario.judged[-1]["failures_since_success"] == 3
    assert scenario.steps == ["raised warning", "updated error"]


@pytest.mark.parametrize("reason", ["timeout", "network", "service_error", "otp_not_delivered"])
def test_failures_of_the_service_are_not_the_owners(reason: str) -> None:
    """A lock that counts them counts too many."""
    scenario = run(SEEN, *failed(*FIVE[:4]), *failed(FIVE[4], reason=reason))
    scenario.give(lock(failures_counted=5)).give(clock("10:01:00"))
    assert scenario.steps == ERROR


@pytest.mark.parametrize("reason", ["account_locked", "unknown_account"])
def test_what_was_no_attempt_does_not_count(reason: str) -> None:
    """Refusals come from a lock, unknown names from anybody."""
    scenario = run(SEEN, *failed(*FIVE[:4]), *failed(FIVE[4], reason=reason), lock())
    assert scenario.give(clock("10:01:00")).steps == ERROR


def test_each_further_failure_may_lock_again() -> None:
    """For longer each time: that is one policy, and only repeated."""
    events: list[Any] = [SEEN, *failed(*FIVE)]
    for n, minute in enumerate((0, 2, 5)):
        events += failed(f"10:{minute:02}:00") if n else []
        events.append(lock(f"10:{minute:02}:00.100", failures_counted=5 + n))
    scenario = run(*events, clock("10:20:00"))
    assert scenario.steps == ["raised info", "raised info", "raised warning"]
    assert kinds(scenario) == ["lock", "repeated"]


def test_a_stricter_policy_is_cured_like_any_lock() -> None:
    """A double click, a lock of a minute, and the owner is in."""
    until = {"lock_until": "2026-03-02T10:01:00.000Z"}
    clicks = failed("10:00:00", "10:00:00.300", session_id="s-1")
    scenario = run(SEEN, *clicks, lock("10:00:00.310", failures_counted=2, **until))
    scenario.give(login("10:01:30", session_id="s-1")).give(clock("10:05:00"))
    assert scenario.steps == ["raised warning", "cured warning"]
    (raised,) = scenario.raised
    assert raised.title == "Account locked after 2 failed logins, the limit known here is 5"
    assert raised.verdict.suspected_root_cause == "user_error"


def test_failures_of_the_moment_of_the_lock_count_in_every_order() -> None:
    """The fifth failure, the lock and another failure may carry one millisecond."""
    same = [failed("10:00:00", event_id="a")[0], failed("10:00:00", event_id="z")[0], lock()]
    found = set()
    for order in permutations(same):
        scenario = run(SEEN, *failed(*FIVE[:3]), *order, clock("10:01:00"))
        assert "unjustified" not in kinds(scenario)
        found.add(scenario.judged[-1]["failures_since_success"])
    assert found == {5}


def test_a_success_of_the_moment_of_a_failure_comes_after_it() -> None:
    """As where failures in the window are counted."""
    for first, second in ((login("09:50:00"), failed("09:50:00", event_id="z")[0]),) * 2:
        scenario = run(SEEN, first, second, *failed(*FIVE[1:]), lock(), clock("10:01:00"))
        assert scenario.judged[-1]["failures_since_success"] == 4
        assert scenario.judged[-1]["failures_in_window"] == 4


def test_the_count_ends_at_a_bound_that_stands_for_more() -> None:
    """A service that counts far more is not said to have counted too many."""
    events = [
        login("f", "failure", event_id=f"f{n}", **on(3, f"10:{n // 60:02}:{n % 60:02}"))
        for n in range(MAX_FAILED + 10)
    ]
    scenario = run(SEEN, *events, lock(failures_counted=9_999, **on(3, "11:00:00")))
    scenario.give(clock("3") | on(3, "12:00:00"))
    assert scenario.steps == INFO
    assert scenario.judged[-1]["failures_since_success"] == MAX_FAILED
    said = scenario.rule.because(scenario.rule.Facts.of(scenario.judged[-1]))
    assert "255 or more failed logins" in said[0]
    below = run(SEEN, *events[: MAX_FAILED - 1], lock(failures_counted=255, **on(3, "11:00:00")))
    assert below.give(clock("3") | on(3, "12:00:00")).steps == ERROR


# -- late, disordered, delivered again --------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "steps"),
    [
        ("09:51:00", [*ERROR, "updated info"]),
        ("09:45:00", [*ERROR, "updated info"]),
        ("09:44:59.999", [*ERROR, "updated info"]),
        ("10:00:00", [*ERROR, "updated info"]),
        ("10:00:00.001", ERROR),
        ("09:00:00", ERROR),
        ("09:00:00.001", [*ERROR, "updated info"]),
    ],
)
def test_a_failure_that_comes_after_the_lock_was_judged_corrects_it(
    late: str, steps: list[str]
) -> None:
    """If it came after the last success, and no later than the lock."""
    scenario = run(SEEN, *failed(*FIVE[1:]), lock(), clock("10:01:00"))
    assert scenario.steps == ERROR
    scenario.give(failed(late, event_id="late")[0], late=True)
    assert scenario.steps == steps
    if len(steps) == 3:
        assert scenario.judged[-1]["failures_since_success"] == 5
        inside = late >= "09:45:00"
        assert scenario.judged[-1]["failures_in_window"] == (5 if inside else 4)
        assert [role for _, role in scenario.alerts[-1].evidence] == ["failure"]


def test_a_late_failure_of_the_service_corrects_nothing() -> None:
    """Nor one of a lock that is over."""
    scenario = run(SEEN, *failed(*FIVE[1:]), lock(), clock("10:01:00"))
    scenario.give(failed("09:51:00", reason="timeout")[0], late=True)
    assert scenario.steps == ERROR
    scenario.give(login("10:02:00")).give(failed("09:52:30")[0], late=True)
    assert scenario.steps == [*ERROR, "cured error"]


def test_a_late_failure_counts_for_the_next_lock_too() -> None:
    """It is remembered as a number."""
    scenario = run(SEEN, *failed(*FIVE[1:]), clock("10:01:00"))
    scenario.give(failed("09:51:00")[0], late=True)
    assert scenario.give(lock("10:02:00", failures_counted=5)).steps == INFO
    scenario = run(SEEN, *failed(*FIVE[1:]), clock("10:01:00"))
    scenario.give(failed("08:59:00")[0], late=True)  # before the success
    scenario.give(lock("10:02:00", failures_counted=5)).give(clock("10:03:00"))
    assert scenario.steps == ERROR


def test_a_late_success_leaves_the_failures_after_it() -> None:
    """Those that came before it do not count any more."""
    scenario = run(SEEN, *failed(*FIVE), clock("09:59:00")).give(login("09:53:00"), late=True)
    scenario.give(lock(failures_counted=5)).give(clock("10:01:00"))
    assert scenario.steps == ERROR
    assert scenario.judged[-1]["failures_since_success"] == 3


def test_events_that_are_delivered_again_count_once() -> None:
    """Failures, the success and the lock."""
    events = [SEEN, *failed(*FIVE), lock(failures_counted=6), clock("10:01:00")]
    scenario = Scenario(AccountLockout)
    for event in events:
        scenario.give(event)
    assert scenario.steps == ERROR
    with pytest.raises(ValueError, match="redelivered"):
        scenario.give(failed(FIVE[0])[0], late=True).steps  # noqa: B018
    assert scenario.steps == ERROR


def test_the_next_lock_after_an_unlock_is_judged_by_all_since_the_success() -> None:
    """A service that sets its counter back at the unlock counts fewer; one that does not, more."""
    for counted in (5, 10):
        more = [f"10:1{n}:00" for n in range(5)]
        scenario = run(SEEN, *failed(*FIVE), lock(), unlock("10:05:00"), *failed(*more))
        scenario.give(lock("10:15:00", failures_counted=counted)).give(clock("10:16:00"))
        assert scenario.steps == ["raised info", "cured info", "raised info"]
