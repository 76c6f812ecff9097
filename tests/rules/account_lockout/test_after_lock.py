"""A4: what follows a lock (refusals, money, its end), each threshold from both sides."""

from typing import Any

import pytest

from rules.account_lockout.state import MAX_UNDER_WAY, AccountLockoutState
from rules.builders import clock, login, txn
from rules.events import LOGIN
from rules.profile import MAX_HOLDS
from tests.support.events.lockout_builders import earned, kinds, lock, refused, run, timed, unlock
from worker.detect.handler import Horizons


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("10:15:00", ["raised info", "cured info"]),
        ("10:15:00.001", ["raised info"]),
        ("10:16:00", ["raised info"]),
        ("10:16:00.001", ["raised info", "cured info", "raised error"]),
    ],
)
def test_a_refusal_after_the_end_of_a_lock(time: str, expected: list[str]) -> None:
    """Up to the end it is right, in the grace it keeps the alert open, after it it is wrong."""
    assert timed(refused(time), clock("11:00:00")).steps == expected


def test_the_grace_is_a_parameter() -> None:
    """Zero excuses nothing, and the lock ends at its end."""
    none = {"overdue_grace_ms": 0}
    expected = ["raised info", "cured info", "raised error"]
    assert timed(refused("10:15:00.001"), **none).steps == expected
    assert timed(refused("10:15:00"), clock("10:15:00.001"), **none).steps == expected[:2]


def test_a_refusal_in_the_grace_leaves_the_next_one_to_raise_the_open_alert() -> None:
    """Once: further refusals say nothing new."""
    scenario = timed(*map(refused, ("10:15:30", "10:20:00", "10:25:00")), clock("11:00:00"))
    assert scenario.steps == ["raised info", "updated error"]
    alert = scenario.alerts[-1]
    assert alert.title == "Login refused as locked 5 min after the lock should have ended"
    assert kinds(scenario) == ["lock", "overdue"]
    until = scenario.judged[-1]["lock_until_ms"]
    assert isinstance(until, int)
    assert scenario.judged[-1]["refused_at_ms"] == until + 300_000
    verdict = scenario.rule.judge(scenario.rule.Facts.of(scenario.judged[-1]))
    assert verdict is not None
    assert verdict.at == scenario.judged[-1]["locked_at_ms"]


def test_an_overdue_lock_whose_alert_was_closed_is_raised_again_once() -> None:
    """By the refusal, at its time; it cites the lock and the refusal."""
    scenario = timed(clock("10:20:00"), refused("11:00:00"), refused("11:01:00"))
    assert scenario.steps == ["raised info", "cured info", "raised error"]
    raised = scenario.raised[-1]
    assert raised.anchor == "login-11:00:00"
    assert raised.verdict.at % 86_400_000 == 11 * 3_600_000
    assert [role for _, role in raised.evidence] == ["lock", "refusal"]
    assert raised.verdict.suspected_root_cause == "technical"
    scenario.give(login("11:05:00"))
    assert scenario.steps[-1] == "cured error"
    assert scenario.give(refused("11:10:00")).steps[-1] == "cured error"


def test_a_late_success_before_the_refusal_retracts_what_was_raised_by_it() -> None:
    """The account had opened: somebody locked it again, unreported."""
    scenario = timed(clock("10:20:00"), refused("11:00:00")).give(login("10:30:00"), late=True)
    assert scenario.steps[-1] == "retracted error"


@pytest.mark.parametrize("opening", [login("10:05:00"), unlock("10:05:00")])
def test_after_the_account_has_opened_no_refusal_is_overdue(opening: Any) -> None:
    """The lock is over, and is forgotten when it would have ended."""
    scenario = timed(opening)
    assert set(scenario.timers()) == {"forget", "until"}
    scenario.give(refused("11:00:00"))
    assert set(scenario.timers()) == {"forget"}
    assert scenario.steps == ["raised info", "cured info"]
    assert scenario.state().lock is None


def test_a_lock_without_an_end_is_never_overdue_and_never_ends_by_itself() -> None:
    """Only an opening closes it."""
    scenario = earned(lock(), refused("12:00:00"), clock("13:00:00"))
    assert scenario.steps == ["raised info"]
    assert set(scenario.timers()) == {"forget"}


def test_the_end_of_a_lock_awaits_logins() -> None:
    """It judges that no login was refused."""
    (due, awaits) = timed().timers()["until"]
    assert due % 86_400_000 == (10 * 60 + 16) * 60_000
    assert awaits == (LOGIN,)


@pytest.mark.parametrize(
    ("event", "step", "is_locked"),
    [
        (login("10:16:00.001"), [], False),
        (unlock("10:16:00.001"), [], False),
        (refused("10:16:00.001"), ["raised error"], True),
        (lock("10:16:00.001", "customer"), ["raised info"], True),
        (login("10:16:00.001", "failure"), [], True),
        (login("10:16:00.001", "failure", reason="timeout"), [], True),
    ],
)
def test_a_login_after_the_end_closes_the_alert_though_the_proof_is_still_awaited(
    event: Any, step: list[str], is_locked: bool
) -> None:
    """Just as if the timer had come first."""
    scenario = timed().leave_unproven(LOGIN).give(event)
    assert scenario.steps == ["raised info", "cured info", *step]
    assert (scenario.state().lock is not None) == is_locked
    assert "until" not in scenario.timers()


@pytest.mark.parametrize(
    ("time", "moves"),
    [("10:00:00", False), ("10:00:00.001", True), ("10:15:00", True), ("10:15:00.001", False)],
)
def test_money_moves_while_the_lock_lasts(time: str, moves: bool) -> None:
    """After its moment, up to its end."""
    scenario = timed(txn("t1", time))
    assert scenario.steps[1:] == (["updated error"] if moves else [])


@pytest.mark.parametrize("kind", ["payment", "transfer_out", "withdrawal"])
@pytest.mark.parametrize("status", ["pending", "completed"])
@pytest.mark.parametrize("funding", ["card", "balance"])
def test_any_debit_of_the_owner_moves_money(kind: str, status: str, funding: str) -> None:
    """Whoever pays it; told once."""
    scenario = earned(lock(), txn("t1", "12:00:00", status, "12.50", type=kind, funding=funding))
    scenario.give(txn("t2", "12:01:00", type=kind))
    assert scenario.steps == ["raised info", "updated error"]
    alert = scenario.alerts[-1]
    word = kind.replace("_", " ").capitalize()
    assert alert.title == f"{word} while the account was locked"
    said = scenario.rule.because(scenario.rule.Facts.of(scenario.judged[-1]))
    assert f"{word} of 12.50 EUR began 2 h after the lock" in said[-1]
    verdict = scenario.rule.judge(scenario.rule.Facts.of(scenario.judged[-1]))
    assert verdict is not None
    assert verdict.suspected_root_cause == "security"


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "topup"},
        {"type": "fee"},
        {"type": "refund"},
        {"initiator": "merchant"},
        {"initiator": "platform"},
        {"status": "failed"},
        {"status": "cancelled"},
    ],
)
def test_what_the_owner_does_not_move_is_no_trouble(fields: dict[str, str]) -> None:
    """Nor what fails."""
    assert earned(lock(), txn("t1", "10:05:00") | fields).steps == ["raised info"]


@pytest.mark.parametrize("funding", ["balance", "card", "mixed"])
@pytest.mark.parametrize("before", ["09:59:59", "10:00:00"])
def test_a_debit_that_began_before_or_with_the_lock_does_not_count(
    funding: str, before: str
) -> None:
    """Of one millisecond the debit is taken to have been first."""
    scenario = earned(txn("t1", before, "pending", funding=funding), lock(), txn("t1", "10:05:00"))
    assert scenario.steps == ["raised info"]
    assert scenario.give(txn("t2", "10:06:00")).steps[-1] == "updated error"


def test_a_debit_that_ended_before_the_lock_is_not_under_way() -> None:
    """Its end frees the memory; an event of the transaction in the lock is another matter."""
    scenario = run(txn("t1", "09:59:00", "pending", funding="card"))
    assert len(scenario.state().under_way) == 1
    scenario.give(txn("t2", "09:59:30", funding="card"))
    assert len(scenario.state().under_way) == 1
    scenario.give(txn("t1", "09:59:40", "failed", funding="card"))
    assert scenario.state() == AccountLockoutState()


def test_a_late_pending_event_shows_that_the_debit_was_under_way() -> None:
    """Whether it is read before the lock or after it; if it began in the lock it excuses none."""
    for late_after_lock in (False, True):
        scenario = earned()
        if late_after_lock:
            scenario.give(lock())
        scenario.give(txn("t1", "09:57:00", "pending"), late=True)
        if not late_after_lock:
            scenario.give(lock())
        assert scenario.give(txn("t1", "10:05:00")).steps == ["raised info"]
    scenario = earned(lock(), refused("10:05:00")).give(txn("t1", "10:02:00", "pending"), late=True)
    assert scenario.steps == ["raised info"]
    assert scenario.give(txn("t1", "10:06:00")).steps == ["raised info", "updated error"]


def test_a_late_debit_is_not_judged() -> None:
    """Whether its transaction began before is not known."""
    scenario = earned(lock(), refused("10:10:00")).give(txn("t1", "10:05:00"), late=True)
    assert scenario.steps == ["raised info"]


@pytest.mark.parametrize(("funding", "most"), [("balance", MAX_HOLDS), ("card", MAX_UNDER_WAY)])
def test_with_more_under_way_than_is_remembered_money_is_counted_and_not_judged(
    funding: str, most: int
) -> None:
    """One fewer than can be remembered is still judged; the memory stays bounded."""
    for number, steps in ((most - 1, ["raised info", "updated error"]), (most, ["raised info"])):
        scenario = earned(
            *(txn(f"p{n}", "09:58:30", "pending", funding=funding) for n in range(number)),
            lock(),
            txn("t1", "10:05:00"),
        )
        assert scenario.steps == steps
        assert scenario.counts["too_many_under_way"] == (number == most)
    for n in range(3 * MAX_HOLDS):
        scenario.give(txn(f"late{n}", "09:58:30", "pending"), late=True)
    assert len(scenario.state().under_way) <= MAX_UNDER_WAY
    assert len(scenario.state().lock.under_way) <= MAX_HOLDS + MAX_UNDER_WAY


def test_an_account_that_is_not_locked_costs_nothing() -> None:
    """The most frequent events ask for no effect and leave no state."""
    scenario = run(txn("t1", "10:00:00", "pending"), txn("t1", "10:00:01"), login("10:00:02"))
    assert scenario.state() == AccountLockoutState()
    assert scenario.timers() == {}
    assert scenario.steps == []


def test_money_after_an_alert_that_expired_is_raised_again() -> None:
    """The engine closes what has been open for long; the account is locked all the same."""
    scenario = earned(lock(), txn("t1", "12:00:00"), horizons=Horizons(max_open=60_000))
    assert scenario.steps == ["raised info", "expired info", "raised error"]
    raised = scenario.raised[-1]
    assert raised.anchor == "t1-completed"
    assert raised.verdict.at % 86_400_000 == 12 * 3_600_000
    assert [role for _, role in raised.evidence] == ["lock", "debit"]
