"""Alerts before they are records: the draft of a rule, its verdict, and an open alert."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from rules.events import Ref
from rules.facts import Quote, Value
from schemas.base import RootCause, Severity

SHADOW: Final = "_shadow"
"""Ends the code of a rule that runs in shadow: it has a state of its own."""


class Amount(Struct, array_like=True, frozen=True, gc=False):
    """Money: `minor` minor units of a currency with `exponent` decimals."""

    currency: str
    minor: int
    exponent: int


class Verdict(Struct, kw_only=True):
    """What a rule makes of facts: all of an alert that follows from them."""

    at: int
    """Milliseconds: when what was found was true."""
    severity: Severity
    title: str
    """At most 130 characters, without personal data."""
    details: dict[str, Any] = {}
    amount_at_stake: Sequence[Amount] = ()
    suspected_root_cause: RootCause = "unknown"
    owner_advice: Sequence[str] = ()


class Draft(Struct, kw_only=True):
    """An alert as a rule raises it; `judge` adds the verdict, the engine ids and addresses."""

    anchor: str
    """Distinguishes this alert from others of the rule on this account: usually an event_id."""
    cause: str
    """`provider:<id>`, `payments`, `auth`, `ledger`; the coarsest thing that may explain it.
    ACCOUNT_CAUSE: the account itself."""
    facts: Sequence[Quote]
    """All that `judge` reads, each name once; every address is cited in `evidence`."""
    evidence: Sequence[tuple[Ref, str]]
    """(address, role), the newest last; beyond 50 the first and the newest are kept."""
    subject: str | None = None
    """The transaction_id where the incident is about one transaction; None: the account."""
    transaction_ids: Sequence[str] = ()
    provider: str | None = None
    dedup_rule: str | None = None
    """Joins the incidents of another rule."""


ACCOUNT_CAUSE: Final = "account:"
"""The cause of an alert that nothing but its own account explains; its token is added."""


class OpenAlert(Struct, array_like=True, gc=False):
    """An alert that is neither cured, retracted nor expired, as the engine remembers it."""

    rule: str
    anchor: str
    at: int
    severity: Severity
    sequence: int
    alert_id: str
    cause: str
    dedup_key: str
    title: str
    raised_at: int
    """Order time (milliseconds) of the raising; it expires `max_open` after that."""
    first_event_at: int
    last_event_at: int
    transaction_ids: list[str] = []
    provider: str | None = None
    amount_at_stake: list[Amount] = []
    rule_version: int = 1
    facts: list[Quote] = []

    def fact(self, name: str) -> Value:
        """Return a fact that the alert quotes; None if it quotes none of that name."""
        for each, value, _ in self.facts:
            if each == name:
                return value
        return None
