"""Money of locked accounts that was under way, or had been paid, before the lock.

A debit begins once: what comes of it later, a further capture or a status that is sent again or too
late, is none that account_lockout must find. Its twin begins after the lock.
"""

from collections.abc import Callable
from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import capture_part, complete, hold, plain_row, settle
from worker.simulate.life.orders import Order
from worker.simulate.stories.lockout import GRACE_MS, LASTS_MS, Locked, locked_out
from worker.simulate.stories.story import Story
from worker.simulate.world.account import MINUTE_MS, SECOND_MS

PAID_MS = MINUTE_MS
"""How long after the lock money moves, and before it."""
OnMoney = Callable[[Locked, Order, str], None]


def second_capture_while_locked(story: Story) -> None:
    """Of two captures the first came before the lock; it states what stays held."""

    def act(scene: Locked) -> None:
        order = scene.shop()
        transaction_id = hold(scene.account, order)
        scene.later(PAID_MS, _capture_half, scene, order, transaction_id)
        scene.later(2 * PAID_MS, _lock, scene)
        scene.later(3 * PAID_MS, _capture_rest, scene, order, transaction_id)

    locked_out(story, act)


def second_capture_of_ended(story: Story) -> None:
    """The first capture, before the lock, did not state that anything stays held."""

    def act(scene: Locked) -> None:
        order = scene.shop()
        transaction_id = hold(scene.account, order)
        half = order.amount - _rest(order)
        scene.later(PAID_MS, take, scene, order, transaction_id, half)
        scene.later(2 * PAID_MS, _lock, scene)
        scene.later(3 * PAID_MS, again, scene, order, transaction_id)

    def take(scene: Locked, order: Order, transaction_id: str, half: int) -> None:
        settle(scene.account, order, transaction_id, captured=True, amount=half)

    def again(scene: Locked, order: Order, transaction_id: str) -> None:
        complete(scene.account, replace(order, amount=_rest(order)), transaction_id)

    locked_out(story, act)


def capture_with_the_lock(story: Story) -> None:
    """The first capture is stamped at the moment of the lock."""

    def act(scene: Locked) -> None:
        order = scene.shop()
        transaction_id = hold(scene.account, order)
        scene.later(PAID_MS, lock, scene, order, transaction_id)
        scene.later(2 * PAID_MS, _capture_rest, scene, order, transaction_id)

    def lock(scene: Locked, order: Order, transaction_id: str) -> None:
        _capture_half(scene, order, transaction_id)
        _lock(scene)

    locked_out(story, act)


def completion_told_again(story: Story) -> None:
    """A payment of before the lock is sent once more, by another event without balances."""

    def again(scene: Locked, order: Order, transaction_id: str) -> None:
        scene.account.emit("transaction", plain_row(order, transaction_id, "completed"))

    _paid(story, again)


def pending_told_late(story: Story) -> None:
    """A payment of before the lock is pending by a status that is stamped in the lock."""

    def late(scene: Locked, order: Order, transaction_id: str) -> None:
        scene.account.emit("transaction", plain_row(order, transaction_id, "pending"))

    _paid(story, late)


def paid_again_while_locked(story: Story) -> None:
    """The same is paid again in the lock, by another transaction."""

    def again(scene: Locked, order: Order, _: str) -> None:
        complete(scene.account, replace(order, reference=scene.account.new_id("ord")))

    _paid(story, again, "error")


def reserved_while_locked(story: Story) -> None:
    """Money is reserved in the lock, and taken when that has ended."""

    def reserve(scene: Locked, order: Order, _: str) -> None:
        transaction_id = hold(scene.account, order)
        scene.later(LASTS_MS, settle_all, scene, order, transaction_id)

    def settle_all(scene: Locked, order: Order, transaction_id: str) -> None:
        settle(scene.account, order, transaction_id, captured=True)

    _paid(story, reserve, "error")


def _paid(story: Story, after: OnMoney, severity: Severity = "warning") -> None:
    """Pay before the lock; let `after` run in it."""

    def act(scene: Locked) -> None:
        order = scene.shop()
        _, transaction_id = scene.complete(order)
        scene.later(PAID_MS, _lock, scene, severity)
        scene.later(2 * PAID_MS, after, scene, order, transaction_id)

    locked_out(story, act)


def _lock(scene: Locked, severity: Severity = "warning") -> None:
    scene.lock_for_a_while(severity, PAID_MS if severity == "error" else 0)
    scene.later(LASTS_MS + GRACE_MS + SECOND_MS, scene.come_back)


def _capture_half(scene: Locked, order: Order, transaction_id: str) -> None:
    """Take a half; the event states that the rest is held still."""
    rest = _rest(order)
    capture_part(scene.account, order, transaction_id, order.amount - rest, rest)


def _capture_rest(scene: Locked, order: Order, transaction_id: str) -> None:
    rest = replace(order, amount=_rest(order))
    capture_part(scene.account, rest, transaction_id, rest.amount, 0)


def _rest(order: Order) -> int:
    return order.amount // 2


ANOMALIES = (paid_again_while_locked, reserved_while_locked)
INNOCENTS = (
    second_capture_while_locked,
    second_capture_of_ended,
    capture_with_the_lock,
    completion_told_again,
    pending_told_late,
)
