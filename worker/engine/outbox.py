"""The output of one unit of work: records to publish, and counts with a reason."""

from collections.abc import Callable, Iterable, Sequence

from schemas.dead_letter import DeadLetterHeaders, DeadLetterReason
from schemas.late import LateHeaders
from schemas.time import is_time
from schemas.topics import DEAD_LETTERS, LATE
from worker.engine.outcomes import Counts, DeadLettered, LateEvent
from worker.engine.records import NewRecord, Record, TopicPartition
from worker.engine.reorder import Entry

_MAX_ERROR = 1024

Numbered = Callable[[int], Sequence[NewRecord]]
"""Returns the records of an output, given the next sequence number of the task's signals."""
Output = NewRecord | Numbered


class Outbox:
    """Collects the outputs and counts of one task during one unit of work."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self.outputs: list[Output] = []
        self.counts = Counts()
        self.released: list[Entry] = []
        """The events that were judged, in their order."""

    def dead_letter(
        self, at: TopicPartition, record: Record, reason: DeadLetterReason, error: str
    ) -> None:
        """Publish the original bytes with what is wrong; `error` must not quote any value."""
        headers = DeadLetterHeaders(
            dlq_reason=reason,
            dlq_error=error[:_MAX_ERROR] or reason,
            dlq_topic=at.topic,
            dlq_partition=at.partition,
            dlq_offset=record.offset,
            dlq_timestamp=_time_of(record),
            dlq_stage=self._stage,
        )
        self.counts[DeadLettered(at.topic, reason)] += 1
        key = record.key or b""  # a bad record may lack the key that chooses a partition
        self.outputs.append(
            NewRecord(DEAD_LETTERS, key, record.value, headers=headers.to_headers())
        )

    def late(self, at: TopicPartition, record: Record, occurred_at: int, order_time: int) -> None:
        """Publish the original bytes of a late event with how late it was."""
        headers = LateHeaders(
            late_by_ms=order_time - occurred_at,
            late_order_time=order_time,
            dlq_topic=at.topic,
            dlq_partition=at.partition,
            dlq_offset=record.offset,
            dlq_timestamp=_time_of(record),
            dlq_stage=self._stage,
        )
        self.counts[LateEvent(at.topic)] += 1
        self.outputs.append(NewRecord(LATE, record.key, record.value, headers=headers.to_headers()))


def _time_of(record: Record) -> int | None:
    """Return when the log took a record; None where its time is a producer's, and no time."""
    appended = record.append_time
    return appended if appended is not None and is_time(appended) else None


def numbered(outputs: Iterable[Output], next_number: Callable[[], int]) -> list[NewRecord]:
    """Return the records of outputs, each numbered that needs a number."""
    records: list[NewRecord] = []
    for output in outputs:
        if isinstance(output, NewRecord):
            records.append(output)
        else:
            records += output(next_number())
    return records
