"""The list of all rules; to add one, name its class here (see README.md here)."""

from typing import Final

from rules.account_lockout.rule import AccountLockout
from rules.balance_mismatch.rule import BalanceMismatch
from rules.cannot_log_in.rule import CannotLogIn
from rules.contract import AnyRule
from rules.failed_payment.rule import FailedPayment
from rules.unauthorized_transaction.rule import UnauthorizedTransaction

RuleType = type[AnyRule]

ALL: Final[tuple[RuleType, ...]] = (
    FailedPayment,
    BalanceMismatch,
    UnauthorizedTransaction,
    AccountLockout,
    CannotLogIn,
)
"""Every rule, in the order of their codes."""
