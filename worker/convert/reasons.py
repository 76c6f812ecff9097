"""Why a cell is no number or no time as described, and which key of the mapping would accept it.

A reason follows the name of the column. It never quotes the cell.
"""

import re
import unicodedata

from pydantic import ValidationError

from worker.convert.decimals import MAX_CHARACTERS
from worker.convert.formats import DecimalFormat

_SIGNS = "+-\u2212"
_SEPARATORS = {".": "a point", ",": "a comma", "'": "an apostrophe", "\u2019": "an apostrophe"} | {
    "_": "an underscore",
    " ": "a space",
    "\u00a0": "a space",
    "\u202f": "a space",
}
_PLAIN = re.compile(r"[0-9.,'\u2019_ \u00a0\u202f]+")

_SEE = {
    "id": "; see spaces",
    "literal_error": "; see map",
    "string_pattern_mismatch": "; see case, map and extract",
    "string_too_long": "; see extract and hash",
    "too_long": "; give fewer of them",
}
"""What a mapping can do about an error of the schema."""


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


def not_valid(kind: str, error: ValidationError) -> str:
    """Return why the schema refuses an event, field by field."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    return f"not a valid {kind}: " + ", ".join(
        ": ".join((*map(str, one["loc"]), _as_sentence(one["msg"]) + _SEE.get(one["type"], "")))
        for one in details
    )


def _as_sentence(message: str) -> str:
    """Write "Input should be 'a' or 'b'" as "must be 'a' or 'b'"."""
    if message.endswith("as a unicode string"):  # a lone surrogate
        return "must be valid Unicode"
    return re.sub("^(?:Input|String|Dictionary) should ", "must ", message)
