"""Alerts by their published records, and the records that they cite."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.topics import DETECT_INPUTS
from worker.engine.log import Log
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
    def judged(self) -> dict[str, Any]:
        """The newest record that carries a verdict."""
        return next(step for step in reversed(self.steps) if step["kind"] in JUDGED)


def lives_of(records: Iterable[bytes]) -> dict[str, Life]:
    """Return the alerts of published records by alert_id, the records of each as they came."""
    lives: dict[str, Life] = {}
    for record in records:
        step = msgspec.json.decode(record)
        lives.setdefault(step["alert_id"], Life([])).steps.append(step)
    return lives


def reader(log: Log) -> Read:
    """Return what reads one input record of the log."""

    def read(topic: str, partition: int, offset: int) -> Record | None:
        if topic not in DETECT_INPUTS or partition >= log.partitions(topic):
            return None
        records = log.read(topic, partition, offset, 1)
        return records[0] if records and records[0].offset == offset else None

    return read
