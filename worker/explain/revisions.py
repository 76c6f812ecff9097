"""Incidents by their published records: every revision that the log still has."""

from pydantic import ValidationError

from schemas.incident import Incident
from schemas.topics import INCIDENTS
from worker.engine.log import Log, stored
from worker.errors import CheckFailed


def revisions(log: Log, prefix: str, *, forgotten: bool = False) -> dict[str, list[Incident]]:
    """Return the stored revisions of the incidents whose id begins so, oldest first, by id.

    Args:
        log: holds the incidents.
        prefix: empty: all incidents.
        forgotten: also those that triage has let go, as long as their records are there.

    Raises:
        CheckFailed: a record is not an incident; the sentence has its address.
    """
    found: dict[str, list[Incident]] = {}
    for at, record in stored(log, INCIDENTS):
        key = (record.key or b"").decode(errors="backslashreplace")
        if not key.startswith(prefix):
            continue
        if record.value is None:
            if not forgotten:
                found.pop(key, None)
            continue
        try:
            incident = Incident.model_validate_json(record.value)
        except ValidationError:
            raise CheckFailed(
                f"{at.topic}, partition {at.partition}, offset {record.offset}: "
                "the record is not an incident that this version can read."
            ) from None
        found.setdefault(key, []).append(incident)
    return found
