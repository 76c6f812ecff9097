"""What JSON Schema can express of the rules between the fields of an input.

Whatever these refuse a worker refuses or mends; it also refuses what they cannot express.
"""

from typing import Any, Final

from pydantic import BaseModel

from schemas.balance import Balance
from schemas.base import Amount
from schemas.incident_update import NEEDED_BY_ACTION, IncidentUpdate
from schemas.money import ISO_4217
from schemas.transaction import UNSIGNED, Transaction
from schemas.wrong_fields import field_types

Condition = dict[str, Any]

_NOT_NEGATIVE: Final = {"pattern": "^(?!-.*[1-9])"}
_VERSION: Final[Condition] = {"properties": {"schema_version": {"enum": [1, None]}}}


def conditions(model: type[BaseModel]) -> list[Condition]:
    """Return the conditions that all hold for such a record."""
    found = [_VERSION] if "schema_version" in model.model_fields else []
    if model in (Transaction, Balance):
        found += _decimals(model)
    if model is Transaction:
        found += [*_signs(), *_balances_have_a_kind()]
    if model is IncidentUpdate:
        found += [
            _if_then({"action": {"const": action}}, {name: {"not": {"type": "null"}}}, name)
            for action, name in NEEDED_BY_ACTION.items()
        ]
    return found


def _if_then(given: Condition, then: Condition, *needed: str) -> Condition:
    """Return that of objects with such properties `then` holds, and that they have those needed."""
    consequence: Condition = {"properties": then}
    if needed:
        consequence["required"] = list(needed)
    return {"if": {"properties": given, "required": list(given)}, "then": consequence}


def _decimals(model: type[BaseModel]) -> list[Condition]:
    """Return, per number of decimals, how amounts in such currencies are written."""
    amounts = [name for name, kind in field_types(model).items() if kind == Amount]
    found = []
    for decimals in sorted(set(ISO_4217.values())):
        codes = [code for code, own in ISO_4217.items() if own == decimals]
        digits = f"[0-9]{{1,{decimals}}}0*" if decimals else "0+"
        written = {"pattern": rf"^-?[0-9]+(\.{digits})?$"}
        found.append(_if_then({"currency": {"enum": codes}}, dict.fromkeys(amounts, written)))
    return found


def _signs() -> list[Condition]:
    unsigned = dict.fromkeys(UNSIGNED, _NOT_NEGATIVE)
    others = {"type": {"not": {"const": "adjustment"}}}
    return [{"properties": unsigned}, _if_then(others, {"amount": _NOT_NEGATIVE})]


def _balances_have_a_kind() -> list[Condition]:
    return [
        _if_then({name: {"type": "string"}}, {"balance_kind": {"type": "string"}}, "balance_kind")
        for name in ("balance_before", "balance_after")
    ]
