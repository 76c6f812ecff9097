"""The sentence about inputs that open transactions have held for long. Pure."""

from collections.abc import Mapping

from worker.engine.holds import Hold
from worker.engine.records import TopicPartition


def describe(held: Mapping[TopicPartition, Hold], now: int, limit: int) -> str | None:
    """Return which input has been held longest, by what, and for how long.

    Args:
        held: the inputs that are held.
        now: wall time, milliseconds.
        limit: milliseconds from which a hold is long.

    Returns:
        None if none has been held for that long.
    """
    long = {at: hold for at, hold in held.items() if now - hold.since >= limit}
    if not long:
        return None
    at = min(long, key=lambda each: long[each].since)
    hold = long[at]
    others = f" So have been {len(long) - 1} more." if len(long) > 1 else ""
    return (
        f"{at.topic}/{at.partition} has been held for {hold.seconds(now):.0f} s: an open "
        f"transaction of a producer hides {len(hold.hidden)} offsets from {hold.hidden.start} on. "
        f"Its alerts wait; walletwatch doctor names the producer.{others}"
    )
