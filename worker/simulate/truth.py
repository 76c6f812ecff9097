"""The truth: what was planted, and what must or must not alert because of it."""

from dataclasses import dataclass
from typing import Literal

from schemas.base import Severity
from schemas.time import format_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One story told in the traffic. Times are milliseconds since the epoch."""

    expect: Literal["alert", "silent"]
    rule: str
    variant: str
    account_id: str
    event_ids: tuple[str, ...]
    """The events that show it; the last one is the anchor."""
    transaction_ids: tuple[str, ...] = ()
    severity: Severity | None = None
    """The highest severity it reaches; None when it must stay silent."""
    at: int
    """When the anchor occurred."""
    earliest_at: int | None = None
    """The first moment at which an alert can be known; None when it must stay silent."""
    severity_at: int | None = None
    """The first moment at which `severity` can be known; None when it must stay silent."""
    cured_at: int | None = None

    def record(self) -> dict[str, object]:
        """Return it as a JSON object: times as RFC 3339 text, what does not apply left out."""
        fields: dict[str, object] = {
            "expect": self.expect,
            "rule": self.rule,
            "variant": self.variant,
            "account_id": self.account_id,
            "event_ids": self.event_ids,
            "transaction_ids": self.transaction_ids,
        }
        if self.severity is not None:
            fields["severity"] = self.severity
        for name in ("at", "earliest_at", "severity_at", "cured_at"):
            moment: int | None = getattr(self, name)
            if moment is not None:
                fields[name] = format_time(moment)
        return fields


Truth = list[Planted]
"""Filled while the traffic is generated, in the order of planting."""
