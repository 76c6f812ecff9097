"""The life of an incident: who joins, what becomes of it, and when its revision rises."""

from typing import Any

import pytest

from rules.incidents.lifecycle import (
    MAX_TRANSACTIONS,
    IncidentState,
    apply,
    incident_id,
    renewed,
)
from rules.incidents.record import record_of
from schemas.alert import MAX_EVIDENCE, Alert, Evidence, Money
from schemas.incident import MAX_ALERT_IDS

EUR = Money(currency="EUR", minor_units=100, exponent=2)
JPY = Money(currency="JPY", minor_units=7, exponent=0)


def alert(name: str = "a", kind: Any = "raised", **fields: Any) -> Alert:
    """Return one record of an alert."""
    known: dict[str, Any] = {
        "alert_id": name,
        "kind": kind,
        "sequence": 1,
        "rule": "some_rule",
        "rule_version": 1,
        "mode": "live",
        "category": "payment",
        "severity": "warning",
        "title": "Something is wrong",
        "cause": "payments",
        "dedup_key": "key",
        "at": 10,
        "first_event_at": 10,
        "last_event_at": 20,
        "detected_at": 20,
        "published_at": 30,
        "late": False,
        "evidence_total": 0,
        "suspected_root_cause": "technical",
        "origin": "detect.0",
        "origin_sequence": 1,
    }
    return Alert(**known | fields)


def cited(*offsets: int) -> dict[str, Any]:
    """Return the fields of an alert that rests on records there."""
    found = tuple(
        Evidence(topic="t", partition=1, offset=n, event_id=f"e{n}", role="failure")
        for n in offsets
    )
    return {"evidence": found, "evidence_total": len(found)}


def live(*alerts: Alert, state: IncidentState | None = None) -> IncidentState:
    """Apply records, the first at 1,000 ms, each 1,000 ms after the one before."""
    for number, each in enumerate(alerts, 1):
        state = apply(state, each, number * 1_000, "k.0123456789abcdef")
        assert state is not None
    assert state is not None
    return state


def revisions(state: IncidentState) -> tuple[int, int]:
    """Return revision and state revision."""
    return state.revision, state.state_revision


def test_the_first_alert_opens_an_incident() -> None:
    """With all that the alert says; the first record of it has revision 1."""
    state = live(alert(provider="acme", transaction_ids=("t1", "t2"), amount_at_stake=(EUR,)))
    assert revisions(state) == (1, 1)
    incident = record_of(state, 5_000)
    assert incident.model_dump(exclude_none=True) == {
        "incident_id": incident_id("key", "a"),
        "dedup_key": "key",
        "cause": "payments",
        "category": "payment",
        "status": "open",
        "status_detail": "standalone",
        "revision": 1,
        "state_revision": 1,
        "severity": "warning",
        "priority": "P3",
        "page": False,
        "title": "Something is wrong",
        "summary": "1 alert: 1 open.",
        "provider": "acme",
        "rules": ("some_rule",),
        "account_token": "k.0123456789abcdef",
        "transactions": 2,
        "alerts": {"total": 1, "active": 1, "cured": 0, "retracted": 0, "expired": 0},
        "alert_ids": ("a",),
        "amount_at_stake": (
            {"currency": "EUR", "minor_units": 100, "exponent": 2, "amount": "1.00"},
        ),
        "evidence": (),
        "evidence_total": 0,
        "suspected_root_cause": "technical",
        "first_event_at": 10,
        "last_event_at": 20,
        "opened_at": 1_000,
        "updated_at": 1_000,
        "published_at": 5_000,
        "suggested_actions": (),
        "notes": (),
        "last_change": {"what": "opened", "by": "walletwatch", "at": 1_000},
    }


def test_an_id_is_32_hex_digits_of_its_first_alert() -> None:
    """Another key or another alert gives another."""
    assert len(incident_id("key", "a")) == 32
    assert len({incident_id("key", "a"), incident_id("key", "b"), incident_id("yek", "a")}) == 3


@pytest.mark.parametrize(
    ("severity", "priority", "page"),
    [
        ("critical", "P1", True),
        ("error", "P2", True),
        ("warning", "P3", False),
        ("info", "P4", False),
    ],
)
def test_errors_page(severity: str, priority: str, page: bool) -> None:
    """Warnings wait for the morning."""
    incident = record_of(live(alert(severity=severity)), 0)
    assert (incident.priority, incident.page) == (priority, page)


def test_an_alert_of_the_same_key_joins() -> None:
    """Rules and transactions are counted once each, amounts added by currency."""
    state = live(
        alert("a", transaction_ids=("t1",), amount_at_stake=(EUR, JPY)),
        alert(
            "b",
            rule="other",
            transaction_ids=("t1", "t2"),
            amount_at_stake=(JPY, EUR),
            first_event_at=5,
            last_event_at=15,
        ),
        alert("c", last_event_at=25),
    )
    assert state.members == ["a", "b", "c"]
    assert (state.rules, state.transactions) == (["some_rule", "other"], {"t1", "t2"})
    assert [(a.currency, a.minor, a.exponent) for a in state.amounts] == [
        ("EUR", 200, 2),
        ("JPY", 14, 0),
    ]
    assert (state.first_event_at, state.last_event_at) == (5, 25)
    assert (state.total, state.last_change) == (3, "alert_joined")
    assert (state.opened_at, state.updated_at) == (1_000, 3_000)
    assert revisions(state) == (3, 1)


@pytest.mark.parametrize(
    ("then", "severity", "state_revision", "page"),
    [("info", "warning", 1, False), ("warning", "warning", 1, False), ("error", "error", 2, True)],
)
def test_severity_only_rises(then: str, severity: str, state_revision: int, page: bool) -> None:
    """By an alert that joins, and by an update; only then the state revision rises."""
    for worse in (alert("b", severity=then), alert("a", "updated", severity=then)):
        state = live(alert(), worse)
        assert (state.severity, state.state_revision, state.page) == (
            severity,
            state_revision,
            page,
        )


def test_who_was_woken_stays_woken() -> None:
    """Nothing takes a page back; a worse severity keeps it."""
    state = live(alert(severity="error"), alert("b", severity="critical"))
    assert state.page
    state = live(alert(severity="error"), alert("a", "updated", severity="info"))
    assert (state.page, state.severity, state.last_change) == (True, "error", "alert_updated")


@pytest.mark.parametrize(
    ("ends", "resolution"),
    [
        (("cured", "expired", "retracted"), "cured"),
        (("expired", "retracted", "retracted"), "expired"),
        (("retracted", "retracted", "retracted"), "retracted"),
    ],
)
def test_an_incident_is_resolved_with_its_last_member(
    ends: tuple[str, ...], resolution: str
) -> None:
    """Its resolution is the best that became of its alerts."""
    state = live(alert("a"), alert("b"), alert("c"))
    for name, kind in zip("abc", ends, strict=True):
        assert (state.status, state.resolution, state.resolved_at) == ("open", None, None)
        state = live(alert(name, kind), state=state)
        assert state.last_change == f"alert_{kind}"
    assert (state.status, state.resolution, state.resolved_at) == ("resolved", resolution, 1_000)
    assert revisions(state) == (6, 2)
    incident = record_of(state, 0)
    assert incident.alerts.model_dump() == {
        "total": 3,
        "active": 0,
        **{kind: ends.count(kind) for kind in ("cured", "retracted", "expired")},
    }
    assert incident.summary.startswith("3 alerts: ")


def test_what_is_no_member_changes_nothing() -> None:
    """An update or end of an alert that never was raised, or has ended."""
    assert apply(None, alert("a", "cured"), 0, None) is None
    state = live(alert("a"), alert("b"))
    assert apply(state, alert("c", "updated", severity="error"), 0, None) is None
    live(alert("a", "cured"), state=state)
    assert apply(state, alert("a", "cured"), 0, None) is None
    assert (state.members, state.cured, state.severity) == (["b"], 1, "warning")


def test_after_the_end_a_new_incident_is_linked_to_the_old() -> None:
    """It begins from nothing."""
    state = live(alert("a", severity="error"), alert("a", "cured"))
    first = state.incident_id
    state = live(alert("b"), state=state)
    assert (state.previous_incident_id, state.incident_id) == (first, incident_id("key", "b"))
    assert (state.status, state.severity, state.page, state.cured) == ("open", "warning", False, 0)
    assert revisions(state) == (1, 1)


def test_a_record_that_several_alert_records_cite_is_cited_once() -> None:
    """Of one alert, and of two."""
    state = live(
        alert("a", **cited(0, 1)), alert("a", "updated", **cited(0, 1, 2)), alert("b", **cited(2))
    )
    assert [each.offset for each in state.evidence] == [0, 1, 2]
    assert record_of(state, 0).evidence_total == 3


def test_the_first_and_the_newest_records_are_cited() -> None:
    """Up to fifty all of them; all are counted."""
    state = live(alert("a", **cited(0)), alert("b", **cited(*range(1, MAX_EVIDENCE))))
    assert [each.offset for each in state.evidence] == list(range(MAX_EVIDENCE))
    state = live(alert("c", **cited(50, 51)), state=state)
    assert [each.offset for each in state.evidence] == [0, *range(3, 52)]
    incident = record_of(state, 0)
    assert (len(incident.evidence), incident.evidence_total) == (MAX_EVIDENCE, 52)
    assert incident.evidence[1].model_dump(exclude_none=True) == {
        "topic": "t",
        "partition": 1,
        "offset": 3,
        "event_id": "e3",
        "role": "failure",
    }


def test_an_incident_lists_the_alerts_that_joined() -> None:
    """In the order in which they joined, once each, whatever became of them."""
    state = live(alert("a"), alert("b"), alert("a", "updated"), alert("a", "cured"), alert("c"))
    assert record_of(state, 0).alert_ids == ("a", "b", "c")
    live(alert("b", "expired"), alert("c", "retracted"), state=state)
    assert record_of(state, 0).alert_ids == ("a", "b", "c")
    assert record_of(live(alert("d"), state=state), 0).alert_ids == ("d",)


@pytest.mark.parametrize("more", [-1, 0, 1, 2, MAX_ALERT_IDS])
def test_the_first_and_the_newest_alerts_are_listed(more: int) -> None:
    """Up to fifty all of them; `alerts.total` counts all."""
    names = [f"a{n}" for n in range(MAX_ALERT_IDS + more)]
    incident = record_of(live(*map(alert, names)), 0)
    listed = names if more <= 0 else [names[0], *names[more + 1 :]]
    assert list(incident.alert_ids) == listed
    assert (incident.alerts.total, len(listed)) == (len(names), min(len(names), MAX_ALERT_IDS))


@pytest.mark.parametrize("count", [0, 1, 3, MAX_ALERT_IDS, MAX_ALERT_IDS + 7])
def test_a_state_of_before_lists_the_members_it_has(count: int) -> None:
    """What had ended by then is not known any more; what joins later is listed."""
    names = [f"a{n}" for n in range(count)]
    state = live(alert("ended"), *map(alert, names))
    live(alert("ended", "cured"), state=state)
    state.alert_ids = []
    assert renewed(state).alert_ids == (names if count <= MAX_ALERT_IDS else names[:1] + names[8:])
    assert renewed(state).members == names
    state = live(alert("later"), state=state)
    assert record_of(state, 0).alert_ids[-1] == "later"


def test_a_state_of_today_keeps_its_list() -> None:
    """Also the alerts that have ended."""
    state = live(alert("a"), alert("b"), alert("a", "cured"))
    assert renewed(state).alert_ids == ["a", "b"]


def test_transactions_are_counted_up_to_a_thousand() -> None:
    """Then the count stands still."""
    state = live(alert("first", transaction_ids=tuple(f"t{n}" for n in range(19))))
    for start in range(20, 1_100, 20):
        names = tuple(f"t{n}" for n in range(start, start + 20))
        state = live(alert(f"a{start}", transaction_ids=names), state=state)
    assert len(state.transactions) == MAX_TRANSACTIONS == 1_000
    assert record_of(state, 0).transactions == 1_000
    assert record_of(state, 0).truncated is True


def test_a_thousand_transactions_are_not_too_many() -> None:
    """The thousand-and-first is; one that is known already is not."""
    names = tuple(f"t{n}" for n in range(MAX_TRANSACTIONS))
    state: IncidentState | None = None
    for start in range(0, MAX_TRANSACTIONS, 20):
        state = live(alert(f"a{start}", transaction_ids=names[start : start + 20]), state=state)
    assert state is not None
    assert record_of(state, 0).truncated is None
    state = live(alert("again", transaction_ids=names[:20]), state=state)
    assert record_of(state, 0).truncated is None
    state = live(alert("more", transaction_ids=("more",)), state=state)
    assert (record_of(state, 0).truncated, len(state.transactions)) == (True, MAX_TRANSACTIONS)


def test_of_an_overflow_alert_amounts_are_taken_as_they_are() -> None:
    """They are sums already; the severity is the worst that it counts."""
    twice = Money(currency="EUR", minor_units=200, exponent=2)
    state = live(
        alert(counted=1, amount_at_stake=(EUR,)),
        alert(kind="updated", counted=23, severity="error", amount_at_stake=(twice, JPY)),
    )
    record = record_of(state, 0)
    assert (record.truncated, record.severity, record.page) == (True, "error", True)
    assert record.amount_at_stake == (twice, JPY)
    assert record.summary == "1 alert: 1 open. It counts 23 findings."
    assert record.alerts.total == 1
