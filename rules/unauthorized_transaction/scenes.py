"""An account with a past, and builders of the events of the EXAMPLES of A3.

`KNOWN` is the past: five logins and five payments, ten to six days before the day of the examples,
with one phone in Berlin.
"""

from datetime import date, timedelta
from typing import Any, Final

from rules.builders import DAY, login, txn

Wire = dict[str, Any]

BERLIN: Final[Wire] = {"country": "DE", "latitude": 52.5, "longitude": 13.4}
LISBON: Final[Wire] = {"country": "PT", "latitude": 38.7, "longitude": -9.1}
OWNER: Final[Wire] = {"device_id": "phone-1", "session_id": "session-1", **BERLIN}
STRANGER: Final[Wire] = OWNER | {"device_id": "phone-2", "session_id": "session-2"}
ABROAD: Final[Wire] = STRANGER | LISBON
KNOWN_PAYEE: Final[Wire] = {"counterparty_id": "payee-1"}
NEW_PAYEE: Final[Wire] = {"counterparty_id": "payee-2"}
RICH: Final[Wire] = {"balance_before": "5000.00", "balance_kind": "posted"}
POOR: Final[Wire] = {"balance_before": "100.00", "balance_kind": "posted"}
TRANSFER: Final[Wire] = {"type": "transfer_out"}
NOBODY: Final[Wire] = {"authorization": {"method": "none", "result": "passed"}}


def days_before(days: int, time: str) -> str:
    """Return the RFC 3339 text of a time of a day before the day of the examples."""
    day = date.fromisoformat(DAY) - timedelta(days=days)
    return f"{day.isoformat()}T{time}.000Z"


def known_since(first_day: int, logins: int = 5, debits: int = 5) -> tuple[Wire, ...]:
    """Return a past that begins so many days ago: a login a day, a payment an hour later."""
    past = [
        login(
            "08:00:00",
            event_id=f"past-login-{n}",
            occurred_at=days_before(first_day - n % 5, f"08:{n:02}:00"),
            **OWNER,
        )
        for n in range(logins)
    ]
    past += [
        txn(
            f"past-{n}",
            "09:00:00",
            amount="80.00",
            occurred_at=days_before(first_day - n % 5, f"09:{n:02}:00"),
            **OWNER | RICH | KNOWN_PAYEE,
        )
        for n in range(debits)
    ]
    return tuple(past)


KNOWN: Final = known_since(10)


def pay(name: str, time: str, amount: str = "80.00", **fields: Any) -> Wire:
    """Return a payment of the owner's to a payee he knows: no points."""
    return txn(name, time, amount=amount, **OWNER | RICH | KNOWN_PAYEE | fields)


def guesses(times: int, **fields: Any) -> tuple[Wire, ...]:
    """Return failed logins, a minute apart from 09:40 on, and a success at 09:50."""
    failed = [login(f"09:{40 + n}:00", "failure", **fields) for n in range(times)]
    return (*failed, login("09:50:00", **fields))
