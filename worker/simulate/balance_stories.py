"""Books that do not add up: what balance_mismatch must tell."""

from schemas.base import Severity
from schemas.money import to_minor
from worker.simulate.account import MINUTE_MS, Account, Event
from worker.simulate.bookings import completed_row, top_up
from worker.simulate.ledger import Ledger
from worker.simulate.orders import purchase, transfer
from worker.simulate.story import Evidence, Story

GAP_TOLD_MS = MINUTE_MS
GAP_ERROR_MS = 15 * MINUTE_MS


def row(story: Story) -> None:
    """One row with one figure wrong by one minor unit; the ledger itself is right."""
    account = story.account
    ledger = _funded(account)
    fields = _booked(account, ledger)
    name = account.rng.choice(("amount", "balance_before", "balance_after"))
    right = to_minor(str(fields[name]), ledger.money.exponent)
    fields[name] = ledger.text(right + (account.rng.choice((1, -1)) if right else 1))
    event_id = account.emit("transaction", fields)
    story.must_alert(_severity(ledger, 1), _evidence(event_id, fields))


def chain(story: Story) -> None:
    """A balance that changed between two rows; the rows after go on from there."""
    account = story.account
    ledger = _funded(account)
    drift = account.rng.choice((1, account.rng.randint(1, 9) * 10**ledger.money.exponent))
    ledger.balance += drift
    fields = _booked(account, ledger)
    event_id = account.emit("transaction", fields)
    story.must_alert(_severity(ledger, drift), _evidence(event_id, fields))


def missing_entry(story: Story) -> None:
    """A ledger entry that is booked and never sent; the next row shows the gap."""
    account = story.account
    ledger = _funded(account)
    _booked(account, ledger)
    fields = _booked(account, ledger)
    event_id = account.emit("transaction", fields)
    story.must_alert(
        "error",
        _evidence(event_id, fields),
        earliest_after=GAP_TOLD_MS,
        severity_after=GAP_ERROR_MS,
    )


def _funded(account: Account) -> Ledger:
    """Return the ledger of the home currency, with the money for two ordinary debits."""
    ledger = account.ledgers[0]
    top_up(account, ledger, 200 * ledger.money.unit)
    return ledger


def _booked(account: Account, ledger: Ledger) -> Event:
    """Book an ordinary debit of the owner; return its row, which is not sent yet."""
    kind = account.rng.choice((purchase, transfer))
    order = kind(account, account.price(ledger, 2, 60), ledger)
    return completed_row(order, account.new_id("txn"))


def _evidence(event_id: str, fields: Event) -> Evidence:
    return Evidence((event_id,), (str(fields["transaction_id"]),))


def _severity(ledger: Ledger, drift: int) -> Severity:
    return "error" if drift >= 10**ledger.money.exponent else "warning"
