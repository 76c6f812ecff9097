"""Why a cell is no number or no time as described, and which key of the mapping would accept it.

A reason follows the name of the column. It never quotes the cell.
"""

import re
import unicodedata

from worker.codec.bad_record import BadRecord
from worker.convert import times
from worker.convert.decimals import MAX_CHARACTERS
from worker.convert.formats import DecimalFormat, TimeFormat
from worker.convert.localtimes import LocalTimeError

_SIGNS = "+-\u2212"
_SEPARATORS = {".": "a point", ",": "a comma", "'": "an apostrophe", "\u2019": "an apostrophe"} | {
    "_": "an underscore",
    " ": "a space",
    "\u00a0": "a space",
    "\u202f": "a space",
}
_PLAIN = re.compile(r"[0-9.,'\u2019_ \u00a0\u202f]+")

_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")
_NO_OFFSET = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?")
_COUNTS = {
    "epoch_seconds": ("seconds", "1704067200"),
    "epoch_millis": ("milliseconds", "1704067200000"),
}
_SEE = {
    "must be printable": "spaces",
    "must not be negative": "sign",
    "must not have more": "extract and hash",
    "not one of": "map",
}
"""By the beginning of what is wrong with an event: what a mapping can do about it."""


def no_number(text: str, written: DecimalFormat) -> str:
    """Return why a text is no number as described."""
    if len(text) > MAX_CHARACTERS:
        return f"is longer than {MAX_CHARACTERS} characters, the most of a number"
    if not any(character.isdigit() for character in text):
        return "has no digit; see empty"
    bare = text.strip(_SIGNS + " ")
    return (
        _around(bare)
        or _within(text, bare, written)
        or f"is no number as described, such as {written.example()}; see extract"
    )


def _around(bare: str) -> str:
    """Return what is wrong before or after the digits, "" if nothing that has a name is."""
    if bare[0] == "(" and bare[-1] == ")":
        return "is in brackets; see extract"
    for verb, character in (("begins", bare[0]), ("ends", bare[-1])):
        if unicodedata.category(character) == "Sc":
            return f"{verb} with a currency sign; see strip"
        if character.isalpha():
            return f"{verb} with letters; see strip"
    return ""


def _within(text: str, bare: str, written: DecimalFormat) -> str:
    """Return what is wrong with the digits and separators, "" if something else is there too."""
    if any(character.isdigit() and not character.isascii() for character in text):
        return "has digits other than 0 to 9"
    if _PLAIN.fullmatch(bare) is None:
        return ""
    for character, name in _SEPARATORS.items():
        if character in bare and character not in (written.separator, written.thousands):
            return f"has {name}, which is not declared; see separator and thousands"
    if bare.count(written.separator) > 1:
        return "has its decimal separator twice; see separator and thousands"
    if written.thousands and written.thousands in bare:
        return "has thousands that are not in groups of three; see thousands"
    return "has a sign at both ends; see extract"


def no_time(text: str, written: TimeFormat | None, error: Exception) -> str:
    """Return why a text is no time as described; `error`: what its reader raised."""
    if isinstance(error, LocalTimeError):
        return str(error)
    key = "unit" if written and written.unit else "format"
    if isinstance(error, OverflowError):
        return f"is beyond the years 1 to 9999; see {key}"
    if written and written.unit:
        return f"is no count of {written.unit}, such as 36; see unit"
    layout = (written and written.format) or "rfc3339"
    if layout in _COUNTS:
        unit, example = _COUNTS[layout]
        return f"is no count of {unit}, such as {example}; see format"
    if layout != "rfc3339":
        return f"is no time as {layout} describes, such as {times.example(layout)}; see format"
    if _NO_OFFSET.fullmatch(text):
        return "has no offset from UTC; see format and zone"
    if _NUMBER.fullmatch(text):
        return "is a number; see epoch_seconds and epoch_millis"
    return "is no RFC 3339 time, such as 2024-01-01T00:00:00Z; see format"


def not_accepted(bad: BadRecord) -> str:
    """Return why the worker would refuse an event, in the words of its dead letter."""
    return "; ".join(f"{each.where}: {each.what}{_see(each.what)}" for each in bad.problems)


def _see(what: str) -> str:
    return next((f"; see {keys}" for start, keys in _SEE.items() if what.startswith(start)), "")
