"""Alerts: what a rule found, with the evidence to derive it again (`wallet.alerts`).

The shadow topic (`wallet.alerts.shadow`) carries the same record with mode `shadow`. Optional
fields that have no value are left out of the JSON.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from schemas.base import (
    Category,
    Count,
    Currency,
    Id,
    Published,
    RootCause,
    Severity,
    ShortText,
    Timestamp,
    printable,
    printable_without_spaces,
)
from schemas.money import DECIMAL_PATTERN, MAX_EXPONENT, from_minor

MAX_TITLE = 130
MAX_TRANSACTIONS = 20
MAX_EVIDENCE = 50

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A lower-case word for machines: the name of a rule, a fact, a role, an advice."""

DecimalText = Annotated[str, StringConstraints(pattern=DECIMAL_PATTERN)]
"""Plain decimal text of any number of digits: sums may have more than amounts of events."""

Cause = Annotated[
    str, StringConstraints(min_length=1, max_length=256), AfterValidator(printable_without_spaces)
]
"""The coarsest thing that may explain an alert: `provider:acme-pay`, `auth`, `ledger`, ..."""

Title = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TITLE), AfterValidator(printable)
]
"""One line of 1 to 130 characters, without personal data."""

AlertKind = Literal["raised", "updated", "cured", "retracted", "expired"]


class Money(Published):
    """An amount: as decimal text, and in the smallest units of its currency."""

    currency: Currency = Field(description="ISO 4217 code, or one that the configuration adds.")
    minor_units: int = Field(
        description="Whole minor units: 1250 is 12.50 at exponent 2. May be beyond 2^53, where the "
        "integers of JavaScript end: `amount` is exact everywhere."
    )
    exponent: int = Field(
        ge=0,
        le=MAX_EXPONENT,
        description="Decimals of the currency: one unit of it is 10**exponent minor units.",
    )
    amount: DecimalText = Field(
        default_factory=lambda given: from_minor(given["minor_units"], given["exponent"]),
        description="The same amount in units of the currency, with all of its decimals: 12.50. "
        "Absent from records of older releases.",
    )


class Evidence(Published):
    """The address of a record that the finding rests on, and the part it plays."""

    topic: Id = Field(description="Topic of the cited record.")
    partition: Count = Field(description="Partition of the cited record.")
    offset: Count = Field(description="Offset of the cited record.")
    event_id: Id = Field(description="Event id of the cited record.")
    role: Code = Field(description="What the record shows: failure, lock, cure, ...")
    crc32: Count | None = Field(
        default=None,
        description="CRC-32 of the cited record's bytes, to see whether they changed; on alerts "
        "only.",
    )


class Fact(Published):
    """A value that the rule used, and the event it came from (none: computed or configured)."""

    name: Code = Field(description="Name of the fact; amounts and times have a unit in it.")
    value: str | int | bool | None = Field(
        default=None, description="The value; absent means unknown. Decimal amounts are text."
    )
    topic: Id | None = Field(default=None, description="Topic of the event the value came from.")
    partition: Count | None = Field(default=None, description="Partition of that event.")
    offset: Count | None = Field(default=None, description="Offset of that event.")
    event_id: Id | None = Field(default=None, description="Event id of that event.")


class Alert(Published):
    """One step in the life of one alert: raised, then updated, cured, retracted or expired.

    On Kafka, consumers need isolation.level=read_committed.
    """

    alert_id: Id = Field(
        description="Stable: the same history and key give the same id everywhere."
    )
    kind: AlertKind = Field(
        description="cured: evidence after `at`, or its time has come; retracted: proven wrong; "
        "expired: open for too long."
    )
    sequence: int = Field(ge=1, description="1 for the first record of this alert_id, then +1.")
    rule: Code = Field(description="Name of the rule that found it.")
    rule_version: int = Field(ge=1, description="Version of that rule.")
    mode: Literal["live", "shadow"] = Field(description="shadow: published for comparison only.")
    category: Category = Field(description="Kind of anomaly; fixed per rule.")
    severity: Severity = Field(description="How bad; critical is coming.")
    title: Title = Field(description="One line for people, at most 130 characters.")
    cause: Cause = Field(description="What may explain it; the key of the record, kept for life.")
    dedup_key: Id = Field(
        description="rule:subject kind:token; alerts that share it belong to one incident."
    )
    account_id: Id | None = Field(
        default=None, description="The account; absent on alerts of the engine about its inputs."
    )
    transaction_ids: Annotated[tuple[Id, ...], Field(max_length=MAX_TRANSACTIONS)] = Field(
        default=(), description="Transactions concerned, at most 20; more make another alert."
    )
    provider: Id | None = Field(
        default=None, description="The payment provider, where one is involved."
    )
    amount_at_stake: tuple[Money, ...] = Field(default=(), description="One entry per currency.")
    at: Timestamp = Field(description="Event time at which what was found was true.")
    first_event_at: Timestamp = Field(description="Time of the oldest event of the finding.")
    last_event_at: Timestamp = Field(description="Time of the newest event of the finding.")
    detected_at: Timestamp = Field(
        description="Event time that the task had reached when it decided; never falls in a task."
    )
    published_at: Timestamp = Field(
        description="Wall time of publication; where files are replayed, which have none, the "
        "event time of the decision. Left out when runs are compared."
    )
    late: bool = Field(description="True when it rests on evidence that came late.")
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=MAX_EVIDENCE)] = Field(
        default=(), description="Records it rests on, at most 50: the first and the newest."
    )
    evidence_total: Count = Field(description="Number of records it rests on, cited or not.")
    facts: tuple[Fact, ...] = Field(default=(), description="Values that the rule used.")
    parameters: dict[str, JsonValue] = Field(
        default={}, description="Parameters of the rule that decided, with units in their names."
    )
    details: dict[str, JsonValue] = Field(
        default={},
        description="The rule's own fields, documented with the rule. No amounts as numbers "
        "other than whole minor units.",
    )
    suspected_root_cause: RootCause = Field(description="The probable cause.")
    owner_advice: tuple[Code, ...] = Field(
        default=(), description="What the owner may do: change_password, enable_mfa, retry, ..."
    )
    counted: Count | None = Field(
        default=None,
        description="On an overflow alert: how many further findings of the rule on this account "
        "it counts, which have no alerts of their own. Absent from others.",
    )
    origin: Id = Field(description="The detect task that found it.")
    origin_sequence: Count = Field(description="Rises with each signal of that origin.")
    runbook: ShortText | None = Field(
        default=None, description="Coming: where to read what to do about it."
    )
    seal: str | None = Field(
        default=None,
        description="Hash of all that does not depend on scheduling, to see whether it changed.",
    )
