"""Ledger chains at full size: a million rows, 200 of them wrong by one minor unit, 50 missing.

Exactly the wrong rows must be found, each once, none of their neighbours; and exactly the gaps.

Use: python -m bench.chains [ACCOUNTS [SEED]]
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.worker.ledgers import ROWS, judge, plan

ACCOUNTS: Final = 10_000
CORRUPTED_PER_ACCOUNT: Final = 0.02
MISSING_PER_ACCOUNT: Final = 0.005


def main(arguments: Sequence[str] = (), say: Callable[[str], Any] = print) -> int:
    """Run it, print the verdict, and return 0 if all is well, else 1."""
    accounts = int(arguments[0]) if arguments else ACCOUNTS
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    corrupted = round(accounts * CORRUPTED_PER_ACCOUNT)
    missing = round(accounts * MISSING_PER_ACCOUNT)
    started = time.monotonic()
    verdict = judge(plan(accounts, corrupted, missing, seed))
    say(
        f"chains: {accounts * ROWS} rows of {accounts} accounts, {verdict.read} read with "
        f"redeliveries, seed {seed}, {time.monotonic() - started:.0f} s"
    )
    say(f"  {corrupted} rows corrupted: {verdict.rows['raised']} alerts")
    gaps = verdict.gaps
    say(f"  {missing} rows missing: {gaps['raised']} alerts, {gaps['updated']} updated")
    for problem in verdict.problems:
        say(f"  WRONG: {problem}")
    say("  FAILED" if verdict.problems else "  ok: exactly those, and nothing else")
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
