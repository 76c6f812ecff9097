"""A watchdog that ends the process when a call of the client does not return.

Some calls of the client wait without any limit for a coordinator that may never answer. They
cannot be interrupted, and their outcome would be unknown; so the process ends, and the one that the
supervisor starts in its place reads the outcome from the log.
"""

import faulthandler
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from time import monotonic, time
from typing import Final

from schemas.time import format_time
from worker.errors import Exit
from worker.terminal import debugging, say

_OVERSLEPT: Final = 1.0
"""Seconds by which a wait may be late before the whole process must have been frozen."""


def end_process(what: str, seconds: float) -> None:
    """Write what hung to stderr, for developers with every thread's stack, and end the process."""
    if debugging():
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    since = format_time(int((time() - seconds) * 1000))
    say(
        f"walletwatch: {what}: no answer since {since} (for {seconds:.0f} s). They may be down, or "
        "cut off from here: walletwatch doctor says why. What was committed is safe; the next "
        "start reads from the log how far it went. Ending the process."
    )
    sys.stderr.flush()
    os._exit(Exit.INTERNAL)


class Watchdog:
    """Watches over the calls of one thread, from a daemon thread."""

    def __init__(self, end: Callable[[str, float], None] = end_process) -> None:
        self._end = end
        self._changed = Condition()
        self._watched: tuple[str, float, float] | None = None
        """The step that runs, its limit in seconds, and the time when that is reached."""
        self._closed = False
        self._thread = Thread(target=self._watch, name="walletwatch-watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def limit(self, what: str, seconds: float) -> Iterator[None]:
        """End the process if the block takes longer."""
        self._set((what, seconds, monotonic() + seconds))
        try:
            yield
        finally:
            self._set(None)

    def close(self) -> None:
        """Stop watching."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _set(self, watched: tuple[str, float, float] | None) -> None:
        with self._changed:
            self._watched = watched
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                if self._watched is None:
                    self._changed.wait()
                    continue
                what, seconds, until = self._watched
                left = until - monotonic()
                if self._changed.wait(max(left, 0)) or self._closed:
                    continue
                if monotonic() - until > _OVERSLEPT:
                    # The process was frozen (SIGSTOP, a suspended machine): the time starts anew.
                    self._watched = (what, seconds, monotonic() + seconds)
                    continue
                self._end(what, seconds)
                self._watched = None
