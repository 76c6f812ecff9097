"""The detectors of walletwatch, and the words in which one is written (see README.md here).

`ALL` lists every rule; to add one, write its file in this folder and name it there.
"""

from typing import Any, Final

from rules.contract import (
    Amount,
    Draft,
    Effects,
    Example,
    OpenAlert,
    Otherwise,
    Params,
    Rule,
    State,
    Values,
    Verdict,
)
from rules.events import BALANCE, LOGIN, TRANSACTION, Balance, Login, Ref, Transaction
from rules.profile import Facts

# isort: split
# The words above come first: a rule below may import them from here.
from rules.account_lockout import AccountLockout
from rules.balance_mismatch import BalanceMismatch
from rules.cannot_log_in import CannotLogIn
from rules.failed_payment import FailedPayment
from rules.unauthorized_transaction import UnauthorizedTransaction

ALL: Final[tuple[type[Rule[Any, Any]], ...]] = (
    FailedPayment,
    BalanceMismatch,
    UnauthorizedTransaction,
    AccountLockout,
    CannotLogIn,
)
"""Every rule, in the order of their codes."""

__all__ = [
    "ALL",
    "BALANCE",
    "LOGIN",
    "TRANSACTION",
    "Amount",
    "Balance",
    "Draft",
    "Effects",
    "Example",
    "Facts",
    "Login",
    "OpenAlert",
    "Otherwise",
    "Params",
    "Ref",
    "Rule",
    "State",
    "Transaction",
    "Values",
    "Verdict",
]
