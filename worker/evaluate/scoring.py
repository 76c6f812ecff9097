"""How good the alerts are, against a truth that was fixed before any rule ran. Pure.

A plant that must alert is found by an alert of its rule on its account that cites one of its events
or names one of its transactions; each has at most one partner. Every other alert is false, whatever
it is about.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import ValidationError

from schemas.alert import Alert
from schemas.base import SEVERITIES, Severity
from schemas.truth import Plant
from worker.codec.validation import explain
from worker.errors import UsageError

BACKGROUND: Final = "background"
"""The variant of false alerts that touch nothing planted."""

MAX_PLANT_BYTES: Final = 1024 * 1024
"""What a line of a truth may have."""


def read_truth(
    name: str, lines: Iterable[tuple[int, bytes]], rules: Collection[str]
) -> list[Plant]:
    """Return the plants of numbered lines of the file `name`, about these rules.

    Raises:
        UsageError: a line is no plant, or names another rule.
    """
    plants = []
    for number, line in lines:
        if len(line) > MAX_PLANT_BYTES:  # perhaps only its beginning has been read
            raise UsageError(f"{name}, line {number}: has more than {MAX_PLANT_BYTES} bytes.")
        try:
            plant = Plant.model_validate_json(line)
        except ValidationError as error:
            raise UsageError(f"{name}, line {number}: {explain(error)}.") from None
        if plant.rule not in rules:
            known = ", ".join(sorted(rules))
            raise UsageError(f"{name}, line {number}: rule: unknown; the rules are {known}.")
        plants.append(plant)
    return plants


@dataclass(slots=True)
class Found:
    """An alert: its raised record, and what became of it."""

    raised: Alert
    reached: dict[Severity, int] = field(default_factory=dict)
    """When it first had which severity, in milliseconds of event time."""
    cured: bool = False

    @property
    def events(self) -> set[str]:
        """The events it cites."""
        return {cited.event_id for cited in self.raised.evidence}

    @property
    def severity(self) -> Severity:
        """The highest it reached."""
        return min(self.reached, key=SEVERITIES.index)


def alerts_of(records: Iterable[bytes]) -> list[Found]:
    """Return the alerts of published records, those of one alert in their order."""
    found: dict[str, Found] = {}
    for raw in records:
        record = Alert.model_validate_json(raw)
        alert = found.get(record.alert_id)
        if alert is None:
            alert = found[record.alert_id] = Found(record)
        alert.reached.setdefault(record.severity, record.detected_at)
        alert.cured |= record.kind == "cured"
    return list(found.values())


class Pair(NamedTuple):
    """A plant and the alert that found it."""

    plant: Plant
    alert: Found

    @property
    def delay(self) -> int:
        """Milliseconds of event time from when it could be known to the alert."""
        return self.alert.raised.detected_at - self.plant.knowable_at

    @property
    def severity_delay(self) -> int | None:
        """The same for its severity; None where that was not planted or not reached."""
        severity, since = self.plant.severity, self.plant.severity_at
        if severity is None or since is None or severity not in self.alert.reached:
            return None
        return self.alert.reached[severity] - since

    @property
    def delays(self) -> list[int]:
        """Both delays, as far as there are any."""
        return [self.delay] if self.severity_delay is None else [self.delay, self.severity_delay]

    def problems(self, max_delay: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what is wrong with the alert, and by how much."""
        planted, reached = self.plant.severity, self.alert.severity
        if planted not in (None, reached):
            yield "wrong_severity", {"planted": planted, "reached": reached}
        if min(self.delays) < 0:
            yield "too_early", {"by_ms": -min(self.delays)}
        if max(self.delays) > max_delay:
            yield "too_late", {"delay_ms": max(self.delays)}
        if self.plant.cured_at is not None and not self.alert.cured:
            yield "not_cured", {}


@dataclass(slots=True)
class Score:
    """Which plants were found by which alerts, and what is left of both."""

    pairs: list[Pair]
    missed: list[Plant]
    silent: list[Plant]
    false: list[tuple[Found, str]]
    """Each with the variant whose events it is about."""


def score(plants: Sequence[Plant], alerts: Sequence[Found]) -> Score:
    """Match plants with alerts, as many as possible, by the anchor where that is possible."""
    must = [plant for plant in plants if plant.expect == "alert"]
    silent = [plant for plant in plants if plant.expect == "silent"]
    near = _Near(alerts)
    seats = _matched([near.of(plant) for plant in must])
    partners = {plant: alert for alert, plant in seats.items()}
    variants: dict[int, str] = {}
    for plant in (*silent, *must):
        for number, _ in near.of(plant):
            variants.setdefault(number, plant.variant)
    return Score(
        [Pair(must[plant], alerts[alert]) for plant, alert in sorted(partners.items())],
        [plant for number, plant in enumerate(must) if number not in partners],
        silent,
        [
            (alert, variants.get(number, BACKGROUND))
            for number, alert in enumerate(alerts)
            if number not in seats
        ],
    )


class _Near:
    """Finds the alerts that may be about a plant."""

    def __init__(self, alerts: Sequence[Found]) -> None:
        self._alerts = alerts
        self._by_account: defaultdict[tuple[str, str | None], list[int]] = defaultdict(list)
        for number, alert in enumerate(alerts):
            self._by_account[alert.raised.rule, alert.raised.account_id].append(number)

    def of(self, plant: Plant) -> list[tuple[int, bool]]:
        """Return (number of the alert, whether it cites the anchor), the likeliest first."""
        found = []
        for number in self._by_account.get((plant.rule, plant.account_id), ()):
            alert = self._alerts[number]
            shares = not alert.events.isdisjoint(plant.event_ids)
            if shares or not set(alert.raised.transaction_ids).isdisjoint(plant.transaction_ids):
                away = abs(alert.raised.detected_at - plant.knowable_at)
                found.append((plant.anchor not in alert.events, away, number))
        return [(number, not other) for other, _, number in sorted(found)]


def _matched(near: Sequence[Sequence[tuple[int, bool]]]) -> dict[int, int]:
    """Return alert to plant: a largest matching, that of the anchors made first."""
    anchored = [[number for number, anchor in alerts if anchor] for alerts in near]
    everyone = [[number for number, _ in alerts] for alerts in near]
    seats: dict[int, int] = {}
    for edges in (anchored, everyone):
        seated = set(seats.values())
        for plant in range(len(near)):
            if plant not in seated:
                _seat(plant, edges, seats, set())
    return seats


def _seat(plant: int, edges: list[list[int]], seats: dict[int, int], tried: set[int]) -> bool:
    """Give the plant an alert, moving others to another one of theirs if need be."""
    for alert in edges[plant]:
        if alert not in tried:
            tried.add(alert)
            if alert not in seats or _seat(seats[alert], edges, seats, tried):
                seats[alert] = plant
                return True
    return False


class _Id(msgspec.Struct):
    event_id: str


class Census:
    """Counts events, and those that nothing planted is about."""

    def __init__(self, plants: Iterable[Plant]) -> None:
        self._planted = {event for plant in plants for event in plant.event_ids}
        self._decode = msgspec.json.Decoder(_Id).decode
        self.events = 0
        self.background = 0

    def counted(self, lines: Iterable[tuple[str, int, bytes]]) -> Iterator[tuple[str, int, bytes]]:
        """Pass the lines on; what has no event_id is no event."""
        for line in lines:
            try:
                event = self._decode(line[2]).event_id
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                yield line
                continue
            self.events += 1
            self.background += event not in self._planted
            yield line
