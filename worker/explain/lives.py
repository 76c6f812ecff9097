"""Alerts by their published records, and the records that they cite."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.topics import ALERTS, ALERTS_SHADOW, DETECT_INPUTS
from worker.engine.log import Log, stored
from worker.engine.records import Record

JUDGED: Final = ("raised", "updated")
"""Kinds of alert records that carry a verdict."""

Read = Callable[[str, int, int], Record | None]
"""Returns the record at (topic, partition, offset), None if it is not there."""


class Life(Struct):
    """All records of one alert, oldest first, as published."""

    steps: list[dict[str, Any]]

    @property
    def raised(self) -> dict[str, Any]:
        """The first record."""
        return self.steps[0]

    @property
    def is_overflow(self) -> bool:
        """Whether it counts further findings: no fact or record shows that, only the history."""
        return is_overflow(self.raised)

    @property
    def judged(self) -> dict[str, Any]:
        """The newest record that carries a verdict; the first if all of these were pruned."""
        judged = (step for step in reversed(self.steps) if step["kind"] in JUDGED)
        return next(judged, self.raised)


def is_overflow(step: dict[str, Any]) -> bool:
    """Return whether a record is of an overflow alert."""
    return "counted" in step


def lives_of(records: Iterable[bytes]) -> dict[str, Life]:
    """Return the alerts of published records by alert_id, the records of each as they came."""
    lives: dict[str, Life] = {}
    for record in records:
        step = msgspec.json.decode(record)
        lives.setdefault(step["alert_id"], Life([])).steps.append(step)
    return lives


def life_of(log: Log, alert_id: str) -> Life | None:
    """Return the alert of that id, live rather than in shadow; None if the log has none."""
    for topic in (ALERTS, ALERTS_SHADOW):
        found = lives_in(log, topic, [alert_id]).get(alert_id)
        if found is not None:
            return found
    return None


def lives_in(log: Log, topic: str, alert_ids: Sequence[str]) -> dict[str, Life]:
    """Return the alerts of these ids that a topic holds, by id, the records of each in order."""
    wanted = {alert_id.encode(errors="replace") for alert_id in alert_ids}
    records = (record.value or b"" for _, record in stored(log, topic))
    lives = lives_of(value for value in records if any(each in value for each in wanted))
    found = {alert_id: lives[alert_id] for alert_id in alert_ids if alert_id in lives}
    for life in found.values():
        life.steps.sort(key=lambda step: step["sequence"])
    return found


def reader(log: Log) -> Read:
    """Return what reads one input record of the log."""

    def read(topic: str, partition: int, offset: int) -> Record | None:
        if topic not in DETECT_INPUTS or partition >= log.partitions(topic):
            return None
        records = log.read(topic, partition, offset, 1)
        return records[0] if records and records[0].offset == offset else None

    return read
