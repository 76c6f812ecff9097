"""Ranges of offsets as arguments: TOPIC/PARTITION:FROM-TO."""

import re
from collections.abc import Collection, Sequence

from schemas.topics import DETECT_INPUTS
from worker.engine.records import TopicPartition
from worker.errors import UsageError

_RANGE = re.compile(
    r"(?P<topic>[^/]+)/(?P<partition>\d{1,9}):(?P<first>\d{1,18})-(?P<last>\d{1,18})", re.ASCII
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
        match = _RANGE.fullmatch(text)
        if match is None or match["topic"] not in DETECT_INPUTS:
            raise UsageError(
                f"{option}: {text} is not TOPIC/PARTITION:FROM-TO, with a topic of "
                f"{', '.join(DETECT_INPUTS)}."
            )
        first, last = int(match["first"]), int(match["last"])
        if first > last:
            raise UsageError(f"{option}: {text} ends before it begins.")
        at = TopicPartition(match["topic"], int(match["partition"]))
        ranges.setdefault(at, []).append((first, last))
    return dict(ranges)
