"""State holds amounts of any width: 18 digits of a currency with 18 decimals need 120 bits."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from rules.alerts import Amount
from rules.registry import ALL
from schemas.money import from_minor
from schemas.topics import ALERTS, INCIDENTS
from worker.codec.codec import Limits
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.packing import Unpacker, is_text, packed
from worker.run.replay import replay

EXPONENT = 18


EDGES = [
    sign * 2**power + near
    for power in (53, 63, 64, 127, 128)
    for sign in (1, -1)
    for near in (-1, 0, 1)
] + [0, 1, -1, 10**38 - 1, 10**38, -(10**38) + 1, 10**56]
wide = st.integers(-(10**56), 10**56) | st.sampled_from(EDGES)


class Inner(Struct, array_like=True):
    """Every place where a number can be."""

    number: int
    pair: tuple[int, str]
    mark: bytes


class Saved(Struct, omit_defaults=True, forbid_unknown_fields=True, tag_field="v", tag=7):
    """The shape of a saved account."""

    ids: bytearray = msgspec.field(default_factory=bytearray, name="i")
    first: int = 0
    inner: list[Inner] = []
    by_name: dict[str, int] = {}
    anything: Any = None


def saved(numbers: Sequence[int]) -> Saved:
    """Return a structure with the numbers in every place."""
    return Saved(
        ids=bytearray(b"\x00\xff{["),
        first=numbers[0],
        inner=[Inner(number, (number, "text"), b"\xc7\x01") for number in numbers],
        by_name={str(place): number for place, number in enumerate(reversed(numbers))},
        anything=[True, None, "text", b"bytes", {"deep": list(numbers)}],
    )


@given(wide)
def test_any_amount_comes_back_as_it_was(minor: int) -> None:
    """Within 64 bits and beyond; equal values give equal bytes."""
    amount = Amount("COIN", minor, EXPONENT)
    assert Unpacker(Amount)(packed(amount)) == amount
    assert packed(amount) == packed(Amount("COIN", minor, EXPONENT))


@given(st.lists(wide, min_size=1, max_size=5))
def test_a_number_of_any_width_may_be_anywhere(numbers: list[int]) -> None:
    """In structures, tuples, maps, and where the type says nothing; what is beside it stays."""
    value = saved(numbers)
    assert Unpacker(Saved)(packed(value)) == value
    tree = Unpacker(dict)(packed(value))
    assert tree.pop("v") == 7
    assert tree["anything"] == value.anything
    assert tree.get("first", 0) == value.first


@pytest.mark.parametrize("number", [1, 2**64])
def test_equal_maps_give_equal_bytes(number: int) -> None:
    """Whatever order their entries came in."""
    assert packed({"a": number, "b": {"c": 1, "d": 2}}) == packed(
        {"b": {"d": 2, "c": 1}, "a": number}
    )


def test_a_wide_number_takes_its_own_bytes_only() -> None:
    """17 at most for 38 digits, beside two or three that say so."""
    small, large = (packed(Amount("COIN", minor, 18)) for minor in (1, 10**38 - 1))
    assert len(large) - len(small) == 17


@pytest.mark.parametrize("number", EDGES)
def test_what_a_release_before_has_saved_is_read(number: int) -> None:
    """It saved a structure as JSON where a number needed more than 64 bits."""
    value = saved([1, number])
    value.anything = None
    old = msgspec.json.encode(value)
    assert is_text(old)
    assert Unpacker(Saved)(old) == value
    assert Unpacker(Saved)(memoryview(old)) == value


def test_a_part_is_read_by_itself() -> None:
    """As a guarded call keeps the state of a rule: raw bytes within others."""

    class Whole(Struct, array_like=True):
        state: msgspec.Raw
        numbers: list[int]

    inner = Inner(10**38 - 1, (2**64, "text"), b"")
    whole = Unpacker(Whole)(packed((inner, [1, 2])))
    assert Unpacker(Inner)(whole.state) == inner


def test_bytes_of_another_type_are_refused() -> None:
    """Both forms."""
    for value in (Amount("EUR", 1, 2), Amount("COIN", 2**70, 18)):
        for bytes_ in (packed(value), msgspec.json.encode(value)):
            with pytest.raises(msgspec.MsgspecError):
                Unpacker(dict[str, int])(bytes_)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xc1",
        b"{",
        b"[1",
        b"\x93\xa1X\xd4\x02\x00\x02",  # an extension of another code
        b"\x93\xa1X\xd6\xff\x00\x00\x00\x00\x02",  # a time
        b"\x93\xa1X\xc7\x09\x01\x00",  # the end is missing
        packed(["X", "1", 2]),
        packed(["X", 1.0, 2]),
        packed([2**64, 2**64, 2]),
        packed(["X", 2**64, 2, 2**64])[:-1],
    ],
)
def test_damaged_bytes_are_refused(damaged: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        Unpacker(Amount)(damaged)


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
