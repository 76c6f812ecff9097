"""What a look at a log finds: one thing each, how bad it is, and what to do about it."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"
    """Not looked at, because something else is missing."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    check: str
    verdict: Verdict
    told: str
    advice: str = ""
    """What to do about it; empty where nothing is to be done."""
