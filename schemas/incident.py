"""Incidents: full state per record, for ticketing and on-call (`wallet.incidents`, compacted).

No incident names an account: it carries the account's token. Optional fields that have no value
are left out of the JSON. What a description calls "coming" is reserved: nothing fills it yet.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from schemas.alert import MAX_EVIDENCE, Cause, Code, Evidence, Money, Title
from schemas.base import (
    Category,
    Count,
    Id,
    Published,
    RootCause,
    Severity,
    ShortText,
    Timestamp,
    printable,
    printable_without_spaces,
)

MAX_NOTES = 5
MAX_ALERT_IDS = 50

IncidentId = Annotated[
    str, StringConstraints(min_length=1, max_length=64), AfterValidator(printable_without_spaces)
]
"""1 to 64 printable characters without spaces."""

NoteText = Annotated[
    str, StringConstraints(min_length=1, max_length=2000), AfterValidator(printable)
]
"""1 to 2,000 characters, no control characters."""

Summary = Annotated[str, StringConstraints(max_length=1024), AfterValidator(printable)]
"""At most 1,024 characters, no control characters."""

Url = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[!-~]+$")]
"""An http or https address of at most 2,048 ASCII characters."""

IncidentStatus = Literal["open", "acknowledged", "resolved"]
StatusDetail = Literal["standalone", "parent", "child", "released"]
Priority = Literal["P1", "P2", "P3", "P4", "P5"]
Resolution = Literal["cured", "quiet", "manual", "retracted", "expired"]


class AlertCounts(Published):
    """How many alerts the incident has had, by how they ended."""

    total: Count = Field(description="Distinct alerts that ever joined.")
    active: Count = Field(description="Neither cured, retracted nor expired.")
    cured: Count = Field(default=0, description="Ended by evidence that the trouble is over.")
    retracted: Count = Field(default=0, description="Ended by evidence that there was none.")
    expired: Count = Field(default=0, description="Ended by having been open for too long.")


class Note(Published):
    """What somebody wrote about the incident."""

    text: NoteText = Field(description="The note, at most 2,000 characters.")
    by: ShortText = Field(description="Who wrote it.")
    at: Timestamp = Field(description="When it was written.")


class ExternalTicket(Published):
    """The ticket of another system that belongs to the incident."""

    system: Id = Field(description="Name of the ticketing system.")
    id: Id = Field(description="The ticket's id there.")
    url: Url | None = Field(default=None, description="Where to open it.")


class LastChange(Published):
    """Why this revision was published."""

    what: Code = Field(
        description="opened, or alert_ and joined, updated, cured, retracted or expired."
    )
    by: ShortText = Field(description="walletwatch. Coming: the actor of the update.")
    at: Timestamp = Field(description="Event time of the change.")


class Incident(Published):
    """The whole state of an incident after one change of it.

    On Kafka, consumers need isolation.level=read_committed.
    """

    incident_id: IncidentId = Field(description="Stable; the key of the record.")
    dedup_key: Id = Field(description="rule:subject kind:token; open alerts that share it join it.")
    cause: Cause = Field(description="What may explain it; its partition is murmur2 of this.")
    category: Category = Field(description="Kind of anomaly.")
    status: IncidentStatus = Field(description="open, then resolved; acknowledged is coming.")
    status_detail: StatusDetail = Field(
        default="standalone",
        description="standalone. Coming: its part in a storm: parent, child, or released of one.",
    )
    parent_id: IncidentId | None = Field(
        default=None, description="Coming: the storm it is a child of."
    )
    released_from: IncidentId | None = Field(
        default=None, description="Coming: the storm that released it."
    )
    previous_incident_id: IncidentId | None = Field(
        default=None, description="The resolved incident of the same dedup_key before this one."
    )
    revision: int = Field(ge=1, description="1 for the first record of this id, then +1.")
    state_revision: int = Field(
        ge=1, description="Rises only when status, severity or resolution change. Coming: owner."
    )
    severity: Severity = Field(description="The worst that its alerts had; critical is coming.")
    priority: Priority = Field(
        description="By severity: P2 error, P3 warning, P4 info. P1, critical, and P5 are coming."
    )
    page: bool = Field(
        description="True once its severity was error or worse: one to page somebody for."
    )
    title: Title = Field(description="One line for people, at most 130 characters; never changes.")
    summary: Summary = Field(default="", description="What is known now, at most 1,024 characters.")
    provider: Id | None = Field(
        default=None, description="The payment provider, where one is involved."
    )
    rules: tuple[Code, ...] = Field(
        default=(), description="Names of the rules whose alerts joined."
    )
    account_token: Id | None = Field(
        default=None,
        description="Keyed hash of the account (key id, dot, 16 hex digits), if it is one.",
    )
    accounts: Count | None = Field(
        default=None, description="Coming: distinct accounts, if it may be several."
    )
    transactions: Count = Field(default=0, description="Distinct transactions concerned.")
    alerts: AlertCounts = Field(description="How many alerts, by how they ended.")
    alert_ids: Annotated[tuple[Id, ...], Field(max_length=MAX_ALERT_IDS)] = Field(
        default=(),
        description="Its alerts, at most 50: the first and the newest; alerts.total counts all.",
    )
    amount_at_stake: tuple[Money, ...] = Field(
        default=(),
        description="Sum over its alerts, closed ones too; one entry per currency.",
    )
    truncated: bool | None = Field(
        default=None,
        description="true where transactions and amount_at_stake are not exact: beyond 1,000 "
        "transactions, or of an overflow alert, which only adds up. Absent: they are.",
    )
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=MAX_EVIDENCE)] = Field(
        default=(),
        description="Records that its alerts rest on, at most 50; none once its account is "
        "forgotten.",
    )
    evidence_total: Count = Field(default=0, description="Number of such records, cited or not.")
    suspected_root_cause: RootCause = Field(
        default="unknown", description="What the rules suspect."
    )
    root_cause: RootCause | None = Field(
        default=None, description="Coming: what people found; set by classify."
    )
    first_event_at: Timestamp = Field(description="Time of the oldest event of its alerts.")
    last_event_at: Timestamp = Field(description="Time of the newest event of its alerts.")
    opened_at: Timestamp = Field(description="Event time of the opening.")
    acknowledged_at: Timestamp | None = Field(
        default=None, description="Coming: event time of the acknowledgement."
    )
    resolved_at: Timestamp | None = Field(
        default=None, description="Event time; absent: not resolved."
    )
    updated_at: Timestamp = Field(description="Event time of this change.")
    published_at: Timestamp = Field(
        description="Wall time of publication; where files are replayed, which have none, the "
        "event time of the decision. Left out when runs are compared."
    )
    resolution: Resolution | None = Field(
        default=None, description="Why it is resolved; quiet and manual are coming."
    )
    owner: ShortText | None = Field(default=None, description="Coming: who works on it.")
    notes: Annotated[tuple[Note, ...], Field(max_length=MAX_NOTES)] = Field(
        default=(), description="Coming: the last five, oldest first."
    )
    external_ticket: ExternalTicket | None = Field(
        default=None, description="Coming: the ticket linked to it."
    )
    escalation_level: Count | None = Field(
        default=None, description="Coming: 0 until it was escalated."
    )
    ack_due_at: Timestamp | None = Field(
        default=None, description="Coming: to be acknowledged by then."
    )
    resolve_due_at: Timestamp | None = Field(
        default=None, description="Coming: to be resolved by then."
    )
    sla: Literal["running", "met", "breached"] | None = Field(
        default=None, description="Coming: whether its deadlines are met."
    )
    suppressed_by: IncidentId | None = Field(
        default=None, description="Coming: the incident that inhibits it."
    )
    suggested_actions: tuple[ShortText, ...] = Field(
        default=(), description="Coming: what to try, best first."
    )
    runbook_url: Url | None = Field(
        default=None, description="Coming: where to read what to do about it."
    )
    last_change: LastChange = Field(description="Why this record was published.")
