"""A3 beyond its examples: every threshold from both sides, late events, what it remembers."""

import random
from typing import Any

import msgspec
import pytest

from rules.alerts import Verdict
from rules.builders import at, balance, clock, login, txn
from rules.contract import AnyRule, Otherwise
from rules.effects import Effects, RaiseAlert
from rules.events import TRANSACTION, Authorization, Login, Ref, Transaction
from rules.facts import Values
from rules.marks import PUBLIC
from rules.profile import Profile, update_profile
from rules.testing import Scenario
from rules.unauthorized_transaction import signs as noticed
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from rules.unauthorized_transaction.scenes import (
    ABROAD,
    BERLIN,
    KNOWN,
    LISBON,
    NEW_PAYEE,
    NOBODY,
    OWNER,
    STRANGER,
    TRANSFER,
    guesses,
    pay,
)
from rules.unauthorized_transaction.state import MAX_PENDING, UnauthorizedTransactionState
from rules.unauthorized_transaction.travel import is_impossible, metres_between, slowest_ms
from tests.support.events.theft_builders import (
    _RANK,
    AT,
    BASE,
    HOUR,
    REFUSED,
    SUSPECT,
    TRAVEL,
    steps,
)
from worker.detect.account import Account

# -- once per transaction ---------------------------------------------------------------------


def test_a_transaction_is_judged_at_its_first_event_only() -> None:
    """What happens between reservation and capture changes nothing."""
    held = pay("t1", "09:00:00", status="pending", **SUSPECT)
    changed = login("09:30:00", action="password_change")
    captured = pay("t1", "10:00:00", **SUSPECT)
    assert steps(*KNOWN, held, changed, captured) == []
    assert steps(*KNOWN, changed, captured) == ["raised warning"]


def test_reservations_of_merchants_leave_no_mark() -> None:
    """They are not judged at all."""
    event = pay("t1", "09:00:00", status="pending", initiator="merchant")
    scenario = Scenario(UnauthorizedTransaction).give(event)
    assert scenario.state() == UnauthorizedTransactionState()


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "expired", "reversed"])
def test_the_end_of_a_transaction_frees_its_mark(end: str) -> None:
    """Nothing is left of it, whoever ends it."""
    scenario = Scenario(UnauthorizedTransaction).give(pay("t1", "09:00:00", status="pending"))
    assert len(scenario.state().pending) == 1
    scenario.give(pay("t1", "09:30:00", status="pending", event_id="again"))
    assert len(scenario.state().pending) == 1
    scenario.give(pay("t1", "10:00:00", status=end, initiator="platform"))
    assert scenario.state() == UnauthorizedTransactionState()


def test_reservations_that_never_end_are_bounded() -> None:
    """The oldest mark is forgotten."""
    scenario = Scenario(UnauthorizedTransaction)
    for number in range(MAX_PENDING + 10):
        scenario.give(pay(f"t{number}", "09:00:00", status="pending"))
    assert len(scenario.state().pending) == MAX_PENDING
    scenario.give(pay(f"t{MAX_PENDING + 9}", "09:30:00"))
    assert len(scenario.state().pending) == MAX_PENDING - 1


def test_signs_of_logins_are_forgotten_after_a_day() -> None:
    """An account without them keeps nothing."""
    scenario = Scenario(UnauthorizedTransaction).run((*KNOWN, *guesses(5, **STRANGER)))
    scenario.give(login("09:55:00", **ABROAD))
    state = scenario.state()
    assert state.guessed.failures == 5
    assert [journey.masked for journey in state.journeys] == [False]
    scenario.pass_time(scenario.now + 24 * HOUR + 1)
    assert scenario.state() == UnauthorizedTransactionState()
    assert scenario.timers() == {}


# -- disputes and late events -----------------------------------------------------------------


def test_a_dispute_alone_is_an_error_whatever_the_parameters_of_the_money() -> None:
    """It has its own anchor; a second one of the same transaction is none."""
    scenario = Scenario(UnauthorizedTransaction)
    scenario.give(pay("t1", "10:00:00", status="disputed"))
    scenario.give(pay("t1", "10:30:00", status="disputed", event_id="again"))
    (raised,) = scenario.raised
    assert (raised.anchor, raised.verdict.severity) == ("t1-disputed", "error")
    assert scenario.counts["already_open"] == 1
    assert raised.title == "Payment of 80.00 EUR disputed by the owner"


@pytest.mark.parametrize("late", [False, True])
def test_a_dispute_raises_the_alert_of_its_transaction(late: bool) -> None:
    """The facts of then stay, the dispute is added with its address."""
    scenario = Scenario(UnauthorizedTransaction)
    changed = login("09:30:00", action="email_change")
    scenario.run((*KNOWN, changed, pay("t1", "10:00:00", **SUSPECT)))
    scenario.give(pay("t1", "10:30:00", status="disputed"), late=late)
    assert scenario.steps == ["raised warning", "updated error"]
    (alert,) = scenario.open_alerts()
    assert alert.anchor == "t1"
    assert alert.fact("changed_what") == "email"
    (dispute,) = (ref for name, _, ref in alert.facts if name == "disputed_at_ms")
    assert dispute is not None
    assert dispute.event_id == "t1-disputed"


@pytest.mark.parametrize(
    "fields", [{"initiator": "merchant"}, {"initiator": "support"}, {"type": "fee"}]
)
def test_only_the_customers_own_debits_are_judged(fields: dict[str, str]) -> None:
    """Disputed, unapproved, late or on time."""
    for status in ("pending", "completed", "disputed"):
        event = pay("t1", "10:00:00", status=status, **SUSPECT | REFUSED | fields)
        scenario = Scenario(UnauthorizedTransaction).give(event, late=True)
        again = {"event_id": "again", "occurred_at": at("10:30:00")}
        assert scenario.give(event | again).steps == []


def test_a_late_transaction_is_judged_by_its_approval_and_type_alone() -> None:
    """What is known of the account may be newer than it."""
    scenario = Scenario(UnauthorizedTransaction).run(
        (*KNOWN, login("09:00:00", **STRANGER), login("09:30:00", action="phone_change"))
    )
    scenario.give(pay("t1", "09:45:00", **STRANGER | SUSPECT), late=True)
    assert scenario.steps == []
    scenario.give(pay("t2", "09:45:00", **STRANGER | SUSPECT | REFUSED), late=True)
    (raised,) = scenario.raised
    assert raised.verdict.severity == "warning"
    assert raised.details == {
        "points_who": {"authorization_failed": 60},
        "points_money": {"sends_out": 5},
        "total": 65,
        "contact_changed": ["phone"],
    }


def test_a_late_reservation_of_a_judged_transaction_is_no_second_alert() -> None:
    """It is open under the same anchor."""
    scenario = Scenario(UnauthorizedTransaction).give(pay("t1", "10:00:00", **TRANSFER | REFUSED))
    held = pay("t1", "09:59:00", status="pending", **TRANSFER | REFUSED)
    scenario.give(held, late=True)
    assert scenario.steps == ["raised warning"]
    assert scenario.counts["already_open"] == 1
    assert scenario.state() == UnauthorizedTransactionState()


@pytest.mark.parametrize(("newer", "expected"), [(False, ["raised warning"]), (True, [])])
def test_a_late_success_after_failures_counts_if_it_is_the_newest(
    newer: bool, expected: list[str]
) -> None:
    """Otherwise it is of the past."""
    scenario = Scenario(UnauthorizedTransaction).run((*KNOWN, *guesses(5)[:-1], clock("09:52:00")))
    if newer:  # so long after the failures that it is no guess itself
        scenario.give(login("10:50:00", **OWNER))
    scenario.give(login("09:50:00", **OWNER), late=True)
    scenario.give(pay("t1", "11:00:00", **TRANSFER | NEW_PAYEE))
    assert scenario.steps == expected


# -- what an alert says -----------------------------------------------------------------------


def test_an_alert_cites_every_event_its_facts_come_from() -> None:
    """Oldest first, the transaction last; each fact can be read again there."""
    events = (
        *KNOWN,
        *guesses(5, **STRANGER),
        login("09:52:00", action="password_change"),
        login("09:53:00", **ABROAD),
        balance("09:58:00", "100.00"),
        txn("t1", "10:00:00", "pending", "80.00", provider="acme", **ABROAD | NEW_PAYEE | TRANSFER),
    )
    (raised,) = Scenario(UnauthorizedTransaction).run(events).raised
    assert [(role, ref.event_id) for ref, role in raised.evidence] == [
        *(("failed_login", f"login-09:4{n}:00") for n in range(5)),
        ("guessed_login", "login-09:50:00"),
        ("credential_change", "login-09:52:00"),
        ("login", "login-09:53:00"),
        ("balance", "balance-09:58:00"),
        ("transaction", "t1-pending"),
    ]
    assert (raised.draft.cause, raised.draft.subject, raised.anchor) == ("account:", None, "t1")
    assert (raised.draft.transaction_ids, raised.draft.provider) == (("t1",), "acme")
    assert raised.verdict.suspected_root_cause == "security"
    addressed = {name for name, _, ref in raised.facts if ref is not None}
    assert addressed <= set(UnauthorizedTransaction.Facts.readers())


@pytest.mark.parametrize(
    ("events", "advice"),
    [
        ((pay("t1", "10:00:00", **TRANSFER | REFUSED),), ["contact_support"]),
        (
            (login("09:30:00", action="mfa_disable"), pay("t1", "10:00:00", **SUSPECT)),
            ["change_password", "contact_support"],
        ),
        (
            (pay("t1", "10:00:00", "60.00", **SUSPECT | NOBODY),),
            ["enable_mfa", "contact_support"],
        ),
        (
            (pay("t1", "10:00:00", **STRANGER | SUSPECT),),
            ["change_password", "review_devices", "enable_mfa", "contact_support"],
        ),
    ],
)
def test_advice_fits_the_signs(events: tuple[dict[str, Any], ...], advice: list[str]) -> None:
    """Support can always help."""
    (raised,) = Scenario(UnauthorizedTransaction).run((*KNOWN, *events)).raised
    assert raised.verdict.owner_advice == advice


@pytest.mark.parametrize(
    "example",
    [example for example in UnauthorizedTransaction.EXAMPLES if example.expect],
    ids=lambda example: example.name,
)
def test_what_would_have_been_milder_is_judged_so(example: Any) -> None:
    """And the reasons are sentences."""
    scenario = Scenario(UnauthorizedTransaction, **example.params).run(example.events)
    for facts in scenario.judged:
        verdict = scenario.rule.judge(scenario.rule.Facts.of(facts))
        claims = scenario.rule.otherwise(scenario.rule.Facts.of(facts))
        assert claims
        for claim in claims:
            assert _rank(_judged(scenario.rule, facts, claim)) < _rank(verdict), claim
        for reason in scenario.rule.because(scenario.rule.Facts.of(facts)):
            assert reason[0].isupper()
            assert reason.endswith(".")


def _judged(rule: AnyRule, facts: Values, claim: Otherwise) -> Verdict | None:
    other = type(rule)(rule.params.model_copy(update=dict(claim.params)))
    return other.judge(other.Facts.of({**facts, **claim.facts}))


def _rank(verdict: Verdict | None) -> int:
    return _RANK[verdict.severity if verdict else None]


def test_a_story_names_signs_and_thresholds() -> None:
    """As a support agent reads it."""
    scenario = Scenario(UnauthorizedTransaction)
    events = (*KNOWN, *guesses(5, **STRANGER), pay("t1", "10:00:00", **STRANGER | SUSPECT))
    (facts,) = scenario.run(events).judged
    assert scenario.rule.because(scenario.rule.Facts.of(facts)) == [
        "Its device was first seen 10 min before: 25 points.",
        "A login succeeded 10 min before, after 5 failures: 35 points.",
        "Its counterparty was never paid before: 15 points.",
        "It takes 80.00 EUR of the 100.00 EUR that were there: 20 points.",
        "It is a transfer out, not a payment: 5 points.",
        "Together 100 points, of who pays and of the money; an error needs 80 (error_points).",
    ]
    assert [claim.sentence for claim in scenario.rule.otherwise(scenario.rule.Facts.of(facts))] == [
        "only warning if its device had been known more than 1 d before (new_for_ms)",
        "only warning if 4 or fewer failures had gone before the login (guess_failures)",
        "no alert if login, device and approval had been as usual",
        "only info if the money had moved as usual",
        "only warning if 101 points had been needed (error_points)",
    ]


def test_titles_fit_and_name_the_strongest_signs_first() -> None:
    """Even of the largest amount in the longest words."""
    signs: dict[str, Any] = {
        "authorization_result": "failed",
        "session_unknown_since_ms": 0,
        "device_first_seen_ms": AT,
        "country_first_seen_ms": AT,
        "guessed_at_ms": AT,
        "guess_failures": 5,
        "changed_at_ms": AT,
        "type": "transfer_out",
        "amount_minor": 10**18 - 1,
        **TRAVEL,
    }
    rule = UnauthorizedTransaction(UnauthorizedTransaction.Params())
    verdict = rule.judge(rule.Facts.of({**BASE, **signs}))
    assert verdict is not None
    assert len(verdict.title) <= 130
    assert "may not be the owner's: its approval failed, unknown session" in verdict.title


def test_no_name_of_device_session_payee_or_place_leaves_the_events() -> None:
    """Not in facts, titles, details, reasons or saved state."""
    secret: dict[str, Any] = {
        "device_id": "device-secret",
        "session_id": "session-secret",
        "ip": "203.0.113.77",
        "latitude": 38.7223,
        "longitude": -9.1393,
        "country": "PT",
    }
    changed = login("09:30:00", action="phone_change", user_agent="agent-secret", **secret)
    event = pay("t1", "10:00:00", **SUSPECT | secret | {"counterparty_id": "payee-secret"})
    scenario = Scenario(UnauthorizedTransaction)
    scenario.run((*KNOWN, *guesses(5, **secret), changed, event))
    scenario.give(pay("t2", "10:01:00", status="disputed", **secret))
    said = repr(scenario.alerts) + repr(scenario.judged)
    for facts in scenario.judged:
        typed = scenario.rule.Facts.of(facts)
        said += repr((scenario.rule.because(typed), scenario.rule.otherwise(typed)))
    saved = repr(scenario.saved())
    assert len(scenario.raised) == 2
    for text in (said, saved):
        for name in ("secret", "203.0.113", "38.7", "9.13"):
            assert name not in text


# -- against what is known without bounds -----------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_the_short_way_out_misses_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is_suspect lets go would not have been an alert either."""
    events = list(_random_life(random.Random(seed)))
    short = _run(events)
    monkeypatch.setattr(noticed, "is_suspect", lambda *_: True)
    assert _run(events) == short
    assert short


def _run(events: list[Transaction | Login]) -> list[tuple[str, str]]:
    scenario = Scenario(UnauthorizedTransaction)
    for event in events:
        scenario.give(event)
    return [(raised.anchor, raised.verdict.severity) for raised in scenario.raised]


def _random_life(rng: random.Random) -> Any:
    now = AT
    for number in range(400):
        now += rng.choice((0, 1_000, 60_000, HOUR, 12 * HOUR))
        where: dict[str, Any] = {
            "device_id": rng.choice(("d", "d", "d", f"d{number}", None)),
            "session_id": rng.choice(("s", "s", f"s{number}", None)),
            "country": rng.choice(("DE", "DE", "DE", "AT", "PT", None)),
            "network": rng.choice((None, None, None, "vpn")),
        }
        if rng.random() < 0.8:
            where |= {"latitude": rng.choice((52.5, 52.5, 38.7)), "longitude": 13.4}
        if rng.random() < 0.4:
            outcome = rng.choice(("success", "failure"))
            action = rng.choice(("login",) * 9 + ("phone_change",))
            yield Login(f"l{number}", "acc-1", action, outcome, now, **where)
            continue
        approval = Authorization("otp", rng.choice(("passed",) * 9 + ("failed",)))
        yield Transaction(
            f"e{number}",
            f"t{number}",
            "acc-1",
            rng.choice(("payment", "transfer_out")),
            rng.choice(("pending", "completed")),
            rng.choice((100, 1_000, 10_000)),
            "EUR",
            now,
            balance_before=11_000,
            balance_kind="posted",
            counterparty_id=rng.choice(("p", "p", f"p{number}")),
            authorization=approval if rng.random() < 0.5 else None,
            **where,
        )


def test_an_account_with_very_many_devices_and_payees_stays_small_and_right() -> None:
    """10,000 of each: no more than 4 KB, and what was seen before is never called new."""
    rng, rule = random.Random(1), UnauthorizedTransaction(UnauthorizedTransaction.Params())
    profile, state, now = Profile(), UnauthorizedTransactionState(), AT
    devices, payees = dict[str, int](), set[str]()
    for number in range(10_000):
        now += rng.randrange(HOUR)
        event = Transaction(
            f"e{number}",
            f"t{number}",
            "acc-1",
            "transfer_out",
            rng.choice(("pending", "completed")),
            rng.randrange(10**6),
            "EUR",
            now,
            device_id=f"d{rng.randrange(number + 1)}",
            counterparty_id=f"p{rng.randrange(number + 1)}",
            session_id=f"s{number}",
            authorization=Authorization("otp", "failed"),
        )
        assert event.device_id is not None
        assert event.counterparty_id is not None
        fx = Effects(PUBLIC, lambda ref: ref)
        fx.begin(now, Account(), Ref(TRANSACTION, number, event.event_id, now), None)
        update_profile(profile, event, fx, late=False)
        rule.on_transaction(state, event, profile, fx)
        devices.setdefault(event.device_id, now)
        (asked,) = fx.asked
        assert isinstance(asked, RaiseAlert)
        told = {name: value for name, value, _ in asked.draft.facts}
        assert told.get("device_first_seen_ms") in (None, devices[event.device_id])
        assert not (told["counterparty_new"] and event.counterparty_id in payees)
        payees.add(event.counterparty_id)
    assert len(msgspec.msgpack.encode((profile, state))) <= 4_096


def test_parameters_refuse_what_makes_no_sense() -> None:
    """More failures than are remembered could never be counted."""
    with pytest.raises(ValueError, match="less than or equal to 20"):
        UnauthorizedTransaction.Params(guess_failures=21)
    with pytest.raises(ValueError, match="less than or equal to 100"):
        UnauthorizedTransaction.Params(points_travel=101)


def test_berlin_and_lisbon_are_as_far_apart_as_the_map_says() -> None:
    """2,314 km, within the cells' width."""
    berlin = round(BERLIN["latitude"] * 10), round(BERLIN["longitude"] * 10)
    lisbon = round(LISBON["latitude"] * 10), round(LISBON["longitude"] * 10)
    metres = metres_between(berlin, lisbon)
    assert abs(metres - 2_314_000) < 10_000
    assert metres_between(lisbon, berlin) == metres
    assert metres_between(berlin, berlin) == 0
    assert abs(metres_between((0, 0), (0, 1_800)) - 20_015_087) <= 1
    assert metres_between((0, 1_799), (0, -1_800)) < 12_000
    least = slowest_ms(metres, 900)
    assert not is_impossible(metres, least, 100, 900)
    assert is_impossible(metres, least - 1, 100, 900)
    assert is_impossible(metres, 0, 100, 900)


OTP_FAILED: dict[str, Any] = {"authorization": {"method": "otp", "result": "failed"}}


def test_a_late_failure_without_approval_is_no_alert() -> None:
    """No money has moved."""
    scenario = Scenario(UnauthorizedTransaction).give(login("09:00:00"))
    scenario.give(txn("t1", "10:00:00", "failed", **OTP_FAILED | TRANSFER), late=True)
    assert (scenario.steps, scenario.counts) == ([], {})
    scenario.give(txn("t2", "10:00:00", **OTP_FAILED | TRANSFER), late=True)
    assert scenario.steps == ["raised warning"]


def test_a_dispute_does_not_end_a_transaction() -> None:
    """Its completion is not judged a second time."""
    scenario = Scenario(UnauthorizedTransaction).give(pay("t1", "10:00:00", status="pending"))
    assert len(scenario.state().pending) == 1
    scenario.give(pay("t1", "10:01:00", status="disputed"))
    assert len(scenario.state().pending) == 1
    scenario.give(pay("t1", "10:02:00"))
    assert (len(scenario.state().pending), scenario.steps) == (0, ["raised error"])


def test_where_no_journey_is_told_none_is_counted() -> None:
    """Even where any distance at any speed would be one."""
    scenario = Scenario(UnauthorizedTransaction, warning_points=1, travel_km=0, travel_kmh=1)
    scenario.give(txn("t1", "10:00:00", **OTP_FAILED | TRANSFER))
    assert scenario.raised[0].details["points_who"] == {"authorization_failed": 60}


def test_a_dispute_tells_again_which_contacts_were_changed() -> None:
    """Those of the day before it, not of the day before the transaction."""
    scenario = Scenario(UnauthorizedTransaction).give(login("09:00:00"))
    scenario.give(txn("t1", "10:00:00", **OTP_FAILED | TRANSFER))
    (alert,) = scenario.open_alerts()
    assert alert.fact("contact_changed") == ""
    scenario.give(login("10:30:00", action="email_change"))
    scenario.give(txn("t1", "11:00:00", "disputed", **TRANSFER))
    (alert,) = scenario.open_alerts()
    assert alert.fact("contact_changed") == "email"
    assert scenario.steps == ["raised warning", "updated error"]


@pytest.mark.parametrize(("new", "burst"), [(4, False), (5, True), (63, True), (64, False)])
def test_with_a_payee_forgotten_the_next_one_is_no_burst(new: int, burst: bool) -> None:
    """64 are known, the one of the past included: from the next on nobody is surely new."""
    payees = [
        pay(f"t{n}", f"10:{n // 60:02}:{n % 60:02}", counterparty_id=f"new-{n}") for n in range(new)
    ]
    payees[-1] |= OTP_FAILED | TRANSFER
    scenario = Scenario(UnauthorizedTransaction).run([*KNOWN, *payees])
    assert ("burst" in scenario.raised[-1].details["points_money"]) is burst
