"""One ledger row by itself: its effect, drift, contents and boundaries. Pure."""

from typing import Final, Literal

from msgspec.structs import replace

from rules.balance_mismatch.ledger.chain import Boundary
from rules.events import DEBITS, Ref, Transaction
from rules.profile import Profile, mark_of, paid_by_balance

CORRECTIONS: Final = frozenset({"adjustment", "reversal"})
"""Types of rows that may correct an earlier one."""
UNDONE: Final = frozenset({"failed", "cancelled", "expired", "reversed", "disputed"})
"""Statuses of rows that move nothing, or move back what was moved or held."""
MOVING: Final = frozenset({"completed", "reversed", "disputed"})
"""Statuses of rows that may move every kind of balance."""
RELEASING: Final = UNDONE - {"disputed"}

Before = Literal["undone", "completed", "held", "late"]
"""What was known of a transaction before a row that undoes it: undone already, completed or partly
captured, held and not captured; `late`: not judged by that."""


def effect_of(event: Transaction) -> int | None:
    """Return what the transaction moves of the balance that pays it, in minor units.

    None if a mixed funding does not say which part the balance pays.
    """
    if event.type in DEBITS:
        paid = paid_by_balance(event)
        return None if paid is None else -paid
    return event.amount


def start_of(event: Transaction) -> int | None:
    """Return the balance before a row, in minor units; None if it does not follow from the row.

    Many books report the balance after a completed row alone: its effect leads back to the one
    before.
    """
    if event.balance_before is not None or event.status != "completed":
        return event.balance_before
    effect = effect_of(event)
    if event.balance_after is None or effect is None:
        return None
    return event.balance_after - effect


def with_start(event: Transaction) -> Transaction:
    """Return a row with the balance before it, where that follows from it; or else the row."""
    start = start_of(event)
    return event if start == event.balance_before else replace(event, balance_before=start)


def known_before(event: Transaction, profile: Profile, late: bool) -> Before | None:
    """Return what is known of the transaction of a row that undoes it; None if nothing is.

    What is late may be of before what is known.
    """
    if event.status not in RELEASING:
        return None
    if late:
        return "late"
    mark = mark_of(event.transaction_id)
    end, hold = profile.ended.end_of(mark), profile.hold_of(mark)
    if end is not None:
        return "undone" if end.is_undone else "completed"
    if hold is None:
        return None
    return "completed" if hold.is_captured else "held"


def allowed_moves(
    event: Transaction, effect: int | None, before: Before | None
) -> tuple[int, ...] | None:
    """Return what the row may move of its balance, in minor units.

    Empty if the row is not judged by itself; None if the effect is needed and unknown. A row that
    undoes may move nothing or the opposite of the effect. Only if it is known that the
    transaction was undone already, or that its money was held and never taken, it must not move.
    The end of a hold moves the available balance back, by what was not captured.
    """
    status, is_available = event.status, event.balance_kind == "available"
    if is_available:
        is_hold = status == "pending" or (
            status in RELEASING and before not in ("completed", "late")
        )
        if not is_hold or event.type not in DEBITS:
            return ()
    elif status == "pending":
        return (0,)
    if effect is None:
        return None
    if status not in UNDONE:
        return (effect,)
    if before == "undone" or (before == "held" and not is_available):
        return (0,)
    return (0, -effect)


def drift_of(
    event: Transaction, effect: int | None, before: Before | None
) -> tuple[int, int] | None:
    """Return (drift, expected move) of a row, in minor units; None if its effect is unknown.

    The drift is what the row moved minus the nearest allowed move; 0 if the row is right or is not
    judged by itself.

    Args:
        before: as `known_before`.
    """
    if event.balance_before is None or event.balance_after is None:
        return 0, 0
    moved = event.balance_after - event.balance_before
    if moved == effect and event.status == "completed":  # nearly always
        return 0, moved
    moves = allowed_moves(event, effect, before)
    if moves is None:
        return None
    if moved in moves or not moves:
        return 0, moved
    expected = min(moves, key=lambda move: abs(moved - move))
    return moved - expected, expected


def unreported_kinds(
    event: Transaction, effect: int | None, before: Before | None
) -> tuple[str, ...]:
    """Return the kinds of balance that the event moves without reporting them.

    Args:
        before: as `known_before`.
    """
    if effect == 0:
        return ()
    reported = None if event.balance_after is None else event.balance_kind
    if event.status in MOVING or before == "completed":
        moved: tuple[str, ...] = ("posted", "available")
    elif event.type in DEBITS:  # a hold, or the end of one
        moved = ("available",)
    else:
        moved = ()
    return tuple(kind for kind in moved if kind != reported)


def contents_of(event: Transaction, effect: int | None) -> int:
    """Return a hash of 32 bits over the balances, their kind and the effect of a row."""
    before, after = event.balance_before, event.balance_after
    mixed = (event.amount if effect is None else effect) * 2_654_435_761
    mixed += (-1 if before is None else before) * 2_246_822_519
    mixed += (-1 if after is None else after) * 3_266_489_917
    return (mixed + (event.balance_kind == "available")) & 0xFFFF_FFFF


def boundaries_of(
    event: Transaction, ref: Ref, expected: int | None, late: bool
) -> tuple[Boundary, Boundary]:
    """Return start and end of a row; both are unknown if it is late.

    Each of a wrong row has two candidates: as reported, and corrected by the other.

    Args:
        expected: what a wrong row should have moved, in minor units; None if its move is right.
    """
    before, after, kind = event.balance_before, event.balance_after, event.balance_kind
    unknown = Boundary(None, (), ref)
    if late:
        return unknown, unknown
    if expected is not None and before is not None and after is not None:
        return (
            Boundary(kind, (before, after - expected), ref),
            Boundary(kind, (after, before + expected), ref),
        )
    return (
        unknown if before is None else Boundary(kind, (before,), ref),
        unknown if after is None else Boundary(kind, (after,), ref),
    )
