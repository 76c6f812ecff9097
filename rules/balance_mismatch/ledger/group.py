"""Rows without number that are close in time, and wait to be judged together. Pure.

A row that comes in its order is added at the end, a late one at its place by time and event_id.
Functions change the group.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from rules.events import Ref, Transaction

MAX_ROWS: Final = 1_000
"""Rows of a group; the last of them has it judged at once, and the next row starts another."""
MAX_REFS: Final = 48
"""Addresses kept of a group: of its first and of its last rows."""


class PendingGroup(Struct, array_like=True, omit_defaults=True, gc=False):
    """Rows that are close in time and not judged yet."""

    exponent: int
    last_at: int
    """Milliseconds: the newest row."""
    first_at: int
    steps: list[int] = []
    """`[before0, after0, before1, ...]`: the balances of each row, in minor units."""
    refs: tuple[Ref, ...] = ()
    wrong_rows: tuple[int, ...] = ()
    """`[row0, expected0, row1, ...]`: index of a wrong row and what it should have moved."""
    has_unreported_move: bool = False
    """Whether money was moved near these rows without the resulting balance."""
    in_order: bool = False
    """Whether each row starts where the one before ended, the first at the end of the book."""
    open_starts: tuple[int, ...] = ()
    """Indexes of rows whose balance before is not known; `steps` has the one after twice."""


def belongs_to(group: PendingGroup, at: int, slack_ms: int) -> bool:
    """Return whether a row of this time belongs to the group."""
    return group.first_at - slack_ms < at < group.last_at + slack_ms


def add_to_group(group: PendingGroup, event: Transaction, ref: Ref, expected: int | None) -> None:
    """Add a row that reports its balance after to a group.

    `expected`: what a wrong row should have moved, in minor units; None if its move is right.
    """
    before, after = event.balance_before, event.balance_after
    assert after is not None
    if before is None:
        group.open_starts += (len(group.steps) // 2,)
        before = after
    elif expected is not None:
        group.wrong_rows += (len(group.steps) // 2, expected)
    group.steps += (before, after)
    group.first_at = min(group.first_at, event.occurred_at)
    group.last_at = max(group.last_at, event.occurred_at)
    refs = (*group.refs, ref)
    group.refs = refs if len(refs) <= MAX_REFS else _shortened(refs)


def add_late_to_group(
    group: PendingGroup, event: Transaction, ref: Ref, expected: int | None
) -> None:
    """Add a late row to a group, before those that are later; see `add_to_group`."""
    row, place = _place_of(group, ref)
    later_steps, later_refs = group.steps[2 * row :], group.refs[place:]
    del group.steps[2 * row :]
    group.refs = group.refs[:place]
    group.open_starts = tuple(each + (each >= row) for each in group.open_starts)
    wrong = group.wrong_rows
    group.wrong_rows = tuple(
        each + (index % 2 == 0 and each >= row) for index, each in enumerate(wrong)
    )
    add_to_group(group, event, ref, expected)
    group.steps += later_steps
    refs = (*group.refs, *later_refs)
    group.refs = refs if len(refs) <= MAX_REFS else _shortened(refs)


def _place_of(group: PendingGroup, ref: Ref) -> tuple[int, int]:
    """Return the index of the first later row, and the place of its address; or of the end."""
    own = ref.occurred_at, ref.event_id
    for place, (row, other) in enumerate(rows_with_refs(group)):
        if (other.occurred_at, other.event_id) > own:
            return row, place
    return len(group.steps) // 2, len(group.refs)


def rows_with_refs(group: PendingGroup) -> Sequence[tuple[int, Ref]]:
    """Return (index, address) of the rows whose addresses are kept, in order."""
    dropped = len(group.steps) // 2 - len(group.refs)
    return [
        (place + dropped if place >= MAX_REFS // 2 else place, ref)
        for place, ref in enumerate(group.refs)
    ]


def _shortened(refs: tuple[Ref, ...]) -> tuple[Ref, ...]:
    """Return the addresses without the one that is first of the last."""
    return refs[: MAX_REFS // 2] + refs[MAX_REFS // 2 + 1 :]
