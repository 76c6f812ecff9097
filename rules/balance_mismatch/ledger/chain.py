"""The chain of one account's ledger rows in one currency, by ledger_sequence.

A row starts at one balance and ends at another. The end of row n must be the start of row n + 1:
that is a *junction*. It is judged once, when both neighbours are known with balances of the same
kind. Three ideas keep one break from becoming many:

- what is uncertain is not judged: an end or start without balance, or of a row already blamed, is
  an `Edge` with no balance or with several, any of which may be right;
- after a row the chain goes on from that row's own end, whatever was found;
- rows that jump ahead leave a `Gap`; they chain among themselves at once, and the two junctions at
  the gap wait for the rows that are missing.

Pure bookkeeping: `enter` changes the chain and returns what it found.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from rules.events import Ref

MAX_GAPS: Final = 32
"""Pieces of gaps remembered per chain; beyond that the oldest is forgotten."""
MAX_REMEMBERED: Final = 4
"""Rows whose contents are remembered, to tell a repetition from a conflict."""
MAX_BALANCES: Final = 3


class Edge(Struct, array_like=True, frozen=True, gc=False):
    """One end of a row: the balances that may be right there; none if unknown."""

    kind: str | None
    balances: tuple[int, ...]
    ref: Ref


class Row(Struct, gc=False):
    """A ledger row as the chain sees it."""

    sequence: int
    start: Edge
    end: Edge
    contents: int
    """A number that is equal for equal contents."""


class Gap(Struct, array_like=True, gc=False):
    """A run of missing sequence numbers, or what is left of one."""

    anchor: int
    """First number that was missing when the gap opened: its name, also of its pieces."""
    first: int
    last: int
    left: Edge
    right: Edge


class Chain(Struct, array_like=True, gc=False):
    """Where the rows of one currency stand."""

    currency: str
    head: int
    """The largest sequence number seen."""
    end: Edge
    """The end of that row."""
    recent: list[int] = []
    """Sequence number and contents of the last rows, in turn."""
    gaps: list[Gap] = []
    rests: bool = False
    """Whether `end` is all there is to know of its balance: no book is kept of it."""


class Break(Struct):
    """Two neighbours that do not join: blamed on the row at the right."""

    left: Edge
    right: Edge
    sequence: int
    """Of the row at the right."""
    drift: int
    """Start minus end, in minor units; the smallest where several may be right."""


class Opened(Struct):
    """Numbers are missing from `anchor` on."""

    anchor: int


class Closed(Struct):
    """The last missing number of the gap has come."""

    anchor: int


class Conflict(Struct):
    """A number that another row with other contents already has."""


class Ignored(Struct):
    """The row, or an old gap, takes no further part; `reason` is a word to count it by."""

    reason: str


Finding = Break | Opened | Closed | Conflict | Ignored


def begin(currency: str, row: Row) -> Chain:
    """Return the chain that its first row anchors."""
    return Chain(currency, row.sequence, row.end, [row.sequence, row.contents])


def met(chain: Chain, sequence: int, contents: int) -> bool | None:
    """Say whether a remembered row of this number has the same contents; None: not remembered."""
    if sequence <= chain.head:
        for index in range(0, len(chain.recent), 2):
            if chain.recent[index] == sequence:
                return chain.recent[index + 1] == contents
    return None


def enter(chain: Chain, row: Row, tolerance: int) -> Sequence[Finding]:
    """Put a row into the chain and return what that shows, in the order found.

    A row that repeats one with the same contents must not be given (see `met`).
    """
    step = row.sequence - chain.head
    if step > 0:
        found = _ahead(chain, row, step, tolerance)
        chain.head, chain.end = row.sequence, row.end
    elif met(chain, row.sequence, row.contents) is False:
        _take_either(chain, row)
        return (Conflict(),)
    else:
        index = _gap_of(chain, row.sequence)
        if index is None:
            return (Ignored("old_sequence"),)
        found = _fill(chain, row, index, tolerance)
    _remember(chain, row.sequence, row.contents)
    return found


def go_on(chain: Chain, end: Edge, contents: int) -> None:
    """Put in a row that follows the newest one and joins it: `enter` without looking."""
    chain.head += 1
    chain.end = end
    _remember(chain, chain.head, contents)


def _remember(chain: Chain, sequence: int, contents: int) -> None:
    chain.recent += (sequence, contents)
    if len(chain.recent) > 2 * MAX_REMEMBERED:
        del chain.recent[:2]


def pieces(chain: Chain, anchor: int) -> list[Gap]:
    """Return what is left of a gap, in order."""
    return [gap for gap in chain.gaps if gap.anchor == anchor]


def _ahead(chain: Chain, row: Row, step: int, tolerance: int) -> Sequence[Finding]:
    if step == 1:
        return _junction(chain.end, row.start, row.sequence, tolerance)
    missing = chain.head + 1
    chain.gaps.append(Gap(missing, missing, row.sequence - 1, chain.end, row.start))
    if len(chain.gaps) > MAX_GAPS:
        del chain.gaps[0]
        return (Opened(missing), Ignored("gap_forgotten"))
    return (Opened(missing),)


def _fill(chain: Chain, row: Row, index: int, tolerance: int) -> Sequence[Finding]:
    number, gap = row.sequence, chain.gaps[index]
    found: list[Finding] = []
    left: list[Gap] = []
    if number == gap.first:
        found += _junction(gap.left, row.start, number, tolerance)
    else:
        left = [Gap(gap.anchor, gap.first, number - 1, gap.left, row.start)]
    right: list[Gap] = []
    if number == gap.last:
        found += _junction(row.end, gap.right, number + 1, tolerance)
    else:
        right = [Gap(gap.anchor, number + 1, gap.last, row.end, gap.right)]
    chain.gaps[index : index + 1] = left + right
    if not pieces(chain, gap.anchor):
        found.append(Closed(gap.anchor))
    if len(chain.gaps) > MAX_GAPS:
        del chain.gaps[0]
        found.append(Ignored("gap_forgotten"))
    return found


def _gap_of(chain: Chain, number: int) -> int | None:
    for index, gap in enumerate(chain.gaps):
        if gap.first <= number <= gap.last:
            return index
    return None


def _take_either(chain: Chain, row: Row) -> None:
    """Let the next row follow either of two rows that share the newest number."""
    if row.sequence == chain.head:
        balances: tuple[int, ...] = ()
        if row.end.kind == chain.end.kind:
            balances = (*chain.end.balances, *row.end.balances)[:MAX_BALANCES]
        chain.end = Edge(chain.end.kind, balances, chain.end.ref)


def _junction(left: Edge, right: Edge, sequence: int, tolerance: int) -> Sequence[Finding]:
    if left.kind != right.kind or not left.balances or not right.balances:
        return ()
    if right.balances[0] in left.balances:  # nearly always
        return ()
    drift = min((b - a for a in left.balances for b in right.balances), key=abs)
    if -tolerance <= drift <= tolerance:
        return ()
    return (Break(left, right, sequence, drift),)
