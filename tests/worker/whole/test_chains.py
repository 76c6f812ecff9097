"""Exactly the wrong rows of a ledger are found, each once, and exactly the gaps (A2)."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.chains import main
from schemas.money import to_minor
from schemas.time import parse_time
from tests.support.events import numbered_ledgers as ledgers
from tests.support.events import unnumbered_ledgers as unnumbered
from tests.support.events.numbered_ledgers import LATENESS, ROWS, Plan, arrivals, judge, plan
from tests.support.events.unnumbered_ledgers import judge_groups, plan_groups


@pytest.mark.parametrize("seed", range(1, 4))
def test_20000_rows_with_few_wrong_and_one_missing(seed: int) -> None:
    """The proportions of the million in bench/chains.py."""
    said: list[str] = []
    assert main(["200", str(seed)], said.append) == 0, said
    assert "  4 rows corrupted: 4 alerts" in said
    assert "  1 rows missing: 1 alerts, 1 updated" in said
    assert "  4 rows corrupted: 4 alerts about rows" in said
    assert "  4 rows corrupted: 4 alerts about groups" in said


@pytest.mark.parametrize("row_check", [True, False])
def test_200_wrong_rows_in_groups_without_numbers_are_as_many_alerts(row_check: bool) -> None:
    """Groups of up to 50 rows in random order, redeliveries, at most one wrong row a group."""
    verdict = judge_groups(plan_groups(30, 200, 7, row_check))
    assert verdict.problems == []
    assert verdict.rows == {"row raised" if row_check else "group raised": 200}


def test_groups_without_a_wrong_row_are_silent() -> None:
    """Whatever the order, and also where rows are not judged by themselves."""
    assert judge_groups(plan_groups(20, 0, 3, row_check=False)).rows == {}


def test_a_verdict_on_groups_can_be_bad() -> None:
    """A corruption that was not planned is seen."""
    of = plan_groups(4, 5, 4, row_check=False)
    fewer = replace(of, corrupted=frozenset())
    real = unnumbered.group_arrivals
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unnumbered, "group_arrivals", lambda _, sent: real(of, sent))
        assert any("groups: 5 alerts for 0" in problem for problem in judge_groups(fewer).problems)


@pytest.mark.parametrize("seed", [11, 12])
def test_6000_rows_with_200_wrong_and_50_missing(seed: int) -> None:
    """Many of them neighbours of each other or of a gap, or the first or last of an account."""
    of = plan(60, 200, 50, seed)
    near = {(account, number + 1) for account, number in of.corrupted}
    beside_gaps = {(a, n + d) for a, n in of.missing for d in (-1, 1)}
    assert len(of.corrupted & near) > 20
    assert len(of.corrupted & beside_gaps) > 5
    assert len({number for _, number in of.corrupted} & {1, ROWS}) == 2
    verdict = judge(of)
    assert verdict.problems == []
    assert (verdict.rows["raised"], verdict.gaps["raised"], verdict.gaps["updated"]) == (
        200,
        50,
        50,
    )


def test_whole_accounts_of_wrong_rows_are_as_many_alerts() -> None:
    """Nothing is blamed on a row because of its neighbours, not even where all are wrong."""
    every = frozenset((0, number) for number in range(1, ROWS + 1))
    verdict = judge(Plan(3, 5, every, frozenset()))
    assert verdict.problems == []
    assert verdict.rows["raised"] == ROWS


def test_the_rows_are_as_they_should_be() -> None:
    """Shuffled within the lateness, redelivered, and without corruption every row adds up."""
    rows = [json.loads(raw) for raw in arrivals(plan(50, 0, 0, 3))]
    times = [parse_time(row["occurred_at"]) for row in rows]
    ids = [row["event_id"] for row in rows]
    assert len(set(ids)) == 50 * ROWS
    assert len(ids) > 1.05 * len(set(ids))
    first = {ids[index]: index for index in range(len(ids) - 1, -1, -1)}
    newest, shuffled = 0, 0
    for index, time in enumerate(times):
        if first[ids[index]] == index:
            shuffled += time < newest
            assert time > newest - LATENESS
            newest = max(newest, time)
    assert shuffled > 0.15 * len(first)
    assert {row["status"] for row in rows} == {"completed", "failed", "pending"}
    inverted = [r for r in _one_account(rows) if r[0] != r[1]]
    assert inverted


def _one_account(rows: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield (event_id by number, event_id by time) of one account's rows."""
    own = {row["event_id"]: row for row in rows if row["account_id"] == "account-7"}.values()
    by_number = sorted(own, key=lambda row: row["ledger_sequence"])
    by_time = sorted(own, key=lambda row: row["occurred_at"])
    for one, other in zip(by_number, by_time, strict=True):
        yield one["event_id"], other["event_id"]


def test_one_field_of_one_row_differs_by_one_minor_unit() -> None:
    """That, and nothing else, is a corruption here."""
    wrong = plan(20, 40, 0, 8)
    right = {_id(raw): json.loads(raw) for raw in arrivals(Plan(20, 8, frozenset(), frozenset()))}
    spoilt = {_id(raw): json.loads(raw) for raw in arrivals(wrong)}
    sums = {name: _differences(row) for name, row in spoilt.items()}
    assert {name for name, off in sums.items() if off} == {f"r-{a}-{n}" for a, n in wrong.corrupted}
    assert not any(_differences(row) for row in right.values())
    assert all(abs(off) in (0, 1) for off in sums.values())


def _id(raw: bytes) -> str:
    return str(json.loads(raw)["event_id"])


def _differences(row: dict[str, str]) -> int:
    """Return by how many minor units a row does not add up, by the rule of the README."""
    moved = to_minor(row["balance_after"], 2) - to_minor(row["balance_before"], 2)
    amount = to_minor(row["amount"], 2)
    due = amount if row["type"] in (*ledgers._CREDITS, "adjustment") else -amount
    due -= to_minor(row.get("fee", "0"), 2)
    return moved - (due if row["status"] == "completed" else 0)


def test_a_verdict_can_be_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minor units instead of one, an unplanned corruption, an unplanned gap."""
    of = plan(20, 5, 2, 4)
    fewer = Plan(20, 4, frozenset(list(of.corrupted)[1:]), of.missing)
    real = ledgers.arrivals
    monkeypatch.setattr(ledgers, "arrivals", lambda _: real(of))
    assert any("rows: 5 alerts for 4" in problem for problem in judge(fewer).problems)
    monkeypatch.setattr(ledgers, "arrivals", lambda _: list(real(of))[:-1])
    assert judge(of).problems == [] or "redelivered" in judge(of).problems[0]
    monkeypatch.setattr(
        ledgers, "arrivals", lambda _: (raw for raw in real(of) if _id(raw) != "r-3-50")
    )
    found = judge(of).problems
    assert any("gaps: 3 alerts for 2" in problem for problem in found)
