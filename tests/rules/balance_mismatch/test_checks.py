"""A2: checks that are off, unreported moves, what closes an alert about a report, evidence."""

import random
from typing import Any

import pytest

from rules.balance_mismatch.alerts import group_draft
from rules.balance_mismatch.ledger.book import BrokenGroup
from rules.balance_mismatch.ledger.chain import Boundary
from rules.balance_mismatch.ledger.group import PendingGroup
from rules.balance_mismatch.ledger.layout import MAX_CLOSING_ROWS
from rules.balance_mismatch.ledger.trail import NoTrail, Trail, find_trail
from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import balance, clock, row, txn
from rules.events import TRANSACTION, Ref
from rules.facts import Values
from rules.testing import Scenario, event_of


def free(name: str, time: str, before: str, after: str, **fields: Any) -> dict[str, Any]:
    """Return a row of 10.00 without a number."""
    kind = {"balance_kind": "posted"}
    return txn(name, time, balance_before=before, balance_after=after, **kind | fields)


def ran(*events: dict[str, Any], **params: Any) -> Scenario:
    """Give events in the order of the list, then let much time pass."""
    scenario = Scenario(BalanceMismatch, **params)
    for event in events:
        scenario.give(event)
    scenario.pass_time(scenario.now + 60_000)
    return scenario


def test_without_the_check_of_rows_a_wrong_row_still_stands_in_the_chain() -> None:
    """Only its own movement is not judged."""
    rows = [row(1, "10:00:00", "10.00", "100.00", "90.00")]
    wrong = row(2, "10:01:00", "10.00", "80.00", "65.00")
    scenario = ran(*rows, wrong, row_check=False)
    assert [raised.details["check"] for raised in scenario.raised] == ["chain"]
    assert scenario.judged[0]["drift_minor"] == -1_000
    assert scenario.raised[0].draft.transaction_ids == ("r2",)
    joining = row(2, "10:01:00", "10.00", "90.00", "65.00")
    assert ran(*rows, joining, row_check=False).steps == []
    assert ran(*rows, joining).steps == ["raised error"]


def test_a_break_at_a_gap_names_no_transaction_of_another_row() -> None:
    """The row that shows it is the one before the break; its number is quoted."""
    rows = [
        row(1, "10:00:00", "10.00", "100.00", "90.00"),
        row(3, "10:00:01", "10.00", "70.00", "60.00"),
        row(2, "10:00:02", "10.00", "90.00", "80.00"),
    ]
    (raised,) = ran(*rows).raised
    assert (raised.anchor, raised.draft.transaction_ids) == ("r3-completed", ())


@pytest.mark.parametrize(
    ("params", "checks"),
    [
        ({}, ["group", "snapshot"]),
        ({"group_check": False}, ["snapshot"]),
        ({"snapshot_check": False}, ["group"]),
        ({"group_check": False, "snapshot_check": False}, []),
    ],
)
def test_each_check_works_without_the_other(params: dict[str, bool], checks: list[str]) -> None:
    """Rows without numbers report balances even where they are not judged."""
    scenario = ran(
        free("t1", "10:00:00", "100.00", "90.00"),
        free("t2", "10:01:00", "80.00", "70.00"),
        balance("10:02:00", "55.00"),
        clock("10:03:00"),
        **params,
    )
    assert [raised.details["check"] for raised in scenario.raised] == checks


@pytest.mark.parametrize("kind", ["posted", "available"])
def test_a_hold_that_reports_no_balance_makes_the_available_one_unknown(kind: str) -> None:
    """And leaves the posted one as it was."""
    scenario = ran(
        free("t1", "10:00:00", "100.00", "90.00", balance_kind=kind),
        txn("t2", "10:01:00", "pending", "30.00"),
        free("t3", "10:02:00", "60.00", "50.00", balance_kind=kind),
    )
    assert scenario.steps == ([] if kind == "available" else ["raised error"])


def _facts(**fields: Any) -> Values:
    scenario = ran(
        free("t1", "10:00:00", "100.00", "90.00"), balance("10:01:00", "55.00"), clock("10:02:00")
    )
    (facts,) = scenario.judged
    return {**facts, **fields}


@pytest.mark.parametrize(
    ("event", "answered"),
    [
        (balance("10:01:00.001", "90.00"), True),
        (balance("10:01:00", "90.00"), False),
        (balance("10:01:00.001", "90.00", currency="USD"), False),
        (balance("10:01:00.001", "90.00", balance_kind="available"), False),
        (free("t2", "10:01:05", "90.00", "55.00"), True),
        (free("t2", "10:01:05", "55.00", "45.00"), True),
        (free("t2", "10:01:05.001", "90.00", "55.00"), False),
        (free("t2", "10:01:05", "90.00", "54.99"), False),
        (free("t2", "10:01:05", "90.00", "55.00", currency="USD"), False),
        (free("t2", "10:01:05", "90.00", "55.00", balance_kind="available"), False),
    ],
)
def test_what_answers_a_wrong_report(event: dict[str, Any], answered: bool) -> None:
    """A newer report, or a row with the reported balance up to when it was judged."""
    rule = BalanceMismatch(BalanceMismatch.Params())
    assert rule.answers(rule.Facts.of(_facts()), event_of(event)) is answered


@pytest.mark.parametrize(
    ("facts", "raised"),
    [
        ({}, True),
        ({"off_by_ms": 5_000}, False),
        ({"off_by_ms": 5_001}, True),
        ({"as_of_ms": 0, "reported_at_ms": 600_000}, True),
        ({"as_of_ms": 0, "reported_at_ms": 600_001}, False),
    ],
)
def test_a_report_is_judged_at_the_edges_of_its_time(facts: Values, raised: bool) -> None:
    """Five seconds off are no difference; ten minutes old is not too old."""
    rule = BalanceMismatch(BalanceMismatch.Params())
    assert (rule.judge(rule.Facts.of(_facts(**facts))) is not None) is raised


@pytest.mark.parametrize("reported", [True, False])
def test_where_a_group_began_is_cited_only_where_an_event_reports_it(reported: bool) -> None:
    """Otherwise the balance was computed."""
    refs = tuple(Ref(TRANSACTION, n, f"e{n}", n) for n in range(3))
    group = PendingGroup(2, last_at=2, first_at=1, steps=[80, 70, 70, 60], refs=refs[1:])
    found = BrokenGroup(
        Boundary("posted", (90,), refs[0]), reported, group, NoTrail((60,), (-10,), ((90, 80),))
    )
    draft = group_draft("EUR", found)
    facts = {name: (value, ref) for name, value, ref in draft.facts}
    assert facts["previous_balance_minor"] == (90, refs[0] if reported else None)
    assert facts["last_row_at_ms"] == (2, refs[2])
    assert (facts["rows"], facts["drift_minor"]) == ((2, None), (-10, None))
    assert facts["would_close_minor"] == ("90>80", None)


@pytest.mark.parametrize("status", ["pending", "disputed", "failed"])
def test_a_row_that_is_not_completed_may_not_move_its_balance(status: str) -> None:
    """Also where it starts at the end of the row before it."""
    rows = free("t1", "10:00:00", "100.00", "90.00"), free("t2", "10:01:00", "90.00", "80.00")
    assert ran(*rows).steps == []
    assert ran(rows[0], rows[1] | {"status": status}).steps[0] == "raised error"
    rows = (
        row(1, "10:00:00", "9.00", "99.00", "90.00"),
        row(2, "10:01:00", "9.00", "90.00", "81.00"),
    )
    assert ran(*rows).steps == []
    assert ran(rows[0], rows[1] | {"status": status}).steps[0] == "raised error"


@pytest.mark.parametrize("seed", range(40))
def test_the_rows_that_would_close_a_group_are_all_that_would(seed: int) -> None:
    """Tried one by one over all pairs of its balances."""
    rng = random.Random(seed)
    for _ in range(40):
        numbers = range(rng.choice((4, 6)))
        steps = [rng.choice(numbers) for _ in range(2 * rng.randrange(1, 6))]
        found = find_trail([0], steps, [])
        if isinstance(found, Trail):
            continue
        here = {0, *steps}
        closing = {
            (start, end)
            for start in here
            for end in here
            if start != end and isinstance(find_trail([0], [*steps, start, end], []), Trail)
        }
        assert set(found.closing_rows) == closing
        assert len(found.closing_rows) <= MAX_CLOSING_ROWS


@pytest.mark.parametrize(("time", "busy"), [("08:59:59.999", True), ("10:00:00", False)])
def test_an_account_with_rows_of_today_is_not_silent(time: str, busy: bool) -> None:
    """Its timer comes back 23 hours after the newest row."""
    scenario = Scenario(BalanceMismatch).give(row(1, "10:00:00", "10.00", "100.00", "90.00"))
    if busy:
        tomorrow = {"occurred_at": f"2026-03-03T{time}Z"}
        scenario.give(row(2, "", "10.00", "90.00", "80.00", **tomorrow))
    ((name, (due, _)),) = scenario.timers().items()
    scenario.pass_time(due + 1)
    timers = scenario.timers()
    assert scenario.state().has_idle_timer is busy
    assert list(timers) == ([name] if busy else [])
    if busy:
        assert timers[name][0] - due == 22 * 3_600_000 + 59 * 60_000 + 59_999


@pytest.mark.parametrize(
    ("time", "steps"),
    [
        ("10:03:00", ["raised error", "cured error"]),
        ("10:01:00.001", ["raised error", "cured error"]),
        ("10:01:00", ["raised error", "raised error"]),
    ],
)
def test_a_report_shows_that_a_drift_is_gone(time: str, steps: list[str]) -> None:
    """If its moment is after the drift; the rows may go on without it then."""
    scenario = Scenario(BalanceMismatch)
    for event in (
        row(1, "10:00:00", "10.00", "100.00", "90.00"),
        row(2, "10:01:00", "10.00", "90.00", "85.00"),
        row(3, "10:01:00.001", "10.00", "85.00", "75.00"),
    ):
        scenario.give(event)
    gone = "70.00" if time != "10:01:00" else "1.00"
    report = balance(
        "10:03:00", gone, as_of=f"2026-03-02T{time if '.' in time else time + '.000'}Z"
    )
    scenario.give(report).give(clock("10:04:00"))
    assert scenario.steps == steps
    if steps[-1] == "cured error":
        scenario.give(row(4, "10:05:00", "10.00", "70.00", "60.00"))
        assert scenario.steps == steps
        scenario.give(row(5, "10:06:00", "10.00", "65.00", "55.00"))
        assert scenario.steps == [*steps, "raised error"]


def test_a_right_report_cures_only_earlier_reports_of_its_book() -> None:
    """No wrong row, and no report of another currency or of a later moment."""
    scenario = Scenario(BalanceMismatch)
    for event in (
        free("d1", "09:00:00", "50.00", "40.00", currency="USD"),
        free("e1", "09:00:00", "100.00", "90.00"),
        free("e2", "09:01:00", "90.00", "85.00"),
        balance("09:02:00", "1.00", currency="USD"),
        balance("09:03:00", "2.00"),
        balance("09:04:00", "85.00"),
        clock("09:05:00"),
    ):
        scenario.give(event)
    assert scenario.steps == ["raised error"] * 3 + ["cured error"]
    alerts = scenario.open_alerts()
    assert [alert.fact("check") for alert in alerts] == ["row", "snapshot"]
    assert alerts[1].fact("currency") == "USD"


def test_a_wrong_report_is_no_drift_that_another_report_could_show_to_be_gone() -> None:
    """35.00 too little, then as much too much: both are wrong."""
    scenario = ran(
        free("t1", "10:00:00", "100.00", "90.00"),
        balance("10:01:00", "55.00"),
        balance("10:02:00", "125.00"),
        clock("10:03:00"),
    )
    assert scenario.steps == ["raised error", "raised error"]


def test_a_wrong_report_cites_the_newest_row() -> None:
    """By its number."""
    scenario = ran(
        row(1, "10:00:00", "10.00", "100.00", "90.00"),
        row(2, "10:00:01", "10.00", "90.00", "80.00"),
        balance("10:01:00", "55.00"),
        clock("10:03:00"),
    )
    cited = [(ref.event_id, role) for ref, role in scenario.raised[-1].evidence]
    assert cited == [("r2-completed", "last_entry"), ("balance-10:01:00", "report")]


def test_a_balance_that_stays_is_remembered_once() -> None:
    """However many rows report it again."""
    scenario = Scenario(BalanceMismatch).give(free("t0", "10:00:00", "100.00", "90.00"))
    for minute in range(1, 9):
        scenario.give(free(f"t{minute}", f"10:0{minute}:00", "90.00", "90.00", status="pending"))
    (book,) = scenario.state().books
    assert book.history[1::2] == [10_000, 9_000]
