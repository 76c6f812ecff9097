"""Prints for which inputs of a worker most events come late."""

from collections import Counter
from operator import itemgetter
from typing import Final

from schemas.topics import DETECT_INPUTS
from worker.cli.printing.output import say
from worker.detect.stage import DETECT
from worker.engine.observer import Observer, Work
from worker.engine.outcomes import LateEvent
from worker.engine.reorder import SOURCE
from worker.observe.lateness import describe, mostly

_WINDOW_MS: Final = 60_000
_LEAST: Final = 20
"""Late events within a window: fewer are no news."""


class Lateness(Observer):
    """Prints a line when most events of a minute were late and those of the minute before not."""

    def __init__(self) -> None:
        self._all = _Counted()
        self._window = _Counted()
        self._began = 0
        self._said: set[str] = set()
        """Topics that were mostly late in the last window."""

    def worked(self, work: Work) -> None:
        """Count what was committed; judge a window that is over."""
        if work.committed:
            self._window.add(work)
        self._began = self._began or work.now
        if work.now - self._began < _WINDOW_MS:
            return
        late = {topic for topic in self._window.late_topics() if self._window.late[topic] >= _LEAST}
        for topic in sorted(late - self._said):
            self._window.say(topic, " in the last minute")
        self._said, self._began = late, work.now
        self._close_window()

    def finish(self) -> None:
        """Print which inputs were mostly late in the whole run."""
        self._close_window()
        for topic in self._all.late_topics():
            self._all.say(topic, "")

    def _close_window(self) -> None:
        self._all.events.update(self._window.events)
        self._all.late.update(self._window.late)
        self._window = _Counted()


class _Counted:
    """Events of each input that were judged, and those of them that were late."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.late: Counter[str] = Counter()

    def add(self, work: Work) -> None:
        for entries in work.released if work.stage == DETECT else ():
            for source, number in Counter(map(itemgetter(SOURCE), entries)).items():
                self.events[DETECT_INPUTS[source]] += number
        for topic in DETECT_INPUTS:
            if number := work.counts[LateEvent(topic)]:
                self.late[topic] += number

    def late_topics(self) -> list[str]:
        return [topic for topic, late in self.late.items() if mostly(late, self.events[topic])]

    def say(self, topic: str, when: str) -> None:
        say(describe(topic, self.late[topic], self.events[topic], when))
