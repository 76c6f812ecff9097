"""A2: the balances that ledger rows report do not add up.

Finds, exactly, per account, currency and kind of balance:
- `row`: a row whose balance did not move by what its transaction moves (judged also when late);
- `chain`: with ledger_sequence, a row that starts at another balance than the row before left;
- `missing_entries`: numbers of the sequence that do not come;
- `sequence_conflict`: one number on two rows with different contents;
- `group`: without ledger_sequence, rows close in time that lead on from the balance before them in
  no order (`rules.ledger_trail`);
- `snapshot`: a reported balance that the rows did not tell at any time around its moment.

Why it matters: money appeared or vanished, or the owner is shown a wrong balance.

What makes it wrong, and what is done about it:
- reordered and missing rows look like breaks: only neighbours by number are compared, a gap is
  held and told as a gap; rows without numbers are judged together, once, whatever their order;
- a redelivered row would count twice: equal contents under one number are ignored;
- holds move the available balance, not the posted one: kinds are never compared with each other,
  and a failed or expired row may give back the hold or move nothing;
- the fee may be booked as a row of its own, another funding than the balance moves nothing;
- money may move without a word to what: after a completed row that tells no balance of a kind, the
  next row of that kind is believed; for `available`, after any hold or end of one;
- reports and rows come from different clocks: a report may be `snapshot_slack_ms` off; one of long
  ago, or beside a gap, is not judged but counted, and so is one where the balance is not known;
- one break must not blame every later row: a blamed row is not judged again, and the chain goes on
  from it (`rules.ledger_chain`, `rules.ledger_book`).

Rows of a group that come in order need neither timer nor search (`rules.ledger_book`). One timer
per account, `idle`, leaves a silent one with the least (`rules.balance_mismatch_idle`).

Rows of kind available are judged by themselves only for a pending debit (the hold). A mixed
funding without `funding_from_balance` is not judged by itself. A group of more than 1,000 rows is
judged by its first 1,000. A late row joins its group while that waits, closes an alerted group or
explains an alerted report; it begins nothing. A group in order waits until time has passed its
end, proven or not.

An alert is cured by a later completed adjustment or reversal that moves exactly the drift back (to
a report: that moves the balance to it), by a report that shows the drift to be gone, a gap by its
last row. A report that is as wrong as an open alert says already is counted.

Details of an alert: `check`, `currency`; for balances `balance_kind`, `drift_minor` and, where the
row has one, `ledger_sequence`; for groups `rows`; for gaps `first_missing`, `last_missing`,
`count`.
"""

from collections.abc import Sequence

from rules.balance_mismatch import alerts, idle, verdict
from rules.balance_mismatch.checks import groups, numbers, snapshots
from rules.balance_mismatch.examples import EXAMPLES
from rules.balance_mismatch.facts import CORRECTIONS, Case, Drift
from rules.balance_mismatch.ledger.book import Book, lose
from rules.balance_mismatch.ledger.chain import met
from rules.balance_mismatch.ledger.row import contents_of, drift_of, effect_of, moves_untold
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import (
    BalanceMismatchState,
    book_for,
    book_of,
    chain_of,
    kept_ms,
    open_cases,
    tell,
    tell_row,
)
from rules.contract import Effects, Mode, Otherwise, Rule, Verdict
from rules.events import Balance, Event, Transaction
from rules.profile import Profile


class BalanceMismatch(Rule[BalanceMismatchParams, BalanceMismatchState, Case]):
    """See the module."""

    id = "balance_mismatch"
    code = "A2"
    category = "balance"
    Params = BalanceMismatchParams
    State = BalanceMismatchState
    Facts = Case
    EXAMPLES = EXAMPLES

    def __init__(self, params: BalanceMismatchParams, mode: Mode = "live") -> None:
        super().__init__(params, mode)
        self._kept_ms = kept_ms(params)
        self._slack = params.chain_slack_ms
        self._chains = params.chain_check
        self._groups = params.group_check or params.snapshot_check

    # -- deciding -------------------------------------------------------------------------

    def judge(self, facts: Case) -> Verdict | None:
        """Work the drift out again, or how long entries are missing."""
        return verdict.verdict_of(facts, self.params)

    def answers(self, facts: Case, event: Event) -> bool:
        """Say whether a correction, a missing entry or a report closes the alert."""
        return facts.answers(event)

    def because(self, facts: Case) -> Sequence[str]:
        """Say which balances do not fit."""
        return facts.because(self.params)

    def otherwise(self, facts: Case) -> Sequence[Otherwise]:
        """Say which balances would have fitted."""
        return facts.otherwise(self.params)

    # -- noticing -------------------------------------------------------------------------

    def on_transaction(
        self, state: BalanceMismatchState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Judge a row by itself and against its neighbours."""
        if not state.watched:
            self._wake(state, fx)
        if event.ledger_sequence is not None:
            joined = self._chains and numbers.joins(state, event, self._kept_ms, fx)
        elif event.balance_before is None and event.balance_after is None:
            joined = _tells_nothing(state, event)
        else:
            joined = self._groups and groups.joins(state, event, self._slack, self._kept_ms, fx)
        if not joined:
            self._see(state, event, fx, late=False)

    def late_transaction(
        self, state: BalanceMismatchState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Judge a late row by itself; it fills gaps, but its junctions stay unjudged."""
        self._wake(state, fx)
        self._see(state, event, fx, late=True)
        if self._kept_ms and fx.open_alerts():
            snapshots.explain(state, event, self.params, fx)

    def on_balance(
        self, state: BalanceMismatchState, event: Balance, profile: Profile, fx: Effects
    ) -> None:
        """Compare a report with the rows, at once or when those around its moment are known."""
        if self._kept_ms:
            if not state.watched:
                self._wake(state, fx)
            snapshots.hear(state, event, self.params, fx)

    def late_balance(
        self, state: BalanceMismatchState, event: Balance, profile: Profile, fx: Effects
    ) -> None:
        """Let a late report cure."""
        if self._kept_ms:
            self._wake(state, fx)
            snapshots.hear_late(state, event, self.params, fx)

    def on_timer(
        self, state: BalanceMismatchState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """Judge a group or a report, or tell a gap that is still open."""
        match name.split(":", maxsplit=1)[0]:
            case "group":
                groups.on_timer(state, name, due, self.params, fx)
            case "report":
                self._wake(state, fx)
                snapshots.on_timer(state, name, due, self.params, fx)
            case idle.IDLE:
                idle.on_timer(state, due, self.params, fx)
            case "gap":
                numbers.on_timer(state, name, due, self.params, fx)

    def _wake(self, state: BalanceMismatchState, fx: Effects) -> None:
        if not state.watched:
            if state.chains:
                idle.wake(state, self._kept_ms)
            if state.books:
                idle.watch(state, self.params, fx)

    def _see(
        self, state: BalanceMismatchState, event: Transaction, fx: Effects, late: bool
    ) -> None:
        effect = effect_of(event)
        number = event.ledger_sequence if self.params.chain_check else None
        chain, contents = chain_of(state, event.currency), 0
        if number is not None:
            contents = contents_of(event, effect)
            if chain and met(chain, number, contents):
                fx.count("repeated_entry")
                return
        drift, due = self._row_drift(event, effect, fx)
        if drift:
            fx.alert(alerts.wrong_row(event, fx.ref, drift))
        elif event.type in CORRECTIONS and fx.open_alerts():
            _cure(event, fx)
        blamed = due if drift else None
        if number is not None:
            numbers.enter(state, event, contents, blamed, late, self.params, fx)
        if number is None and chain is None and self._groups and event.ledger_sequence is None:
            self._group(state, event, effect, blamed, late, fx)
        else:
            self._remember(state, event, effect, blamed, fx)
        if state.books and not state.watched:
            idle.watch(state, self.params, fx)

    def _row_drift(self, event: Transaction, effect: int | None, fx: Effects) -> tuple[int, int]:
        """Return by how much the row moved its balance wrongly (0: not), and what was due."""
        if not self.params.row_check:
            return 0, 0
        judged = drift_of(event, effect)
        if judged is None:
            fx.count("mixed_part_unknown")
            return 0, 0
        drift, due = judged
        return (drift if abs(drift) > self.params.tolerance(event.currency) else 0), due

    def _remember(
        self,
        state: BalanceMismatchState,
        event: Transaction,
        effect: int | None,
        blamed: int | None,
        fx: Effects,
    ) -> None:
        """Remember the balances of a row that no group judges."""
        if not self._kept_ms:
            return
        _lose_untold(state, event, effect)
        if event.balance_before is None or event.balance_after is None:
            return
        book = book_for(state, event, fx)
        tell_row(book, event, blamed, self._kept_ms)
        chain = chain_of(state, event.currency)
        if chain is not None and chain.end.kind == book.kind:
            tell(book, event.occurred_at, chain.end.balances[::-1], self._kept_ms)

    def _group(
        self,
        state: BalanceMismatchState,
        event: Transaction,
        effect: int | None,
        blamed: int | None,
        late: bool,
        fx: Effects,
    ) -> None:
        for kind in moves_untold(event, effect):
            book = book_of(state, event.currency, kind)
            if book is not None:
                groups.blind(book, event, self.params, fx)
        if event.balance_before is not None and event.balance_after is not None:
            see = groups.see_late if late else groups.see
            see(state, event, blamed, self.params, fx)


def _tells_nothing(state: BalanceMismatchState, event: Transaction) -> bool:
    """Say whether a row without balances and number changes nothing that is known."""
    if event.type in CORRECTIONS:
        return False
    if event.status == "completed" or not state.watched:
        return not state.books and not state.chains
    return all(book.kind != "available" for book in state.books)


def _lose_untold(state: BalanceMismatchState, event: Transaction, effect: int | None) -> None:
    for kind in moves_untold(event, effect):
        book: Book | None = book_of(state, event.currency, kind)
        if book is not None:
            lose(book)


def _cure(event: Transaction, fx: Effects) -> None:
    """Close the oldest alert whose drift this row moves back."""
    for alert, case in open_cases(fx):
        if isinstance(case, Drift) and case.corrected_by_row(event):
            fx.settle(alert, "correction")
            return
