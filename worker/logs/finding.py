"""A finding about a log: what was checked, the verdict, and advice."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"
    """Not checked, because something else is missing."""


class Finding(NamedTuple):
    """One check, and its result; `doctor --json` writes the fields by their names."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""
    """What to do about it; empty if nothing is to be done."""
