"""Late events (`wallet.late`): the original bytes, and headers with how late they were."""

from typing import Literal

from pydantic import Field

from schemas.base import Timestamp
from schemas.dead_letter import OriginHeaders


class LateHeaders(OriginHeaders):
    """Headers of a late event; value and key are the original ones, or what the topic takes."""

    dlq_reason: Literal["late"] = Field(default="late", description="Only its time is wrong.")
    late_by_ms: int = Field(ge=1, description="Milliseconds: late_order_time - occurred_at.")
    late_order_time: Timestamp = Field(description="Event time at which it was put in order.")
