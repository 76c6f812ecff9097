"""The reason why a record is not an event."""

from msgspec import Struct

from schemas.dead_letter import DeadLetterReason


class BadRecord(Struct, frozen=True):
    """A record that is not an event: the reason of its dead letter, and where (never a value)."""

    reason: DeadLetterReason
    error: str


class Refused(Exception):
    """Raised with the BadRecord where a record is found to be bad."""

    def __init__(self, reason: DeadLetterReason, error: str) -> None:
        super().__init__(reason)
        self.bad = BadRecord(reason, error)
