"""Lines as time passes."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

_BATCH: Final = 5_000
_PAUSE_S: Final = 0.05
"""Lines that are due within it go together: a log is written twenty times a second at most."""


def paced(lines: Iterator[bytes], rate: int | None) -> Iterator[list[bytes]]:
    """Yield the lines in batches as they are due, `rate` a second; without a rate, at once."""
    begun = time.monotonic()
    sent = 0
    while True:
        due = _BATCH
        if rate is not None:
            due = min(_BATCH, int((time.monotonic() - begun) * rate) + 1 - sent)
        if due <= 0:
            time.sleep(max(_PAUSE_S, begun + sent / (rate or 1) - time.monotonic()))
            continue
        batch = list(islice(lines, due))
        if not batch:
            return
        sent += len(batch)
        yield batch
