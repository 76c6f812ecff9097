"""A rule that raises loses what it did for that event; everything else goes on."""

from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
import pytest

from rules.alerts import Draft, Verdict
from rules.contract import Params, Rule, State
from rules.effects import Effects
from rules.events import LOGIN, Login, Transaction
from rules.facts import Facts
from rules.profile import Profile
from schemas.topics import ALERTS, DEAD_LETTERS, TRANSACTIONS
from tests.support.clocked_stages import Station
from tests.support.events.arrivals import deliver
from tests.support.events.traffic import MINUTE, SECOND, START, live
from tests.support.random_runs import POLICY, RULES, endure, run_plainly
from tests.support.run_comparison import comparable, dangling, documents, set_aside
from worker.detect.stage import Policy
from worker.engine.outbox import Outbox
from worker.engine.outcomes import NotJudged, RuleFailure


class TouchyState(State):
    """How many transactions were seen."""

    count: int = 0


class TouchyFacts(Facts, kw_only=True):
    """What it was told to find."""

    at_ms: int
    title: str
    count: int


class Touchy(Rule[Params, TouchyState, TouchyFacts]):
    """Alerts on every third transaction or failed login; changes much before it raises."""

    id = "touchy"
    code = "X1"
    category = "payment"
    Params = Params
    State = TouchyState
    Facts = TouchyFacts
    touched: frozenset[str] = frozenset()
    """event_ids at which it raises; "*": at all."""
    asks_for_the_impossible = False
    """Where touched it does not raise itself, but its last effect cannot be published."""
    raises_on_timers = False

    def on_transaction(
        self, state: TouchyState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Count, alert, set timers, and raise."""
        self._handle(state, event, fx)

    def on_login(self, state: TouchyState, event: Login, profile: Profile, fx: Effects) -> None:
        """Count, alert, set timers, and raise."""
        if event.outcome == "failure":
            self._handle(state, event, fx)

    def _handle(self, state: TouchyState, event: Transaction | Login, fx: Effects) -> None:
        state.count += 1
        for alert in fx.open_alerts():
            fx.settle(alert, "success")
        if state.count % 3 == 0:
            self._alert(state, event, "Touched", fx)
        fx.set_timer("later", event.occurred_at + 2 * MINUTE, (LOGIN,))
        fx.count("touched")
        if event.event_id in self.touched or "*" in self.touched:
            if not self.asks_for_the_impossible:
                raise ValueError("touched")
            self._alert(state, event, "Too long " * 100, fx)

    def _alert(
        self, state: TouchyState, event: Transaction | Login, title: str, fx: Effects
    ) -> None:
        draft = Draft(
            anchor=f"{title}:{event.event_id}",
            cause="touchy",
            evidence=[(fx.ref, "event")],
            facts=[
                ("at_ms", event.occurred_at, None),
                ("title", title, None),
                ("count", state.count, None),
            ],
        )
        fx.alert(draft)

    def judge(self, facts: TouchyFacts) -> Verdict:
        """Find what it was told to find."""
        details = {"count": facts.count}
        return Verdict(at=facts.at_ms, severity="info", title=facts.title, details=details)

    def on_timer(
        self, state: TouchyState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """Close the open alerts, or raise."""
        for alert in fx.open_alerts():
            fx.expire(alert)
        if self.raises_on_timers:
            raise KeyError("touched")


def with_touchy(touched: Iterable[str] = (), **how: bool) -> Policy:
    """Return the policy of all rules and the touchy one."""
    rule = Touchy(Params())
    rule.touched = frozenset(touched)
    for name, value in how.items():
        setattr(rule, name, value)
    rules = (RULES[0], rule, *RULES[1:])
    return Policy(rules=rules, known_rules=rules, dead_letter_limit=None)


def events_of(station: Station) -> list[str]:
    """Return the ids of the transactions in order."""
    return [event["event_id"] for _, event in documents(station.log, TRANSACTIONS)]


def touched_by(station: Station) -> list[tuple[str, Any]]:
    """Return (kind, count) of the alert records of the touchy rule."""
    return [(alert["kind"], alert["details"].get("count")) for alert in station.alerts("touchy")]


@pytest.mark.parametrize(
    ("impossible", "error"), [(False, "ValueError"), (True, "ValidationError")]
)
def test_a_rule_that_raises_loses_what_it_did_for_that_event_and_nothing_else(
    impossible: bool, error: str
) -> None:
    """State, alerts, settlements, timers and counts of that call; the error is published."""

    def run(policy: Policy) -> Station:
        station = Station(policy=policy)
        for n in range(7):
            station.transaction("owner", START + n * SECOND)
        station.work(START + MINUTE)
        return station

    calm = run(with_touchy())
    assert touched_by(calm) == [("raised", 3), ("cured", None), ("raised", 6), ("cured", None)]
    assert calm.detect.counts[NotJudged("touchy", "touched")] == 7
    bad = events_of(calm)[3]
    station = run(with_touchy([bad], asks_for_the_impossible=impossible))
    assert touched_by(station) == [("raised", 3), ("cured", None), ("raised", 6)]
    assert station.alerts("touchy")[1]["evidence"][0]["event_id"] == events_of(calm)[4]
    assert station.detect.counts[NotJudged("touchy", "touched")] == 6
    assert station.detect.counts[RuleFailure("touchy")] == 1
    ((topic, key, value, headers),) = set_aside(station.log)
    assert (topic, key) == (DEAD_LETTERS, b"owner")
    assert msgspec.json.decode(value or b"")["event_id"] == bad
    told = {name: text.decode() for name, text in headers}
    assert told["dlq_reason"] == "rule_error"
    assert (told["dlq_topic"], told["dlq_partition"], told["dlq_offset"]) == (
        TRANSACTIONS,
        "0",
        "3",
    )
    assert told["dlq_error"] == f"rule touchy: {error}"
    assert not station.detect.tasks[0].context(Outbox("")).careful  # care is for that unit only
    last = run(with_touchy(events_of(calm)[6:], asks_for_the_impossible=impossible))
    assert (START + 5 * SECOND + 2 * MINUTE, b"owner", "X1", "later") in undecided(last)


def test_what_a_rule_wrote_before_it_raised_reaches_no_other_account() -> None:
    """Accounts without a state of the rule share one that is empty until a rule writes to it."""
    station = Station(policy=with_touchy(["event-2"]))
    station.transaction("first", START)
    station.work(START + MINUTE)
    assert station.detect.counts[RuleFailure("touchy")] == 1
    for n in range(2):
        for account in ("second", "third"):
            station.transaction(account, station.now + n * SECOND)
    station.work(station.now + MINUTE)
    assert station.alerts("touchy") == []
    station.transaction("third", station.now)
    station.work(station.now + MINUTE)
    (raised,) = station.alerts("touchy")
    assert (raised["account_id"], raised["details"]["count"]) == ("third", 3)


def test_a_rule_that_raises_on_a_timer_loses_what_it_did_there() -> None:
    """A timer has no address to publish: it is counted. The timer itself is gone."""
    for raises, kinds in ((False, ["raised", "expired"]), (True, ["raised"])):
        station = Station(policy=with_touchy(raises_on_timers=raises))
        for n in range(3):
            station.transaction("owner", START + n * SECOND)
        station.login("owner", START + SECOND)
        station.work(START + MINUTE)
        station.now = START + 3 * MINUTE
        station.login("owner", station.now)
        station.work(START + 4 * MINUTE)
        assert [kind for kind, _ in touched_by(station)] == kinds
        assert station.detect.counts[RuleFailure("touchy")] == raises
        assert not any(task_timer[2] == "X1" for task_timer in undecided(station))
        assert not set_aside(station.log)


def undecided(station: Station) -> list[tuple[int, bytes, str, str]]:
    """Return the pending timers of all detect tasks."""
    return [item for task in station.detect.tasks.values() for item in task.undecided()]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_other_alerts_are_unchanged_when_a_rule_raises(seed: int, share: float) -> None:
    """For some events, for all, and on every timer; over restarts the errors are told once."""
    rng = Random(seed)
    events = live(rng)
    arrival = deliver(rng, events, rng.randint(1, 4))
    ids = [msgspec.json.decode(event.value)["event_id"] for event in events]
    touched = ["*"] if share == 1 else [each for each in ids if rng.random() < share]
    policy = with_touchy(touched, raises_on_timers=True)
    records = [record for stream in arrival.streams.values() for record in stream]
    alone = run_plainly(records, arrival.partitions, POLICY)
    plain = run_plainly(records, arrival.partitions, policy)
    endured = endure(rng, arrival, policy=policy)
    errors = [headers for _, _, _, headers in set_aside(plain) if is_rule_error(headers)]
    assert len(errors) >= len(touched) // 8
    assert set_aside(endured) == set_aside(plain)
    assert comparable(endured) == comparable(plain)
    assert dangling(endured) == []
    others = [alert for alert in comparable(plain).alerts if '"rule":"touchy"' not in alert]
    assert others == comparable(alone).alerts
    if share == 1:
        assert not any(alert["rule"] == "touchy" for _, alert in documents(endured, ALERTS))


def is_rule_error(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Say whether a dead letter is about a rule that raised."""
    return ("dlq_reason", b"rule_error") in headers
