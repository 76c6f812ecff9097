"""Offsets as arguments: TOPIC/PARTITION:OFFSET, and ranges of them, TOPIC/PARTITION:FROM-TO."""

import re
from collections.abc import Collection, Sequence

from schemas.topics import DETECT_INPUTS
from worker.engine.records import TopicPartition
from worker.errors import UsageError

_PLACE = re.compile(
    r"(?P<topic>[^/]+)/(?P<partition>\d{1,9}):(?P<first>\d{1,18})(?:-(?P<last>\d{1,18}))?", re.ASCII
)


def input_ranges(
    option: str, texts: Collection[str]
) -> dict[TopicPartition, Sequence[tuple[int, int]]]:
    """Return the ranges (first, last offset) of partitions of the inputs of detect.

    One offset is a range too.

    Raises:
        UsageError: a text is no such range; the message names the option.
    """
    ranges: dict[TopicPartition, list[tuple[int, int]]] = {}
    for text in texts:
        place = _PLACE.fullmatch(text)
        if place is None or place["topic"] not in DETECT_INPUTS:
            topics = ", ".join(DETECT_INPUTS)
            raise UsageError(
                f"{option}: {text} is not TOPIC/PARTITION:FROM-TO, or TOPIC/PARTITION:OFFSET, with "
                f"a topic of {topics}."
            )
        first, last = int(place["first"]), int(place["last"] or place["first"])
        if first > last:
            raise UsageError(f"{option}: {text} ends before it begins.")
        ranges.setdefault(_partition(place), []).append((first, last))
    return dict(ranges)


def _partition(place: re.Match[str]) -> TopicPartition:
    return TopicPartition(place["topic"], int(place["partition"]))
