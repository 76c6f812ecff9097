"""Dead letters read back. Pure."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from schemas.dead_letter import DeadLetterHeaders
from worker.engine.records import Record, TopicPartition


class DeadLetter(NamedTuple):
    """A record of `wallet.dead-letters`: its address and its headers."""

    at: TopicPartition
    record: Record
    headers: DeadLetterHeaders | None
    """None: another program wrote it; its headers are unknown."""


class DeadLetterFilter(NamedTuple):
    """Which dead letters are meant; an empty collection means all."""

    reasons: Collection[str] = ()
    topics: Collection[str] = ()


def dead_letters(
    stored: Iterable[tuple[TopicPartition, Record]], wanted: DeadLetterFilter
) -> Iterator[DeadLetter]:
    """Yield the wanted ones of the records of `wallet.dead-letters`, in their order."""
    for at, record in stored:
        headers = _headers(record)
        if _fits(headers, wanted):
            yield DeadLetter(at, record, headers)


def _headers(record: Record) -> DeadLetterHeaders | None:
    try:
        return DeadLetterHeaders.from_headers(record.headers)
    except ValueError:
        return None


def _fits(headers: DeadLetterHeaders | None, wanted: DeadLetterFilter) -> bool:
    if headers is None:
        return not (wanted.reasons or wanted.topics)
    return (not wanted.reasons or headers.dlq_reason in wanted.reasons) and (
        not wanted.topics or headers.dlq_topic in wanted.topics
    )
