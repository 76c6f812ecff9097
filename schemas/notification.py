"""Messages to people (`wallet.notifications`); their channels send them.

Coming: nothing writes them yet.
"""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.alert import Code
from schemas.base import Id, Published, Severity, Timestamp
from schemas.incident import IncidentId

Audience = Literal["oncall", "support", "account_owner"]
NotificationReason = Literal[
    "opened", "grouped", "severity_raised", "escalated", "resolved", "retracted"
]


class Notification(Published):
    """Coming: one message to one audience; only the owner's names an account."""

    notification_id: Id = Field(description="Stable: the same history and key give the same id.")
    audience: Audience = Field(description="Whom it is for.")
    account_id: Id | None = Field(
        default=None, description="The owner's account; for account_owner only."
    )
    template: Code = Field(description="Name of the text to send.")
    parameters: dict[str, str | int | bool] = Field(
        default={}, description="Values for the template; amounts are decimal text."
    )
    advice: tuple[Code, ...] = Field(default=(), description="What the recipient may do.")
    severity: Severity = Field(description="How bad.")
    incident_id: IncidentId | None = Field(
        default=None, description="The incident that it is about."
    )
    reason: NotificationReason = Field(description="Why it is sent.")
    at: Timestamp = Field(description="Event time of what it is about.")

    @model_validator(mode="after")
    def _account_is_the_owners(self) -> "Notification":
        if (self.account_id is not None) != (self.audience == "account_owner"):
            raise PydanticCustomError(
                "account_id", "must be given for the audience account_owner, and for it only"
            )
        return self
