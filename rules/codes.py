"""Codes of rules: the short names by which saved state and documents know them. Pure.

One capital letter and a number is a rule of walletwatch (`A1`); two to eight letters and a number
are a rule from outside (`OWN1`). So no release brings a rule under a code that is in use, and saved
state says by its code alone where its rule comes from.
"""

import re
from typing import Final

from rules.alerts import SHADOW

SHIPPED: Final = re.compile(r"[A-Z][1-9][0-9]{0,2}")
OUTSIDE: Final = re.compile(r"[A-Z]{2,8}[1-9][0-9]{0,2}")


def is_from_outside(state_code: str) -> bool:
    """Return whether a code, with or without the end of a shadow, is one for rules from outside."""
    return OUTSIDE.fullmatch(state_code.removesuffix(SHADOW)) is not None
