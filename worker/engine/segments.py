"""The keys of segments: records of their own for what one key keeps much of. Pure.

A key whose record would grow large keeps in it only what is newest. The rest is in segments, in the
order in which it came: each is written once and removed whole.
"""

from typing import Final

SEGMENT: Final = b"\1"
"""Begins the keys of segments: neither an account_id nor a cause can."""
_NUMBER: Final = b"\0"
"""Separates the key from the number."""


def segment_key(key: bytes, number: int) -> bytes:
    """Return the key of a segment of a key."""
    return b"%b%b%b%d" % (SEGMENT, key, _NUMBER, number)


def is_segment(key: bytes) -> bool:
    """Return whether a key is that of a segment."""
    return key[:1] == SEGMENT


def owner_of(key: bytes) -> bytes:
    """Return the key that a segment belongs to; of any other key itself."""
    return key[1:].rpartition(_NUMBER)[0] if is_segment(key) else key
