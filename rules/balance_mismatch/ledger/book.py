"""The book of one account, currency and kind of balance whose rows carry no ledger_sequence.

Rows that come close to each other in time have no order that could be trusted: they form a *group*,
which is judged as a whole, once (`rules.ledger_trail`). Between groups the book stands at one
balance, or at one of a few where several may be right; unknown, and the next group anchors it.

While the rows of a group come in *order*, each going on where the one before ended, they are a
trail already, with one end: nothing is left to judge, whenever the group is over.

Pure bookkeeping: `enter` and `close` change the book and return what they found.
"""

from typing import Final

from msgspec import Struct

from rules.balance_mismatch.ledger.chain import MAX_BALANCES, Edge
from rules.balance_mismatch.ledger.trail import MAX_FORKS, Torn, follow
from rules.events import Ref, Transaction

MAX_ROWS: Final = 1_000
"""Rows of a group: with the last of them it is judged at once, and the next begins another."""
MAX_REFS: Final = 48
"""Addresses kept of a group: of its first rows and of its last."""


class Group(Struct, array_like=True, omit_defaults=True, gc=False):
    """Rows that are not judged yet."""

    exponent: int
    last_at: int
    """Milliseconds: the newest row."""
    first_at: int
    steps: list[int] = []
    """Where each row starts and ends, in turn, in minor units."""
    refs: list[Ref] = []
    forks: list[int] = []
    """Index of a row that is wrong in itself and what it should have moved, in turn."""
    blind: bool = False
    """Whether money was moved without a word to what."""
    ordered: bool = False
    """Whether the rows go on from the one balance of `known`, each from the one before."""


class Book(Struct, array_like=True, omit_defaults=True, gc=False):
    """Where one balance stands, and what it was lately."""

    currency: str
    kind: str
    history: list[int] = []
    """See `rules.ledger_history`; empty: unknown, or not asked for."""
    known: Edge | None = None
    """Where the last group ended; None: unknown, or the rows have numbers."""
    told: bool = False
    """Whether the event of `known` says the first of its balances itself."""
    group: Group | None = None


class Found(Struct):
    """A group that does not close."""

    known: Edge
    told: bool
    group: Group
    torn: Torn


def joins(group: Group, at: int, slack: int) -> bool:
    """Say whether a row of this time belongs to the group."""
    return group.first_at - slack < at < group.last_at + slack


def begin(book: Book, event: Transaction) -> Group:
    """Begin a group with the event, which is still to be entered."""
    at = event.occurred_at
    book.group = Group(event.exponent, at, at)
    return book.group


def goes_on(book: Book, event: Transaction) -> bool:
    """Say whether a row in its turn keeps the book's group in order, or begins one in order."""
    group = book.group
    if group is None:
        return book.known is not None and book.known.balances == (event.balance_before,)
    if not group.ordered or group.steps[-1] != event.balance_before:
        return False
    return event.occurred_at >= group.last_at


def go_on(book: Book, event: Transaction, ref: Ref, slack: int) -> None:
    """Put in a row that goes on."""
    group, at = book.group, event.occurred_at
    if group is not None and at < group.last_at + slack:
        enter(group, event, ref, None)
        if len(group.steps) >= 2 * MAX_ROWS:
            rest(book)
        return
    if group is not None:
        rest(book)
    assert event.balance_before is not None
    assert event.balance_after is not None
    steps = [event.balance_before, event.balance_after]
    book.group = Group(event.exponent, at, at, steps, [ref], ordered=True)


def rest(book: Book) -> None:
    """End the book's group, which is in order."""
    group = book.group
    assert group is not None
    book.known = Edge(book.kind, (group.steps[-1],), group.refs[-1])
    book.told, book.group = True, None


def rest_if_over(book: Book, until: int, slack: int) -> None:
    """End the book's group if it is in order and nothing of a later time than this joins it."""
    group = book.group
    if group is not None and group.ordered and group.last_at + slack <= until:
        rest(book)


def enter(group: Group, event: Transaction, ref: Ref, due: int | None) -> None:
    """Put a row with both balances into a group; `due`: what it should have moved, if blamed."""
    assert event.balance_before is not None
    assert event.balance_after is not None
    if due is not None:
        group.forks += (len(group.steps) // 2, due)
    group.steps += (event.balance_before, event.balance_after)
    group.first_at = min(group.first_at, event.occurred_at)
    group.last_at = max(group.last_at, event.occurred_at)
    group.refs.append(ref)
    if len(group.refs) > MAX_REFS:
        del group.refs[MAX_REFS // 2]


def close(book: Book) -> Found | str | None:
    """End the book's group; return a break, or why it was not judged, or None."""
    group, known, told = book.group, book.known, book.told
    assert group is not None
    book.group, book.known = None, None
    if group.blind or not group.steps:
        book.history.clear()
        return "group_unknown" if group.steps else None
    if len(group.forks) > 2 * MAX_FORKS:
        book.history.clear()
        return "group_with_many_wrong_rows"
    found = follow(known.balances if known else (), group.steps, group.forks)
    if found.ends:
        _stand(book, group, found.ends)
    if isinstance(found, Torn):
        assert known is not None
        return Found(known, told, group, found)
    return None


def _stand(book: Book, group: Group, ends: tuple[int, ...]) -> None:
    """Let the book stand where the group ended; cite the row that says so, if it is kept."""
    rows, refs = len(group.steps) // 2, group.refs
    kept = [
        (rows - len(refs) + place if place >= MAX_REFS // 2 else place, ref)
        for place, ref in enumerate(refs)
    ]
    telling = [ref for row, ref in kept if group.steps[2 * row + 1] == ends[0]]
    book.told = bool(telling)
    book.known = Edge(book.kind, ends, telling[-1] if telling else refs[-1])


def also(book: Book, balance: int) -> None:
    """Let the book stand at this balance too."""
    known = book.known
    if known is not None and balance not in known.balances:
        balances = (*known.balances, balance)[:MAX_BALANCES]
        book.known = Edge(known.kind, balances, known.ref)


def lose(book: Book) -> None:
    """Forget where the book stands: money was moved, and nothing says to what."""
    book.known = None
    book.history.clear()
