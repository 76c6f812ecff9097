"""The garbage collector while events are worked on.

Nothing that an event makes refers back to what made it: reference counts free all of it. Walking
the thousands of events that wait in buffers, again and again, finds nothing and costs a fifth of
the time (bench/README.md). So what is there at the start is left out, young objects are looked at
seldom, old ones hardly ever; what errors leave in cycles is still found.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (500_000, 20, 1_000)


@contextmanager
def calm_collector() -> Iterator[None]:
    """Collect seldom inside; as before after it."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
