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

    Raises:
        UsageError: a text is no such range; the message names the option.
    """
    ranges: dict[TopicPartition, list[tuple[int, int]]] = {}
    for text in texts:
        place = _PLACE.fullmatch(text)
        if place is None or place["last"] is None or place["topic"] not in DETECT_INPUTS:
            raise _refused(option, text, "TOPIC/PARTITION:FROM-TO")
        first, last = int(place["first"]), int(place["last"])
        if first > last:
            raise UsageError(f"{option}: {text} ends before it begins.")
        ranges.setdefault(_partition(place), []).append((first, last))
    return dict(ranges)


def input_offsets(option: str, texts: Collection[str]) -> dict[TopicPartition, Sequence[int]]:
    """Return offsets of partitions of the inputs of detect.

    Raises:
        UsageError: a text is no such offset; the message names the option.
    """
    offsets: dict[TopicPartition, list[int]] = {}
    for text in texts:
        place = _PLACE.fullmatch(text)
        if place is None or place["last"] is not None or place["topic"] not in DETECT_INPUTS:
            raise _refused(option, text, "TOPIC/PARTITION:OFFSET")
        offsets.setdefault(_partition(place), []).append(int(place["first"]))
    return dict(offsets)


def _partition(place: re.Match[str]) -> TopicPartition:
    return TopicPartition(place["topic"], int(place["partition"]))


def _refused(option: str, text: str, form: str) -> UsageError:
    topics = ", ".join(DETECT_INPUTS)
    return UsageError(f"{option}: {text} is not {form}, with a topic of {topics}.")
