"""The open alerts of one rule on one account, as the account keeps them. Pure.

An alert is far larger than all else that an account has, and few events concern it. So alerts are
kept encoded, and beside them in rows of fixed size what they are found by. A look-up searches bytes
and decodes what it finds: it costs about the same however many alerts are open.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, takewhile
from typing import Final
from zlib import crc32

from msgspec import Struct

from rules.alerts import OpenAlert
from schemas.base import Severity
from worker.engine.packing import Unpacker, packed

_ROW: Final = struct.Struct(">qIIIH")
"""Order time of the raising (milliseconds), CRC-32 of anchor and dedup_key, bytes of the encoded
alert, how many texts it quotes."""
_ANCHOR: Final = 8
_DEDUP_KEY: Final = 12
"""Where these CRC-32 are in a row."""
_CRC_BYTES: Final = 4
_MOST_QUOTED: Final = 0xFFFF


class Overflow(Struct, array_like=True, gc=False):
    """The overflow alert of a rule on an account: it counts what was found beyond the limit."""

    alert: OpenAlert
    """It quotes no facts, so that its rule does not see it among its alerts."""
    counted: dict[Severity, int]
    published: int = 0
    """How many its newest record counts."""
    published_at: int = 0
    """Order time of that record, milliseconds."""

    @property
    def total(self) -> int:
        """How many it counts."""
        return sum(self.counted.values())


class KeptAlerts(Struct, array_like=True, gc=False):
    """The open alerts of one rule, oldest first."""

    version: int = 0
    """The highest version of the rule that has raised one."""
    rows: bytes = b""
    """One per alert: see `_ROW`."""
    quoted: bytes = b""
    """4 bytes of every text that an alert quotes, in the order of the alerts."""
    encoded: bytes = b""
    """The alerts, one after the other."""
    overflow: Overflow | None = None

    def __len__(self) -> int:
        return len(self.rows) // _ROW.size

    def __bool__(self) -> bool:
        return bool(self.rows) or self.overflow is not None

    def __iter__(self) -> Iterator[OpenAlert]:
        begin = 0
        for _, _, _, size, _ in _ROW.iter_unpack(self.rows):
            yield _DECODE(self.encoded[begin : begin + size])
            begin += size

    @property
    def oldest(self) -> int:
        """Order time of the oldest raising, of the overflow alert too; there must be one."""
        raised = [self.overflow.alert.raised_at] if self.overflow is not None else []
        if self.rows:
            raised.append(_ROW.unpack_from(self.rows)[0])
        return min(raised)

    def raised_until(self, time: int) -> list[OpenAlert]:
        """Return the alerts that were raised at an order time (milliseconds) or before."""
        return list(takewhile(lambda alert: alert.raised_at <= time, self))

    def naming(self, texts: Sequence[str]) -> Iterator[OpenAlert]:
        """Yield the alerts that quote one of these texts, or have it as anchor, oldest first.

        Others may be among them, since texts are compared by 32 bits.
        """
        found = [place for text in texts for place in _places(self.quoted, _crc_of(text))]
        if found:
            ends = list(accumulate(row[4] for row in _ROW.iter_unpack(self.rows)))
            numbers = {next(n for n, end in enumerate(ends) if place < end) for place in found}
            for number in sorted(numbers):
                yield self._alert(number)

    def find(self, anchor: str) -> OpenAlert | None:
        """Return the alert with this anchor; None if it is not open."""
        found = self._number(anchor)
        return None if found is None else self._alert(found)

    def has_dedup_key(self, dedup_key: str) -> bool:
        """Return whether an alert has this dedup_key; that of the overflow alert is never one."""
        return any(
            self._alert(number).dedup_key == dedup_key
            for number in self._numbers(_DEDUP_KEY, dedup_key)
        )

    def add(self, alert: OpenAlert) -> None:
        """Add one that was raised now."""
        self._insert(len(self), alert)

    def replace(self, alert: OpenAlert) -> None:
        """Put a changed alert in the place of the one with its anchor."""
        number = self._number(alert.anchor)
        assert number is not None
        self._remove(number)
        self._insert(number, alert)

    def remove(self, alert: OpenAlert) -> None:
        """Remove the alert with the same anchor."""
        number = self._number(alert.anchor)
        assert number is not None
        self._remove(number)

    def _number(self, anchor: str) -> int | None:
        for number in self._numbers(_ANCHOR, anchor):
            if self._alert(number).anchor == anchor:
                return number
        return None

    def _numbers(self, column: int, text: str) -> Iterator[int]:
        """Yield the rows with the CRC-32 of a text in a column."""
        crc, at = _crc_of(text), -1
        while (at := self.rows.find(crc, at + 1)) >= 0:
            number, place = divmod(at, _ROW.size)
            if place == column:
                yield number

    def _alert(self, number: int) -> OpenAlert:
        begin, end, _, _ = self._span(number)
        return _DECODE(self.encoded[begin:end])

    def _span(self, number: int) -> tuple[int, int, int, int]:
        """Return begin and end of an alert in `encoded`, and in `quoted`."""
        sizes = [row[3:] for row in _ROW.iter_unpack(self.rows[: (number + 1) * _ROW.size])]
        encoded, quoted = sum(size for size, _ in sizes), sum(count for _, count in sizes)
        size, count = sizes[-1]
        return encoded - size, encoded, (quoted - count) * _CRC_BYTES, quoted * _CRC_BYTES

    def _insert(self, number: int, alert: OpenAlert) -> None:
        whole, texts = packed(alert), _texts_of(alert)
        row = _ROW.pack(
            alert.raised_at,
            crc32(alert.anchor.encode()),
            crc32(alert.dedup_key.encode()),
            len(whole),
            len(texts),
        )
        before, quoted = (0, 0) if not number else self._span(number - 1)[1::2]
        self.rows = _with(self.rows, number * _ROW.size, row)
        self.quoted = _with(self.quoted, quoted, b"".join(map(_crc_of, texts)))
        self.encoded = _with(self.encoded, before, whole)
        self.version = max(self.version, alert.rule_version)

    def _remove(self, number: int) -> None:
        begin, end, first, last = self._span(number)
        at = number * _ROW.size
        self.rows = self.rows[:at] + self.rows[at + _ROW.size :]
        self.quoted = self.quoted[:first] + self.quoted[last:]
        self.encoded = self.encoded[:begin] + self.encoded[end:]


_DECODE: Final = Unpacker(OpenAlert)


def _texts_of(alert: OpenAlert) -> list[str]:
    """Return the texts by which a rule may ask for an alert, each once."""
    facts = (value for _, value, _ in alert.facts if isinstance(value, str))
    return list(dict.fromkeys((alert.anchor, *alert.transaction_ids, *facts)))[:_MOST_QUOTED]


def _crc_of(text: str) -> bytes:
    return crc32(text.encode()).to_bytes(_CRC_BYTES)


def _places(crcs: bytes, crc: bytes) -> Iterator[int]:
    """Yield at which places among these CRC-32 one of them is."""
    at = -1
    while (at := crcs.find(crc, at + 1)) >= 0:
        if at % _CRC_BYTES == 0:
            yield at // _CRC_BYTES


def _with(whole: bytes, at: int, part: bytes) -> bytes:
    return whole[:at] + part + whole[at:]
