"""What workers count: the one list of outcomes. Pure.

An outcome is counted by its fields: `outbox.counts[Redelivered(topic)] += 1`. Its class says how
commands print it, how `replay` sums it up, and which metrics show it; summaries, metrics and
docs/operations.md are made from that. A count without a class in `OUTCOMES` fails in a test.
"""

from collections import Counter
from typing import ClassVar, Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from schemas.alert import AlertKind
from schemas.base import Severity
from schemas.dead_letter import DeadLetterReason
from schemas.topics import SIGNALS
from worker.engine.records import NoticeKind

EventOutcome = Literal["ok", "late", "duplicate", "invalid"]
"""What became of one event."""


class Processed(NamedTuple):
    """What an outcome says of an event."""

    topic: str
    outcome: EventOutcome
    was_released: bool = True
    """Whether it was released in its order: then it would count as ok without the outcome."""


class Column(NamedTuple):
    """Where `replay` sums an outcome up."""

    name: str
    by: tuple[str, ...]
    """Fields: one row per combination of their values."""


class Metric(NamedTuple):
    """The counter that shows an outcome."""

    name: str
    """Without the prefix of all metrics."""
    labels: tuple[str, ...]
    """Fields of the outcome."""
    where: tuple[str, str] | None = None
    """(field, value) of those that it counts; None: all."""
    meaning: str | None = None
    """None: that of the outcome."""


class Outcome(Struct, frozen=True, gc=False):
    """Something that is counted by its fields; the docstring of a class is its meaning."""

    name: ClassVar[str]
    """How commands print it, with the values of its fields behind."""
    column: ClassVar[Column | None] = None
    metric: ClassVar[Metric | None] = None

    @classmethod
    def meaning(cls) -> str:
        """Return what it is that is counted."""
        return cls.__doc__ or ""

    @property
    def words(self) -> tuple[str, ...]:
        """Its name and the values of its fields."""
        return (self.name, *astuple(self))

    @property
    def processed(self) -> Processed | None:
        """What it says of an event; None: nothing, or another outcome says it too."""
        return None


Counts = Counter[Outcome]


class LateEvent(Outcome, frozen=True):
    """Events that came after events of a later time had been judged."""

    name = "late"
    column = Column("late", ("topic",))
    topic: str

    @property
    def processed(self) -> Processed:
        """It was judged as late."""
        return Processed(self.topic, "late")


class Redelivered(Outcome, frozen=True):
    """Events that had been delivered before."""

    name = "redelivered"
    column = Column("redelivered", ("topic",))
    topic: str

    @property
    def processed(self) -> Processed:
        """It was not judged again."""
        return Processed(self.topic, "duplicate")


class TooOld(Outcome, frozen=True):
    """Late events that may have been delivered before: too old to know; counted as late too."""

    name = "too_old"
    column = Column("too_old", ("topic",))
    topic: str


class PassedOver(Outcome, frozen=True):
    """Heartbeats and ends of a partition that a replay does not have."""

    name = "passed_over"
    column = Column("passed_over", ("topic",))
    topic: str


class DeadLettered(Outcome, frozen=True):
    """Dead letters by their reason."""

    name = "dead_letter"
    column = Column("dead_letters", ("reason",))
    metric = Metric("dead_letters_total", ("topic", "reason"))
    topic: str
    """Where the record was read; `lines` of a line that belongs to no topic."""
    reason: DeadLetterReason

    @property
    def processed(self) -> Processed | None:
        """It was not judged; only where one rule failed the others have judged it."""
        if self.reason == "rule_error":
            return None
        return Processed(self.topic, "invalid", was_released=self.reason == "event_id_conflict")


class UnknownFields(Outcome, frozen=True):
    """Fields of events that no schema names; they are ignored."""

    name = "unknown_fields"
    column = Column("unknown_fields", ("topic",))
    topic: str


class FieldMended(Outcome, frozen=True):
    """Wrong values of fields that nothing needs: cleaned, cut or dropped; the event was judged."""

    name = "field_mended"
    column = Column("fields_mended", ("topic", "field", "how"))
    metric = Metric("fields_mended_total", ("topic", "field", "how"))
    topic: str
    field: str
    how: str


class NotJudged(Outcome, frozen=True):
    """What a live rule saw and did not judge, by the rule's own reasons."""

    name = "rule"
    column = Column("not_judged", ("rule", "reason"))
    rule: str
    reason: str


class RuleFailure(Outcome, frozen=True):
    """Times that a rule failed on an event or a timer."""

    name = "rule_error"
    column = Column("rule_errors", ("rule",))
    metric = Metric("rule_errors_total", ("rule",))
    rule: str


class AlertPublished(Outcome, frozen=True):
    """Alert records of live rules."""

    name = "alert"
    metric = Metric("alerts_total", ("rule", "kind", "severity"))
    rule: str
    kind: AlertKind
    severity: Severity


class ShadowAlertPublished(Outcome, frozen=True):
    """Alert records of rules in shadow."""

    name = "shadow_alert"
    metric = Metric("shadow_alerts_total", ("rule", "kind", "severity"))
    rule: str
    kind: AlertKind
    severity: Severity


class AlertCounted(Outcome, frozen=True):
    """Findings of rules beyond the open alerts of an account: counted by its overflow alert."""

    name = "alert_counted"
    rule: str


class IncidentPublished(Outcome, frozen=True):
    """Records of incidents, by what changed and how severe they were then."""

    name = "incident"
    metric = Metric(
        "incidents_opened_total",
        ("severity",),
        where=("change", "opened"),
        meaning="Incidents by the severity they opened with.",
    )
    change: str
    severity: Severity


class IncidentForgotten(Outcome, frozen=True):
    """Resolved incidents removed before their retention: the key has opened a hundred since."""

    name = "incident_forgotten"


class EndForgotten(Outcome, frozen=True):
    """Ended transactions that an account forgot early, since it remembers only so many."""

    name = "ended_forgotten"


class UnknownAccount(Outcome, frozen=True):
    """Logins under a name that no account has: they belong to their source only."""

    name = "unknown_account"
    topic: str


class CountTooLate(Outcome, frozen=True):
    """Events more than ten minutes late, which change no count by cause any more."""

    name = "volume_too_late"
    measure: str


class StateDropped(Outcome, frozen=True):
    """States of an older version of a rule that it could not use: it began afresh."""

    name = "state_afresh"
    rule: str


class TimerOfNoRule(Outcome, frozen=True):
    """Timers of rules that do not run any more."""

    name = "timer_of_no_rule"
    code: str


class LateSignal(Outcome, frozen=True):
    """Alerts that reached triage after its time had passed theirs."""

    name = "late_signal"
    origin: str

    @property
    def processed(self) -> Processed:
        """It joined its incident as late."""
        return Processed(SIGNALS, "late")


class AlertOfNoIncident(Outcome, frozen=True):
    """Alert records that change an alert which no incident has."""

    name = "alert_of_no_incident"
    rule: str


class LogChanged(Outcome, frozen=True):
    """Changes that others made to the log, with which the worker goes on; each is also a line."""

    name = "log_changed"
    metric = Metric("log_changes_total", ("kind",))
    kind: NoticeKind


OUTCOMES: Final[tuple[type[Outcome], ...]] = (
    LateEvent,
    Redelivered,
    TooOld,
    PassedOver,
    DeadLettered,
    UnknownFields,
    FieldMended,
    NotJudged,
    RuleFailure,
    AlertPublished,
    ShadowAlertPublished,
    AlertCounted,
    IncidentPublished,
    IncidentForgotten,
    EndForgotten,
    UnknownAccount,
    CountTooLate,
    StateDropped,
    TimerOfNoRule,
    LateSignal,
    AlertOfNoIncident,
    LogChanged,
)
"""In the order in which `replay` shows its columns."""


def summed(counts: Counts, kind: type[Outcome], by: tuple[str, ...]) -> dict[str, int]:
    """Return how often an outcome was counted, by the values of some fields, in their order."""
    sums: Counter[tuple[str, ...]] = Counter()
    for outcome, count in counts.items():
        if type(outcome) is kind:
            sums[tuple(getattr(outcome, field) for field in by)] += count
    return {": ".join(values): count for values, count in sorted(sums.items()) if count}
