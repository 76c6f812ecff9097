"""State holds amounts of any width: 18 digits of a currency with 18 decimals need 120 bits."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.alerts import Amount
from rules.registry import ALL
from schemas.money import from_minor
from schemas.topics import ALERTS, INCIDENTS
from worker.codec.codec import Limits
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.packing import Unpacker, packed
from worker.run.replay import replay

EXPONENT = 18


@given(st.integers(-(10**36), 10**36))
def test_any_amount_comes_back_as_it_was(minor: int) -> None:
    """Within 64 bits and beyond; equal values give equal bytes."""
    amount = Amount("COIN", minor, EXPONENT)
    assert Unpacker(Amount)(packed(amount)) == amount
    assert packed(amount) == packed(Amount("COIN", minor, EXPONENT))


def test_what_fits_is_msgpack_and_what_does_not_is_told_apart() -> None:
    """The usual state stays small."""
    assert packed(Amount("EUR", 2**63, 2))[:1] not in (b"{", b"[")
    assert packed(Amount("COIN", 2**64, 18))[:1] == b"["


def test_bytes_of_another_type_are_refused() -> None:
    """Both forms."""
    for value in (Amount("EUR", 1, 2), Amount("COIN", 2**70, 18)):
        with pytest.raises(msgspec.MsgspecError):
            Unpacker(dict[str, int])(packed(value))


def text(minor: int) -> str:
    """At most 18 digits: without the zeros at the end."""
    return from_minor(minor, EXPONENT).rstrip("0").rstrip(".")


def row(number: int, before: int, amount: int, after: int) -> bytes:
    """A ledger row in coins of 18 decimals."""
    event: dict[str, Any] = {
        "kind": "transaction",
        "event_id": f"e{number}",
        "transaction_id": f"t{number}",
        "account_id": "whale",
        "type": "payment",
        "status": "completed",
        "amount": text(amount),
        "currency": "COIN",
        "balance_before": text(before),
        "balance_after": text(after),
        "balance_kind": "posted",
        "ledger_sequence": number,
        "occurred_at": f"2026-03-02T10:00:{number:02d}.000Z",
    }
    return msgspec.json.encode(event)


@pytest.mark.parametrize("careful", [False, True])
def test_a_wide_chain_is_judged_to_the_smallest_unit(
    careful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A millionth of a millionth beside balances of half a million is a break, and an incident."""
    unit = 10**12  # 18 digits in all: 6 before the point and 12 after it
    balance = 500_000 * 10**18
    lines = []
    for number in range(1, 6):
        amount = (number + 1) * unit
        lines.append(row(number, balance, amount, balance - amount + (number == 3) * 10**6))
        balance -= amount
    rules = [rule(rule.Params()) for rule in ALL]
    limits = Limits(currencies={"COIN": EXPONENT})
    if careful:
        monkeypatch.setattr(type(rules[2]), "on_transaction", _raises)
    policy = Policy(rules, rules, limits=limits, dead_letter_limit=None)
    log = replay([("coins", n, line) for n, line in enumerate(lines, 1)], policy).log
    alerts = [msgspec.json.decode(record.value or b"") for _, record in stored(log, ALERTS)]
    assert [(a["rule"], a["evidence"][-1]["event_id"]) for a in alerts] == [
        ("balance_mismatch", "e3")
    ]
    assert alerts[0]["details"]["drift_minor"] == 10**6
    assert len([record for _, record in stored(log, INCIDENTS)]) == 1


def _raises(*_: object) -> None:
    raise RuntimeError
