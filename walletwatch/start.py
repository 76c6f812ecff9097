"""The start of a command, which a signal ends at once.

It imports as little as it can: before `ready`, Ctrl-C is an exception in the midst of imports.
"""

import gc
import os
import signal
from typing import Final

_BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that ended a program."""


def ready() -> None:
    """Let signals end the process, and the garbage collector wait, until the start is over.

    What is imported stays: there is no garbage to collect.
    """
    gc.disable()
    end_by_signals()


def end_by_signals() -> None:
    """Let Ctrl-C and SIGTERM end the process where it is: for when there is nothing to finish.

    An exception would come out of imports as a traceback, or be lost in them.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def over() -> None:
    """Undo `ready`: from now on Ctrl-C is a KeyboardInterrupt.

    The garbage collector leaves out what was imported, at the end of the process too.
    """
    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is _end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, *_: object) -> None:
    os._exit(_BY_SIGNAL + number)
