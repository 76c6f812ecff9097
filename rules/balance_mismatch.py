"""A2: the balances that ledger rows report do not add up.

Finds, exactly, per account, currency and kind of balance:
- `row`: a row whose balance did not move by what its transaction moves (judged also when late);
- `chain`: with ledger_sequence, a row that starts at another balance than the row before left;
- `missing_entries`: numbers of the sequence that do not come;
- `sequence_conflict`: one number on two rows with different contents.

Why it matters: money appeared or vanished, or the owner is shown a wrong balance.

What makes it wrong, and what is done about it:
- reordered and missing rows look like breaks: only neighbours by number are compared, a gap is
  held and told as a gap;
- a redelivered row would count twice: equal contents under one number are ignored;
- holds move the available balance, not the posted one: kinds are never compared with each other,
  and a failed or expired row may give back the hold or move nothing;
- the fee may be booked as a row of its own, another funding than the balance moves nothing;
- one break must not blame every later row: a blamed row is not judged again, and the chain goes on
  from it (`rules.ledger_chain`).

Rows of kind available are judged by themselves only for a pending debit (the hold). A mixed
funding without `funding_from_balance` is not judged by itself. An alert is cured by a later
completed adjustment or reversal that moves exactly the drift back, a gap by its last row.

Details of an alert: `check`, `currency`; for balances `balance_kind`, `drift_minor` and, where the
row has one, `ledger_sequence`; for gaps `first_missing`, `last_missing`, `count`.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator

from rules import balance_mismatch_alerts as alerts
from rules import ledger_chain as ledger
from rules.balance_mismatch_examples import EXAMPLES
from rules.contract import Effects, OpenAlert, Params, Rule, State
from rules.events import TRANSACTION, Transaction
from rules.ledger_row import contents_of, edges_of, effect_of, moves_allowed
from rules.profile import Facts

SECOND: Final = 1_000
MAX_MINOR: Final = 10**18
CORRECTIONS: Final = frozenset({"adjustment", "reversal"})

Minor = Annotated[int, Field(ge=0, le=MAX_MINOR)]


class BalanceMismatchParams(Params):
    """Thresholds and switches of A2."""

    row_check: bool = Field(
        True, description="switch; judge each row by itself; off for books without row balances"
    )
    chain_check: bool = Field(
        True, description="switch; judge rows with ledger_sequence against their neighbours"
    )
    tolerance_minor: Minor = Field(
        0, description="minor units; drifts up to it are none; ledgers are exact, so 0"
    )
    tolerance_minor_by_currency: dict[str, Minor] = Field(
        {}, description="minor units; instead of tolerance_minor for the currencies named"
    )
    drift_error_minor_by_currency: dict[str, Minor] = Field(
        {},
        description="minor units; drift from which it is an error; one major unit for currencies "
        "not named; our own guess",
    )
    gap_info_ms: int = Field(
        60 * SECOND,
        ge=1,
        le=24 * 3600 * SECOND,
        description="milliseconds a gap is held before it is told; rows are seldom more than a "
        "minute apart on their way; our own guess",
    )
    gap_error_ms: int = Field(
        15 * 60 * SECOND,
        ge=2,
        le=7 * 24 * 3600 * SECOND,
        description="milliseconds after which a gap is an error; more than gap_info_ms; our own "
        "guess",
    )

    @field_validator("gap_error_ms")
    @classmethod
    def _after_the_info(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("gap_info_ms", 0):
            raise ValueError("must be more than gap_info_ms")
        return value


class BalanceMismatchState(State):
    """One chain per currency that has rows with ledger_sequence."""

    chains: list[ledger.Chain] = []


class BalanceMismatch(Rule[BalanceMismatchParams, BalanceMismatchState]):
    """See the module."""

    id = "balance_mismatch"
    code = "A2"
    category = "balance"
    Params = BalanceMismatchParams
    State = BalanceMismatchState
    EXAMPLES = EXAMPLES

    def on_transaction(
        self, state: BalanceMismatchState, event: Transaction, facts: Facts, fx: Effects
    ) -> None:
        """Judge a row by itself and against its neighbours."""
        if not (self.params.chain_check and _joins(state, event, fx)):
            self._see(state, event, fx, late=False)

    def late_transaction(
        self, state: BalanceMismatchState, event: Transaction, facts: Facts, fx: Effects
    ) -> None:
        """Judge a late row by itself; it fills gaps, but its junctions stay unjudged."""
        self._see(state, event, fx, late=True)

    def on_timer(
        self, state: BalanceMismatchState, name: str, due: int, facts: Facts, fx: Effects
    ) -> None:
        """Tell a gap that is still open, first as info, then as error."""
        _, currency, number = name.split(":")
        chain = _chain_of(state, currency)
        missing = ledger.pieces(chain, int(number)) if chain else []
        if not missing:
            return
        told = _open(fx, name)
        if told is not None:
            fx.update(told, severity="error", details=alerts.missing_details(currency, missing))
            return
        fx.alert(alerts.missing_entries(name, due, currency, missing))
        later = self.params.gap_error_ms - self.params.gap_info_ms
        fx.set_timer(name, due + later, (TRANSACTION,))

    def _see(
        self, state: BalanceMismatchState, event: Transaction, fx: Effects, late: bool
    ) -> None:
        effect = effect_of(event)
        number = event.ledger_sequence if self.params.chain_check else None
        chain, contents = None, 0
        if number is not None:
            chain, contents = _chain_of(state, event.currency), contents_of(event, effect)
            if chain and ledger.met(chain, number, contents):
                fx.count("repeated_entry")
                return
        drift, due = self._row_drift(event, effect, fx)
        if drift:
            fx.alert(alerts.wrong_row(event, fx.ref, drift, due, self._error_from(event)))
        elif event.type in CORRECTIONS and fx.open_alerts():
            _cure(event, effect, fx)
        if number is not None:
            start, end = edges_of(event, fx.ref, due if drift else None, late)
            row = ledger.Row(number, start, end, contents)
            if chain is None:
                state.chains.append(ledger.begin(event.currency, row))
            else:
                found = ledger.enter(chain, row, self._tolerance(event.currency))
                if found:
                    self._report(event, chain, found, bool(drift), fx)

    def _row_drift(self, event: Transaction, effect: int | None, fx: Effects) -> tuple[int, int]:
        """Return by how much the row moved its balance wrongly (0: not), and what was due."""
        before, after = event.balance_before, event.balance_after
        if before is None or after is None or not self.params.row_check:
            return 0, 0
        moved = after - before
        if moved == effect and event.status == "completed":  # nearly always
            return 0, 0
        moves = moves_allowed(event, effect)
        if moves is None:
            fx.count("mixed_part_unknown")
            return 0, 0
        if moved in moves or not moves:
            return 0, 0
        due = min(moves, key=lambda move: abs(moved - move))
        drift = moved - due
        return (drift if abs(drift) > self._tolerance(event.currency) else 0), due

    def _report(
        self,
        event: Transaction,
        chain: ledger.Chain,
        findings: Sequence[ledger.Finding],
        blamed: bool,
        fx: Effects,
    ) -> None:
        for found in findings:
            match found:
                case ledger.Break():
                    fx.alert(alerts.broken_chain(event, fx.ref, found, self._error_from(event)))
                case ledger.Opened(anchor=anchor):
                    due = fx.now + self.params.gap_info_ms
                    fx.set_timer(_gap_name(event.currency, anchor), due, (TRANSACTION,))
                case ledger.Closed(anchor=anchor):
                    _close(fx, _gap_name(event.currency, anchor))
                case ledger.Conflict():
                    if not blamed:
                        first = chain.end.ref if event.ledger_sequence == chain.head else None
                        fx.alert(alerts.one_number_twice(event, fx.ref, first))
                case ledger.Ignored(reason=reason):
                    fx.count(reason)

    def _error_from(self, event: Transaction) -> int:
        """The drift that makes an error, in minor units."""
        major_unit: int = 10**event.exponent
        return self.params.drift_error_minor_by_currency.get(event.currency, major_unit)

    def _tolerance(self, currency: str) -> int:
        by_currency = self.params.tolerance_minor_by_currency
        return by_currency.get(currency, self.params.tolerance_minor)


def _joins(state: BalanceMismatchState, event: Transaction, fx: Effects) -> bool:
    """Put in a row with which nothing at all is wrong; say whether it was one: nearly always."""
    before, after = event.balance_before, event.balance_after
    if before is None or after is None or event.status != "completed":
        return False
    chain = _chain_of(state, event.currency)
    if chain is None or event.ledger_sequence != chain.head + 1:
        return False
    if before not in chain.end.balances or event.balance_kind != chain.end.kind:
        return False
    effect = effect_of(event)
    if after - before != effect or (event.type in CORRECTIONS and fx.open_alerts()):
        return False
    end = ledger.Edge(event.balance_kind, (after,), fx.ref)
    ledger.go_on(chain, end, contents_of(event, effect))
    return True


def _cure(event: Transaction, effect: int | None, fx: Effects) -> None:
    """Close the oldest alert whose drift this row moves back."""
    if event.status != "completed" or effect is None:
        return
    for alert in fx.open_alerts():
        if (
            alert.at < event.occurred_at
            and list(alert.match[::2]) == [event.currency, -effect]
            and event.balance_kind in (None, alert.match[1])
        ):
            fx.settle(alert, "correction")
            return


def _close(fx: Effects, gap: str) -> None:
    fx.cancel_timer(gap)
    told = _open(fx, gap)
    if told is not None:
        fx.settle(told, "last_missing")


def _open(fx: Effects, anchor: str) -> OpenAlert | None:
    return next((alert for alert in fx.open_alerts() if alert.anchor == anchor), None)


def _chain_of(state: BalanceMismatchState, currency: str) -> ledger.Chain | None:
    for chain in state.chains:
        if chain.currency == currency:
            return chain
    return None


def _gap_name(currency: str, anchor: int) -> str:
    return f"gap:{currency}:{anchor}"
