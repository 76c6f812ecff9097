"""Events that a hostile producer makes to be taken for others."""

from zlib import crc32

import msgspec

from rules.events import LOGIN, Event
from tests.support.events.mutations import compact, full_login
from worker.codec.codec import Codec, Limits

_PLACES = 64
"""More than the bits of the checksum: whatever it has to be, some choice of letters gives it."""


def decoded(raw: bytes) -> Event:
    """Return the login of a record."""
    event = Codec(LOGIN, Limits()).decode(raw)
    assert isinstance(event, Event)
    return event


def checksum(raw: bytes) -> int:
    """Return the CRC-32 of what a login says, by which redeliveries were recognised once."""
    return crc32(msgspec.msgpack.encode(decoded(raw)))


def forged(first: bytes, **fields: str) -> bytes:
    """Return a login with these fields, and with the checksum of the first one.

    A letter in place of another changes the same bits of the checksum whatever the others are, so
    which letters to change is the solution of linear equations over bits.
    """

    def at(letters: int) -> bytes:
        text = "".join("ac"[letters >> place & 1] for place in range(_PLACES))
        return compact(full_login(**fields, user_agent=text))

    wanted, base = checksum(first), checksum(at(0))
    changes = [(checksum(at(1 << place)) ^ base, 1 << place) for place in range(_PLACES)]
    made = at(_solved(changes, wanted ^ base))
    assert checksum(made) == wanted
    return made


def _solved(changes: list[tuple[int, int]], wanted: int) -> int:
    """Return the choice of changes that together make the wanted one, by Gauss's elimination."""
    basis: dict[int, tuple[int, int]] = {}
    for change, choice in changes:
        reduced, made = _reduced(basis, change, choice)
        if reduced:
            basis[reduced.bit_length()] = reduced, made
    rest, choice = _reduced(basis, wanted, 0)
    assert rest == 0, "more places are needed"
    return choice


def _reduced(basis: dict[int, tuple[int, int]], value: int, choice: int) -> tuple[int, int]:
    for bits in sorted(basis, reverse=True):
        if value.bit_length() == bits:
            value, choice = value ^ basis[bits][0], choice ^ basis[bits][1]
    return value, choice
