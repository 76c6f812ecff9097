"""The chain of one account's ledger rows in one currency, ordered by ledger_sequence. Pure.

A row starts at one balance and ends at another. The end of row n must be the start of row n + 1:
the two rows *join*. A pair of neighbours is judged once, when both are known with balances of the
same kind. Three rules keep one break from becoming many:

- What is uncertain is not judged: a start or end without a balance is a `Boundary` with none, one
  of a row that was itself reported as wrong has several candidates, any of which may join.
- After a row the chain continues from that row's own end, whatever was found.
- Rows that skip numbers leave a `Gap`. They are compared among themselves at once; the two pairs at
  the edges of the gap wait for the missing rows.

Functions change the chain and return what they found.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from rules.events import Ref
from schemas.transaction import BalanceKind

MAX_GAPS: Final = 32
"""Gaps, or parts of gaps, kept per chain; beyond that the oldest is dropped."""
MAX_RECENT: Final = 4
"""Rows whose contents are kept, to distinguish a duplicate from a conflict."""
MAX_CANDIDATES: Final = 3
"""Balances that may be right at one boundary."""


class Boundary(Struct, array_like=True, frozen=True, gc=False):
    """The start or the end of a row: its candidate balances, in minor units; none if unknown."""

    kind: BalanceKind | None
    balances: tuple[int, ...]
    """The first is the one that the row reports."""
    ref: Ref
    """The row."""


class NumberedRow(Struct, gc=False):
    """A row with a ledger_sequence, as the chain sees it."""

    sequence: int
    start: Boundary
    end: Boundary
    """Of a wrong row each has two candidates: as reported, and corrected by the other."""
    contents: int
    """A hash: equal for equal contents."""


class Gap(Struct, array_like=True, gc=False):
    """A run of missing sequence numbers, or what is left of one."""

    anchor: int
    """First number that was missing when the gap opened; it identifies all parts of the gap."""
    first: int
    last: int
    left: Boundary
    """The end of the row before `first`."""
    right: Boundary
    """The start of the row after `last`."""


class Chain(Struct, array_like=True, gc=False):
    """The state of the numbered rows of one currency."""

    currency: str
    head: int
    """The largest sequence number seen."""
    end: Boundary
    """The end of the row with that number."""
    recent: list[int] = []
    """`[sequence0, contents0, sequence1, ...]` of the last rows, oldest first."""
    gaps: list[Gap] = []
    is_compacted: bool = False
    """Whether the book of the account was dropped because `end` contains all of it."""


class ChainBreak(Struct):
    """Two neighbours that do not join; the alert is about the row at the right."""

    left: Boundary
    right: Boundary
    sequence: int
    """Of the row at the right."""
    drift: int
    """Start minus end, in minor units; the smallest if there are several candidates."""


class GapOpened(Struct):
    """Numbers are missing from `anchor` on."""

    anchor: int


class GapClosed(Struct):
    """The last missing number of the gap has arrived."""

    anchor: int


class GapForgotten(Struct):
    """Nothing of the gap is kept any more."""

    anchor: int


class SequenceConflict(Struct):
    """Another row with different contents has the same number."""


class NotJudged(Struct):
    """A row or an old gap that is dropped without a judgement; `reason` is what is counted."""

    reason: str


ChainFinding = ChainBreak | GapOpened | GapClosed | GapForgotten | SequenceConflict | NotJudged


def start_chain(currency: str, row: NumberedRow) -> Chain:
    """Return a new chain that starts with this row."""
    return Chain(currency, row.sequence, row.end, [row.sequence, row.contents])


def is_duplicate(chain: Chain, sequence: int, contents: int) -> bool | None:
    """Return whether the recent row of this number has these contents; None if there is none."""
    if sequence <= chain.head:
        for index in range(0, len(chain.recent), 2):
            if chain.recent[index] == sequence:
                return chain.recent[index + 1] == contents
    return None


def add_numbered_row(chain: Chain, row: NumberedRow, tolerance: int) -> Sequence[ChainFinding]:
    """Add a row to the chain and return the findings, in the order found.

    The caller must have dropped duplicates (see `is_duplicate`). `tolerance` is in minor units.
    """
    step = row.sequence - chain.head
    if step > 0:
        end = _end_after(chain.end, row, tolerance) if step == 1 else row.end
        found = _add_at_head(chain, row, step, tolerance)
        chain.head, chain.end = row.sequence, end
    elif is_duplicate(chain, row.sequence, row.contents) is False:
        _allow_either_end(chain, row)
        return (SequenceConflict(),)
    else:
        index = _gap_index(chain, row.sequence)
        if index is None:
            return (NotJudged("old_sequence"),)
        found = _fill_gap(chain, row, index, tolerance)
    _remember_contents(chain, row.sequence, row.contents)
    return found


def append_joined_row(chain: Chain, end: Boundary, contents: int) -> None:
    """Append the row of the next number, which joins: `add_numbered_row` without its checks."""
    chain.head += 1
    chain.end = end
    _remember_contents(chain, chain.head, contents)


def _remember_contents(chain: Chain, sequence: int, contents: int) -> None:
    chain.recent += (sequence, contents)
    if len(chain.recent) > 2 * MAX_RECENT:
        del chain.recent[:2]


def parts_of_gap(chain: Chain, anchor: int) -> list[Gap]:
    """Return what is left of a gap, in order of number."""
    return [gap for gap in chain.gaps if gap.anchor == anchor]


def _add_at_head(
    chain: Chain, row: NumberedRow, step: int, tolerance: int
) -> Sequence[ChainFinding]:
    if step == 1:
        return _compare(chain.end, row.start, row.sequence, tolerance)
    missing = chain.head + 1
    chain.gaps.append(Gap(missing, missing, row.sequence - 1, chain.end, row.start))
    return (GapOpened(missing), *_forget_oldest(chain))


def _fill_gap(chain: Chain, row: NumberedRow, index: int, tolerance: int) -> Sequence[ChainFinding]:
    number, gap = row.sequence, chain.gaps[index]
    found: list[ChainFinding] = []
    left: list[Gap] = []
    end = row.end
    if number == gap.first:
        found += _compare(gap.left, row.start, number, tolerance)
        end = _end_after(gap.left, row, tolerance)
    else:
        left = [Gap(gap.anchor, gap.first, number - 1, gap.left, row.start)]
    right: list[Gap] = []
    if number == gap.last:
        found += _compare(end, gap.right, number + 1, tolerance)
    else:
        right = [Gap(gap.anchor, number + 1, gap.last, end, gap.right)]
    chain.gaps[index : index + 1] = left + right
    if not parts_of_gap(chain, gap.anchor):
        found.append(GapClosed(gap.anchor))
    return (*found, *_forget_oldest(chain))


def _forget_oldest(chain: Chain) -> Sequence[ChainFinding]:
    """Forget the oldest gap, or part of one, if there are too many."""
    if len(chain.gaps) <= MAX_GAPS:
        return ()
    gone = chain.gaps.pop(0)
    what = NotJudged("gap_forgotten")
    return (what,) if parts_of_gap(chain, gone.anchor) else (what, GapForgotten(gone.anchor))


def _gap_index(chain: Chain, number: int) -> int | None:
    for index, gap in enumerate(chain.gaps):
        if gap.first <= number <= gap.last:
            return index
    return None


def _allow_either_end(chain: Chain, row: NumberedRow) -> None:
    """Let the next row join either of two rows that share the newest number."""
    if row.sequence == chain.head:
        balances: tuple[int, ...] = ()
        if row.end.kind == chain.end.kind:
            balances = (*chain.end.balances, *row.end.balances)[:MAX_CANDIDATES]
        chain.end = Boundary(chain.end.kind, balances, chain.end.ref)


def _end_after(left: Boundary, row: NumberedRow, tolerance: int) -> Boundary:
    """Return the end of a row, now that the end of the row before is known.

    If only the corrected start of a wrong row joins that, the row ends as reported.
    """
    start, end = row.start, row.end
    if len(start.balances) < 2 or left.kind != start.kind:
        return end
    for limit in (0, tolerance):  # what joins exactly is likelier than what nearly does
        as_it_stands, corrected = (
            any(abs(balance - each) <= limit for each in left.balances)
            for balance in start.balances
        )
        if as_it_stands or corrected:
            return end if as_it_stands else Boundary(end.kind, end.balances[:1], end.ref)
    return end


def _compare(
    left: Boundary, right: Boundary, sequence: int, tolerance: int
) -> Sequence[ChainFinding]:
    if left.kind != right.kind or not left.balances or not right.balances:
        return ()
    if right.balances[0] in left.balances:  # nearly always
        return ()
    drift = min((b - a for a in left.balances for b in right.balances), key=abs)
    if -tolerance <= drift <= tolerance:
        return ()
    return (ChainBreak(left, right, sequence, drift),)
