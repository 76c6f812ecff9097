"""Reading what a release has saved: today's layout is decoded, a newer one refused. Pure.

Every record begins with the number of its layout. What each release has saved is kept as test data
(`tests/data/state`).
"""

from typing import Any, Final, TypeVar

import msgspec

from worker.engine.packing import Unpacker
from worker.errors import LogError

T = TypeVar("T")

_LIST: Final[Unpacker[list[Any]]] = Unpacker(list)


def downgrade(what: str) -> LogError:
    """Return the error for a record that only a newer release can read."""
    return LogError(
        f"A newer release of walletwatch has saved {what}: run that release on this log, or one "
        "after it. Nothing was changed."
    )


def damaged(what: str) -> LogError:
    """Return the error for a record that no release has written."""
    return LogError(f"The saved state of {what} cannot be read: it is damaged.")


def numbered(unpack: Unpacker[T], stored: bytes | memoryview, what: str, layout: int = 1) -> T:
    """Decode a record that begins with the number of its layout.

    Raises:
        LogError: it has another layout than this one.
    """
    try:
        found = unpack(stored)
        number = found.layout  # type: ignore[attr-defined]
        if number == layout:
            return found
    except msgspec.MsgspecError:
        number = layout_of(stored)
    raise downgrade(what) if number > layout else damaged(what)


def layout_of(stored: bytes | memoryview) -> int:
    """Return the layout number of a record; 0 if it is damaged."""
    try:
        values = _LIST(stored)
    except msgspec.MsgspecError:
        return 0
    first = values[0] if values else 0
    return first if type(first) is int else 0
