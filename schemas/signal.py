"""What detect sends to triage (`wallet.signals`, internal): alerts, rare events, counts, progress.

Optional fields that have no value are left out of the JSON.
"""

from types import NoneType
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.alert import Alert, Cause, Code
from schemas.base import Count, Id, Network, Published, Timestamp
from schemas.login import LoginReason

SignalKind = Literal["alert", "event", "count", "progress"]


class RareEvent(Published):
    """One rare event, such as a lock, with tokens in place of account and source."""

    measure: Code = Field(description="What it is: failed_login, lock.")
    at: Timestamp = Field(description="Event time at which it occurred.")
    account: Id = Field(description="Token of its account.")
    reason: LoginReason | None = Field(default=None, description="Reason of the login event.")
    channel: Id | None = Field(default=None, description="Channel of the login event.")
    network: Network | None = Field(default=None, description="Network of the login event.")
    source: Id | None = Field(
        default=None,
        description="Token of its IPv4 address, or of the network of its IPv6 address.",
    )


class BucketCounts(Published):
    """How many events of a cause one bucket has, as of one revision."""

    at: Timestamp = Field(description="Event time at which the bucket begins.")
    detected_at: Timestamp = Field(
        description="Event time at which the count was known: the bucket's end, or a late event."
    )
    revision: int = Field(ge=1, description="The newest replaces those before.")
    counts: dict[Code, Count] = Field(
        description="Events by what they are: attempts, technical_failures."
    )


class CauseCounts(Published):
    """How many events of a cause there are, by buckets of event time; add up over origins."""

    measure: Literal["volume"] = Field(description="What is counted: events.")
    cause: Cause = Field(description="The cause; the key of the record.")
    bucket_ms: int = Field(ge=1, description="Length of a bucket, milliseconds.")
    volumes: Annotated[tuple[BucketCounts, ...], Field(min_length=1)] = Field(
        description="In the order of their detected_at, none below the signal's."
    )


_BODY_OF_KIND: dict[SignalKind, type] = {
    "alert": Alert,
    "event": RareEvent,
    "count": CauseCounts,
    "progress": NoneType,
}


class Signal(Published):
    """One message of one origin; `detected_at` never falls within an origin."""

    kind: SignalKind = Field(description="progress says only that detected_at is reached.")
    detected_at: Timestamp = Field(description="Event time at which the origin stood.")
    origin: Id = Field(description="The detect task that wrote it.")
    origin_sequence: Count = Field(
        description="Number of the signal among those of that origin, from 1."
    )
    body: Alert | RareEvent | CauseCounts | None = Field(
        default=None,
        union_mode="left_to_right",
        description="alert: Alert; event: RareEvent; count: CauseCounts; progress: nothing.",
    )

    @model_validator(mode="after")
    def _body_fits_kind(self) -> "Signal":
        if not isinstance(self.body, _BODY_OF_KIND[self.kind]):
            raise PydanticCustomError("body", "does not fit the kind of the signal")
        return self
