"""Ledger chains at full size: a million rows, 200 of them wrong by one minor unit.

Three ledgers: with ledger_sequence, and 50 rows missing; without it, in groups of up to 50 rows in
random order, once with wrong rows that have alerts of their own and once with wrong balances that
only their group shows. Exactly these must be found, each once, and nothing else. Then the time to
judge one group of 1,000 rows.

Use: python -m bench.chains [ACCOUNTS [SEED]]
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

from rules.balance_mismatch.ledger.trail import MAX_ENDS, MAX_WRONG_ROWS, find_trail
from tests.support.events.numbered_ledgers import ROWS, Comparison, judge, plan
from tests.support.events.unnumbered_ledgers import ROWS as GROUPED_ROWS
from tests.support.events.unnumbered_ledgers import judge_groups, plan_groups

ACCOUNTS: Final = 10_000
CORRUPTED_PER_ACCOUNT: Final = 0.02
MISSING_PER_ACCOUNT: Final = 0.005
LARGEST_GROUP: Final = 1_000
GROUP_MARK_MS: Final = 50.0

Say = Callable[[str], Any]


def main(arguments: Sequence[str] = (), say: Say = print) -> int:
    """Run it, print the comparison, and return 0 if all is well, else 1."""
    accounts = int(arguments[0]) if arguments else ACCOUNTS
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    corrupted = round(accounts * CORRUPTED_PER_ACCOUNT)
    results = [
        _numbered(accounts, corrupted, seed, say),
        _grouped(accounts, corrupted, seed, True, say),
        _grouped(accounts, corrupted, seed, False, say),
    ]
    for what, took in group_times():
        say(
            f"chains: {LARGEST_GROUP} rows of one group, {what}: {took:.1f} ms "
            f"(mark {GROUP_MARK_MS:g})"
        )
    return 0 if all(results) else 1


def _numbered(accounts: int, corrupted: int, seed: int, say: Say) -> bool:
    missing = round(accounts * MISSING_PER_ACCOUNT)
    started = time.monotonic()
    comparison = judge(plan(accounts, corrupted, missing, seed))
    say(
        f"chains: {accounts * ROWS} rows of {accounts} accounts, {comparison.read} read with "
        f"redeliveries, seed {seed}, {time.monotonic() - started:.0f} s"
    )
    say(f"  {corrupted} rows corrupted: {comparison.rows['raised']} alerts")
    gaps = comparison.gaps
    say(f"  {missing} rows missing: {gaps['raised']} alerts, {gaps['updated']} updated")
    return _concluded(comparison, say)


def _grouped(accounts: int, corrupted: int, seed: int, row_check: bool, say: Say) -> bool:
    owners = max(accounts * ROWS // GROUPED_ROWS, 1)
    started = time.monotonic()
    comparison = judge_groups(plan_groups(owners, corrupted, seed, row_check))
    say(
        f"chains: without numbers, row check {'on' if row_check else 'off'}, {owners} accounts, "
        f"{comparison.read} read with redeliveries, seed {seed}, {time.monotonic() - started:.0f} s"
    )
    found = comparison.rows["row raised" if row_check else "group raised"]
    say(f"  {corrupted} rows corrupted: {found} alerts about {'rows' if row_check else 'groups'}")
    return _concluded(comparison, say)


def _concluded(comparison: Comparison, say: Say) -> bool:
    for problem in comparison.problems:
        say(f"  WRONG: {problem}")
    say("  FAILED" if comparison.problems else "  ok: exactly those, and nothing else")
    return not comparison.problems


def group_times() -> list[tuple[str, float]]:
    """Return (what, milliseconds) for the largest group: right, broken, and the costliest."""
    chance = random.Random(1)
    balances = [chance.randrange(10**9) for _ in range(LARGEST_GROUP + 1)]
    steps = list(pairwise(balances))
    chance.shuffle(steps)
    right = [balance for step in steps for balance in step]
    one_wrong = [right[0] + 1, *right[1:]]
    nothing_fits = [chance.randrange(10**9) for _ in right]
    wrong_rows = [number for row in range(MAX_WRONG_ROWS) for number in (row, 7)]
    starts = [balances[0], *range(MAX_ENDS - 1)]
    return [
        ("right", _milliseconds(starts[:1], right, [])),
        ("one balance wrong", _milliseconds(starts[:1], one_wrong, [])),
        ("no two rows join, all readings tried", _milliseconds(starts, nothing_fits, wrong_rows)),
    ]


def _milliseconds(starts: Sequence[int], steps: Sequence[int], wrong_rows: Sequence[int]) -> float:
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        find_trail(starts, steps, wrong_rows)
        best = min(best, time.process_time() - started)
    return best * 1_000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
