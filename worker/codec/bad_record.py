"""Why a record is no event."""

from msgspec import Struct

from schemas.dead_letter import DeadLetterReason


class BadRecord(Struct, frozen=True):
    """Why a record is no event: a dead letter's reason, and where (never a value)."""

    reason: DeadLetterReason
    error: str


class Refused(Exception):
    """Carries a BadRecord out of where it was found."""

    def __init__(self, reason: DeadLetterReason, error: str) -> None:
        super().__init__(reason)
        self.bad = BadRecord(reason, error)
