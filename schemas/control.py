"""Records that carry time only: heartbeats and ends of an input partition (design: time)."""

from typing import Literal

from pydantic import Field

from schemas.base import Id, Record, Timestamp


class Heartbeat(Record):
    """Time has reached `occurred_at` on this partition; nothing happened."""

    kind: Literal["heartbeat"]
    occurred_at: Timestamp
    topic: Id | None = Field(None, description="In files: the topic it belongs to.")
    partition: int | None = Field(
        None, ge=0, description="In files: the partition; absent means all."
    )


class End(Record):
    """No event before `occurred_at` will follow on this partition."""

    kind: Literal["end"]
    occurred_at: Timestamp
    topic: Id | None = Field(None, description="In files: the topic it belongs to.")
    partition: int | None = Field(
        None, ge=0, description="In files: the partition; absent means all."
    )
