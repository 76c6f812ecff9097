"""The parts of the ledger by themselves: unreported moves of a row, how much is kept."""

from typing import Any

import pytest

from rules.balance_mismatch import state as balance_mismatch_state
from rules.balance_mismatch.ledger import (
    chain as ledger_chain,
)
from rules.balance_mismatch.ledger import (
    group as ledger_group,
)
from rules.balance_mismatch.ledger import (
    history as ledger_history,
)
from rules.balance_mismatch.ledger import (
    layout as ledger_layout,
)
from rules.balance_mismatch.ledger import (
    reports as ledger_reports,
)
from rules.balance_mismatch.ledger import (
    trail as ledger_trail,
)
from rules.balance_mismatch.ledger.chain import (
    Boundary,
    Chain,
    ChainBreak,
    NotJudged,
    NumberedRow,
    add_numbered_row,
    is_duplicate,
    start_chain,
)
from rules.balance_mismatch.ledger.group import PendingGroup, belongs_to
from rules.balance_mismatch.ledger.history import add_balance, expire
from rules.balance_mismatch.ledger.row import contents_of, unreported_kinds
from rules.events import TRANSACTION, Ref, Transaction

BOTH = ("posted", "available")


def event(kind: str = "payment", status: str = "completed", **fields: Any) -> Transaction:
    """Return a transaction of 100."""
    return Transaction("e1", "t1", "acc-1", kind, status, 100, "EUR", 1, **fields)


def reporting(kind: str) -> dict[str, Any]:
    """Return the fields of a row that reports both balances."""
    return {"balance_before": 100, "balance_after": 0, "balance_kind": kind}


@pytest.mark.parametrize(
    ("row", "effect", "moved"),
    [
        (event(), -100, BOTH),
        (event(), None, BOTH),
        (event(), 0, ()),
        (event("topup"), 100, BOTH),
        (event(status="pending"), -100, ("available",)),
        (event(status="failed"), -100, ("available",)),
        (event(status="disputed"), -100, BOTH),
        (event(status="reversed"), -100, BOTH),
        (event("topup", "disputed"), 100, BOTH),
        (event("topup", "reversed"), 100, BOTH),
        (event(status="disputed"), 0, ()),
        (event(status="disputed", **reporting("posted")), -100, ("available",)),
        (event(status="reversed", **reporting("available")), -100, ("posted",)),
        (event("topup", "cancelled"), 100, ()),
        (event("topup", "pending"), 100, ()),
        (event("topup", "failed"), 100, ()),
        (event(**reporting("posted")), -100, ("available",)),
        (event(**reporting("available")), -100, ("posted",)),
        (event(balance_after=0, balance_kind="posted"), -100, ("available",)),
        (event(balance_before=0, balance_kind="posted"), -100, BOTH),
    ],
)
def test_which_balances_a_row_moves_without_reporting_them(
    row: Transaction, effect: int | None, moved: tuple[str, ...]
) -> None:
    """A completed one both balances, a hold or its end the available one."""
    assert unreported_kinds(row, effect, None) == moved


def test_rows_with_different_contents_are_distinguished() -> None:
    """By each balance, the kind and the effect."""
    different = [
        event(),
        event(balance_before=1, balance_kind="posted"),
        event(balance_after=1, balance_kind="posted"),
        event(balance_before=1, balance_after=1, balance_kind="posted"),
        event(balance_before=1, balance_after=1, balance_kind="available"),
    ]
    contents = {contents_of(row, effect) for row in different for effect in (-100, 100)}
    assert len(contents) == 10
    assert all(0 <= each < 1 << 32 for each in contents)


def test_ledger_state_is_as_small_as_was_promised() -> None:
    """How much of each thing is remembered."""
    assert (ledger_chain.MAX_GAPS, ledger_chain.MAX_RECENT) == (32, 4)
    assert (ledger_chain.MAX_CANDIDATES, ledger_trail.MAX_ENDS) == (3, 3)
    assert (ledger_trail.MAX_WRONG_ROWS, ledger_layout.MAX_CLOSING_ROWS) == (3, 8)
    assert (ledger_group.MAX_ROWS, ledger_group.MAX_REFS) == (1_000, 48)
    assert (ledger_history.MAX_BALANCES, ledger_reports.MAX_REPORTS) == (64, 16)
    assert balance_mismatch_state.MAX_BOOKS == 16


def test_the_last_four_rows_are_remembered_whole() -> None:
    """Each with its own contents; the fifth from the end is not."""
    edge = Boundary("posted", (0,), Ref(TRANSACTION, 0, "e", 0))
    chain: Chain = start_chain("EUR", NumberedRow(1, edge, edge, 101))
    for number in range(2, 8):
        assert add_numbered_row(chain, NumberedRow(number, edge, edge, 100 + number), 0) == ()
        assert len(chain.recent) == 2 * min(number, 4)
    assert [is_duplicate(chain, number, 100 + number) for number in range(2, 9)] == [
        *[None] * 2,
        *[True] * 4,
        None,
    ]
    assert is_duplicate(chain, 7, 106) is False


def test_beyond_thirty_two_pieces_the_oldest_gap_is_forgotten() -> None:
    """Whether a row opens another one, or cuts one in two."""
    edge = Boundary("posted", (0,), Ref(TRANSACTION, 0, "e", 0))
    for cut in (False, True):
        chain = start_chain("EUR", NumberedRow(0, edge, edge, 0))
        for number in range(1, 33):
            add_numbered_row(chain, NumberedRow(10 * number, edge, edge, number), 0)
        assert [gap.first for gap in chain.gaps] == [1, *range(11, 321, 10)]
        found = add_numbered_row(chain, NumberedRow(315 if cut else 330, edge, edge, 99), 0)
        assert NotJudged("gap_forgotten") in found
        rest = [311, 316] if cut else [311, 321]
        assert [gap.first for gap in chain.gaps] == [*range(11, 311, 10), *rest]


@pytest.mark.parametrize("drift", [-6, -5, 0, 5, 6])
def test_a_tolerance_is_itself_tolerated(drift: int) -> None:
    """In both directions; one minor unit more is a break."""
    ref = Ref(TRANSACTION, 0, "e", 0)
    end, start = Boundary("posted", (100,), ref), Boundary("posted", (100 + drift,), ref)
    found = add_numbered_row(
        start_chain("EUR", NumberedRow(1, end, end, 1)), NumberedRow(2, start, start, 2), 5
    )
    assert found == (() if abs(drift) <= 5 else (ChainBreak(end, start, 2, drift),))


@pytest.mark.parametrize(
    ("at", "joined"), [(9_000, False), (9_001, True), (12_999, True), (13_000, False)]
)
def test_a_row_joins_a_group_within_less_than_a_second(at: int, joined: bool) -> None:
    """Before its first row as after its last."""
    assert belongs_to(PendingGroup(2, last_at=12_000, first_at=10_000), at, 1_000) is joined


def test_sixty_four_balances_are_remembered() -> None:
    """However short the time is in which they held; and never less than the one that holds."""
    history: list[int] = []
    for number in range(1, 80):
        add_balance(history, number, number, 1_000_000)
        assert history[::2] == list(range(max(1, number - 63), number + 1))
    expire(history, 1_000)
    assert history == [79, 79]


def test_what_held_at_the_beginning_of_the_time_kept_is_kept() -> None:
    """A balance counts until the next one; from the very moment of that it does no more."""
    for since, kept in ((19, 1), (20, 2), (21, 2), (29, 2), (30, 3)):
        history = [10, 1, 20, 2, 30, 3]
        expire(history, since)
        assert history[1] == kept
        history = []
        for at, balance in ((10, 1), (20, 2), (30, 3)):
            add_balance(history, at, balance, 30 - since)
        assert history[1] == kept
