"""Which events will come late if they are appended now, as far as the log shows it.

A worker takes an event for late that is older than the newest of its partition, less the lateness
of the input. Where nothing came for long it takes the clock, which is not known here: there may be
more of them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from schemas.topics import DETECT_INPUTS
from worker.codec.bad_record import BadRecord
from worker.codec.codec import Codec, Limits
from worker.engine.event_time import BEGINNING
from worker.engine.log import Log
from worker.errors import LogError

_LOOKED_AT: Final = 100
"""Records at the end of a partition, of which the newest counts."""


class LateAppends:
    """Counts the events of each topic, and which of them are late.

    Args:
        lateness: milliseconds, per topic.

    Attributes:
        events: how many were seen, per topic.
        behind_log: those that are late by what the log has had before.
        behind_file: those that are late by what was appended before them.
    """

    def __init__(self, log: Log, lateness: Mapping[str, int]) -> None:
        self._log = log
        self._lateness = lateness
        self._stored: dict[str, list[int]] = {}
        """Per topic and partition the newest time that the log has had."""
        self._newest: dict[str, defaultdict[int, int]] = {}
        """The same of what was appended."""
        self.events: Counter[str] = Counter()
        self.behind_log: Counter[str] = Counter()
        self.behind_file: Counter[str] = Counter()

    def see(self, topic: str, partition: int, time: int) -> None:
        """Take an event that is appended next, with its time in milliseconds."""
        if topic not in self._stored:
            self._stored[topic] = _newest(self._log, topic)
            self._newest[topic] = defaultdict(lambda: BEGINNING)
        newest, limit = self._newest[topic], time + self._lateness[topic]
        self.events[topic] += 1
        if limit < self._stored[topic][partition]:
            self.behind_log[topic] += 1
        elif limit < newest[partition]:
            self.behind_file[topic] += 1
        newest[partition] = max(newest[partition], time)


def _newest(log: Log, topic: str) -> list[int]:
    """Return per partition the newest time among its last records; BEGINNING where none is known.

    A user who may only append knows none.
    """
    found = [BEGINNING] * log.partitions(topic)
    codec = Codec(DETECT_INPUTS.index(topic), Limits())
    with suppress(LogError):
        for partition, (first, following) in enumerate(log.offsets(topic)):
            start = max(first, following - _LOOKED_AT)
            for record in log.read(topic, partition, start, _LOOKED_AT):
                event = codec.decode(record.value)
                if not isinstance(event, BadRecord):
                    at, appended = event.occurred_at, record.append_time
                    usable = at if appended is None else min(at, appended)
                    found[partition] = max(found[partition], usable)
    return found
