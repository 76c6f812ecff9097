"""What detect tells triage (`wallet.signals`, internal): alerts, rare events, counts, progress."""

from types import NoneType
from typing import Literal

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from schemas.alert import Alert
from schemas.base import Count, Id, Published, Timestamp

SignalKind = Literal["alert", "event", "count", "progress"]

_BODY_OF_KIND: dict[str, type] = {
    "alert": Alert,
    "event": dict,
    "count": dict,
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
    body: Alert | dict[str, JsonValue] | None = Field(
        default=None,
        union_mode="left_to_right",
        description=(
            "alert: the alert; event: an object; count: an object whose volumes each say their own "
            "detected_at, none below the signal's; progress: nothing."
        ),
    )

    @model_validator(mode="after")
    def _body_fits_kind(self) -> "Signal":
        if not isinstance(self.body, _BODY_OF_KIND[self.kind]):
            raise PydanticCustomError("body", "does not fit the kind of the signal")
        return self
