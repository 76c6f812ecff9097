"""The sentence about inputs whose events mostly come late. Pure."""

from typing import Final

from rules.counts import counted
from schemas.topics import INPUTS, LATE

_SETTINGS: Final = {each.topic: f"inputs.{each.setting}.lateness_ms" for each in INPUTS}


def mostly(late: int, events: int) -> bool:
    """Return whether more than half of the events came late."""
    return 2 * late > events


def describe(topic: str, late: int, events: int, when: str) -> str:
    """Return how many events of an input came late, what that means, and what to do.

    Args:
        when: in which time, with a space before it; or nothing.
    """
    setting = _SETTINGS[topic]
    return (
        f"{late:,} of {counted(events, 'event')} of {topic} came late{when}: more than {setting} "
        "behind what had been read, or behind the clock where nothing came. Little is found in "
        f"them; {LATE} has them, with how late they were. Have files of the past judged in a log "
        "of their own (walletwatch ingest --end), or by walletwatch replay; else raise "
        f"{setting}."
    )
