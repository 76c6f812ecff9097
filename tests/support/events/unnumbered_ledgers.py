"""Ledgers without ledger_sequence as they might arrive: groups of one moment, in random order.

An account's rows come in groups of 1 to 50: most of one instant, the others less than the slack
apart. They arrive shuffled within the lateness, some again later. At most one row of a group is
wrong, by one minor unit.

With the row check on, every wrong row is one alert about itself, and its group must close all the
same. With it off, a wrong start or end is one alert about its group; a wrong end of a group's last
row is one about the next group. So then no two groups in turn are corrupted, and neither the first
one, which anchors, nor the last one, whose end is compared with nothing. A corruption that gives a
balance which the group has already could close by chance, which is no break: it is drawn again.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappush
from typing import Any, Final

import msgspec

from rules.balance_mismatch.params import BalanceMismatchParams
from schemas.money import from_minor
from schemas.topics import DEAD_LETTERS, LATE
from tests.support.events.numbered_ledgers import (
    FIELDS,
    LATENESS,
    SPAN,
    START,
    Comparison,
    arrived,
    check_counts,
    corrupt,
    expect,
    observe,
    right_row,
)
from tests.support.run_comparison import documents

GROUPS: Final = 20
"""Per account."""
LARGEST: Final = 50
ROWS: Final = GROUPS * (LARGEST + 1) // 2
"""Per account, on average."""
SLACK: Final = 1_000

Group = tuple[int, int]
"""(account, number of the group from 0)."""


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Which groups have a wrong row."""

    accounts: int
    seed: int
    corrupted: frozenset[Group]
    row_check: bool


def plan_groups(accounts: int, corrupted: int, seed: int, row_check: bool) -> GroupPlan:
    """Choose groups: any with the row check, else none beside another, not the first or last."""
    chance = random.Random(seed)
    edge = 0 if row_check else 1
    wrong: set[Group] = set()
    while len(wrong) < corrupted:
        account, number = chance.randrange(accounts), chance.randrange(edge, GROUPS - edge)
        if row_check or not wrong & {(account, number - 1), (account, number + 1)}:
            wrong.add((account, number))
    return GroupPlan(accounts, seed, frozenset(wrong), row_check)


@dataclass(slots=True)
class Sent:
    """What the generator did, filled while it runs."""

    rows: int = 0
    wrong_rows: list[str] | None = None


def group_arrivals(of: GroupPlan, sent: Sent) -> Iterator[bytes]:
    """Yield the rows as they arrive: within the lateness of their time, some of them again."""
    chance = random.Random(of.seed + 1)
    balances = [chance.randrange(10**6, 10**9) for _ in range(of.accounts)]
    numbers = [0] * of.accounts
    order = list(range(of.accounts))
    step = SPAN / (GROUPS * of.accounts)
    pending: list[tuple[int, int, bytes]] = []
    wrong: list[str] = []
    for turn in range(GROUPS):
        chance.shuffle(order)
        for place, account in enumerate(order):
            base = START + int((turn * of.accounts + place) * step)
            while pending and pending[0][0] <= base:
                yield from arrived(pending, chance)
            rows = []
            for at in _times(base, chance):
                numbers[account] += 1
                row = right_row(account, numbers[account], at, balances, chance)
                del row["ledger_sequence"]
                rows.append((at, row))
            if (account, turn) in of.corrupted:
                wrong.append(_corrupt_one([row for _, row in rows], of.row_check, chance))
            for at, row in rows:
                sent.rows += 1
                arrival = at + chance.randrange(LATENESS)
                heappush(pending, (arrival, sent.rows, msgspec.json.encode(row)))
    while pending:
        yield from arrived(pending, chance)
    sent.wrong_rows = wrong


def _times(base: int, chance: random.Random) -> list[int]:
    """Return times of which each is less than the slack after the one before, in any order."""
    times = [base]
    together = chance.random() < 0.7
    for _ in range(chance.randrange(LARGEST)):
        times.append(times[-1] + (0 if together else chance.choice((0, 1, SLACK // 2, SLACK - 1))))
    if chance.random() < 0.5:
        chance.shuffle(times)
    return times


def _corrupt_one(rows: list[dict[str, Any]], row_check: bool, chance: random.Random) -> str:
    """Spoil one row of a group; return its event_id."""
    row = chance.choice((rows[0], rows[-1], chance.choice(rows)))
    if row_check:
        corrupt(row, chance)
        return str(row["event_id"])
    there = {each[name] for each in rows for name in FIELDS[1:]}
    while True:
        name = chance.choice(FIELDS[1:])
        wrong = from_minor(int(row[name].replace(".", "")) + chance.choice((-1, 1)), 2)
        if wrong not in there:
            row[name] = wrong
            return str(row["event_id"])


def judge_groups(of: GroupPlan) -> Comparison:
    """Run A2 alone over the plan's rows and compare what it finds."""
    comparison, sent = Comparison(), Sent()
    params = BalanceMismatchParams(row_check=of.row_check, chain_slack_ms=SLACK)
    log, counts, comparison.read = observe(group_arrivals(of, sent), params)
    assert sent.wrong_rows is not None
    rows, groups = [], Counter[str]()
    for _, alert in documents(log, "wallet.alerts"):
        check = f"{alert['details'].get('check')} {alert['kind']}"
        comparison.rows[check] += 1
        if check not in ("row raised", "group raised"):
            comparison.problems.append(f"{check} alert")
        elif abs(alert["details"]["drift_minor"]) != 1 or alert["severity"] != "warning":
            comparison.problems.append(f"{check}: drift {alert['details']['drift_minor']}")
        if check == "row raised":
            rows.append(alert["evidence"][0]["event_id"])
        else:
            groups[alert["account_id"]] += 1
    wrong = Counter(f"account-{account}" for account, _ in of.corrupted)
    expect("rows", rows, sent.wrong_rows if of.row_check else [], comparison)
    expect("groups", [*groups.elements()], [] if of.row_check else [*wrong.elements()], comparison)
    check_counts(counts, comparison.read - sent.rows, comparison)
    for topic in (LATE, DEAD_LETTERS):
        if log.offsets(topic)[0][1]:
            comparison.problems.append(f"{log.offsets(topic)[0][1]} records on {topic}")
    return comparison
