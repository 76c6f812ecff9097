"""Balances that a ledger, an app or a statement reports (`wallet.balances`)."""

from typing import Final, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.base import Amount, Currency, Extra, Id, Record, Timestamp
from schemas.transaction import BalanceKind

AS_OF_IS_LATER: Final = "must not be later than occurred_at"


class Balance(Record):
    """A balance as it was reported. `balance` is in units of `currency`."""

    kind: Literal["balance"] | None = Field(
        None, description="Needed in files, optional on the topic."
    )
    schema_version: int | None = Field(None, description="Absent means 1.")
    event_id: Id = Field(description="Unique per event of an account; a redelivery carries it too.")
    account_id: Id
    currency: Currency
    balance: Amount
    balance_kind: BalanceKind
    occurred_at: Timestamp = Field(description="When it was reported; orders the event.")
    as_of: Timestamp = Field(
        description="The moment at which it was the balance; not after occurred_at."
    )
    source: Literal["ledger", "app", "statement"]
    extra: Extra | None = None

    @model_validator(mode="after")
    def _as_of_is_not_later(self) -> "Balance":
        if self.as_of > self.occurred_at:
            raise PydanticCustomError("as_of", AS_OF_IS_LATER)
        return self
