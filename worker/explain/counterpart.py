"""An alert among those of a history that was run with another key, perhaps. Pure.

On a key depend the id of an alert and the tokens in its cause and dedup_key; on nothing else does
what is found. So an alert is compared in full where the keys are the same, else but for these.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from worker.detect.seal import seal_of

Step = dict[str, Any]
"""An alert record as published, decoded."""

_TOKEN: Final = re.compile(r"(.*:)([\w-]{1,16})\.[0-9a-f]{16}", re.ASCII | re.DOTALL)
"""What comes before a token, and the id of its key."""
_NAMES: Final = ("cause", "dedup_key")


def counterpart(raised: Step, again: Sequence[Step]) -> str | None:
    """Return the id that a history gives to an alert; None if it does not give the alert.

    Args:
        raised: the first record of the alert.
        again: the records that the history gives, of this rule and account.
    """
    others = [step for step in again if step["kind"] == "raised"]
    if any(step["alert_id"] == raised["alert_id"] for step in others):
        return str(raised["alert_id"])
    same = (step for step in others if is_same(raised, step))
    alike = (step for step in others if _found(step) == _found(raised))
    found = next(same, None) or next(alike, None)
    return None if found is None else str(found["alert_id"])


def is_same(step: Step, other: Step) -> bool:
    """Return whether two records say the same, but for what another key makes otherwise."""
    left_out = {"alert_id": "", "mode": ""}
    names = {name: step[name] for name in _NAMES if _named_alike(step[name], other[name])}
    return seal_of(step | left_out) == seal_of(other | names | left_out)


def has_same_key(step: Step, other: Step) -> bool:
    """Return whether the id and the names of two records that are the same show the same key."""
    return all(step[name] == other[name] for name in ("alert_id", *_NAMES))


def _named_alike(text: str, other: str) -> bool:
    """Return whether two names differ by tokens of different keys alone."""
    mine, its = _TOKEN.fullmatch(text), _TOKEN.fullmatch(other)
    return mine is not None and its is not None and mine[1] == its[1] and mine[2] != its[2]


def _found(step: Step) -> tuple[Any, ...]:
    cited = step.get("evidence", ())
    return step["detected_at"], [(each["topic"], each["offset"], each["role"]) for each in cited]
