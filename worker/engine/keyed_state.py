"""Keyed state as bytes: the due time of a key's next timer in front, its own layout behind.

In memory a key's state is the bytes of its last commit; it is decoded when an event or timer
touches it and encoded at the commit. The header lets a restore rebuild the timers of millions of
keys without decoding one of them.
"""

import struct
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

_HEADER: Final = struct.Struct(">qB")
NEVER: Final = 2**63 - 1
"""The due time of what is not due at any time."""


class Timer(Struct, array_like=True, gc=False):
    """A timer of one key."""

    due: int
    """Milliseconds of event time."""
    owner: str
    """The code of the rule that set it; empty for the engine's own."""
    name: str
    awaits: int = 0
    """Inputs whose proof must have passed `due`, as bits (1 << kind); 0 judges no absence."""


def pack(timers: Sequence[Timer], payload: bytes) -> bytes:
    """Return the stored form: due and awaited inputs of the next timer, then the payload."""
    return with_header(*first_due(timers), payload)


def first_due(timers: Sequence[Timer]) -> tuple[int, int]:
    """Return due time and awaited inputs of the next timer; NEVER and 0 if there is none."""
    if not timers:
        return NEVER, 0
    first = min(timers, key=_due) if len(timers) > 1 else timers[0]
    return first.due, first.awaits


def with_header(due: int, awaits: int, payload: bytes) -> bytes:
    """Return the stored form of a state whose next timer is due then."""
    return _HEADER.pack(due, awaits) + payload


def payload_of(stored: bytes) -> memoryview:
    """Return the bytes behind the header."""
    return memoryview(stored)[_HEADER.size :]


def next_due(stored: bytes | None) -> int:
    """Return the due time of the key's next timer; NEVER if it has none, or no state."""
    if not stored:
        return NEVER
    due: int = _HEADER.unpack_from(stored)[0]
    return due


def _due(timer: Timer) -> int:
    return timer.due
