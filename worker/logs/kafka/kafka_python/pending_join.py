"""A consumer's join that outlasts a poll is kept for the next one.

kafka-python leaves such a join in the background. When it ends there, no later poll takes its
result, or the result is thrown away and another join begun, and with it a rebalance. This depends
on private names of the consumer's coordinator.
"""

from typing import Any


def keep_join(coordinator: Any) -> None:
    """Let the next poll take the result of the join that is under way."""
    coordinator.request_rejoin()
    task = coordinator._join_task
    if task is not None and not isinstance(task, _PendingJoin):
        coordinator._join_task = _PendingJoin(task)


class _PendingJoin:
    """A join that counts as under way until a poll has waited for it, or it has failed."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self.add_callback = task.add_callback
        self.add_errback = task.add_errback

    @property
    def is_done(self) -> bool:
        return self.failed()

    def failed(self) -> bool:
        return bool(self._task.failed())
