"""Transaction events: one record per change of one transaction (`wallet.transactions`)."""

from typing import Final, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.base import (
    Amount,
    Count,
    Country,
    Currency,
    Extra,
    Id,
    Latitude,
    Longitude,
    Network,
    Record,
    ShortText,
    Timestamp,
)

TransactionType = Literal[
    "payment",
    "transfer_out",
    "transfer_in",
    "withdrawal",
    "topup",
    "refund",
    "reversal",
    "fee",
    "interest",
    "adjustment",
]
TransactionStatus = Literal[
    "pending", "completed", "failed", "cancelled", "reversed", "expired", "disputed"
]
BalanceKind = Literal["posted", "available"]
UNSIGNED: Final = ("fee", "funding_from_balance", "hold_remaining")
"""Amounts that must not be negative, whatever the type."""
NEEDS_BALANCE_KIND: Final = "required with a balance"
AuthorizationMethod = Literal["pin", "otp", "biometric", "passkey", "delegated", "none"]
AuthorizationResult = Literal["passed", "failed", "expired", "skipped"]


class Authorization(Record):
    """How the owner approved the transaction."""

    method: AuthorizationMethod
    result: AuthorizationResult


class Transaction(Record):
    """One event of one transaction. Amounts are in units of `currency`."""

    kind: Literal["transaction"] | None = Field(
        None, description="Needed in files, optional on the topic."
    )
    schema_version: int | None = Field(None, description="Absent means 1.")
    event_id: Id = Field(description="Unique per event of an account; a redelivery carries it too.")
    transaction_id: Id = Field(description="One transaction has many events.")
    account_id: Id
    type: TransactionType
    status: TransactionStatus
    amount: Amount = Field(description="Without the fee, not negative; an adjustment has its sign.")
    currency: Currency
    occurred_at: Timestamp
    fee: Amount | None = Field(None, description="In units of the currency, not negative.")
    fee_mode: Literal["in_row", "separate"] | None = Field(
        None, description="in_row (default) moves the balance with this row; separate has its own."
    )
    balance_before: Amount | None = None
    balance_after: Amount | None = None
    balance_kind: BalanceKind | None = Field(
        None, description="What the balances of this row count; required with them."
    )
    available_balance: Amount | None = Field(
        None, description="What the owner could spend just before."
    )
    hold_remaining: Amount | None = Field(
        None,
        description="What stays held for this transaction after this event, of a debit; absent: a"
        " pending one holds its amount, an end frees the rest.",
    )
    ledger_sequence: Count | None = Field(
        None, description="Rises by 1 per entry of this account and currency."
    )
    posted_at: Timestamp | None = Field(None, description="Booking time, where it differs.")
    funding: Literal["balance", "card", "bank", "credit", "mixed"] | None = None
    funding_from_balance: Amount | None = Field(
        None, description="What the balance pays of a mixed funding."
    )
    initiator: Literal["customer", "merchant", "platform", "support"] | None = None
    channel: Id | None = None
    provider: Id | None = None
    rail: Id | None = None
    merchant_id: Id | None = None
    counterparty_id: Id | None = None
    original_transaction_id: Id | None = None
    idempotency_key: Id | None = None
    external_reference: Id | None = Field(None, description="The order that retries share.")
    failure_code: ShortText | None = Field(None, description="The raw code of failure_code_system.")
    failure_code_system: Literal["iso8583", "iso20022", "stripe", "adyen", "internal"] | None = None
    failure_reason: ShortText | None = None
    authorization: Authorization | None = None
    device_id: Id | None = None
    session_id: Id | None = None
    ip: Id | None = None
    asn: Count | None = None
    country: Country | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    network: Network | None = None
    app_version: Id | None = None
    client_status: Id | None = Field(None, description="What the app showed.")
    expected_by: Timestamp | None = Field(None, description="Promised completion.")
    extra: Extra | None = None

    @model_validator(mode="after")
    def _balances_have_a_kind(self) -> "Transaction":
        if self.balance_kind is None and (
            self.balance_before is not None or self.balance_after is not None
        ):
            raise PydanticCustomError("balance_kind", NEEDS_BALANCE_KIND)
        return self
