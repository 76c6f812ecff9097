"""What the findings of A2 have in common: typed facts, and what follows from them."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Final, Self

import msgspec

from rules.balance_mismatch.ledger.row import effect_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.contract import Amount, Otherwise, Verdict
from rules.events import Balance, Event, Transaction
from rules.facts import Facts, Values, quoted
from schemas.base import Severity
from schemas.money import from_minor

CORRECTIONS: Final = frozenset({"adjustment", "reversal"})


class Case(Facts, kw_only=True):
    """The facts of one alert."""

    switch: ClassVar[str]
    """The parameter that turns the check off."""
    name: ClassVar[str]
    """The value of the fact `check`."""
    check: Annotated[
        str, quoted(compared_with=("row_check", "chain_check", "group_check", "snapshot_check"))
    ]
    currency: Annotated[str, quoted("currency")]

    @classmethod
    def of(cls, values: Values) -> Self:
        """Return the facts as those of their check; raises StopIteration if it is unknown."""
        return msgspec.convert(values, next(c for c in cls._checks() if c.name == values["check"]))

    @classmethod
    def _checks(cls) -> Iterator[type[Self]]:
        derived = cls.__subclasses__()
        if not derived:
            yield cls
        for each in derived:
            yield from each._checks()

    @property
    def at(self) -> int:
        """When what was found was true, in milliseconds."""
        raise NotImplementedError

    def verdict(self, params: BalanceMismatchParams) -> Verdict | None:
        """Decide; None: nothing is wrong."""
        raise NotImplementedError

    def answers(self, event: Event) -> bool:
        """Say whether the event closes the alert."""
        raise NotImplementedError

    def because(self, params: BalanceMismatchParams) -> Sequence[str]:
        """Say why."""
        raise NotImplementedError

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        """Say what would have made it milder or none."""
        raise NotImplementedError

    def found(self, severity: Severity, title: str, **details: Any) -> Verdict:
        """Return the verdict on a finding of this check."""
        return Verdict(
            at=self.at,
            severity=severity,
            title=title,
            suspected_root_cause="technical",
            owner_advice=("contact_support",),
            details={"check": self.check, "currency": self.currency} | details,
        )


class Drift(Case, kw_only=True):
    """A balance that differs by `drift_minor` from what it should be."""

    exponent: Annotated[int, quoted("exponent")]
    balance_kind: Annotated[str, quoted("balance_kind")]
    drift_minor: Annotated[
        int,
        quoted(
            compared_with=(
                "tolerance_minor",
                "tolerance_minor_by_currency",
                "drift_error_minor_by_currency",
            )
        ),
    ]
    only_warns: ClassVar[bool] = False
    corrected_by: ClassVar[int] = -1
    """Times the drift: what a correction has to move."""

    @property
    def drift(self) -> int:
        """The difference as it follows from the other facts."""
        return self.drift_minor

    def title(self) -> str:
        """Return what is published as the alert's title."""
        raise NotImplementedError

    def details(self) -> dict[str, Any]:
        """Return details beside those of every drift."""
        return {}

    def verdict(self, params: BalanceMismatchParams) -> Verdict | None:
        drift = self.drift
        if drift != self.drift_minor or abs(drift) <= params.tolerance(self.currency):
            return None
        is_error = abs(drift) >= params.error_from(self.currency, self.exponent)
        verdict = self.found(
            "error" if is_error and not self.only_warns else "warning",
            self.title(),
            balance_kind=self.balance_kind,
            drift_minor=drift,
            **self.details(),
        )
        verdict.amount_at_stake = (Amount(self.currency, abs(drift), self.exponent),)
        return verdict

    def answers(self, event: Event) -> bool:
        if isinstance(event, Balance):
            return self.same_book(event) and event.as_of > self.at
        return isinstance(event, Transaction) and self.corrected_by_row(event)

    def corrected_by_row(self, event: Transaction) -> bool:
        """Say whether a later correction moves exactly what is needed."""
        return (
            event.type in CORRECTIONS
            and event.status == "completed"
            and event.occurred_at > self.at
            and effect_of(event) == self.corrected_by * self.drift_minor
            and event.currency == self.currency
            and event.balance_kind in (None, self.balance_kind)
        )

    def same_book(self, event: Transaction | Balance) -> bool:
        """Say whether the event tells the same balance."""
        return (event.currency, event.balance_kind) == (self.currency, self.balance_kind)

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        off = abs(self.drift_minor)
        allowed = {**params.tolerance_minor_by_currency, self.currency: off}
        found = [
            Otherwise(
                sentence=f"no alert if {self.money(off)} of difference were tolerated "
                "(tolerance_minor_by_currency)",
                params={"tolerance_minor_by_currency": allowed},
            )
        ]
        if off >= params.error_from(self.currency, self.exponent) and not self.only_warns:
            limits = {**params.drift_error_minor_by_currency, self.currency: off + 1}
            found.append(
                Otherwise(
                    sentence=f"only a warning if errors began above {self.money(off)} "
                    "(drift_error_minor_by_currency)",
                    params={"drift_error_minor_by_currency": limits},
                )
            )
        return found

    def corrected(self, sentence: str, name: str) -> Otherwise:
        """Return that a fact would have had to be less by the drift; {} is the amount then."""
        right = getattr(self, name) - self.drift_minor
        return Otherwise(
            sentence=sentence.format(self.money(right)), facts={name: right, "drift_minor": 0}
        )

    def money(self, minor: int) -> str:
        """Return an amount for people."""
        return f"{from_minor(minor, self.exponent)} {self.currency}"
