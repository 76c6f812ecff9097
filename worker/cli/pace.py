"""Lines or records at a rate."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeVar

from worker.errors import UsageError

_BATCH: Final = 5_000
_PAUSE_S: Final = 0.05
"""Items due within it are one batch: a log is written twenty times a second at most."""

_FASTEST: Final = 1_000_000

T = TypeVar("T")


def refuse_wrong_rate(rate: int | None, of: str) -> None:
    """Check the option --rate; None is no limit.

    Raises:
        UsageError: the rate is out of range.
    """
    if rate is not None and not 1 <= rate <= _FASTEST:
        raise UsageError(f"--rate must be from 1 to {_FASTEST:,} {of} per second.")


def paced(items: Iterator[T], rate: int | None, most: int = _BATCH) -> Iterator[list[T]]:
    """Yield the items in batches as they are due, `rate` a second; without a rate, at once."""
    begun = time.monotonic()
    sent = 0
    while True:
        due = most
        if rate is not None:
            due = min(most, int((time.monotonic() - begun) * rate) + 1 - sent)
        if due <= 0:
            time.sleep(max(_PAUSE_S, begun + sent / (rate or 1) - time.monotonic()))
            continue
        batch = list(islice(items, due))
        if not batch:
            return
        sent += len(batch)
        yield batch
