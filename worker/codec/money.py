"""From the fields of a valid record to the event of the rules: money in minor units. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from rules import events
from rules.events import BALANCE, LOGIN, TRANSACTION, Event, Kind
from schemas.money import to_minor
from worker.codec.bad_record import BadRecord

_TX = {name: index for index, name in enumerate(events.Transaction.__struct_fields__)}
_TX_AMOUNT, _TX_TYPE, _TX_CURRENCY = _TX["amount"], _TX["type"], _TX["currency"]
_TX_KIND, _TX_BEFORE, _TX_AFTER = _TX["balance_kind"], _TX["balance_before"], _TX["balance_after"]
_TX_AMOUNTS = tuple(
    _TX[name]
    for name in ("balance_before", "balance_after", "fee", "funding_from_balance", "hold_remaining")
)
_TX_AVAILABLE = _TX["available_balance"]
_TX_HELD = _TX["hold_remaining"]
_TX_UNSIGNED = (_TX["fee"], _TX["funding_from_balance"], _TX_HELD)


def _transaction(
    values: list[Any], currencies: Mapping[str, int]
) -> events.Transaction | BadRecord:
    exponent = currencies.get(values[_TX_CURRENCY])
    if exponent is None:
        return BadRecord("currency", "currency: unknown code")
    index = _TX_AVAILABLE
    available, before = values[index], values[_TX_BEFORE]
    try:
        if available is not None and available != before:
            values[index] = to_minor(available, exponent)
        index = _TX_AMOUNT
        amount = values[index] = to_minor(values[index], exponent)
        for index in _TX_AMOUNTS:
            if values[index] is not None:
                values[index] = to_minor(values[index], exponent)
    except ValueError as error:
        return BadRecord("amount", f"{_name(index)}: {error}")
    if available is not None and available == before:  # nearly always: nothing is held
        values[_TX_AVAILABLE] = values[_TX_BEFORE]
    if amount < 0 and values[_TX_TYPE] != "adjustment":
        return BadRecord("amount", "amount: only an adjustment may be negative")
    for index in _TX_UNSIGNED:
        if values[index] is not None and values[index] < 0:
            return BadRecord("amount", f"{_name(index)}: must not be negative")
    if values[_TX_HELD] is not None and values[_TX_TYPE] not in events.DEBITS:
        return BadRecord("amount", "hold_remaining: only a debit holds money")
    if values[_TX_KIND] is None and (
        values[_TX_BEFORE] is not None or values[_TX_AFTER] is not None
    ):
        return BadRecord("schema", "balance_kind: is required with a balance")
    values.append(exponent)
    return events.Transaction(*values)


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
        return BadRecord("currency", "currency: unknown code")
    try:
        values[_BAL_BALANCE] = to_minor(values[_BAL_BALANCE], exponent)
    except ValueError as error:
        return BadRecord("amount", f"balance: {error}")
    if values[_BAL_AS_OF] > values[_BAL_OCCURRED]:
        return BadRecord("schema", "as_of: must not be later than occurred_at")
    values.append(exponent)
    return events.Balance(*values)


CONVERTERS: Final[Mapping[Kind, Callable[[list[Any], Mapping[str, int]], Event | BadRecord]]] = {
    TRANSACTION: _transaction,
    LOGIN: _login,
    BALANCE: _balance,
}
