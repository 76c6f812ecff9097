"""Beyond the open alerts that a rule may have on one account, one overflow alert counts."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest

from rules.alerts import Draft
from rules.contract import AnyRule, Params, State
from rules.effects import Effects
from rules.events import Transaction
from rules.profile import Profile
from schemas.time import parse_time
from schemas.topics import ALERTS, ALERTS_SHADOW, INCIDENTS, SIGNALS
from tests.support.clocked_stages import Station
from tests.support.events.traffic import MINUTE, SECOND, START
from tests.support.noisy_rule import NOISY, Noisy
from tests.support.run_comparison import documents
from worker.detect import effects
from worker.detect.alerts import derived_id
from worker.detect.handler import Horizons
from worker.detect.stage import Policy
from worker.engine.keyed_state import payload_of
from worker.engine.outcomes import AlertCounted, RuleFailure
from worker.run.forget import forget
from worker.tokens import PUBLIC

MOST: Final = 4
RULE: Final = NOISY
ONE: Final = "one"


def policy_of(*rules: AnyRule, **horizons: int) -> Policy:
    """Return the policy of rules with a limit of four."""
    most = Horizons(**{"max_open_alerts": MOST} | horizons)
    return Policy(rules=rules, known_rules=rules, dead_letter_limit=None, horizons=most)


POLICY: Final = policy_of(RULE)


class Wallet(Station):
    """One account whose transactions fail and succeed."""

    def __init__(self, policy: Policy = POLICY) -> None:
        super().__init__(policy=policy)

    def fails(self, names: Iterable[str], at: int, severity: str = "warning", **more: Any) -> None:
        """Let transactions fail, a millisecond after each other, and let their time pass."""
        self.now = at
        for number, name in enumerate(names):
            known = {"transaction_id": name, "failure_code": severity} | more
            self.transaction(ONE, at + number, "failed", **known)
        self.pass_time(at + SECOND)

    def succeed(self, names: Iterable[str], at: int) -> None:
        """Let transactions succeed, and let their time pass."""
        self.now = at
        for number, name in enumerate(names):
            self.transaction(ONE, at + number, transaction_id=name)
        self.pass_time(at + SECOND)

    def pass_time(self, until: int) -> None:
        """Let all inputs stand at a time."""
        for topic in ("wallet.transactions", "wallet.logins", "wallet.balances"):
            self.control(topic, "end", until)
        self.work(until)

    def follow(self, policy: Policy) -> None:
        """Go on under another policy."""
        self._policy = policy
        self.restart()

    def account(self) -> dict[str, Any]:
        """Return what is saved of the account, without its timers' header; empty: nothing."""
        states = self.detect.tasks[0].states
        saved: dict[str, Any] = msgspec.msgpack.decode(payload_of(states[ONE.encode()]))
        return saved

    def own(self) -> list[tuple[str, str]]:
        """Return kind and transaction of all records of ordinary alerts."""
        return [
            (alert["kind"], alert["transaction_ids"][0])
            for _, alert in documents(self.log, ALERTS)
            if "counted" not in alert
        ]

    def overflow(self) -> list[dict[str, Any]]:
        """Return all records of overflow alerts."""
        return [alert for _, alert in documents(self.log, ALERTS) if "counted" in alert]

    def counts_of(self) -> list[tuple[str, str, int]]:
        """Return kind, severity and count of all records of overflow alerts."""
        return [(each["kind"], each["severity"], each["counted"]) for each in self.overflow()]

    def incidents(self) -> list[dict[str, Any]]:
        """Return all records of the incidents of overflow alerts."""
        found = [incident for _, incident in documents(self.log, INCIDENTS)]
        return [each for each in found if ":overflow:" in each["dedup_key"]]


def names(count: int, prefix: str = "t") -> list[str]:
    """Return names of transactions."""
    return [f"{prefix}{number}" for number in range(count)]


def test_up_to_the_limit_each_has_its_own_alert() -> None:
    """Nothing is counted."""
    wallet = Wallet()
    wallet.fails(names(MOST), START)
    assert wallet.own() == [("raised", name) for name in names(MOST)]
    assert wallet.overflow() == []


def test_the_first_beyond_the_limit_opens_an_overflow_alert() -> None:
    """It is about the account, is true since then, and cites what the first rests on."""
    wallet = Wallet()
    wallet.fails(names(MOST + 1), START)
    assert len(wallet.own()) == MOST
    (alert,) = wallet.overflow()
    at = START + MOST
    assert alert["alert_id"] == derived_id(PUBLIC.id_key, "noisy", ONE, f"overflow:{at}")
    assert (alert["rule"], alert["kind"], alert["sequence"]) == ("noisy", "raised", 1)
    assert (parse_time(alert["at"]), alert["account_id"]) == (at, ONE)
    assert alert["dedup_key"] == f"noisy:overflow:{PUBLIC.of(ONE)}"
    assert alert["cause"] == f"account:{PUBLIC.of(ONE)}"
    assert alert["title"] == "Over 4 open alerts of noisy: further ones are only counted"
    assert alert["details"] == {"max_open_alerts": MOST, "by_severity": {"warning": 1}}
    assert (alert["counted"], alert["facts"], alert["transaction_ids"]) == (1, [], [])
    assert [each["role"] for each in alert["evidence"]] == ["failure"]
    assert any(signal["kind"] == "alert" for _, signal in documents(wallet.log, SIGNALS))


def test_it_is_published_at_most_once_a_minute_when_its_count_has_changed() -> None:
    """With the worst severity it counts, and the sums of the amounts."""
    wallet = Wallet()
    wallet.fails(names(MOST + 1), START, "info")
    wallet.fails(names(5, "u"), START + 10 * SECOND)
    wallet.fails(names(1, "v"), START + 20 * SECOND, "error")
    wallet.fails(names(1, "w"), START + 59 * SECOND, currency="JPY", amount="7")
    assert wallet.counts_of() == [("raised", "info", 1)]
    wallet.pass_time(START + 2 * MINUTE)
    assert wallet.counts_of() == [("raised", "info", 1), ("updated", "error", 8)]
    newest = wallet.overflow()[-1]
    assert parse_time(newest["detected_at"]) == START + MOST + MINUTE
    assert newest["details"]["by_severity"] == {"info": 1, "warning": 6, "error": 1}
    amounts = {money["currency"]: money["minor_units"] for money in newest["amount_at_stake"]}
    assert amounts == {"EUR": 7_000, "JPY": 7}
    wallet.pass_time(START + 10 * MINUTE)
    assert len(wallet.overflow()) == 2
    wallet.fails(names(2, "x"), START + 11 * MINUTE)
    assert wallet.counts_of()[2:] == [("updated", "error", 9)]
    wallet.pass_time(START + 14 * MINUTE)
    assert wallet.counts_of()[3:] == [("updated", "error", 10)]
    wallet.stop()
    assert wallet.counts[AlertCounted("noisy")] == 10


def test_what_is_counted_has_no_life_of_its_own() -> None:
    """What would close it changes nothing."""
    wallet = Wallet()
    wallet.fails(names(MOST + 2), START)
    before = len(documents(wallet.log, ALERTS))
    wallet.succeed([f"t{MOST}", f"t{MOST + 1}"], START + 2 * SECOND)
    assert len(documents(wallet.log, ALERTS)) == before


def test_where_there_is_room_again_an_alert_is_one_of_its_own() -> None:
    """The overflow alert stays open until few are left."""
    wallet = Wallet()
    wallet.fails(names(MOST + 1), START)
    wallet.succeed(["t0"], START + 2 * SECOND)
    wallet.fails(["late"], START + 4 * SECOND)
    assert wallet.own()[-1] == ("raised", "late")
    wallet.fails(["further"], START + 6 * SECOND)
    wallet.pass_time(START + 2 * MINUTE)
    assert wallet.counts_of() == [("raised", "warning", 1), ("updated", "warning", 2)]


@pytest.mark.parametrize(("closed", "lapsed"), [(2, False), (3, True)])
def test_it_lapses_when_fewer_than_half_of_the_limit_are_open(closed: int, lapsed: bool) -> None:
    """By its timer, with its last count."""
    wallet = Wallet()
    wallet.fails(names(MOST + 3), START)
    wallet.succeed(names(closed), START + 2 * SECOND)
    assert wallet.counts_of() == [("raised", "warning", 1)]
    wallet.pass_time(START + 3 * MINUTE)
    last = ("cured" if lapsed else "updated", "warning", 3)
    assert wallet.counts_of() == [("raised", "warning", 1), last]


def test_it_does_not_lapse_where_they_are_many_again_in_time() -> None:
    """Nothing has changed then: there is nothing to publish."""
    wallet = Wallet()
    wallet.fails(names(MOST + 1), START)
    wallet.succeed(names(3), START + 2 * SECOND)
    wallet.fails(names(3, "u"), START + 4 * SECOND)
    wallet.pass_time(START + 3 * MINUTE)
    assert wallet.counts_of() == [("raised", "warning", 1)]
    wallet.succeed(names(3, "u"), START + 4 * MINUTE)
    assert wallet.counts_of()[1:] == [("cured", "warning", 1)]


def test_another_one_has_another_id() -> None:
    """Its incident follows the resolved one."""
    wallet = Wallet()
    wallet.fails(names(MOST + 1), START)
    wallet.succeed(names(MOST), START + 2 * SECOND)
    wallet.fails(names(MOST + 1, "u"), START + 10 * MINUTE)
    steps = [(each["kind"], each["sequence"]) for each in wallet.overflow()]
    assert steps == [("raised", 1), ("cured", 2), ("raised", 1)]
    assert len({each["alert_id"] for each in wallet.overflow()}) == 2
    first, resolved, second = wallet.incidents()
    assert (first["status"], resolved["status"], resolved["resolution"]) == (
        "open",
        "resolved",
        "cured",
    )
    assert second["previous_incident_id"] == first["incident_id"]


def test_its_incident_takes_the_sums_as_truncated() -> None:
    """They rise with the count, and are not added to what was before."""
    wallet = Wallet()
    wallet.fails(names(MOST + 3), START)
    wallet.pass_time(START + 2 * MINUTE)
    opened, updated = wallet.incidents()
    assert (opened["truncated"], updated["truncated"]) == (True, True)
    assert [each["amount_at_stake"][0]["minor_units"] for each in (opened, updated)] == [
        1_000,
        3_000,
    ]
    assert updated["summary"] == "1 alert: 1 open. It counts 3 findings."
    others = [
        each for _, each in documents(wallet.log, INCIDENTS) if each not in wallet.incidents()
    ]
    assert all("truncated" not in each for each in others)


def test_it_expires_as_others_do() -> None:
    """After max_open, though there are many still; the next beyond the limit opens another."""
    wallet = Wallet(policy_of(RULE, max_open=10 * MINUTE))
    wallet.fails(names(MOST + 1), START)
    wallet.succeed(names(2), START + 9 * MINUTE)
    wallet.fails(names(2, "u"), START + 9 * MINUTE + 10 * SECOND)
    wallet.pass_time(START + 10 * MINUTE + SECOND)
    assert wallet.counts_of() == [("raised", "warning", 1), ("expired", "warning", 1)]
    wallet.fails(names(3, "w"), START + 10 * MINUTE + 10 * SECOND)
    assert wallet.counts_of()[2:] == [("raised", "warning", 1)]


def test_it_lapses_when_the_alerts_that_it_follows_have_expired() -> None:
    """Nothing is left of any."""
    wallet = Wallet(policy_of(RULE, max_open=10 * MINUTE))
    wallet.fails(names(MOST + 2), START)
    wallet.pass_time(START + 11 * MINUTE)
    assert wallet.counts_of() == [
        ("raised", "warning", 1),
        ("updated", "warning", 2),
        ("cured", "warning", 2),
    ]
    assert wallet.own()[MOST:] == [("expired", name) for name in names(MOST)]
    assert "a" not in wallet.account()


def test_in_shadow_it_is_as_invisible_as_the_alerts_that_it_follows() -> None:
    """And each mode has its own limit."""
    shadow = Noisy(Params(), "shadow")
    wallet = Wallet(policy_of(RULE, shadow))
    wallet.fails(names(MOST + 2), START)
    wallet.pass_time(START + 2 * MINUTE)
    seen = [alert for _, alert in documents(wallet.log, ALERTS_SHADOW) if "counted" in alert]
    assert [each["counted"] for each in seen] == [1, 2]
    assert [counted for _, _, counted in wallet.counts_of()] == [1, 2]
    assert len(wallet.incidents()) == 2


def test_after_its_rule_was_switched_off_it_still_ends() -> None:
    """As its alerts do."""
    wallet = Wallet(policy_of(RULE, max_open=10 * MINUTE))
    wallet.fails(names(MOST + 2), START)
    wallet.follow(replace(policy_of(max_open=10 * MINUTE), known_rules=(RULE,)))
    wallet.pass_time(START + 11 * MINUTE)
    assert wallet.counts_of()[-1] == ("cured", "warning", 2)


@pytest.mark.parametrize("mishap", ["before", "after"])
def test_a_crash_at_any_commit_changes_nothing(mishap: Any) -> None:
    """The same records, and none twice."""
    calm = _lived(None, mishap)
    kinds = [kind for _, kind, *_ in calm]
    assert kinds == ["raised", "updated", "updated", "updated", "cured", "raised"]
    for crash in range(9):
        assert _lived(crash, mishap) == calm


def _lived(crash: int | None, mishap: Any) -> list[tuple[Any, ...]]:
    """Return the overflow records of a run that crashes at one of its steps."""
    wallet = Wallet()
    wallet.fails(names(MOST + 3), START)
    for step in range(9):
        wallet.now = START + (step + 1) * 20 * SECOND
        wallet.transaction(ONE, wallet.now, "failed", transaction_id="f", failure_code="info")
        if crash == step:
            wallet.crash(mishap)
        wallet.pass_time(wallet.now + SECOND)
    assert wallet.log.crashes == (crash is not None)
    wallet.succeed(names(MOST), START + 4 * MINUTE)
    wallet.fails(names(MOST + 1, "u"), START + 8 * MINUTE)
    keys = ("alert_id", "kind", "sequence", "counted", "detected_at", "severity", "seal")
    return [tuple(each[key] for key in keys) for each in wallet.overflow()]


def test_a_thousand_times_the_limit_is_kept_in_as_many_bytes() -> None:
    """Open alerts of one account neither end the worker nor fill its log."""
    wallet = Wallet()
    wallet.fails(names(MOST + 1), START)
    before = wallet.account()
    wallet.fails(names(MOST * 1_000, "u"), START + 2 * SECOND)
    wallet.pass_time(START + 3 * MINUTE)
    after = wallet.account()
    assert len(after["a"]["X7"][3]) == len(before["a"]["X7"][3])
    assert wallet.counts_of()[-1] == ("updated", "warning", MOST * 1_000 + 1)


def test_forgetting_an_account_ends_its_overflow_alert() -> None:
    """With what it counts, in the commit that removes the account; the last records stay."""
    wallet = Wallet()
    wallet.fails(names(MOST + 1), START)
    wallet.fails(names(2, "u"), START + 2 * SECOND)
    wallet.stop()
    found = forget(wallet.log, POLICY, ONE, START + MINUTE)
    assert found is not None
    assert found.open_alerts == MOST
    assert wallet.counts_of()[-1] == ("expired", "warning", 3)
    assert wallet.own() == [("expired", name) for name in names(MOST)]


def test_a_rule_that_raises_counts_nothing() -> None:
    """What it asked for in that call is dropped whole."""
    wallet = Wallet(policy_of(Failing(Params())))
    wallet.fails(names(MOST + 3), START)
    wallet.fails(["raises"], START + 2 * SECOND)
    wallet.pass_time(START + 3 * MINUTE)
    assert wallet.counts_of() == [("raised", "warning", 1), ("updated", "warning", 3)]


class Failing(Noisy):
    """Raises after it has asked for an alert about one transaction."""

    id = "failing"

    def on_transaction(
        self, state: State, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Ask, then raise."""
        super().on_transaction(state, event, profile, fx)
        if event.transaction_id == "raises":
            fx.alert(Draft(anchor="bad", cause="no cause has spaces", facts=(), evidence=()))


def test_open_alerts_that_a_release_before_has_left_beyond_the_limit_keep_their_lives() -> None:
    """Only what is found from now on is counted."""
    wallet = Wallet(policy_of(RULE, max_open_alerts=100))
    wallet.fails(names(3 * MOST), START)
    wallet.follow(POLICY)
    wallet.fails(["further"], START + 2 * SECOND)
    assert wallet.counts_of() == [("raised", "warning", 1)]
    wallet.succeed(names(2 * MOST + 3), START + 4 * SECOND)
    assert wallet.own().count(("cured", "t0")) == 1
    wallet.pass_time(START + 2 * MINUTE)
    assert wallet.counts_of()[-1] == ("cured", "warning", 1)


class Waiting(Noisy):
    """Sets a timer with every alert, and one more without end."""

    id = "waiting"
    code = "X8"
    bound = True

    def on_transaction(
        self, state: State, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Alert, and wait for something."""
        super().on_transaction(state, event, profile, fx)
        due = event.occurred_at + 10 * MINUTE
        alert = event.event_id if self.bound else None
        fx.set_timer(f"wait:{event.event_id}", due, alert=alert)


def test_a_timer_of_an_alert_is_not_set_where_it_was_only_counted() -> None:
    """So there are no more of them than open alerts."""
    wallet = Wallet(policy_of(Waiting(Params())))
    wallet.fails(names(5 * MOST), START)
    timers = [timer for timer in wallet.account()["t"] if timer[1] == "X8"]
    assert len(timers) == MOST


def test_a_rule_that_sets_timers_without_end_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the events beyond; what it had before stays."""
    monkeypatch.setattr(effects, "MAX_TIMERS", 8)
    rule = Waiting(Params())
    rule.bound = False
    wallet = Wallet(policy_of(rule))
    wallet.fails(names(12), START)
    timers = [timer for timer in wallet.account()["t"] if timer[1] == "X8"]
    assert len(timers) == 8 - 2 - 1
    wallet.stop()
    assert wallet.counts[RuleFailure("waiting")] == 12 - len(timers)
