"""The truth of a simulation: what was planted in it, and what must or must not alert because of it.

`walletwatch simulate --truth` writes one line per plant, `walletwatch replay --truth` reads them.
What does not apply is left out of the JSON.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Id, Record, Severity, ShortText, Timestamp


class Plant(Record):
    """One anomaly, or one innocent look-alike, that was planted in the traffic."""

    expect: Literal["alert", "silent"] = Field(
        description="silent: it only looks like an anomaly, and nothing may alert."
    )
    rule: ShortText = Field(description="Name of the rule that must alert, or must not.")
    variant: ShortText = Field(description="Which kind of anomaly or look-alike it is.")
    account_id: Id = Field(description="Account in which it was planted.")
    event_ids: Annotated[tuple[Id, ...], Field(min_length=1)] = Field(
        description="Events that show it; the last one is the anchor."
    )
    transaction_ids: tuple[Id, ...] = Field(default=(), description="Transactions of these events.")
    severity: Severity | None = Field(
        default=None, description="The highest it reaches; without it any will do."
    )
    at: Timestamp = Field(description="When the anchor occurred.")
    earliest_at: Timestamp | None = Field(
        default=None,
        description="The first moment at which an alert can be known; without it: at.",
    )
    severity_at: Timestamp | None = Field(
        default=None,
        description="The first moment at which severity can be known; without it any will do.",
    )
    cured_at: Timestamp | None = Field(
        default=None, description="When it was cured; without it the alert need not be."
    )

    @property
    def anchor(self) -> str:
        """The event by which it is explained."""
        return self.event_ids[-1]

    @property
    def knowable_at(self) -> int:
        """The first moment at which an alert can be known, in milliseconds."""
        return self.at if self.earliest_at is None else self.earliest_at

    def line(self) -> bytes:
        """Return it as a line of a file, without the line feed."""
        return self.model_dump_json(exclude_none=True).encode()
