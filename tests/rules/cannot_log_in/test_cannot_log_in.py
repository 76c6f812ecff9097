"""A5 beyond its examples: the sliding window against brute force, late events, bounds."""

import random
from dataclasses import dataclass, field

import msgspec
import pytest

from rules.builders import clock, login
from rules.cannot_log_in.rule import CannotLogIn
from rules.cannot_log_in.state import MAX_KEPT, CannotLogInState
from rules.events import LOGIN, Login
from rules.facts import Value
from rules.testing import Scenario
from schemas.alert import MAX_EVIDENCE

HALF = 500
SMALL = {"threshold": 3, "window_ms": 4_000, "absence_ms": 3_000, "quiet_ms": 6_000}
PATIENT = {"threshold": 3, "window_ms": 3_000, "absence_ms": 5_000, "quiet_ms": 7_000}
FIVE = ("10:00:00", "10:01:00", "10:02:00", "10:03:00", "10:04:00")


def an_event(number: int, at: int, outcome: str, action: str = "login", **more: str) -> Login:
    """Return a login event of the account."""
    return Login(f"e{number}", "acc-1", action, outcome, at, **more)  # type: ignore[arg-type]


def random_logins(rng: random.Random) -> list[Login]:
    """Return events in order of time, on half seconds, several at one moment too."""
    found: list[Login] = []
    at = 100_000
    for number in range(60):
        at += HALF * rng.choice((0, 1, 1, 2, 2, 3, 8, 14))
        draw = rng.random()
        session = {"session_id": rng.choice("ab")} if rng.random() < 0.5 else {}
        if draw < 0.82:
            reason = rng.choice(("bad_credentials", "timeout", "account_locked", "unknown_account"))
            found.append(an_event(1_000 + number, at, "failure", reason=reason, **session))
        elif draw < 0.95:
            action = rng.choice(("login", "unlock"))
            found.append(an_event(1_000 + number, at, "success", action))
        else:
            found.append(an_event(1_000 + number, at, "success", "password_reset"))
    return found


@dataclass
class BruteForce:
    """Looks at the whole history at each half second; keeps nothing but what is open."""

    history: list[Login]
    params: dict[str, int]
    counted: list[Login] = field(default_factory=list)
    anchor: int | None = None
    is_open: bool = False
    log: list[tuple[str, int, int]] = field(default_factory=list)

    def run(self, end: int) -> list[tuple[str, int, int]]:
        """Return (step, time, number of failures) of everything that is published."""
        for now in range(self.history[0].occurred_at, end, HALF):
            for event in self.history:
                if event.occurred_at == now:
                    self.see(event)
            self.timers(now)
        return self.log

    def see(self, event: Login) -> None:
        """Handle one event."""
        now = event.occurred_at
        if event.outcome == "success":
            if event.action != "password_reset":
                if self.is_open:
                    self.log.append(("cured", now, 0))
                self.counted, self.anchor, self.is_open = [], None, False
        elif event.reason != "unknown_account" and not self.is_double(event):
            self.counted.append(event)
            window = [f for f in self.counted if now - self.params["window_ms"] <= f.occurred_at]
            if not self.is_open and self.anchor is None and len(window) >= self.params["threshold"]:
                self.anchor = now
                self.counted = window

    def is_double(self, event: Login) -> bool:
        """Say whether the same session has failed in the same second."""
        return event.session_id is not None and any(
            f.session_id == event.session_id and f.occurred_at // 1000 == event.occurred_at // 1000
            for f in self.counted
        )

    def timers(self, now: int) -> None:
        """Do what falls due at the end of this moment."""
        if self.anchor is not None and now == self.anchor + self.params["absence_ms"]:
            self.log.append(("raised", now, len(self.counted)))
            self.anchor, self.is_open = None, True
        if self.is_open and now == self.counted[-1].occurred_at + self.params["quiet_ms"]:
            self.log.append(("expired", now, 0))
            self.is_open = False


@pytest.mark.parametrize("params", [SMALL, PATIENT], ids=["small", "patient"])
@pytest.mark.parametrize("seed", range(200))
def test_the_sliding_window_finds_what_brute_force_finds(seed: int, params: dict[str, int]) -> None:
    """Anchors, absences, cures, quiet ends and numbers of failures are the same."""
    events = random_logins(random.Random(seed))
    end = events[-1].occurred_at + 30_000
    scenario = Scenario(CannotLogIn, **params)
    for event in events:
        scenario.give(event)
    scenario.pass_time(end)
    expected = BruteForce(events, params).run(end)
    assert [step.split()[0] for step in scenario.steps] == [step for step, _, _ in expected]
    raised = [(raised.verdict.at, raised.details["failures"]) for raised in scenario.raised]
    assert raised == [(at, total) for step, at, total in expected if step == "raised"]
    assert scenario.state() == CannotLogInState()
    assert scenario.timers() == {}


def failed_five() -> Scenario:
    """Return a scenario that has seen the five failures of the fifth minute."""
    scenario = Scenario(CannotLogIn)
    for time in FIVE:
        scenario.give(login(time, "failure"))
    return scenario


def test_a_late_success_before_the_alert_prevents_it() -> None:
    """Held back, but read in time."""
    scenario = failed_five().give(clock("10:12:00"))
    scenario.give(login("10:04:30"), late=True).give(clock("11:00:00"))
    assert scenario.steps == []
    assert scenario.state() == CannotLogInState()


def test_a_late_success_after_the_alert_retracts_it() -> None:
    """It happened within the ten minutes: the alert was wrong."""
    scenario = failed_five().give(clock("10:15:00"))
    scenario.give(login("10:10:00"), late=True)
    assert scenario.steps == ["raised info", "retracted info"]


def test_a_late_success_that_happened_after_the_absence_cures() -> None:
    """The alert was right, and is over."""
    scenario = failed_five().give(clock("10:20:00"))
    scenario.give(login("10:14:30"), late=True)
    assert scenario.steps == ["raised info", "cured info"]


def test_a_late_success_before_the_anchor_leaves_an_alert_open() -> None:
    """The owner got in before, and could not afterwards."""
    scenario = failed_five().give(clock("10:15:00")).give(login("09:59:00"), late=True)
    assert scenario.steps == ["raised info"]


def test_a_late_success_among_the_failures_takes_back_the_anchor() -> None:
    """Fewer than five are left."""
    scenario = failed_five().give(login("10:01:30"), late=True).give(clock("10:15:00"))
    assert scenario.steps == []


def test_a_late_success_moves_the_anchor_to_the_failure_that_completes_five_after_it() -> None:
    """The absence then runs from there."""
    scenario = failed_five().give(login("10:05:00", "failure"))
    scenario.give(login("10:00:30"), late=True).give(clock("10:14:30"))
    assert scenario.steps == []
    scenario.give(clock("10:15:01"))
    (raised,) = scenario.raised
    assert (raised.anchor, raised.details["failures"]) == ("login-10:05:00", 5)


def test_failures_after_a_late_success_make_an_attempt_of_their_own() -> None:
    """The first alert is retracted, and five failures after the success find a second one."""
    scenario = failed_five()
    for minute in range(15, 20):
        scenario.give(login(f"10:{minute}:00", "failure"))
    scenario.give(login("10:05:00"), late=True)
    assert scenario.steps == ["raised info", "retracted info"]
    scenario.give(clock("10:29:01"))
    assert scenario.raised[1].anchor == "login-10:19:00"


def test_failures_outside_the_new_window_are_no_part_of_it() -> None:
    """A late success may leave older failures that the new anchor's window does not reach."""
    scenario = Scenario(CannotLogIn)
    for time in (
        "10:00:00",
        "10:00:01",
        "10:00:02",
        "10:09:00",
        "10:09:01",
        "10:13:00",
        "10:15:00",
    ):
        scenario.give(login(time, "failure"))
    scenario.give(login("10:00:01.500"), late=True)
    assert scenario.state().anchor == ""
    scenario.give(login("10:16:00", "failure"))
    assert scenario.state().anchor == "login-10:16:00"
    scenario = Scenario(CannotLogIn)
    for time in (
        "10:00:00",
        "10:00:01",
        "10:00:02",
        "10:08:00",
        "10:09:00",
        "10:10:01",
        "10:11:00",
    ):
        scenario.give(login(time, "failure"))
    scenario.give(login("10:00:00", event_id="a"), late=True)
    assert scenario.state().anchor == "login-10:10:01"
    scenario.give(login("10:12:00", "failure")).give(login("10:18:00", "failure"))
    scenario.give(login("10:00:01", event_id="b"), late=True)
    assert scenario.state().anchor == "login-10:12:00"
    assert scenario.state().failures[0].at % 3_600_000 == 8 * 60_000


def test_a_late_success_before_an_open_alert_sets_no_second_anchor() -> None:
    """One alert until a success that came after its anchor."""
    scenario = failed_five()
    for minute in range(5, 12):
        scenario.give(login(f"10:{minute:02}:00", "failure"))
    scenario.give(clock("10:14:01")).give(login("10:03:59"), late=True).give(clock("10:30:00"))
    assert scenario.steps == ["raised info"]


def test_a_success_leaves_no_timer() -> None:
    """One that stayed would expire a later alert."""
    scenario = failed_five().give(login("10:05:00"))
    assert scenario.timers() == {}
    scenario = failed_five().give(clock("10:14:01")).give(login("10:15:00"))
    assert scenario.timers() == {}


def test_a_late_failure_is_counted_and_not_judged() -> None:
    """It would be judged against newer facts."""
    scenario = Scenario(CannotLogIn)
    for time in FIVE[:4]:
        scenario.give(login(time, "failure"))
    scenario.give(login("10:02:30", "failure"), late=True).give(clock("10:30:00"))
    assert scenario.steps == []
    assert scenario.counts["late_failure"] == 1


def test_a_failure_keeps_an_open_alert_from_expiring() -> None:
    """Quiet is counted from the last failure."""
    scenario = failed_five().give(login("10:30:00", "failure")).give(clock("10:59:59"))
    assert scenario.steps == ["raised info"]
    scenario.give(clock("11:00:01"))
    assert scenario.steps == ["raised info", "expired info"]


def test_absence_and_quiet_await_logins() -> None:
    """Only a proof about logins lets them fire."""
    scenario = failed_five()
    timers = scenario.timers()
    assert timers["absence"][1] == (LOGIN,)
    scenario.give(clock("10:15:00"))
    assert scenario.timers()["quiet"][1] == (LOGIN,)


def test_a_locked_account_joins_the_incident_of_the_lockout() -> None:
    """One trouble of the owner, one incident."""
    scenario = Scenario(CannotLogIn)
    for time in FIVE[:4]:
        scenario.give(login(time, "failure"))
    scenario.give(login(FIVE[4], "failure", reason="account_locked")).give(clock("10:15:00"))
    (raised,) = scenario.raised
    assert raised.draft.dedup_rule == "account_lockout"
    assert raised.verdict.suspected_root_cause == "unknown"
    assert raised.verdict.owner_advice == ["reset_password", "contact_support"]


@pytest.mark.parametrize(
    ("reasons", "cause", "advice"),
    [
        (["bad_credentials"] * 5, "user_error", ["reset_password"]),
        (["timeout", "network", "timeout", "bad_credentials", "otp_failed"], "network", None),
        (["service_error"] * 3 + ["bad_credentials"] * 2, "technical", ["reset_password", "retry"]),
        (["otp_not_delivered"] * 5, "technical", ["retry"]),
        (["account_locked"] * 5, "unknown", ["contact_support"]),
        (["other"] * 5, "unknown", ["contact_support"]),
    ],
)
def test_cause_and_advice_follow_the_reasons(
    reasons: list[str], cause: str, advice: list[str] | None
) -> None:
    """By what most of the failures say."""
    scenario = Scenario(CannotLogIn)
    for time, reason in zip(FIVE, reasons, strict=True):
        scenario.give(login(time, "failure", reason=reason))
    (raised,) = scenario.give(clock("10:15:00")).raised
    assert raised.verdict.suspected_root_cause == cause
    assert advice is None or raised.verdict.owner_advice == advice


def test_evidence_shows_the_anchor_and_state_no_session() -> None:
    """The session id itself never enters the state, nor the alert."""
    scenario = Scenario(CannotLogIn)
    for time in FIVE:
        scenario.give(login(time, "failure", session_id="secret-session"))
    assert b"secret" not in scenario.saved_state()
    (raised,) = scenario.give(clock("10:15:00")).raised
    roles = [role for _, role in raised.evidence]
    assert roles == ["failure"] * 4 + ["anchor"]


def test_many_failures_are_bounded_and_all_counted() -> None:
    """An attack of hundreds of failures cannot fill the state; the first and newest stay."""
    scenario = Scenario(CannotLogIn)
    for number in range(300):
        scenario.give(an_event(number, 10_000_000 + 1_000 * number, "failure"))
    assert len(scenario.state().failures) == MAX_KEPT
    scenario.pass_time(11_000_000)
    (raised,) = scenario.raised
    names = [ref.event_id for ref, _ in raised.evidence]
    assert (raised.details["failures"], len(names)) == (300, MAX_EVIDENCE)
    assert [*names[:5], names[-1]] == ["e0", "e1", "e2", "e3", "e4", "e299"]
    for number in range(300):
        scenario.give(an_event(300 + number, 11_000_000 + 1_000 * number, "failure"))
    scenario.pass_time(20_000_000)
    assert scenario.steps == ["raised info", "expired info"]
    assert scenario.state() == CannotLogInState()


def test_an_account_that_falls_silent_leaves_no_state() -> None:
    """One failure is forgotten when it leaves the window."""
    scenario = Scenario(CannotLogIn).give(login("10:00:00", "failure"))
    assert scenario.state() != CannotLogInState()
    scenario.give(clock("10:10:01"))
    assert scenario.state() == CannotLogInState()


def test_an_ordinary_success_asks_for_nothing() -> None:
    """The most frequent event costs no effect and leaves no state."""
    scenario = Scenario(CannotLogIn).give(login("10:00:00"))
    assert scenario.state() == CannotLogInState()
    assert scenario.timers() == {}


def test_each_failure_is_a_signal() -> None:
    """Late ones too; one attempt logged twice is one, unknown names the engine tells itself."""
    scenario = Scenario(CannotLogIn)
    scenario.give(login("10:00:00", "failure", session_id="s"))
    scenario.give(login("10:00:00.900", "failure", session_id="s"))
    scenario.give(login("10:00:01", "failure", session_id="s"))
    scenario.give(login("10:00:02", "failure", reason="unknown_account"))
    scenario.give(login("10:00:03"))
    scenario.give(login("09:59:00", "failure"), late=True)
    assert [(measure, event.event_id) for measure, event in scenario.signals] == [
        ("failed_login", "login-10:00:00"),
        ("failed_login", "login-10:00:01"),
        ("failed_login", "login-09:59:00"),
    ]


def test_what_is_quoted_is_read_from_what_is_cited() -> None:
    """The anchor too, where more failures are remembered than an alert may cite."""
    scenario = Scenario(CannotLogIn, threshold=50, window_ms=100_000)
    for number in range(80):
        scenario.give(an_event(number, 10_000_000 + 1_000 * number, "failure"))
    scenario.pass_time(11_000_000)
    (raised,) = scenario.raised
    assert {name: ref.event_id for name, _, ref in raised.facts if ref is not None} == {
        "first_at_ms": "e0",
        "anchor_at_ms": "e49",
    }
    assert (raised.evidence[-1][1], len(raised.evidence)) == ("anchor", MAX_EVIDENCE)
    (facts,) = scenario.judged
    assert (facts["failures"], facts["failures_other"]) == (80, MAX_KEPT)
    because = scenario.rule.because(scenario.rule.Facts.of(facts))
    assert because[0] == "80 logins failed; of the 64 remembered: 64 for other."


@pytest.mark.parametrize(
    ("fact", "inside", "outside"),
    [
        ("failures", 5, 4),
        ("first_at_ms", 400_000, 399_999),
        ("no_success_until_ms", 1_600_000, 1_599_999),
    ],
)
def test_each_threshold_includes_its_edge(fact: str, inside: int, outside: int) -> None:
    """One unit further there is no alert."""
    rule = CannotLogIn(CannotLogIn.Params())
    facts = {
        "failures": 5,
        "service_failures": 0,
        "failures_other": 5,
        "first_at_ms": 1_000_000,
        "anchor_at_ms": 1_000_000,
        "no_success_until_ms": 1_600_000,
    }
    assert rule.judge(rule.Facts.of(facts | {fact: inside})) is not None
    assert rule.judge(rule.Facts.of(facts | {fact: outside})) is None


@pytest.mark.parametrize(("service", "severity"), [(3, "warning"), (2, "info")])
def test_half_of_the_reasons_make_a_warning(service: int, severity: str) -> None:
    """Exactly half suffices, whatever the share of them that are remembered."""
    rule = CannotLogIn(CannotLogIn.Params())
    facts = {
        "failures": 9,
        "service_failures": service,
        "failures_timeout": service,
        "failures_other": 6 - service,
        "first_at_ms": 1_000_000,
        "anchor_at_ms": 1_000_000,
        "no_success_until_ms": 1_600_000,
    }
    verdict = rule.judge(rule.Facts.of(facts))
    assert verdict is not None
    assert verdict.severity == severity
    assert len(rule.otherwise(rule.Facts.of(facts))) == (4 if severity == "warning" else 3)


def test_an_event_answers_from_the_anchor_on() -> None:
    """A success or an unlock; a reset of the password opens nothing."""
    rule = CannotLogIn(CannotLogIn.Params())
    facts = {
        "failures": 5,
        "service_failures": 0,
        "first_at_ms": 1_000,
        "anchor_at_ms": 1_000,
        "no_success_until_ms": 601_000,
    }
    assert rule.answers(rule.Facts.of(facts), an_event(1, 1_000, "success"))
    assert rule.answers(rule.Facts.of(facts), an_event(1, 1_001, "success", "unlock"))
    assert not rule.answers(rule.Facts.of(facts), an_event(1, 999, "success"))
    assert not rule.answers(rule.Facts.of(facts), an_event(1, 1_001, "failure"))
    assert not rule.answers(rule.Facts.of(facts), an_event(1, 1_001, "success", "password_reset"))


def test_two_sessions_in_one_second_are_two_attempts() -> None:
    """And so are two failures that tell no session."""
    scenario = Scenario(CannotLogIn)
    scenario.give(login("10:00:00", "failure", session_id="a"))
    scenario.give(login("10:00:00.100", "failure", session_id="b"))
    scenario.give(login("10:00:00.200", "failure"))
    scenario.give(login("10:00:00.300", "failure"))
    assert len(scenario.state().failures) == 4
    assert scenario.counts["double_logged"] == 0


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        ({"bad_credentials": 2, "otp_failed": 2, "mfa_failed": 2}, "user_error"),
        ({"bad_credentials": 5, "other": 1}, "unknown"),
        ({"timeout": 2, "network": 1, "other": 3}, "technical"),
        ({"timeout": 2, "network": 2, "other": 2}, "network"),
        ({"service_error": 3, "other": 3}, "technical"),
        ({"service_error": 2, "other": 4}, "unknown"),
    ],
)
def test_the_cause_needs_half_of_the_reasons(reasons: dict[str, int], cause: str) -> None:
    """The service exactly half, the network more; the owner all of them."""
    rule = CannotLogIn(CannotLogIn.Params())
    service = sum(reasons.get(name, 0) for name in ("timeout", "network", "service_error"))
    facts = {
        "failures": 6,
        "service_failures": service,
        "first_at_ms": 1_000_000,
        "anchor_at_ms": 1_000_000,
        "no_success_until_ms": 1_600_000,
        **{f"failures_{name}": count for name, count in reasons.items()},
    }
    verdict = rule.judge(rule.Facts.of(facts))
    assert verdict is not None
    assert verdict.suspected_root_cause == cause
    told = any("reasons of the service" in said for said in rule.because(rule.Facts.of(facts)))
    assert told == (verdict.severity == "warning") == (service >= 3)


def _waiting(*times: str) -> Scenario:
    """Fail five times from 10:00 on, then succeed at these times; no absence is proven yet."""
    scenario = Scenario(CannotLogIn).leave_unproven(LOGIN)
    for minute in range(5):
        scenario.give(login(f"10:0{minute}:00", "failure"))
    for time in times:
        scenario.give(login(time))
    return scenario


def test_what_was_true_until_a_success_is_raised_and_cured_by_the_first() -> None:
    """Though the success was seen before the absence was proven."""
    scenario = _waiting("10:14:00.001", "10:20:00").give(login("10:16:00"), late=True).prove()
    assert scenario.steps == ["raised info", "cured info"]
    ((cure, _),) = scenario.alerts[-1].evidence
    assert cure.event_id == "login-10:14:00.001"
    assert scenario.state().anchor == ""


def test_a_success_at_the_end_of_the_absence_prevents_the_alert() -> None:
    """Ten minutes after the anchor are within."""
    scenario = _waiting("10:14:00").prove()
    assert (scenario.steps, scenario.state()) == ([], CannotLogIn.State())


def test_failures_after_the_cure_begin_anew() -> None:
    """They wait for an absence of their own."""
    scenario = _waiting("10:15:00")
    for minute in range(5):
        scenario.give(login(f"10:2{minute}:00", "failure"))
    scenario.prove()
    assert scenario.steps == ["raised info", "cured info"]
    assert scenario.state().anchor == "login-10:24:00"
    scenario.give(login("10:50:00"))
    assert scenario.steps == ["raised info", "cured info", "raised info", "cured info"]


def test_a_failure_of_the_same_moment_as_the_cure_came_before_it() -> None:
    """It does not wait for anything."""
    scenario = _waiting("10:15:00").give(login("10:15:00", "failure", event_id="same"))
    assert scenario.prove().steps == ["raised info", "cured info"]
    assert scenario.state() == CannotLogIn.State()


def test_a_late_success_before_all_failures_changes_nothing() -> None:
    """Nor how many are counted beyond those that are remembered."""
    scenario = Scenario(CannotLogIn)
    for second in range(70):
        scenario.give(login(f"10:{second // 60:02}:{second % 60:02}", "failure"))
    scenario.give(login("09:59:00"), late=True)
    scenario.pass_time(scenario.now + 3_600_000)
    assert scenario.raised[0].details["failures"] == 70


def test_when_an_alert_is_raised_the_failures_of_the_window_before_stay_known() -> None:
    """They tell which of two logs came first, and what a late success leaves."""
    scenario = Scenario(CannotLogIn)
    for minute in (0, 1, 2, 3, 4, 6, 8):
        scenario.give(login(f"10:0{minute}:00", "failure"))
    scenario.give(login("10:14:00.001", "failure", event_id="later"))
    assert scenario.steps == ["raised info"]
    kept = [failure.ref.event_id for failure in scenario.state().failures]
    assert kept == ["login-10:06:00", "login-10:08:00", "later"]


@pytest.mark.parametrize(("service", "severity"), [(100, "info"), (101, "warning")])
def test_half_of_the_failures_is_exactly_half(service: int, severity: str) -> None:
    """Of 202 failures 101 are enough."""
    facts: dict[str, Value] = {
        "failures": 202,
        "service_failures": service,
        "failures_timeout": service,
        "failures_bad_credentials": 202 - service,
        "first_at_ms": 0,
        "anchor_at_ms": 0,
        "no_success_until_ms": 600_000,
    }
    verdict = CannotLogIn(CannotLogIn.Params()).judge(CannotLogIn.Facts.of(facts))
    assert verdict is not None
    assert verdict.severity == severity


@pytest.mark.parametrize(
    ("absence_ms", "span"), [(1_000, "1 s"), (60_000, "1 min"), (90_500, "1 min 30 s 500 ms")]
)
def test_a_title_gives_the_span_in_words_that_fit(absence_ms: int, span: str) -> None:
    """Not "1 seconds", nor seconds cut off."""
    rule = CannotLogIn(CannotLogIn.Params(threshold=2, absence_ms=absence_ms))
    quoted = {
        "failures": 2,
        "service_failures": 1,
        "failures_timeout": 1,
        "failures_bad_credentials": 1,
        "first_at_ms": 0,
        "anchor_at_ms": 1,
        "no_success_until_ms": 1 + absence_ms,
    }
    verdict = rule.judge(rule.Facts.of(quoted))
    assert verdict is not None
    assert verdict.title == f"2 failed logins, then no success for {span}"
    said = [*rule.because(rule.Facts.of(quoted))]
    assert said[0] == "2 logins failed: 1 for bad credentials, 1 for timeout."
    claims = [claim.sentence for claim in rule.otherwise(rule.Facts.of(quoted))]
    assert claims[-1] == "only info if none had failed for reasons of the service (service_percent)"


def test_what_version_1_has_saved_is_read() -> None:
    """As it is; a version that is not known starts afresh."""
    state = Scenario(CannotLogIn).give(login("10:00:00", "failure")).state()
    assert state.failures
    assert CannotLogIn.upgrade(1, msgspec.to_builtins(state)) == state
    assert CannotLogIn.upgrade(0, msgspec.to_builtins(state)) is None


@pytest.mark.parametrize("quiet_ms", [60_000, 600_000, 600_001])
def test_a_quiet_that_is_over_when_it_is_raised_ends_it_at_once(quiet_ms: int) -> None:
    """Where it is shorter than the absence, which takes ten minutes to be proven."""
    scenario = Scenario(CannotLogIn, quiet_ms=quiet_ms)
    for time in FIVE:
        scenario.give(login(time, outcome="failure", reason="bad_credentials", event_id=time))
    scenario.give(clock("10:14:01"))
    assert scenario.steps == ["raised info", "expired info"]
