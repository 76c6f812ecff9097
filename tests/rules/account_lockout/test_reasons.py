"""A4: what is said of an alert is true, and names nobody."""

from rules.account_lockout.rule import AccountLockout
from rules.builders import at, clock, txn
from rules.events import TRANSACTION, Login, Transaction
from rules.testing import Scenario
from tests.support.events.lockout_builders import (
    DERIVED,
    FIVE,
    SEEN,
    earned,
    failed,
    lock,
    refused,
    run,
    thrice,
    timed,
)

RANK = {None: 0, "info": 1, "warning": 2, "error": 3}


def everything() -> list[Scenario]:
    """Return runs that show every kind alone and together."""
    money = txn("t1", "10:05:00")
    return [
        earned(lock()),
        earned(lock(reason="suspicious"), money),
        run(
            SEEN, lock(lock_until=at("10:15:00")), clock("10:01:00"), money, refused("10:15:30")
        ).give(refused("11:00:00")),
        run(SEEN, *failed(*FIVE[:1]), lock(), clock("10:01:00")),
        thrice(at("12:00:00")),
        thrice(at("12:00:00"), "suspicious"),
        run(*(lock(f"1{n}:00:00", "admin") for n in range(3))),
        timed(clock("10:20:00"), refused("11:00:00")),
        timed(clock("10:20:00"), refused("11:00:00") | {"occurred_at": "2026-03-08T11:00:00.000Z"}),
        earned(money, **DERIVED),
        earned(**DERIVED),
    ]


def test_every_claim_of_what_would_have_been_milder_is_true() -> None:
    """Also where several findings are equally bad: then only all changes together help."""
    seen = set()
    for scenario in everything():
        for facts in scenario.judged:
            verdict = scenario.rule.judge(scenario.rule.Facts.of(facts))
            assert verdict is not None
            seen.add(tuple(verdict.details["kinds"]))
            claims = scenario.rule.otherwise(scenario.rule.Facts.of(facts))
            assert claims
            for claim in claims:
                params = scenario.rule.params.model_dump() | dict(claim.params)
                other = AccountLockout(AccountLockout.Params(**params))
                milder = other.judge(other.Facts.of({**facts, **claim.facts}))
                assert RANK[milder.severity if milder else None] < RANK[verdict.severity], claim
    assert {kind for kinds in seen for kind in kinds} == {
        "lock",
        "repeated",
        "unjustified",
        "overdue",
        "money_moved",
    }
    assert ("lock", "unjustified", "overdue", "money_moved") in seen


def test_judging_the_quoted_facts_again_gives_the_same() -> None:
    """Facts and parameters suffice; severity never falls as facts are added."""
    for scenario in everything():
        before = 0
        for facts in scenario.judged:
            verdict = scenario.rule.judge(scenario.rule.Facts.of(dict(facts)))
            assert verdict == scenario.rule.judge(scenario.rule.Facts.of(facts))
            assert verdict is not None
            if "raised_again" not in facts and facts.get("refused_at_ms"):
                assert RANK[verdict.severity] >= before
            before = RANK[verdict.severity]


def test_no_name_of_a_device_session_or_source_is_told() -> None:
    """Neither in facts nor in titles, sentences or state."""
    secret = {
        "session_id": "secret-1",
        "device_id": "secret-2",
        "ip": "203.0.113.9",
        "user_agent": "secret-3",
    }
    scenario = run(
        SEEN | secret,
        *failed(*FIVE[1:], **secret),
        lock(**secret, lock_until=at("10:15:00")),
        clock("10:00:30"),
        txn("t1", "10:05:00", counterparty_id="secret-4", session_id="secret-1"),
        refused("10:15:30") | secret,
        refused("10:20:00") | secret,
    )
    assert scenario.steps == ["raised info", "updated error", "updated error", "updated error"]
    told = [str(facts) for facts in scenario.judged]
    for each in map(scenario.rule.Facts.of, scenario.judged):
        told += [*scenario.rule.because(each), str(scenario.rule.otherwise(each))]
    told += [alert.title for alert in scenario.alerts]
    for text in (*told, str(scenario.saved_state())):
        assert "secret" not in text
        assert "203.0.113" not in text


def test_answers_says_the_same_as_the_cure() -> None:
    """A lock, a refusal or a transaction opens nothing."""
    rule = AccountLockout(AccountLockout.Params())
    facts = {"locked_at_ms": 1_000}
    opening = Login("e", "acc-1", "unlock", "success", 1_000)
    assert rule.answers(rule.Facts.of(facts), opening)
    assert rule.answers(rule.Facts.of(facts), Login("e", "acc-1", "login", "success", 1_001))
    assert not rule.answers(rule.Facts.of(facts), Login("e", "acc-1", "login", "success", 999))
    assert not rule.answers(rule.Facts.of(facts), Login("e", "acc-1", "login", "failure", 1_001))
    assert not rule.answers(
        rule.Facts.of(facts), Login("e", "acc-1", "password_reset", "success", 1_001)
    )
    assert not rule.answers(
        rule.Facts.of(facts),
        Transaction("e", "t", "acc-1", "payment", "completed", 1, "EUR", 1_001),
    )
    assert TRANSACTION == 0
