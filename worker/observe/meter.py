"""From what the workers report to the metrics. Pure but for the clocks it is given.

Counters move when a unit of work is committed, by what it did: they neither fall behind the
outputs nor run ahead of them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import itemgetter
from typing import Final

from schemas.base import SEVERITIES
from worker.engine.event_time import BEGINNING
from worker.engine.observer import Observer, Work
from worker.engine.records import TopicPartition
from worker.engine.reorder import ORDER, SOURCE, Entry
from worker.engine.task import Task
from worker.observe.metrics import INPUTS, Metrics
from worker.triage.open_incidents import OpenIncidents
from worker.triage.stage import TRIAGE

_LAG_INTERVAL_MS: Final = 5_000


class Meter(Observer):
    """Keeps the metrics of a process by what its workers report.

    Args:
        offsets: gives per partition of a topic (the oldest stored offset, the one appended next).
        clock: wall time in milliseconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        offsets: Callable[[str], list[tuple[int, int]]],
        clock: Callable[[], int],
    ) -> None:
        self._metrics = metrics
        self._offsets = offsets
        self._clock = clock
        self._held: dict[str, frozenset[int]] = {}
        self._open = OpenIncidents()
        self._restoring_since = 0
        self._lag_set_at: dict[str, int] = {}
        metrics.last_poll.set(clock() / 1000)

    # -- tasks ----------------------------------------------------------------------------

    def moved(self, stage: str, tasks: Collection[int], kept: Collection[int]) -> None:
        """Drop the series of tasks that are not kept."""
        metrics = self._metrics
        if stage in self._held:
            metrics.rebalances.labels(stage).inc()
        for number in self._held.get(stage, frozenset()).difference(kept):
            for family in (metrics.lag, metrics.held):
                family.remove_by_labels({"stage": stage, "partition": str(number)})
            metrics.watermark.remove(stage, str(number))
        self._held[stage] = frozenset(tasks)
        metrics.assigned.labels(stage).set(len(tasks))
        metrics.restored.labels(stage).set(len(kept))
        if stage == TRIAGE:
            self._open.keep(kept)
            self._set_open()

    def restoring(self, stage: str, task: int) -> None:
        """Look at the clock."""
        self._restoring_since = self._clock()

    def restored(self, stage: str, task: Task) -> None:
        """Count it, and the incidents that came with it."""
        took = self._clock() - self._restoring_since
        self._metrics.restores.labels(stage).observe(took / 1000)
        self._metrics.restored.labels(stage).inc()
        if stage == TRIAGE:
            self._open.restore(task.number, task.states.items())
            self._set_open()

    # -- units of work --------------------------------------------------------------------

    def worked(self, work: Work) -> None:
        """Take over what was committed; measure lags and holds, now and then.

        Raises:
            LogError: the log does not say how far it reaches.
        """
        self._metrics.last_poll.set(work.now / 1000)
        if work.committed:
            self._take_over(work)
        if work.now - self._lag_set_at.get(work.stage, 0) >= _LAG_INTERVAL_MS:
            self._lag_set_at[work.stage] = work.now
            self._set_lag(work)

    def _take_over(self, work: Work) -> None:
        metrics = self._metrics
        metrics.commits.labels(work.stage).inc()
        for topic, number in work.read.items():
            metrics.consumed.labels(topic).inc(number)
        for labels, number in self._processed(work).items():
            metrics.processed.labels(*labels).inc(number)
        for outcome, number in work.counts.items():
            metrics.count(outcome, number)
        for task in work.tasks:
            if task.watermark > BEGINNING:
                watermark = metrics.watermark.labels(work.stage, str(task.number))
                watermark.set(task.watermark / 1000)
        if work.stage == TRIAGE and work.states:
            self._open.change(work.states)
            self._set_open()

    def _processed(self, work: Work) -> Counter[tuple[str, str]]:
        """Return how many events had which outcome, by (topic, outcome); notes their ages."""
        found: Counter[tuple[str, str]] = Counter()
        now = self._clock()
        for entries in work.released:
            for topic, times in _by_topic(entries, INPUTS[work.stage]):
                found[topic, "ok"] += len(times)
                self._metrics.ages.add(topic, times, now)
        for counted, number in work.counts.items():
            processed = counted.processed
            if processed is None:
                continue
            found[processed.topic, processed.outcome] += number
            if processed.was_released:
                found[processed.topic, "ok"] -= number
        return found

    def _set_lag(self, work: Work) -> None:
        for index, topic in enumerate(INPUTS[work.stage]):
            lags = {task.number: 0 for task in work.tasks}
            behind = [
                task for task in work.tasks if TopicPartition(topic, task.number) not in work.at_end
            ]
            ends = self._offsets(topic) if behind else []
            for task in behind:
                lags[task.number] = max(0, ends[task.number][1] - task.sources[index].position)
            for number, lag in lags.items():
                hold = work.held.get(TopicPartition(topic, number))
                labels = work.stage, topic, str(number)
                self._metrics.lag.labels(*labels).set(lag)
                self._metrics.held.labels(*labels).set(hold.seconds(work.now) if hold else 0)

    def _set_open(self) -> None:
        for severity in SEVERITIES:
            number = self._open.by_severity[severity]
            self._metrics.incidents_open.labels(severity).set(number)


def _by_topic(entries: Sequence[Entry], topics: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield the order times of each topic's events; they keep their order."""
    for source in set(map(itemgetter(SOURCE), entries)):
        yield topics[source], [entry[ORDER] for entry in entries if entry[SOURCE] == source]
