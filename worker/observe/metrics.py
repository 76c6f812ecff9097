"""The metrics of one process, and the text that Prometheus reads.

This is the only list of them, but for the counters of outcomes: `worker.engine.outcomes` has those.
Every combination of labels that can be known is at 0 from the start: else the first dead
letter, alert or error would not be an increase.
"""

import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import product
from typing import Final, NamedTuple, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    Summary,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rules.contract import AnyRule
from schemas.alert import AlertKind
from schemas.base import SEVERITIES
from schemas.dead_letter import DEAD_LETTER_REASONS
from schemas.topics import DETECT_INPUTS, SIGNALS, Input
from schemas.topics import INPUTS as EVENTS
from schemas.wrong_fields import wrong_fields
from worker.codec.mending import HOWS
from worker.detect.silence import RULE as PIPELINE_SILENT
from worker.detect.stage import DETECT
from worker.engine.outcomes import (
    OUTCOMES,
    AlertPublished,
    DeadLettered,
    EventOutcome,
    FieldMended,
    IncidentPublished,
    LogChanged,
    Outcome,
    RuleFailure,
    ShadowAlertPublished,
)
from worker.engine.records import NoticeKind
from worker.observe.ages import BOUNDS_MS, Ages
from worker.triage.stage import TRIAGE

INPUTS: Final = {DETECT: DETECT_INPUTS, TRIAGE: (SIGNALS,)}
PREFIX: Final = "walletwatch_"
_OF_ALERTS: Final = (get_args(AlertKind), [name for name in SEVERITIES if name != "critical"])

# When a counter was made would be one more series for each; all are as old as the process.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Family(NamedTuple):
    """What the documentation says of a metric."""

    name: str
    labels: tuple[str, ...]
    meaning: str


class UnknownFormat(Exception):
    """An Accept header cannot be understood."""


class Metrics:
    """The metrics of some stages, in a registry of their own.

    Args:
        stages: names of the stages that run.
        rules: those that run, live and in shadow.
    """

    def __init__(self, stages: Sequence[str], rules: Sequence[AnyRule]) -> None:
        self.registry = CollectorRegistry()
        self.families: list[Family] = []
        self._make_inputs()
        self._make_tasks()
        self._make_outcomes()
        self._make_process()
        _touch(self._counters[LogChanged], get_args(NoticeKind))
        for stage in stages:
            self._start_stage(stage)
        if TRIAGE in stages:
            _touch(self._counters[IncidentPublished], SEVERITIES)
            _touch(self.incidents_open, SEVERITIES)
        if DETECT in stages:
            self._start_rules(rules)
            for each in EVENTS:
                self._start_fields(each)

    def text(self, accepts: str) -> tuple[bytes, str]:
        """Return all metrics in a format that the Accept header allows, and its content type.

        Raises:
            UnknownFormat: the header asks for a version of a format that is no version.
        """
        try:
            encode, content_type = choose_encoder(accepts)
        except (TypeError, ValueError):  # a version with other parts than numbers, or none
            raise UnknownFormat from None
        if not content_type.isprintable():  # it quotes the version, which may be folded
            raise UnknownFormat
        return encode(self.registry), content_type

    def count(self, outcome: Outcome, number: int) -> None:
        """Move the counter that shows an outcome, if one does."""
        metric = outcome.metric
        if metric is None:
            return
        if metric.where is None or getattr(outcome, metric.where[0]) == metric.where[1]:
            labels = (getattr(outcome, label) for label in metric.labels)
            self._counters[type(outcome)].labels(*labels).inc(number)

    def _make_inputs(self) -> None:
        self.consumed = self._counter(
            "events_consumed_total",
            "Records read from an input, controls and bad ones included.",
            "topic",
        )
        self.processed = self._counter(
            "events_processed_total",
            "Events by what became of them: ok, late, duplicate (delivered before), "
            "invalid (a dead letter).",
            "topic",
            "outcome",
        )
        age = self._family(
            "event_age_seconds",
            "From the order time of an event (that of a late one is later than it "
            "occurred) until what came of it was committed; a histogram.",
            "topic",
        )
        self.ages = AgesCollector(age)
        self.registry.register(self.ages)
        self.lag = self._gauge(
            "consumer_lag_records",
            "Records of an input partition behind the last one that was read and committed, "
            "as of at most 5 s ago; on Kafka, what an open transaction hides counts, and markers "
            "of transactions may count too.",
            "stage",
            "topic",
            "partition",
        )
        self.held = self._gauge(
            "input_held_seconds",
            "For how long this worker has found an input partition held by the same open "
            "transaction of a producer, as of at most 5 s ago; 0 if none holds it.",
            "stage",
            "topic",
            "partition",
        )

    def _make_tasks(self) -> None:
        self.watermark = self._gauge(
            "watermark_timestamp_seconds",
            "Event time up to which a task has judged; time() minus this is its watermark lag.",
            "stage",
            "task",
        )
        self.last_poll = self._gauge(
            "last_poll_timestamp_seconds",
            "Wall time at which the last unit of work began; of the start before the first.",
        )
        self.commits = self._counter("commits_total", "Units of work that were committed.", "stage")
        self.rebalances = self._counter(
            "rebalances_total", "Times that tasks were assigned anew after the start.", "stage"
        )
        self.assigned = self._gauge("assigned_tasks", "Tasks that this process has.", "stage")
        self.restored = self._gauge("restored_tasks", "Tasks of these that are restored.", "stage")
        name, labels, meaning = self._family(
            "restore_seconds", "How long it took to restore a task; a summary.", "stage"
        )
        self.restores = Summary(name, meaning, labels, registry=self.registry)
        build = self._gauge("build_info", "Which release runs; always 1.", "version", "python")
        build.labels(version("walletwatch"), platform.python_version()).set(1)

    def _make_outcomes(self) -> None:
        self._counters = {
            kind: self._counter(metric.name, metric.meaning or kind.meaning(), *metric.labels)
            for kind in OUTCOMES
            if (metric := kind.metric) is not None
        }
        self.incidents_open = self._gauge(
            "incidents_open", "Incidents of this process's tasks that are not resolved.", "severity"
        )

    def _make_process(self) -> None:
        """Add the process's own metrics, under the names that all clients of Prometheus have."""
        for each in ProcessCollector(registry=self.registry).collect():
            suffix = "_total" if each.type == "counter" else ""
            self.families.append(Family(each.name + suffix, (), each.documentation))

    def _family(self, name: str, meaning: str, *labels: str) -> Family:
        family = Family(PREFIX + name, labels, meaning)
        self.families.append(family)
        return family

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        family = self._family(name, meaning, *labels)
        return Counter(family.name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        family = self._family(name, meaning, *labels)
        return Gauge(family.name, meaning, labels, registry=self.registry)

    def _start_stage(self, stage: str) -> None:
        _touch(self.commits, [stage])
        _touch(self.rebalances, [stage])
        _touch(self.assigned, [stage])
        _touch(self.restored, [stage])
        _touch(self.restores, [stage])
        _touch(self.consumed, INPUTS[stage])
        _touch(self.processed, INPUTS[stage], get_args(EventOutcome))
        _touch(self._counters[DeadLettered], INPUTS[stage], DEAD_LETTER_REASONS)
        for topic in INPUTS[stage]:
            self.ages.add(topic, (), 0)

    def _start_fields(self, events: Input) -> None:
        for field, wrong in wrong_fields(events.model).items():
            hows = HOWS[wrong.consequence]
            _touch(self._counters[FieldMended], [events.topic], [field], hows)

    def _start_rules(self, rules: Sequence[AnyRule]) -> None:
        live = [rule.id for rule in rules if rule.mode == "live"]
        shadow = [rule.id for rule in rules if rule.mode == "shadow"]
        _touch(self._counters[AlertPublished], [*live, PIPELINE_SILENT], *_OF_ALERTS)
        _touch(self._counters[ShadowAlertPublished], shadow, *_OF_ALERTS)
        _touch(self._counters[RuleFailure], live + shadow)


class AgesCollector(Collector):
    """The histogram of ages, to which whole batches are added."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._ages: dict[str, Ages] = {}

    def add(self, topic: str, times: Sequence[int], now: int) -> None:
        """Add the events of a topic, given by their sorted times."""
        self._ages[topic] = self._ages.get(topic, Ages()).add(times, now)

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram as it is now."""
        name, labels, meaning = self._family
        family = HistogramMetricFamily(name, meaning, labels=labels)
        for topic, ages in list(self._ages.items()):
            bounds = [str(bound / 1000) for bound in BOUNDS_MS]
            buckets = [*zip(bounds, ages.at_most, strict=True), ("+Inf", ages.count)]
            family.add_metric([topic], buckets, ages.total_ms / 1000)
        yield family


def _touch(family: Counter | Gauge | Summary, *values: Iterable[str]) -> None:
    """Make every combination of the labels' values, at 0."""
    for labels in product(*values):
        family.labels(*labels)
