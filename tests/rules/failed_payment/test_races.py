"""A1 and what happens at the same moment as a refusal, or has happened before it."""

from typing import Any

import pytest

from rules.builders import balance, clock, txn
from rules.failed_payment.rule import FailedPayment
from rules.failed_payment.state import MAX_WAITING, FailedPaymentState
from rules.testing import Scenario

REFUSED = {"failure_code": "insufficient_funds", "failure_code_system": "internal"}
TIMEOUT = {"failure_code": "timeout", "failure_code_system": "internal"}
POSTED = {"balance_before": "100.00", "balance_kind": "posted"}
LATER = clock("10:00:06")


def refusal(time: str = "10:00:00", name: str = "t9", **fields: Any) -> dict[str, Any]:
    """Return a refusal of 60.00 with 100.00 before it."""
    return txn(name, time, "failed", "60.00", **REFUSED | POSTED | fields)


def given(*events: dict[str, Any]) -> Scenario:
    """Give events, a refusal at 10:00:00 among them, and let it be judged."""
    return Scenario(FailedPayment).run([*events, LATER])


RIVALS = {
    "a pending debit": txn("t1", "10:00:00.150", "pending", "80.00"),
    "a completed debit": txn("t1", "10:00:00.150", amount="80.00"),
    "at the far edge": txn("t1", "10:00:05", amount="80.00"),
    "at the near edge": txn("t1", "09:59:55", amount="80.00"),
    "at the same moment": txn("t1", "10:00:00", amount="80.00"),
    "a topup before": txn("t1", "09:59:59.950", type="topup", amount="95.00"),
    "a topup after": txn("t1", "10:00:01", type="topup", amount="95.00"),
    "a refund": txn("t1", "09:59:58", type="refund", amount="95.00"),
    "a positive adjustment": txn("t1", "09:59:58", type="adjustment", amount="95.00"),
    "a card's debit": txn("t1", "10:00:00.150", amount="80.00", funding="card"),
}
NO_RIVALS = {
    "beyond the far edge": txn("t1", "10:00:05.001", amount="80.00"),
    "beyond the near edge": txn("t1", "09:59:54.999", amount="80.00"),
    "its own pending event": txn("t9", "09:59:59", "pending", "60.00"),
    "a topup that is pending": txn("t1", "09:59:59", "pending", "95.00", type="topup"),
    "a topup that fails": txn("t1", "09:59:59", "failed", "95.00", type="topup", **TIMEOUT),
    "a topup of another currency": txn("t1", "09:59:59", type="topup", currency="USD"),
    "a negative adjustment": txn("t1", "10:00:01", type="adjustment", amount="-9.00"),
    "another failure": txn("t1", "10:00:01", "failed", "70.00", **TIMEOUT, funding="bank"),
    "an old topup": txn("t1", "09:59:54.999", type="topup"),
    "a late topup": txn("t1", "10:00:05.001", type="topup"),
}


@pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
def test_what_may_have_had_or_brought_the_money_leaves_it_info(rival: dict[str, Any]) -> None:
    """On either side of the refusal: which of two commits has the earlier stamp is chance."""
    assert given(refusal(), rival).steps == ["raised info"]


@pytest.mark.parametrize("other", NO_RIVALS.values(), ids=NO_RIVALS)
def test_what_explains_nothing_leaves_it_an_error(other: dict[str, Any]) -> None:
    """Of the same kinds, just beyond."""
    assert given(refusal(), other).steps == ["raised error"]


@pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
def test_what_comes_late_lowers_it(rival: dict[str, Any]) -> None:
    """It was an error by what was known then."""
    scenario = given(refusal()).give(rival, late=True)
    assert scenario.steps == ["raised error", "updated info"]


@pytest.mark.parametrize("other", NO_RIVALS.values(), ids=NO_RIVALS)
def test_what_comes_late_and_explains_nothing_changes_nothing(other: dict[str, Any]) -> None:
    """The alert stays an error."""
    assert given(refusal()).give(other, late=True).steps == ["raised error"]


def test_an_available_balance_leaves_no_room_for_a_rival() -> None:
    """What could be spent at that moment is known from the refusal itself."""
    assert given(refusal(available_balance="60.00"), RIVALS["a pending debit"]).steps == [
        "raised error"
    ]


@pytest.mark.parametrize(
    "same", [{}, {"idempotency_key": "k"}, {"external_reference": "order-1"}], ids=str
)
@pytest.mark.parametrize("late", [False, True])
def test_an_answer_before_it_is_judged_leaves_nothing(same: dict[str, str], late: bool) -> None:
    """The transaction itself, or a retry with its key or reference."""
    scenario = Scenario(FailedPayment).give(refusal(**same))
    time = "09:59:58" if late else "10:00:04"
    if late:
        scenario.give(clock("10:00:03"))
    scenario.give(txn("t9" if not same else "t10", time, amount="60.00", **same), late=late)
    assert scenario.give(LATER).steps == []
    assert (scenario.timers(), scenario.state().waiting) == ({}, ())


def test_what_could_be_spent_is_taken_at_the_refusal() -> None:
    """The balance that is known when it is judged says nothing of the moment."""
    event = txn("t9", "10:00:00", "failed", "60.00", **REFUSED)
    scenario = given(balance("09:58:00", "100.00"), event, balance("10:00:02", "1.00"))
    assert scenario.steps == ["raised error"]
    scenario = given(balance("09:58:00", "1.00"), event, balance("10:00:02", "100.00"))
    assert scenario.steps == []


def test_the_alert_is_of_the_refusal_not_of_the_judgement() -> None:
    """Time, evidence and quotes are those of the failure."""
    (raised,) = given(refusal()).raised
    assert raised.verdict.at == raised.values["failed_at_ms"]
    assert [(ref.event_id, role) for ref, role in raised.evidence] == [("t9-failed", "failure")]


def test_technical_failures_do_not_wait() -> None:
    """They are only info at once."""
    assert Scenario(FailedPayment).give(refusal(**TIMEOUT)).steps == ["raised info"]


def test_beyond_eight_a_refusal_is_judged_at_once() -> None:
    """By what came before it; counted."""
    scenario = Scenario(FailedPayment)
    for n in range(MAX_WAITING):
        scenario.give(refusal(f"10:00:00.{n:03}", f"w{n}"))
    assert scenario.steps == []
    scenario.give(refusal("10:00:01", "ninth"))
    assert scenario.steps == ["raised error"]
    assert scenario.counts["judged_at_once"] == 1
    assert scenario.give(LATER).steps == ["raised error"] * (MAX_WAITING + 1)
    assert scenario.state() == FailedPaymentState()


def test_a_second_refusal_of_the_same_transaction_waits_once() -> None:
    """One transaction, one alert."""
    again = refusal("10:00:01", event_id="t9-again")
    scenario = given(refusal(), again)
    assert scenario.steps == ["raised error"]
    assert scenario.counts["already_open"] == 1


# -- what has ended stays ended -----------------------------------------------------------

PAID = txn("t9", "09:58:00", amount="60.00")
SUCCEEDED = {
    "the transaction itself": (PAID, {}),
    "it came back since": (PAID, {"before": txn("t9", "09:59:00", "reversed", "60.00")}),
    "a retry by key": (txn("t1", "09:58:00", idempotency_key="k"), {"idempotency_key": "k"}),
    "a retry by reference": (
        txn("t1", "09:58:00", external_reference="o"),
        {"external_reference": "o"},
    ),
    "a withdrawal three days before": (
        txn("t9", "", type="withdrawal", occurred_at="2026-02-27T10:00:00Z"),
        {"type": "withdrawal"},
    ),
}


@pytest.mark.parametrize("code", [REFUSED, TIMEOUT], ids=["refused", "timeout"])
@pytest.mark.parametrize(("paid", "fields"), SUCCEEDED.values(), ids=SUCCEEDED)
def test_a_failure_of_what_has_succeeded_is_silent(
    paid: dict[str, Any], fields: dict[str, Any], code: dict[str, str]
) -> None:
    """A stale or repeated status, or money that came back."""
    fields = dict(fields)
    before = [fields.pop("before")] if "before" in fields else []
    scenario = given(paid, *before, refusal(**fields | code), clock("10:10:00"))
    assert scenario.steps == []
    assert scenario.counts["succeeded_before"] == 1


@pytest.mark.parametrize(
    "before",
    [
        txn("t9", "09:58:00", "pending", "60.00"),
        txn("t9", "09:58:00", "cancelled", "60.00"),
        txn("t9", "09:58:00", "failed", "60.00", event_id="first", failure_code="limit"),
        txn("t1", "09:58:00", "failed", idempotency_key="k", failure_code="limit"),
        txn("t1", "09:58:00", type="topup", idempotency_key="k"),
        txn("t1", "09:58:00", external_reference="k"),
        txn("t9", "09:58:00", amount="1.00", hold_remaining="60.00"),
        txn("t9", "09:58:00", account_id="acc-2"),
    ],
    ids=lambda event: f"{event['transaction_id']} {event['status']}",
)
def test_a_failure_of_what_has_not_succeeded_is_judged(before: dict[str, Any]) -> None:
    """Nor does the success of another, or of a part, answer it."""
    assert given(before, refusal(idempotency_key="k")).steps == ["raised error"]


def test_a_stale_failure_cannot_make_a_warning_of_an_info() -> None:
    """It was paid by a retry; the failure that is sent again waits for none."""
    key = {"idempotency_key": "k"}
    scenario = Scenario(FailedPayment).give(refusal(**TIMEOUT, **key))
    scenario.give(txn("t10", "10:00:30", amount="60.00", **key))
    scenario.give(refusal("10:01:00", event_id="again", **TIMEOUT, **key))
    scenario.give(clock("10:30:00"))
    assert scenario.steps == ["raised info", "cured info"]


def test_a_pending_event_of_what_has_ended_holds_nothing() -> None:
    """It was stamped after the end by another clock."""
    paid = txn("t1", "09:59:00", amount="30.00", balance_after="70.00", balance_kind="posted")
    stale = txn("t1", "09:59:00.400", "pending", "30.00")
    refused = txn("t9", "10:00:00", "failed", "60.00", **REFUSED)
    assert given(paid, stale, refused).steps == ["raised error"]


# -- hold_remaining -----------------------------------------------------------------------

HELD = txn("t1", "09:50:00", "pending", "100.00")
_MORE = txn("t1", "09:51:00", "pending", "1.00", event_id="more", hold_remaining="101.00")


@pytest.mark.parametrize(
    ("events", "steps"),
    [
        ([HELD], []),
        ([HELD, txn("t1", "09:51:00", amount="30.00")], ["raised error"]),
        ([HELD, txn("t1", "09:51:00", amount="30.00", hold_remaining="70.00")], []),
        ([HELD, txn("t1", "09:51:00", amount="30.00", hold_remaining="40.00")], ["raised error"]),
        ([HELD, txn("t1", "09:51:00", amount="30.00", hold_remaining="40.01")], []),
        ([HELD, txn("t1", "09:51:00", amount="30.00", hold_remaining="0.00")], ["raised error"]),
        ([HELD, txn("t1", "09:51:00", "pending", "40.00", event_id="less")], ["raised error"]),
        ([HELD, _MORE], []),
        ([HELD, txn("t1", "09:51:00", "failed", hold_remaining="70.00", **TIMEOUT)], []),
        ([HELD, txn("t1", "09:51:00", "cancelled", hold_remaining="0.00")], ["raised error"]),
        ([txn("t1", "09:51:00", "pending", "1.00", hold_remaining="70.00")], []),
    ],
)
def test_what_stays_held_is_what_the_event_says(
    events: list[dict[str, Any]], steps: list[str]
) -> None:
    """Where it does not say it: a pending event holds its amount, an end frees the rest."""
    assert given(*events, refusal()).steps == steps


@pytest.mark.parametrize(
    ("time", "steps"),
    [("09:50:00.000", []), ("09:49:00.000", []), ("09:50:00.001", ["raised error"])],
)
def test_a_late_remainder_counts_if_it_is_newer_than_the_hold(time: str, steps: list[str]) -> None:
    """Else the hold is of after it."""
    scenario = Scenario(FailedPayment).give(HELD).give(clock("09:55:00"))
    scenario.give(txn("t1", time, amount="90.00", hold_remaining="10.00"), late=True)
    assert scenario.give(refusal()).give(LATER).steps == steps
