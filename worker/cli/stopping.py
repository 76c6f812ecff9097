"""SIGTERM and Ctrl-C for `run`: they end its start where it waits, and its work after a unit."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from worker.errors import LogError


class Stopped(BaseException):
    """A signal has ended the start. No Exception: what handles errors does not handle this."""


class StopRequest:
    """Whether a signal has asked to stop; the second one does not wait."""

    def __init__(self) -> None:
        self._asked = False
        self._starting = True
        self._interrupts = False

    def __call__(self) -> bool:
        """Return whether a signal has asked to stop."""
        return self._asked

    @property
    def ends_start(self) -> bool:
        """Whether a signal has asked to stop before the work began."""
        return self._asked and self._starting

    def begin_work(self) -> None:
        """Let the current unit of work end first, from now on."""
        self._starting = False

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """During the start, let a signal end the block at once, and one of before its beginning.

        Only for blocks that may end anywhere: an exception comes out of whatever they call.

        Raises:
            Stopped: a signal has asked to stop.
        """
        self._interrupts = self._starting
        try:
            if self.ends_start:
                raise Stopped
            yield
        finally:
            self._interrupts = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Receive a signal."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        if self._interrupts:
            raise Stopped


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Handle SIGTERM and SIGINT inside; what a signal ends during the start is no failure.

    A LogError after a signal in the start is dropped: the log was stopped while it was opened.
    """
    stop = StopRequest()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    except Stopped:
        pass
    except LogError:
        if not stop.ends_start:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
