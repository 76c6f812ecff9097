"""What ticketing and on-call write back about an incident (`wallet.incident-updates`).

Coming: nothing reads them yet.
"""

from typing import Final, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.alert import Cause
from schemas.base import Id, Record, RootCause, ShortText, Timestamp
from schemas.incident import ExternalTicket, IncidentId, NoteText

UpdateAction = Literal["acknowledge", "assign", "note", "classify", "resolve", "reopen", "link"]

NEEDED_BY_ACTION: Final = {
    "assign": "owner",
    "note": "note",
    "classify": "root_cause",
    "link": "external_ticket",
}
"""The field that an action needs."""


class IncidentUpdate(Record):
    """Coming: one request to change one incident; stale or invalid ones become dead letters."""

    kind: Literal["incident_update"] | None = Field(
        default=None, description="Needed in files, optional on the topic."
    )
    schema_version: int | None = Field(default=None, description="Absent means 1.")
    update_id: Id = Field(description="Unique per update; a redelivery carries the same.")
    incident_id: IncidentId
    cause: Cause = Field(description="Copied from the incident; the key of the record.")
    action: UpdateAction = Field(
        description="assign needs owner, note a note, classify a root_cause, link an "
        "external_ticket."
    )
    actor: ShortText = Field(description="Who asks for it.")
    expected_revision: int | None = Field(
        default=None,
        ge=1,
        description="The state_revision that the actor saw; another one is stale.",
    )
    root_cause: RootCause | None = None
    owner: ShortText | None = None
    external_ticket: ExternalTicket | None = None
    note: NoteText | None = Field(default=None, description="At most 2,000 characters.")
    occurred_at: Timestamp

    @model_validator(mode="after")
    def _action_has_what_it_needs(self) -> "IncidentUpdate":
        needed = NEEDED_BY_ACTION.get(self.action)
        if needed is not None and getattr(self, needed) is None:
            raise PydanticCustomError("action", "lacks the field that its action needs")
        return self
