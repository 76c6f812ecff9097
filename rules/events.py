"""Events as rules see them: validated, times in milliseconds, amounts in minor units.

Field by field these are the records of `schemas`, in the same names (a test compares them). They
are mutable only because frozen structures cost more to build: no code changes an event.
Fields that have fields of their own stand last: the codec counts on it.
"""

from typing import Final

from msgspec import Struct

from schemas.transaction import AuthorizationMethod, AuthorizationResult, BalanceKind

TRANSACTION: Final = 0
LOGIN: Final = 1
BALANCE: Final = 2
# These numbers stand in saved state: never renumber, only add.

RANKS: Final = (1, 0, 2)
"""By kind: the order of events that happened at one moment. A login enables the payment of the same
second, and many producers stamp whole seconds."""

Kind = int
"""TRANSACTION, LOGIN or BALANCE."""

DEBITS = frozenset({"payment", "transfer_out", "withdrawal", "fee"})
CREDITS = frozenset({"topup", "transfer_in", "refund", "reversal", "interest"})
TERMINAL = frozenset({"completed", "failed", "cancelled", "reversed", "expired"})


class Authorization(Struct, gc=False):
    """How the owner approved a transaction."""

    method: AuthorizationMethod
    result: AuthorizationResult


class Transaction(Struct, gc=False, omit_defaults=True):
    """One event of one transaction; all amounts in minor units of `currency`."""

    event_id: str
    transaction_id: str
    account_id: str
    type: str
    status: str
    amount: int
    currency: str
    occurred_at: int
    fee: int | None = None
    fee_mode: str | None = None
    balance_before: int | None = None
    balance_after: int | None = None
    balance_kind: BalanceKind | None = None
    available_balance: int | None = None
    hold_remaining: int | None = None
    posted_at: int | None = None
    funding: str | None = None
    funding_from_balance: int | None = None
    initiator: str | None = None
    channel: str | None = None
    provider: str | None = None
    rail: str | None = None
    merchant_id: str | None = None
    counterparty_id: str | None = None
    original_transaction_id: str | None = None
    idempotency_key: str | None = None
    external_reference: str | None = None
    failure_code: str | None = None
    failure_code_system: str | None = None
    failure_reason: str | None = None
    device_id: str | None = None
    session_id: str | None = None
    ip: str | None = None
    country: str | None = None
    network: str | None = None
    app_version: str | None = None
    client_status: str | None = None
    expected_by: int | None = None
    ledger_sequence: int | None = None
    asn: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    authorization: Authorization | None = None
    extra: dict[str, str] | None = None
    exponent: int = 2
    """Decimals of the currency: one unit of it is 10**exponent minor units."""


class Login(Struct, gc=False, omit_defaults=True):
    """A login, a lock, or a change of credentials."""

    event_id: str
    account_id: str
    action: str
    outcome: str
    occurred_at: int
    reason: str | None = None
    lock_until: int | None = None
    channel: str | None = None
    session_id: str | None = None
    ip: str | None = None
    network: str | None = None
    device_id: str | None = None
    country: str | None = None
    user_agent: str | None = None
    app_version: str | None = None
    failures_counted: int | None = None
    asn: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    extra: dict[str, str] | None = None


class Balance(Struct, gc=False, omit_defaults=True):
    """A reported balance, in minor units of `currency`."""

    event_id: str
    account_id: str
    currency: str
    balance: int
    balance_kind: BalanceKind
    occurred_at: int
    as_of: int
    source: str
    extra: dict[str, str] | None = None
    exponent: int = 2


Event = Transaction | Login | Balance

EVENT_TYPES: Final[tuple[type[Event], ...]] = (Transaction, Login, Balance)
"""By kind."""

DISPATCH_FIELDS: Final[tuple[tuple[str, str], ...]] = (
    ("type", "status"),
    ("action", "outcome"),
    ("balance_kind", "source"),
)
"""By kind the two fields, of few values, by which events are dispatched to rules."""


class Ref(Struct, array_like=True, frozen=True, gc=False):
    """The address of an event in the task's own inputs; its partition is the task's number."""

    kind: Kind
    offset: int
    event_id: str
    occurred_at: int
    crc32: int = 0
    """Of the record's bytes: shows later whether they are still the same."""
