"""A2: the balances that ledger rows report do not add up.

Finds, exactly, per account, currency and kind of balance:
- `row`: a row whose balance did not move by what its transaction moves (judged also when late);
- `chain`: with ledger_sequence, a row that starts at another balance than the row before left;
- `missing_entries`: numbers of the sequence that do not come;
- `sequence_conflict`: one number on two rows with different contents;
- `group`: without ledger_sequence, rows close in time that join the balance before them in no order
  (`ledger.trail`), with every jump between them (`ledger.layout`);
- `snapshot`: a reported balance that the rows did not have at any time around its moment.

Why it matters: money appeared or vanished, or the owner is shown a wrong balance.

What makes it wrong, and what is done about it:
- reordered and missing rows look like breaks: only neighbours by number are compared, and a gap is
  held and then reported as a gap; rows without numbers are judged together, once, in any order;
- a redelivered row would count twice: equal contents under one number are ignored;
- holds move the available balance, not the posted one: kinds are never compared with each other,
  and a failed or expired row may give back the hold or move nothing;
- the fee may be booked as a row of its own, another funding than the balance moves nothing;
- a dispute may move the money back when it opens, or leave it where it is: a disputed row moves
  nothing or exactly the opposite of the whole, as one that failed or was cancelled, expired or
  reversed;
- a row may not report the balance that it moves: after a completed, reversed or disputed row
  without a balance of a kind, the next row of that kind is accepted as it is; for `available`,
  after any hold or end of one;
- a row may report the balance after alone: of a completed row the one before follows from what it
  moves, and the row is judged with its neighbours; any other, and a mixed funding without
  `funding_from_balance`, only sets the balance;
- balances may be rounded: a tolerance holds between two neighbours, so it never hides a jump, nor
  what rounding lies around one;
- reports and rows come from different clocks: a report may be `snapshot_slack_ms` off; one that is
  old, beside a gap, or of an unknown balance is counted and not judged;
- one break must not give an alert for every later row: the chain continues from a row with an
  alert, also from one that moves nothing (`ledger.chain`, `ledger.book`). A row that is wrong in
  itself may be right in its balance before, or after, or neither: it is compared with its
  neighbours in each of these readings, and the smallest jump is reported. So a row raises at
  most one alert by itself and one of the chain.

Rows of a group that come in order need neither timer nor search (`ledger.book`). One timer per
account, `idle`, compacts the state of an account without new rows (`idle`).

Rows of kind available are judged by themselves only for a pending debit (the hold). A mixed
funding without `funding_from_balance` is not judged by itself. A group of more than 1,000 rows is
judged by its first 1,000. A late row joins its group while that is pending, closes the alert about
a group or explains an alert about a report; it starts nothing. A group in order stays open until
time has passed its end, proven or not.

The jumps of a group lie between trails of rows that join: first the one that goes on from the known
balance, then the others in the order of their first rows by time and event_id. The first rows of
an account have nothing before them, so jumps between them are not reported.

An alert is cured by a later completed adjustment or reversal that moves exactly the drift back (for
a report: that moves the balance to it), by a report that shows the drift to be gone, a gap by its
last row. Jumps that cancel each other out have no drift that could be moved back. A report with the
same drift as an open alert is counted.

Details of an alert: `check`, `currency`; for balances `balance_kind`, `drift_minor` and, where the
row has one, `ledger_sequence`; for groups `rows`, `jumps` (minor units with their sign, in order,
at most 50), `largest_jump_minor`, which decides the severity, and their sum as `drift_minor`; for
gaps `first_missing`, `last_missing`, `count`.
"""

from collections.abc import Sequence

from rules.alerts import Verdict
from rules.balance_mismatch import closing, idle, reasons, verdict
from rules.balance_mismatch.checks import books, groups, numbers, rows, snapshots
from rules.balance_mismatch.examples import EXAMPLES
from rules.balance_mismatch.facts import BalanceMismatchFacts
from rules.balance_mismatch.ledger.chain import is_duplicate
from rules.balance_mismatch.ledger.row import (
    CORRECTIONS,
    MOVING,
    Before,
    contents_of,
    effect_of,
    known_before,
    unreported_kinds,
    with_start,
)
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import BalanceMismatchState, chain_of
from rules.contract import Mode, Otherwise, Rule
from rules.effects import Effects
from rules.events import Balance, Event, Transaction
from rules.profile import Profile


class BalanceMismatch(Rule[BalanceMismatchParams, BalanceMismatchState, BalanceMismatchFacts]):
    """See the module."""

    id = "balance_mismatch"
    code = "A2"
    category = "balance"
    Params = BalanceMismatchParams
    State = BalanceMismatchState
    Facts = BalanceMismatchFacts
    EXAMPLES = EXAMPLES

    def __init__(self, params: BalanceMismatchParams, mode: Mode = "live") -> None:
        super().__init__(params, mode)
        self._retention_ms = params.retention_ms
        self._slack_ms = params.chain_slack_ms
        self._judges_chains = params.chain_check
        self._keeps_groups = params.group_check or params.snapshot_check

    # -- deciding -------------------------------------------------------------------------

    def judge(self, facts: BalanceMismatchFacts) -> Verdict | None:
        """Compute the drift again, or how long entries are missing."""
        return verdict.verdict_of(facts, self.params)

    def answers(self, facts: BalanceMismatchFacts, event: Event) -> bool:
        """Return whether a correction, a missing entry or a report closes the alert."""
        return closing.is_closed_by(facts, event, self.params)

    def because(self, facts: BalanceMismatchFacts) -> Sequence[str]:
        """Return which balances do not fit."""
        return reasons.because(facts, self.params)

    def otherwise(self, facts: BalanceMismatchFacts) -> Sequence[Otherwise]:
        """Return which balances would have fitted."""
        return reasons.otherwise(facts, self.params)

    # -- noticing -------------------------------------------------------------------------

    def on_transaction(
        self, state: BalanceMismatchState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Judge a row by itself and against its neighbours."""
        if not state.has_idle_timer:
            idle.restore(state, self.params, fx)
        if event.ledger_sequence is not None:
            is_done = self._judges_chains and numbers.append_if_right(
                state, event, self._retention_ms, fx
            )
        elif event.balance_before is None and event.balance_after is None:
            is_done = _changes_nothing(state, event, known_before(event, profile, late=False))
        else:
            is_done = self._keeps_groups and groups.append_if_right(
                state, event, self._slack_ms, self._retention_ms, fx
            )
        if not is_done:
            self._check_row(state, event, profile, fx, late=False)

    def late_transaction(
        self, state: BalanceMismatchState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Judge a late row by itself; it fills gaps, but is not compared with its neighbours."""
        idle.restore(state, self.params, fx)
        self._check_row(state, event, profile, fx, late=True)
        if self._retention_ms and fx.open_alerts(snapshots.SNAPSHOT):
            snapshots.retract_explained(state, event, self.params, fx)

    def on_balance(
        self, state: BalanceMismatchState, event: Balance, profile: Profile, fx: Effects
    ) -> None:
        """Compare a report with the rows, at once or when those around its moment are known."""
        if self._retention_ms:
            if not state.has_idle_timer:
                idle.restore(state, self.params, fx)
            snapshots.on_balance(state, event, self.params, fx)

    def late_balance(
        self, state: BalanceMismatchState, event: Balance, profile: Profile, fx: Effects
    ) -> None:
        """Cure by a late report."""
        if self._retention_ms:
            idle.restore(state, self.params, fx)
            snapshots.late_balance(state, event, self.params, fx)

    def on_timer(
        self, state: BalanceMismatchState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """Judge a group, a report or a gap, or compact an idle account."""
        match name.split(":", maxsplit=1)[0]:
            case "group":
                groups.on_timer(state, name, due, self.params, fx)
            case "report":
                idle.restore(state, self.params, fx)
                snapshots.on_timer(state, name, due, self.params, fx)
            case idle.IDLE:
                idle.on_timer(state, due, self.params, fx)
            case "gap":
                numbers.on_timer(state, name, due, self.params, fx)

    def _check_row(
        self,
        state: BalanceMismatchState,
        event: Transaction,
        profile: Profile,
        fx: Effects,
        late: bool,
    ) -> None:
        """Run every check that applies to a row."""
        effect = effect_of(event)
        number = event.ledger_sequence if self.params.chain_check else None
        chain, contents = chain_of(state, event.currency), 0
        if number is not None:
            contents = contents_of(event, effect)
            if chain and is_duplicate(chain, number, contents):
                fx.count("repeated_entry")
                return
        before = known_before(event, profile, late)
        expected = rows.check_row(event, effect, before, self.params, fx)
        unreported = unreported_kinds(event, effect, before)
        event = with_start(event)
        if number is not None:
            numbers.check_row(state, event, contents, expected, late, self.params, fx)
        if chain is None and self._keeps_groups and event.ledger_sequence is None:
            groups.check_row(state, event, unreported, expected, late, self.params, fx)
        elif self._retention_ms:
            books.record(state, event, unreported, expected, self._retention_ms, fx)
        if state.books and not state.has_idle_timer:
            idle.set_timer(state, self.params, fx)


def _changes_nothing(
    state: BalanceMismatchState, event: Transaction, before: Before | None
) -> bool:
    """Return whether a row without balances and number leaves the state as it is."""
    if event.type in CORRECTIONS:
        return False
    if event.status in MOVING or before == "completed" or not state.has_idle_timer:
        return not state.books and not state.chains
    return all(book.kind != "available" for book in state.books)
