"""The transactions of an account that have ended: a memory of bounded size for all rules. Pure.

Of each transaction its mark is kept, with its newest end by occurred_at: so the order in which
events arrive changes nothing. *Payouts* (withdrawals, and transfers out with a rail) may come back
after days and are remembered for longer than others.
"""

import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from rules.events import DEBITS, Transaction

MAX_ENDED: Final = 32
MAX_PAYOUTS: Final = 64
MAX_ANSWERED: Final = 16
PAYOUT_MS: Final = 7 * 24 * 3_600_000

_ROW: Final = struct.Struct(">IqB")
"""Mark of the transaction_id, occurred_at of its newest end (milliseconds), how it ended."""
_MARK: Final = struct.Struct(">I")
_ROW_BYTES: Final = _ROW.size
_MARK_BYTES: Final = _MARK.size
_ENDED_BYTES: Final = MAX_ENDED * _ROW_BYTES
_PAYOUT_BYTES: Final = MAX_PAYOUTS * _ROW_BYTES
_KEY_BYTES: Final = 8

_STATUSES: Final = ("completed", "failed", "cancelled", "expired", "reversed")
# These numbers are in saved state: never renumber, only add.
_HAS_COMPLETED: Final = 0x80
_HOW: Final = {
    status: code | (_HAS_COMPLETED if status == "completed" else 0)
    for code, status in enumerate(_STATUSES)
}

_pack, _unpack_from = _ROW.pack, _ROW.unpack_from


class End(Struct, frozen=True, gc=False):
    """How a transaction ended."""

    at: int
    """Milliseconds: its newest end."""
    status: str
    """That of its newest end."""
    has_completed: bool
    """Whether it has completed at any time, whatever came of it later."""

    @property
    def is_undone(self) -> bool:
        """Whether its newest end is that nothing was moved, or that it was given back."""
        return self.status != "completed"


class Ended(Struct, array_like=True, omit_defaults=True, gc=False):
    """What an account remembers of its transactions that have ended, the oldest first."""

    others: bytes = b""
    """A row per transaction that is no payout."""
    payouts: bytes = b""
    answered: bytes = b""
    """8 bytes of every idempotency_key and external_reference of debits that have completed."""

    def end_of(self, mark: int) -> End | None:
        """Return how the transaction with this mark has ended; None if that is not known."""
        wanted = _MARK.pack(mark)
        for rows in (self.others, self.payouts):
            found = _find(rows, wanted, _ROW_BYTES)
            if found >= 0:
                _, at, how = _unpack_from(rows, found)
                return End(at, _STATUSES[how & ~_HAS_COMPLETED], bool(how & _HAS_COMPLETED))
        return None

    def has_retry_of(self, event: Transaction) -> bool:
        """Return whether a debit with the same key or reference is known to have completed."""
        answered = self.answered
        return bool(answered) and any(
            _find(answered, key, _KEY_BYTES) >= 0 for key in _keys_of(event)
        )

    def add(self, mark: int, event: Transaction, late: bool) -> bool:
        """Remember the end of a transaction; return whether another had to be forgotten for it.

        One that is not late is not older than what is remembered.
        """
        how = _HOW[event.status]
        if how & _HAS_COMPLETED and (event.idempotency_key or event.external_reference):
            self._add_keys(event)
        kind = event.type
        if kind == "withdrawal" or (kind == "transfer_out" and event.rail is not None):
            rows = self.payouts = _with_end(self.payouts, mark, event.occurred_at, how, late)
            if len(rows) <= _PAYOUT_BYTES:
                return False
            self.payouts = rows[_ROW_BYTES:]
        else:
            rows = self.others = _with_end(self.others, mark, event.occurred_at, how, late)
            if len(rows) <= _ENDED_BYTES:
                return False
            self.others = rows[_ROW_BYTES:]
        return True

    def forget_before(self, others: int, payouts: int) -> None:
        """Forget what ended before these times (milliseconds), and keys when nothing is left."""
        self.others, self.payouts = _since(self.others, others), _since(self.payouts, payouts)
        if not self.others and not self.payouts:
            self.answered = b""

    @property
    def newest_payout_at(self) -> int | None:
        """The newest end of a payout, milliseconds; None: none is remembered."""
        return _time_at(self.payouts, len(self.payouts) - _ROW_BYTES) if self.payouts else None

    def _add_keys(self, event: Transaction) -> None:
        if event.type not in DEBITS:
            return
        answered = self.answered
        for key in _keys_of(event):
            found = _find(answered, key, _KEY_BYTES)
            if found >= 0:
                answered = answered[:found] + answered[found + _KEY_BYTES :]
            answered += key
        self.answered = answered[-MAX_ANSWERED * _KEY_BYTES :]


def _find(rows: bytes, wanted: bytes, size: int) -> int:
    """Return where the row of this size begins that begins with these bytes; -1: there is none."""
    found = rows.find(wanted)
    while found >= 0 and found % size:
        found = rows.find(wanted, found + 1)
    return found


def _with_end(rows: bytes, mark: int, at: int, how: int, late: bool) -> bytes:
    """Return the rows with an end of a transaction, which is not older than they unless late."""
    row = _pack(mark, at, how)
    if late or rows.find(row[:_MARK_BYTES]) >= 0:
        return _with_known_or_late(rows, mark, at, how)
    return rows + row


def _with_known_or_late(rows: bytes, mark: int, at: int, how: int) -> bytes:
    """Return the rows with an end of a transaction that has one already, or that is older."""
    found = _find(rows, _MARK.pack(mark), _ROW_BYTES)
    if found >= 0:
        _, known_at, known_how = _unpack_from(rows, found)
        rows = rows[:found] + rows[found + _ROW_BYTES :]
        newer, older = (how, known_how) if at >= known_at else (known_how, how)
        at, how = max(at, known_at), newer | (older & _HAS_COMPLETED)
    place = len(rows)
    while place and _time_at(rows, place - _ROW_BYTES) > at:
        place -= _ROW_BYTES
    return rows[:place] + _pack(mark, at, how) + rows[place:]


def _since(rows: bytes, oldest: int) -> bytes:
    """Return the rows from the first that is not before a time on."""
    place = 0
    while place < len(rows) and _time_at(rows, place) < oldest:
        place += _ROW_BYTES
    return rows[place:]


def _time_at(rows: bytes, place: int) -> int:
    at: int = _unpack_from(rows, place)[1]
    return at


def _keys_of(event: Transaction) -> Iterator[bytes]:
    for kind, key in ((b"i", event.idempotency_key), (b"r", event.external_reference)):
        if key is not None:
            yield blake2b(kind + key.encode(), digest_size=_KEY_BYTES).digest()
