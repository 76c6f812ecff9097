"""Records against their models: what pydantic finds, in the sentences of dead letters. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.base import Timestamp
from schemas.dead_letter import DeadLetterReason
from schemas.time import parse_time
from schemas.wrong_fields import field_types
from worker.codec.bad_record import (
    OWN,
    RECORD,
    SENTENCES,
    BadRecord,
    Problem,
    Refused,
    one_of,
    problem,
)

FIRST_TIME: Final = parse_time("1000-01-01T00:00:00Z")
LAST_TIME: Final = parse_time("9000-01-01T00:00:00Z")
"""Times before the first and from the last on are refused: what is computed from them (lateness,
timers, ends) must still be in the calendar."""

_MOST_SHOWN: Final = 10
_OWN_REASONS: Final[Mapping[str, DeadLetterReason]] = {
    "amount": "amount",
    "currency": "currency",
    "json_invalid": "not_json",
}
_QUOTED: Final = re.compile(r"'([^']*)'")

Model = TypeVar("Model", bound=BaseModel)


class Fault(NamedTuple):
    """What is wrong with one field."""

    field: str
    """The field of the record itself, "" if it is none."""
    code: str
    problem: Problem


def faults_of(error: ValidationError) -> list[Fault]:
    """Return what is wrong, field by field, without any value."""
    found = error.errors(include_input=False, include_url=False)
    return [_fault(each["loc"], each["type"], each["msg"], each.get("ctx", {})) for each in found]


def _fault(
    location: Sequence[int | str], code: str, message: str, context: Mapping[str, Any]
) -> Fault:
    if not location and SENTENCES.get(code) == OWN:
        location = (code,)  # a check of several fields has the name of one of them as its type
    # What is inside `extra` is named by the producer and may be personal.
    inner = ("extra", "*") if location[:1] == ("extra",) and location[1:] else location
    about = {"message": message, **context}
    if code == "literal_error":
        allowed = _QUOTED.findall(context["expected"])
        about["expected"] = f"{'not' if allowed[1:] else 'must be'} {one_of(allowed)}"
    where = ".".join(map(str, inner)) or RECORD
    known = code if code in SENTENCES else "other"
    return Fault(str(location[0]) if location else "", code, problem(where, known, **about))


def far_times(record: BaseModel) -> Iterator[Fault]:
    """Yield the times of a record that are too far away to compute from."""
    for name in _times(type(record)):
        at = getattr(record, name)
        if at is not None and not FIRST_TIME <= at < LAST_TIME:
            yield Fault(name, "time_range", problem(name, "time_range"))


@cache
def _times(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name, kind in field_types(model).items() if kind == Timestamp)


def bad_for(faults: Sequence[Fault]) -> BadRecord:
    """Return the bad record with these faults; its reason is theirs if they have but one."""
    codes = {fault.code for fault in faults}
    reason: DeadLetterReason = "schema"
    if len(codes) == 1:
        reason = _OWN_REASONS.get(codes.pop(), "schema")
    return BadRecord(reason, tuple(fault.problem for fault in faults[:_MOST_SHOWN]))


def explain(error: ValidationError) -> str:
    """Return what is wrong with a record, without any value."""
    return bad_for(faults_of(error)).error


def parsed(model: type[Model], raw: bytes) -> Model:
    """Return the JSON object as a record, whose times may be any.

    Raises:
        Refused: it is none.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise Refused(bad_for(faults_of(error))) from None


def validated(model: type[Model], raw: bytes) -> Model:
    """Return the JSON object as a record.

    Raises:
        Refused: it is none, or has a time that is too far away to compute from.
    """
    record = parsed(model, raw)
    if faults := list(far_times(record)):
        raise Refused(bad_for(faults))
    return record
