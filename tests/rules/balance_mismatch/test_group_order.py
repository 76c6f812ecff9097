"""Groups in order need no timer and no search, and nothing comes out otherwise than with them."""

import random
from typing import Any

import pytest

from rules.balance_mismatch.checks import groups
from rules.balance_mismatch.ledger import book as ledger_book
from rules.balance_mismatch.ledger import trail as ledger_trail
from rules.balance_mismatch.ledger.book import BalanceBook
from rules.balance_mismatch.ledger.chain import Boundary
from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import balance, clock, row
from rules.effects import Effects, SetTimer
from rules.events import BALANCE, TRANSACTION, Balance, Ref, Transaction
from rules.marks import PUBLIC
from rules.testing import Scenario
from worker.detect.account import Account
from worker.detect.effects import address_of

DAY = 86_400_000
Given = tuple[int, Transaction | Balance, bool]
"""(kind, event, whether it is late)."""


def traffic(rng: random.Random, rows: int) -> list[Given]:
    """Return rows of one account: mostly right, some wrong, late, or without balances."""
    now, at = rng.randrange(20), 1_000_000
    found: list[Given] = []
    few = rng.random() < 0.3
    for number in range(rows):
        at += rng.choice((0, 0, 1, 300, 999, 1_000, 1_001, 5_000, 400_000))
        chance = rng.random()
        if chance < 0.1:
            balance = now + (rng.random() < 0.3)
            found.append((BALANCE, _report(number, at, balance), rng.random() < 0.1))
            continue
        amount = rng.randrange(3) if few else rng.randrange(1, 5_000)
        type_ = rng.choice(("payment", "topup"))
        event = _row(number, type_, amount, at, now)
        if chance < 0.9 or rng.random() < 0.5:
            now = _known(event.balance_after)
        late = False
        match rng.randrange(25):
            case 0:
                event.balance_after = _known(event.balance_after) + rng.choice((-1, 1))
            case 1:
                event.balance_before = _known(event.balance_before) + rng.choice((-1, 1))
            case 2:
                event.balance_before = event.balance_after = event.balance_kind = None
            case 3 | 4:
                late = True
                event.occurred_at -= rng.choice((0, 1, 500, 1_000, 1_500, 60_000))
            case 5:
                event.type, event.amount = "adjustment", rng.choice((-1, 1))
        found.append((TRANSACTION, event, late))
    for _ in range(rng.randrange(rows // 5)):
        place = rng.randrange(rows - 1)
        if found[place][1].occurred_at == found[place + 1][1].occurred_at:
            found[place : place + 2] = found[place + 1], found[place]
    for place, given in enumerate(found):
        given[1].event_id = f"e{1_000 + place}"  # decides between events of one time
    return found


def _known(balance: int | None) -> int:
    """Return a balance that the row has."""
    assert balance is not None
    return balance


def _row(number: int, type_: str, amount: int, at: int, before: int) -> Transaction:
    return Transaction(
        event_id=f"e{number:04}",
        transaction_id=f"t{number}",
        account_id="acc-1",
        type=type_,
        status="completed",
        amount=amount,
        currency="EUR",
        occurred_at=at,
        balance_before=before,
        balance_after=before + (amount if type_ == "topup" else -amount),
        balance_kind="posted",
    )


def _report(number: int, at: int, balance: int) -> Balance:
    return Balance(
        event_id=f"e{number}",
        account_id="acc-1",
        currency="EUR",
        balance=balance,
        balance_kind="posted",
        occurred_at=at,
        as_of=at - number % 3 * 4_000,
        source="ledger",
    )


def outcome(given: list[Given], most: int = 24_000, **params: Any) -> tuple[Any, ...]:
    """Return all that comes of events, and the state two days after; it is restored at each.

    It takes less than `most` bytes.
    """
    scenario = Scenario(BalanceMismatch, **params)
    for _, event, late in given:
        if not late:
            event.occurred_at = max(event.occurred_at, scenario.now)
        if event.occurred_at > scenario.now:
            assert len(scenario.saved_state()) < most
        scenario.give(event, late=late)
    scenario.pass_time(scenario.now + 2 * DAY)
    log = [(found.step, found.anchor, found.facts, found.evidence) for found in scenario.alerts]
    return log, scenario.counts, scenario.state(), scenario.timers()


@pytest.mark.parametrize("seed", range(150))
def test_a_search_for_every_group_finds_the_same(seed: int) -> None:
    """With wrong, late and unreported rows, unknown starts, reports, a restart at each event."""
    params = {"row_check": bool(seed % 2), "chain_slack_ms": (1_000, 1, 10_000)[seed % 3]}
    found = outcome(traffic(random.Random(seed), 60), **params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_book, "continues_in_order", lambda *_: False)
        assert found == outcome(traffic(random.Random(seed), 60), **params)


def test_what_is_compared_there_is_much() -> None:
    """Alerts of all checks, cures, and what is only counted."""
    steps, checks, counts = set(), set(), set()
    for seed in range(60):
        log, counted, _, _ = outcome(traffic(random.Random(seed), 60), row_check=bool(seed % 2))
        steps |= {step.split()[0] for step, *_ in log}
        checks |= {facts[0][1] for _, _, facts, _ in log}
        counts |= set(counted)
    assert steps >= {"raised", "cured"}
    assert checks == {"row", "group", "snapshot"}
    assert counts >= {"group_unknown", "late_row_unplaced", "snapshot_still_off"}


@pytest.mark.parametrize("step", [0, 1, 700])
def test_2500_rows_one_after_the_other_are_judged_without_a_search(step: int) -> None:
    """Also those of one group of more than a thousand."""
    rows, now = [], 50_000
    for number in range(2_500):
        rows.append(_row(number, "payment", 1, 5_000 + number * step, now))
        now -= 1
    rows[0].occurred_at = 0
    with pytest.MonkeyPatch.context() as patch:
        searched: list[int] = []
        real = ledger_trail.find_trail

        def counted(*of: Any) -> Any:
            searched.append(len(of[1]))
            return real(*of)

        patch.setattr(ledger_book, "find_trail", counted)
        log, counts, state, timers = outcome([(TRANSACTION, each, False) for each in rows], 9_000)
    assert (log, counts, timers, searched) == ([], {}, {}, [])
    assert state.books[0].end.balances == (now,)


def test_a_row_that_does_not_go_on_has_its_group_judged_at_its_end() -> None:
    """With the rows that came before it in order."""
    rows = [_row(0, "payment", 10, 0, 100), _row(1, "payment", 10, 5_000, 90)]
    rows += [_row(2, "payment", 10, 5_500, 70), _row(3, "payment", 10, 6_400, 80)]
    scenario = Scenario(BalanceMismatch)
    scenario.give(rows[0]).give(rows[1])
    assert set(scenario.timers()) == {"idle"}
    scenario.give(rows[2])
    assert scenario.timers()["group:EUR:posted"] == (6_000, (TRANSACTION,))
    scenario.give(rows[3])
    scenario.pass_time(DAY)
    assert scenario.steps == []
    assert scenario.state().books[0].end.balances == (60,)


@pytest.mark.parametrize(("before", "steps"), [(100, []), (110, []), (120, ["raised warning"])])
@pytest.mark.parametrize("searched", [False, True])
def test_a_first_group_that_returns_to_a_balance_may_have_begun_at_any_of_its_own(
    before: int, steps: list[str], searched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows may have come in another order: what goes on from any of them is right."""
    if searched:
        monkeypatch.setattr(ledger_book, "continues_in_order", lambda *_: False)
    scenario = Scenario(BalanceMismatch)
    scenario.give(_row(0, "topup", 10, 0, 100)).give(_row(1, "payment", 10, 500, 110))
    scenario.give(_row(2, "payment", 5, 60_000, before)).pass_time(DAY)
    assert scenario.steps == steps


def silent() -> Scenario:
    """Return a scenario with an account that had numbered rows at ten, a day and a half ago."""
    scenario = Scenario(BalanceMismatch)
    for number in range(1, 10):
        scenario.give(row(number, f"10:00:0{number}", "1", f"{20 - number}", f"{19 - number}"))
    scenario.pass_time(scenario.now + DAY)
    return scenario


def test_a_silent_account_with_numbers_keeps_its_chain_alone() -> None:
    """Its book follows from the end of the chain."""
    scenario = silent()
    state = scenario.state()
    assert (state.books, state.has_idle_timer, state.chains[0].is_compacted) == ((), False, True)
    assert scenario.timers() == {}
    assert len(scenario.saved_state()) < 95


def later(wire: dict[str, Any]) -> dict[str, Any]:
    """Return the record, two days later."""
    times = {name for name in ("occurred_at", "as_of") if name in wire}
    return wire | {name: wire[name].replace("-02T", "-04T") for name in times}


@pytest.mark.parametrize(("reported", "steps"), [("10.00", []), ("11.00", ["raised error"])])
def test_a_report_on_a_silent_account_is_judged(reported: str, steps: list[str]) -> None:
    """By the balance of its last row, however old."""
    scenario = silent()
    scenario.give(later(balance("10:00:00", reported))).give(later(clock("11:00:00")))
    assert scenario.steps == steps
    assert scenario.counts == {}


def test_a_row_after_a_silence_is_compared_with_the_row_before() -> None:
    """As ever; reports before it hold too."""
    scenario = silent()
    scenario.give(later(row(10, "10:00:00", "1", "10", "9")))
    scenario.give(later(balance("10:00:08", "10.00")) | {"as_of": "2026-03-04T09:55:00Z"})
    scenario.give(later(row(11, "10:00:09", "1", "10", "9"))).give(later(clock("11:00:00")))
    assert [raised.details["check"] for raised in scenario.raised] == ["chain"]
    assert scenario.counts == {}


def test_what_was_long_before_is_not_looked_at() -> None:
    """The distance of a report is computed only within the retention period."""
    scenario = Scenario(BalanceMismatch).give(row(1, "10:00:00", "1", "9", "8"))
    scenario.give(row(2, "10:01:00", "1", "8", "7")).give(row(3, "10:20:00", "1", "7", "6"))
    for minute, reported in (("20", "7.00"), ("21", "8.00")):
        scenario.give(balance(f"10:{minute}:30", reported))
    scenario.give(clock("10:30:00"))
    offs = [
        {name: value for name, value, _ in raised.facts}["off_by_ms"] for raised in scenario.raised
    ]
    assert offs == [30_000, None]


def test_a_group_in_order_is_judged_if_its_beginning_becomes_doubtful() -> None:
    """It may start at either of two balances then: a search must find its end."""
    ref = Ref(TRANSACTION, 1, "e", 0)
    book = BalanceBook("EUR", "posted", [0, 90], Boundary("posted", (90,), ref))
    ledger_book.append_in_order(book, _row(1, "payment", 10, 5_000, 90), ref, 1_000)
    fx = Effects(PUBLIC, address_of)
    fx.begin(5_500, Account(), None, None)
    groups.add_candidate(book, 95, BalanceMismatch.Params(), fx)
    assert book.end == Boundary("posted", (90, 95), ref)
    assert fx.asked == [SetTimer("group:EUR:posted", 6_000, (TRANSACTION,))]
