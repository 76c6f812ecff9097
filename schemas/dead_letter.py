"""Dead letters (`wallet.dead-letters`): the original bytes, and headers with what is wrong."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints

from schemas.alert import Code
from schemas.base import Count, Published, ShortText, Timestamp, printable

DeadLetterReason = Literal[
    "too_large",
    "not_utf8",
    "not_json",
    "too_deep",
    "duplicate_key",
    "schema",
    "key_mismatch",
    "wrong_partition",
    "currency",
    "amount",
    "future_timestamp",
    "event_id_conflict",
    "unsupported_version",
    "rule_error",
    "stale_update",
    "unknown_incident",
]

DEAD_LETTER_REASONS: tuple[DeadLetterReason, ...] = get_args(DeadLetterReason)
"""Of these, stale_update and unknown_incident are coming: nothing reads incident updates yet."""

ErrorText = Annotated[
    str, StringConstraints(min_length=1, max_length=1024), AfterValidator(printable)
]
"""1 to 1,024 characters, no control characters."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in lower-case hexadecimal digits."""


class OriginHeaders(Published):
    """Where the original bytes were read."""

    dlq_topic: ShortText = Field(description="Topic of the record; of a line, its file's name.")
    dlq_partition: Count = Field(description="Partition of the record.")
    dlq_offset: Count = Field(description="Offset of the record; of a line, its number.")
    dlq_timestamp: Timestamp | None = Field(
        default=None,
        description="Append time of the record; absent where there is none, as in files.",
    )
    dlq_stage: Code = Field(description="The stage that read it: detect or triage.")

    dlq_size: Count | None = Field(
        default=None,
        description="Bytes of the original value; only if the topic does not take them all: "
        "then this value is its beginning.",
    )
    dlq_sha256: Sha256 | None = Field(
        default=None, description="SHA-256 of the original value; only beside dlq_size."
    )
    dlq_key_size: Count | None = Field(
        default=None,
        description="Bytes of the original key; only if this key is its beginning.",
    )
    dlq_key_sha256: Sha256 | None = Field(
        default=None, description="SHA-256 of the original key; only beside dlq_key_size."
    )

    @property
    def is_cut(self) -> bool:
        """Whether key or value is only the beginning of the original."""
        return self.dlq_size is not None or self.dlq_key_size is not None

    def to_headers(self) -> tuple[tuple[str, bytes], ...]:
        """Return the fields that have a value as record headers: names, and UTF-8 text."""
        fields = self.model_dump(mode="json", exclude_none=True)
        return tuple((name, str(value).encode()) for name, value in fields.items())

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> Self:
        """Return the model of headers that `to_headers` has written.

        Raises:
            ValueError: they are not such headers; the message holds no value.
        """
        texts = {name: value.decode() for name, value in headers if name in cls.model_fields}
        return cls.model_validate_strings(texts)


class DeadLetterHeaders(OriginHeaders):
    """Headers of a dead letter; value and key are the original ones, or what the topic takes."""

    dlq_reason: DeadLetterReason = Field(description="What is wrong, as a code.")
    dlq_error: ErrorText = Field(
        description="Where it is wrong, and the type of the error; never a value."
    )
