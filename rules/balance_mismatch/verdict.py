"""A2 decided: from the facts that an alert quotes, and nothing else."""

from typing import Final

from rules.balance_mismatch.checks.books import Grouped, Snapshot
from rules.balance_mismatch.checks.rows import Conflict, Junction, Missing, Row
from rules.balance_mismatch.facts import Case
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.contract import Verdict

CASES: Final = (Row, Junction, Missing, Conflict, Grouped, Snapshot)
"""All facts that `Case.of` chooses from."""


def verdict_of(facts: Case, params: BalanceMismatchParams) -> Verdict | None:
    """Decide; None if nothing is wrong or the check is off."""
    return facts.verdict(params) if getattr(params, facts.switch) else None
