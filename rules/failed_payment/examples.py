"""What A1 finds and what it leaves alone; run by the tests and `rules test`."""

from typing import Any, Final

from msgspec.structs import replace

from rules.builders import balance, clock, txn
from rules.contract import Example

REFUSED: Final = {"failure_code_system": "internal", "failure_code": "insufficient_funds"}
TIMEOUT: Final = {"failure_code_system": "internal", "failure_code": "timeout"}


def _failed(amount: str = "60.00", **fields: Any) -> dict[str, Any]:
    return txn("t9", "10:00:00", "failed", amount, **REFUSED | fields)


def _technical(**fields: Any) -> dict[str, Any]:
    return _failed(**TIMEOUT | {"available_balance": "100.00"} | fields)


def _pending(transaction_id: str, time: str, amount: str, **fields: Any) -> dict[str, Any]:
    return txn(transaction_id, time, "pending", amount, **fields)


FUNDS: Final = balance("09:58:00", "100.00")

_FIRING: Final = (
    Example(
        name="Refused for insufficient funds though by the event enough was available",
        events=(_failed(available_balance="60.00"),),
        expect=("raised error",),
        details=({"family": "insufficient_funds", "balance_from": "available_balance"},),
    ),
    Example(
        name="Refused though the balance before it was sufficient",
        events=(_failed(balance_before="60.00", balance_kind="posted"),),
        expect=("raised error",),
        details=({"balance_from": "balance_before"},),
    ),
    Example(
        name="Refused though a balance reported two minutes ago was sufficient",
        events=(FUNDS, _failed()),
        expect=("raised error",),
        details=({"balance_from": "reported_balance"},),
    ),
    Example(
        name="The balance pays its part of a mixed funding",
        events=(
            _failed(
                "90.00", funding="mixed", funding_from_balance="50.00", available_balance="60.00"
            ),
        ),
        expect=("raised error",),
    ),
    Example(
        name="A hold that has ended holds nothing",
        events=(
            _pending("t1", "09:50:00", "50.00"),
            txn("t1", "09:51:00", "expired", "50.00"),
            FUNDS,
            _failed(),
        ),
        expect=("raised error",),
    ),
    Example(
        name="A hold that reported the available balance itself is not taken off it again",
        events=(
            _pending("t1", "09:59:00", "50.00", balance_kind="available", balance_after="60.00"),
            _failed(),
        ),
        expect=("raised error",),
    ),
    Example(
        name="Its own hold does not stand against a payment",
        events=(FUNDS, _pending("t9", "09:59:00", "60.00"), _failed()),
        expect=("raised error",),
    ),
    Example(
        name="Another debit four seconds before may have had the money: info",
        events=(FUNDS, _pending("t1", "09:59:56", "10.00"), _failed()),
        expect=("raised info",),
        details=({"concurrent_debit": True},),
    ),
    Example(
        name="So may one that is stamped just after it: info",
        events=(FUNDS, _failed(), txn("t1", "10:00:00.150", amount="90.00")),
        expect=("raised info",),
        details=({"concurrent_debit": True},),
    ),
    Example(
        name="A topup just before may have come too late for it: info",
        events=(
            txn(
                "t1",
                "09:59:59.950",
                type="topup",
                amount="95.00",
                balance_after="100.00",
                balance_kind="posted",
            ),
            _failed(),
        ),
        expect=("raised info",),
    ),
    Example(
        name="The rest of a hold is free after a capture that does not say what stays held",
        events=(
            _pending("t1", "09:50:00", "100.00"),
            txn("t1", "09:51:00", amount="30.00"),
            balance("09:58:00", "70.00"),
            _failed(),
        ),
        expect=("raised error",),
    ),
    Example(
        name="But not where the event reports the available balance itself",
        events=(_pending("t1", "09:59:56", "10.00"), _failed(available_balance="60.00")),
        expect=("raised error",),
    ),
    Example(
        name="A technical failure is info at once, a warning when no retry has succeeded",
        events=(_technical(), clock("10:02:01")),
        expect=("raised info", "updated warning"),
        details=({"family": "technical", "failure_code": "timeout"},),
    ),
    Example(
        name="A second failure of the same transaction is no second alert",
        events=(
            _technical(),
            txn(
                "t9",
                "10:00:30",
                "failed",
                "60.00",
                event_id="again",
                available_balance="100.00",
                **TIMEOUT,
            ),
        ),
        expect=("raised info",),
    ),
)

_CURED: Final = (
    Example(
        name="The retry succeeds within two minutes",
        events=(_technical(), txn("t9", "10:01:00", amount="60.00"), clock("10:10:00")),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="The retry has another transaction but the same idempotency key",
        events=(
            _failed(available_balance="60.00", idempotency_key="k-1"),
            txn("t10", "10:20:00", amount="60.00", idempotency_key="k-1"),
        ),
        expect=("raised error", "cured error"),
    ),
    Example(
        name="The retry has the same external reference",
        events=(
            _technical(external_reference="order-7"),
            txn("t10", "10:20:00", amount="60.00", external_reference="order-7"),
        ),
        expect=("raised info", "updated warning", "cured warning"),
    ),
    Example(
        name="Another payment does not cure",
        events=(_failed(available_balance="60.00"), txn("t10", "10:20:00", amount="60.00")),
        expect=("raised error",),
    ),
)

_SILENT: Final = (
    Example(
        name="A failure of what has been paid before is an old status that is sent again",
        events=(
            txn("t9", "09:59:00", amount="60.00", balance_after="100.00", balance_kind="posted"),
            _failed(),
        ),
    ),
    Example(
        name="A retry that succeeds before the refusal is judged answers it",
        events=(FUNDS, _failed(), txn("t9", "10:00:04", amount="60.00")),
    ),
    Example(
        name="What an event says stays held for more captures is not there to be spent",
        events=(
            _pending("t1", "09:50:00", "100.00"),
            txn("t1", "09:51:00", amount="30.00", hold_remaining="70.00"),
            balance("09:58:00", "70.00"),
            _failed(),
        ),
    ),
    Example(
        name="The balance does not cover it",
        events=(FUNDS, _failed("100.01")),
    ),
    Example(
        name="The balance covers the amount but not the fee, whoever books it",
        events=(_failed("100.00", fee="0.01", fee_mode="separate", available_balance="100.00"),),
    ),
    Example(
        name="Open holds are taken off a posted balance",
        events=(_pending("t1", "09:50:00", "50.00"), FUNDS, _failed()),
    ),
    Example(
        name="They are not taken off an available balance a second time",
        events=(
            _pending("t1", "09:50:00", "50.00"),
            balance("09:58:00", "60.00", balance_kind="available"),
            _failed(),
        ),
        expect=("raised error",),
    ),
    Example(
        name="A hold opened after the available balance was reported is taken off it",
        events=(
            balance("09:58:00", "100.00", balance_kind="available"),
            _pending("t1", "09:59:00", "50.00"),
            _failed(),
        ),
    ),
    Example(
        name="A balance older than five minutes proves nothing",
        events=(balance("09:54:59", "100.00"), _failed()),
    ),
    Example(
        name="A completed payment that does not report its balance makes the older one stale",
        events=(FUNDS, txn("t1", "09:59:00", amount="80.00"), _failed()),
    ),
    Example(
        name="A balance in another currency cannot be compared",
        events=(balance("09:58:00", "100.00", currency="USD"), _failed()),
    ),
    Example(
        name="A limit, and every other refusal with a reason, is no anomaly",
        events=tuple(
            txn(
                f"t{code}",
                "10:00:00",
                "failed",
                available_balance="100.00",
                funding="balance",
                failure_code_system="iso8583",
                failure_code=code,
            )
            for code in ("61", "65", "94", "59", "54", "17")
        ),
    ),
    Example(
        name="A code that says nothing is only counted",
        events=(_failed(failure_code="do_not_honor", available_balance="100.00"),),
    ),
    Example(
        name="A card or a bank that refuses speaks of another balance",
        events=(
            _failed(funding="card", available_balance="100.00"),
            txn(
                "t8",
                "10:00:01",
                "failed",
                failure_code_system="stripe",
                available_balance="100.00",
                failure_code="insufficient_funds",
            ),
        ),
    ),
    Example(
        name="Without a funding nothing is assumed when that is switched off",
        events=(_failed(available_balance="100.00"),),
        params={"assume_balance_funded": False},
    ),
    Example(
        name="A merchant's recurring charge is not the owner's attempt",
        events=(_failed(initiator="merchant", available_balance="100.00"),),
    ),
    Example(
        name="A topup that fails has no balance to be covered by",
        events=(_failed(type="topup", available_balance="100.00"),),
    ),
)


def _judged(example: Example) -> Example:
    """Return the example with enough time after its refusals for them to be judged."""
    return replace(example, events=(*example.events, clock("10:00:06")))


EXAMPLES: Final = tuple(map(_judged, _FIRING + _CURED + _SILENT))
