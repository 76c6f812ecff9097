"""Numbers as foreign files write them, read exactly: an integer and its count of decimals."""

import re
from dataclasses import dataclass, field

from schemas.money import MAX_DIGITS, from_minor

MAX_CHARACTERS = 64

_TOO_LONG = 10**MAX_DIGITS
_MINUS = "\u2212-"
_SPACE = "[ \u00a0\u202f]*"


@dataclass(frozen=True, slots=True)
class Notation:
    """A way to write numbers: the decimal separator and, if any, the thousands separator.

    `strip`: marks that may be before or after the number, such as currency signs.
    """

    separator: str = "."
    thousands: str = ""
    strip: tuple[str, ...] = ()
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pattern", _pattern(self))

    def read(self, text: str) -> tuple[int, int]:
        """Return (digits, decimals): "1,50" is (150, 2), "1.0E7" is (10000000, 0).

        Raises:
            ValueError: the text is no number in this notation.
        """
        match = self._pattern.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
        if match is None:
            raise ValueError("not a number in this notation")
        sign, whole, fraction, exponent, trailing_sign = match.groups("")
        if self.thousands:
            whole = whole.replace(self.thousands, "")
        if not whole + fraction or (sign and trailing_sign):
            raise ValueError("not a number in this notation")
        digits, decimals = int(whole + fraction), len(fraction) - int(exponent or "0")
        if decimals < 0:
            digits, decimals = digits * 10**-decimals, 0
        is_negative = (sign or trailing_sign or "+") in _MINUS
        return -digits if is_negative else digits, decimals

    def example(self) -> str:
        """Return a number in this notation, for messages."""
        return f"-1{self.thousands}234{self.separator}50"


def _pattern(notation: Notation) -> re.Pattern[str]:
    # Groups are checked, because reading "1.5" as 15 would be an error of money. India groups by 2.
    group = re.escape(notation.thousands)
    grouped = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|" if group else ""
    before, after = _marks(notation.strip)
    # Two digits of exponent are plenty, and keep 1E1000000 from being written out.
    return re.compile(
        rf"{before}([+{_MINUS}]?){before}"
        rf"({grouped}\d*)(?:{re.escape(notation.separator)}(\d*))?(?:[eE]([+-]?0*\d{{1,2}}))?"
        rf"{after}([{_MINUS}]?){after}",
        re.ASCII,
    )


def _marks(strip: tuple[str, ...]) -> tuple[str, str]:
    """Return the patterns of a mark before and after the number, either of which may be absent."""
    if not strip:
        return "", ""
    # "Rs.500" without "Rs" would be half a rupee.
    before = "|".join(
        re.escape(mark) + ("(?![.,])" if mark[-1].isalpha() else "") for mark in strip
    )
    after = "|".join(map(re.escape, strip))
    return rf"(?:(?:{before}){_SPACE})?", rf"(?:{_SPACE}(?:{after}))?"


def plain(digits: int, decimals: int, exponent: int) -> str:
    """Return the number in plain notation, without the zeros that stand beyond the exponent.

    If it would have more digits than an amount may have, other zeros at its end go as well.
    """
    while decimals > 0 and digits % 10 == 0:
        too_long = abs(digits) >= _TOO_LONG or decimals >= MAX_DIGITS
        if decimals <= exponent and not too_long:
            break
        digits, decimals = digits // 10, decimals - 1
    return from_minor(digits, decimals)


PLAIN = Notation()
"""Point, no thousands separator: walletwatch's own notation, and an exponent if there is one."""
