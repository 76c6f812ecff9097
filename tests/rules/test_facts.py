"""Facts: declared once, read from events, quoted, and typed again."""

from typing import Annotated, Any

import msgspec
import pytest

from rules.builders import txn
from rules.events import Ref
from rules.facts import Facts, quoted
from rules.testing import event_of

REF = Ref(0, 7, "t1", 1_000)


class PaidFacts(Facts, kw_only=True):
    """What an alert of the tests quotes."""

    amount_minor: Annotated[int, quoted("amount", compared_with=("most", "least"))]
    known: Annotated[bool, quoted(lambda event: event.transaction_id == "t1")] = False
    worked_out: Annotated[int | None, quoted(compared_with="limit")] = None
    """Read from no event."""
    plain: str = ""


class BookedFacts(PaidFacts, kw_only=True):
    """Of one kind of alert."""

    fee_minor: Annotated[int | None, quoted("fee", compared_with="fee_limit")] = None


def paid(**fields: Any) -> Any:
    """Return a payment of 80.00."""
    return event_of(txn("t1", "10:00:00", amount="80.00", **fields))


def test_facts_are_read_as_they_are_declared() -> None:
    """In the order asked for, each with the address of its event."""
    quotes = PaidFacts.quote(paid(), REF, "known", "amount_minor")
    assert quotes == [("known", True, REF), ("amount_minor", 8_000, REF)]
    with pytest.raises(KeyError, match="worked_out"):
        PaidFacts.quote(paid(), REF, "worked_out")


def test_quoted_facts_are_typed_again() -> None:
    """What is unknown is ignored, what is absent has its default: releases differ."""
    quotes = [*PaidFacts.quote(paid(), REF, "amount_minor"), ("of_another_release", 1, None)]
    assert PaidFacts.of_quotes(quotes) == PaidFacts(amount_minor=8_000)


@pytest.mark.parametrize("values", [{}, {"amount_minor": "80.00"}, {"amount_minor": None}])
def test_what_is_no_fact_of_the_rule_is_refused(values: dict[str, Any]) -> None:
    """A value is missing, or is of another type."""
    with pytest.raises(msgspec.ValidationError, match="amount_minor"):
        PaidFacts.of(values)


def test_declarations_are_those_of_the_struct_and_of_those_derived_from_it() -> None:
    """A rule whose alerts differ in their facts names the struct that they have in common."""
    assert list(PaidFacts.readers()) == ["amount_minor", "known", "fee_minor"]
    assert PaidFacts.readers()["fee_minor"](paid(fee="1.00")) == 100
    assert PaidFacts.deciding() == {
        "most": "amount_minor",
        "least": "amount_minor",
        "limit": "worked_out",
        "fee_limit": "fee_minor",
    }
