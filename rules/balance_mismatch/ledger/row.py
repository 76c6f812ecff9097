"""A ledger row by itself: what it may move, where it starts and ends, what tells it from others."""

from typing import Final

from rules.balance_mismatch.ledger.chain import Edge
from rules.events import DEBITS, Ref, Transaction
from rules.profile import paid_by_balance

UNMOVED: Final = frozenset({"pending", "disputed"})
UNDONE: Final = frozenset({"failed", "cancelled", "expired", "reversed"})


def effect_of(event: Transaction) -> int | None:
    """Return what the transaction moves of the balance that pays it; None: part not told."""
    if event.type in DEBITS:
        paid = paid_by_balance(event)
        return None if paid is None else -paid
    return event.amount


def moves_allowed(event: Transaction, effect: int | None) -> tuple[int, ...] | None:
    """Return what the row may move of its balance; empty: not judged; None: part not told."""
    status = event.status
    if event.balance_kind == "available":
        if status != "pending" or event.type not in DEBITS:
            return ()
    elif status in UNMOVED:
        return (0,)
    if effect is None:
        return None
    return (0, -effect) if status in UNDONE else (effect,)


def drift_of(event: Transaction, effect: int | None) -> tuple[int, int] | None:
    """Return by how much a row moved its balance wrongly, and what was due; None: part not told.

    The drift is 0 where the row is right or is not judged by itself.
    """
    before, after = event.balance_before, event.balance_after
    if before is None or after is None:
        return 0, 0
    moved = after - before
    if moved == effect and event.status == "completed":  # nearly always
        return 0, moved
    moves = moves_allowed(event, effect)
    if moves is None:
        return None
    if moved in moves or not moves:
        return 0, moved
    due = min(moves, key=lambda move: abs(moved - move))
    return moved - due, due


def moves_untold(event: Transaction, effect: int | None) -> tuple[str, ...]:
    """Return the kinds of balance that the event moves without telling to what."""
    if effect == 0:
        return ()
    told = None
    if event.balance_before is not None and event.balance_after is not None:
        told = event.balance_kind
    if event.status == "completed":
        moved: tuple[str, ...] = ("posted", "available")
    elif event.type in DEBITS and event.status != "disputed":  # a hold, or the end of one
        moved = ("available",)
    else:
        moved = ()
    return tuple(kind for kind in moved if kind != told)


def contents_of(event: Transaction, effect: int | None) -> int:
    """Return 32 bits that tell rows with different balances, kinds or effects apart."""
    before, after = event.balance_before, event.balance_after
    mixed = (event.amount if effect is None else effect) * 2_654_435_761
    mixed += (-1 if before is None else before) * 2_246_822_519
    mixed += (-1 if after is None else after) * 3_266_489_917
    return (mixed + (event.balance_kind == "available")) & 0xFFFF_FFFF


def edges_of(event: Transaction, ref: Ref, due: int | None, late: bool) -> tuple[Edge, Edge]:
    """Return both ends of a row; `due`, where the row was blamed, is what it should have moved."""
    before, after, kind = event.balance_before, event.balance_after, event.balance_kind
    unknown = Edge(None, (), ref)
    if late:
        return unknown, unknown
    if due is not None and before is not None and after is not None:
        return unknown, Edge(kind, (after, before + due), ref)
    return (
        unknown if before is None else Edge(kind, (before,), ref),
        unknown if after is None else Edge(kind, (after,), ref),
    )
