"""Prints which inputs an open transaction has held for long, and when they are read on."""

from worker.cli.printing.output import say
from worker.engine.holds import Hold
from worker.engine.observer import Observer, Work
from worker.engine.records import TopicPartition
from worker.observe.holding import describe


class Holding(Observer):
    """Prints one line per hold, and one when it is over.

    Args:
        limit: milliseconds from which a hold is printed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._said: dict[str, dict[TopicPartition, Hold]] = {}
        """Per stage the holds that were printed."""

    def worked(self, work: Work) -> None:
        """Print what has changed."""
        said = self._said.setdefault(work.stage, {})
        for at, hold in list(said.items()):
            now = work.held.get(at)
            if now is None or now.since != hold.since:
                del said[at]
                say(f"{at.topic}/{at.partition} is read on: that transaction has ended.")
        for at, hold in work.held.items():
            if at not in said and (line := describe({at: hold}, work.now, self._limit)):
                said[at] = hold
                say(line)
