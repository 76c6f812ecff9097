"""From the fields of a valid record to the event of the rules: money in minor units. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rules import events
from rules.events import BALANCE, LOGIN, TRANSACTION, Event, Kind
from schemas.balance import AS_OF_IS_LATER
from schemas.money import to_minor
from schemas.transaction import NEEDS_BALANCE_KIND, UNSIGNED
from worker.codec.bad_record import BadRecord, bad

_TX = {name: index for index, name in enumerate(events.Transaction.__struct_fields__)}
_TX_AMOUNT, _TX_TYPE, _TX_CURRENCY = _TX["amount"], _TX["type"], _TX["currency"]
_TX_KIND, _TX_BEFORE, _TX_AFTER = _TX["balance_kind"], _TX["balance_before"], _TX["balance_after"]
_TX_AMOUNTS = tuple(
    _TX[name]
    for name in (
        "available_balance",
        "amount",
        "balance_before",
        "balance_after",
        "fee",
        "funding_from_balance",
        "hold_remaining",
    )
)
_TX_AVAILABLE = _TX["available_balance"]
_TX_HELD = _TX["hold_remaining"]
_TX_UNSIGNED = tuple(_TX[name] for name in UNSIGNED)


def _transaction(
    values: list[Any], currencies: Mapping[str, int]
) -> events.Transaction | BadRecord:
    exponent = currencies.get(values[_TX_CURRENCY])
    if exponent is None:
        return bad("currency", "currency", "unknown_currency")
    available, before = values[_TX_AVAILABLE], values[_TX_BEFORE]
    if available is not None and available == before:  # nearly always: nothing is held
        values[_TX_AVAILABLE] = None
    for index in _TX_AMOUNTS:
        text = values[index]
        if text is None:
            continue
        # The usual case, "12.50" at exponent 2, without a call: here every event pays.
        whole, _, fraction = text.rpartition(".")
        if len(fraction) == exponent and whole and (digits := whole + fraction).isdecimal():
            values[index] = int(digits)
            continue
        try:
            minor = values[index] = to_minor(text, exponent)
        except ValueError:
            return _decimals(_name(index), values[_TX_CURRENCY], exponent)
        if minor < 0 and (wrong := _wrong_sign(index, values)) is not None:
            return wrong
    if available is not None and available == before:
        values[_TX_AVAILABLE] = values[_TX_BEFORE]
    if values[_TX_HELD] is not None and values[_TX_TYPE] not in events.DEBITS:
        return bad("amount", "hold_remaining", "only_debits")
    if values[_TX_KIND] is None and (before is not None or values[_TX_AFTER] is not None):
        return bad("schema", "balance_kind", "balance_kind", message=NEEDS_BALANCE_KIND)
    values.append(exponent)
    return events.Transaction(*values)


def _wrong_sign(index: int, values: Sequence[Any]) -> BadRecord | None:
    """Return what is wrong with a negative amount, if it may not be one."""
    if index == _TX_AMOUNT:
        is_right = values[_TX_TYPE] == "adjustment"
        return None if is_right else bad("amount", "amount", "negative_amount")
    return bad("amount", _name(index), "negative") if index in _TX_UNSIGNED else None


def _decimals(where: str, currency: str, exponent: int) -> BadRecord:
    # The careful way has seen before that it is an amount, and the code is one of those known.
    return bad("amount", where, "decimals", currency=currency, decimals=exponent)


def _name(index: int) -> str:
    return events.Transaction.__struct_fields__[index]


def _login(values: list[Any], _: Mapping[str, int]) -> events.Login | BadRecord:
    return events.Login(*values)


_BAL = {name: index for index, name in enumerate(events.Balance.__struct_fields__)}
_BAL_CURRENCY, _BAL_BALANCE = _BAL["currency"], _BAL["balance"]
_BAL_OCCURRED, _BAL_AS_OF = _BAL["occurred_at"], _BAL["as_of"]


def _balance(values: list[Any], currencies: Mapping[str, int]) -> events.Balance | BadRecord:
    exponent = currencies.get(values[_BAL_CURRENCY])
    if exponent is None:
        return bad("currency", "currency", "unknown_currency")
    try:
        values[_BAL_BALANCE] = to_minor(values[_BAL_BALANCE], exponent)
    except ValueError:
        return _decimals("balance", values[_BAL_CURRENCY], exponent)
    if values[_BAL_AS_OF] > values[_BAL_OCCURRED]:
        return bad("schema", "as_of", "as_of", message=AS_OF_IS_LATER)
    values.append(exponent)
    return events.Balance(*values)


CONVERTERS: Final[Mapping[Kind, Callable[[list[Any], Mapping[str, int]], Event | BadRecord]]] = {
    TRANSACTION: _transaction,
    LOGIN: _login,
    BALANCE: _balance,
}
