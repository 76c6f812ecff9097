"""Why a record is not an event, in sentences that its producer understands. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from schemas.dead_letter import DeadLetterReason

RECORD: Final = "record"
"""The place of what is wrong with all of a record."""

OWN: Final = "{message}"
"""Of errors that our own models raise: they have the sentence."""

SENTENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # What pydantic finds: its own types of errors, with their contexts.
        "bool_type": "must be true or false",
        "dict_type": "must be an object",
        "finite_number": "must be a finite number",
        "float_type": "must be a number",
        "greater_than_equal": "must not be less than {ge}",
        "int_type": "must be a whole number",
        "json_invalid": "not JSON that can be read: {error}",
        "less_than_equal": "must not be more than {le}",
        "literal_error": "{expected}",
        "missing": "required",
        "other": "not as its schema has it",  # of a type that no test has seen
        "model_type": "must be an object",
        "string_pattern_mismatch": "must match {pattern}",
        "string_too_long": "must not have more than {max_length} characters",
        "string_too_short": "must have {min_length} or more characters",
        "string_type": "must be a string",
        "too_long": "must not have more than {max_length} entries",
        "too_short": "must have {min_length} or more entries",
        "tuple_type": "must be an array",
        # What the models of `schemas` find.
        "amount": OWN,
        "as_of": OWN,
        "balance_kind": OWN,
        "currency": OWN,
        "id": OWN,
        "text": OWN,
        "timestamp": OWN,
        # What the codec finds.
        "constant": "{name} is not JSON: leave such a field out",
        "decimals": "more decimals than {currency} has ({decimals})",
        "negative": "must not be negative",
        "negative_amount": "must not be negative, unless the type is adjustment",
        "no_value": "has no value",
        "only_debits": "only a debit holds money: must be absent with other types",
        "not_json": "not JSON at character {at}: {message}",
        "not_utf8": "not UTF-8 at byte {at}",
        "time_range": "must be in the years 1000 to 8999",
        "too_deep": "has more than {most} levels of objects and arrays",
        "too_large": "has more than {most} bytes (engine.max_event_bytes)",
        "twice": "must be given once only",
        "unknown_currency": "must be a code of ISO 4217, in use or withdrawn, or one that "
        "[currencies] in the configuration admits with its decimals",
        "name_twice": "a name is given twice in one object",
        "version": "must be {version}, or absent",
        # What a line of a file lacks.
        "kind": "must be {expected}, in files",
        "no_such_partition": "the topic has no partition of that number",
        "topic": "must be {expected} with this kind",
        # What does not fit around a valid event.
        "key": "must be the account_id, in UTF-8",
        "key_elsewhere": "belongs to another partition: producers must use murmur2, as Kafka's "
        "Java client does",
        "used_again": "another event of the account has it, with other content",
        "used_before": "line {line} of {file} has it, with other content",
        "future": "must not be more than {span} after the append time "
        "(inputs.{setting}.max_clock_skew_ms)",
    }
)
"""By code. In braces is what is filled in: names, bounds, positions; never the value of a field."""


class Problem(Struct, frozen=True):
    """One thing that is wrong: the path of the field, or `record`, and what is allowed there."""

    where: str
    what: str


class BadRecord(Struct, frozen=True):
    """A record that is not an event: the reason of its dead letter, and what is wrong."""

    reason: DeadLetterReason
    problems: tuple[Problem, ...]

    @property
    def error(self) -> str:
        """All that is wrong in one line, without any value."""
        return "; ".join(f"{each.where}: {each.what}" for each in self.problems)


def problem(where: str, code: str, /, **about: object) -> Problem:
    """Return what is wrong there, with the sentence of the code."""
    return Problem(where, SENTENCES[code].format(**about))


def bad(reason: DeadLetterReason, where: str, code: str, /, **about: object) -> BadRecord:
    """Return a record with one thing wrong."""
    return BadRecord(reason, (problem(where, code, **about),))


def too_large(most: int) -> BadRecord:
    """Return a record or line of more than `most` bytes."""
    return bad("too_large", RECORD, "too_large", most=most)


def one_of(allowed: Sequence[str]) -> str:
    """Return what is allowed in words: "a", or "one of a, b, c"."""
    return allowed[0] if len(allowed) == 1 else f"one of {', '.join(allowed)}"


class Refused(Exception):
    """Raised where a record is found to be bad."""

    def __init__(self, found: BadRecord) -> None:
        super().__init__(found.reason)
        self.bad = found
