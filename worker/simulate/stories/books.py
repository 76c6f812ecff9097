"""What stories of books are made of: ordinary rows, other currencies, how severe a drift is."""

from collections.abc import Callable
from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import complete, completed_row
from worker.simulate.life.orders import credit, purchase, transfer
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import Event, SimulatedAccount
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import EUR, USD


def with_decimals(story: Story, act: Callable[[Ledger], None]) -> None:
    """Act undisturbed on a ledger whose currency has minor units."""
    if story.account.ledgers[0].money.exponent:
        story.undisturbed(act)
    else:
        euros = second_ledger(story.account)
        story.undisturbed(lambda _: open_and(story, euros, act))


def go_on(account: SimulatedAccount, ledger: Ledger) -> None:
    """Pay something ordinary, so that the books go on from their present balance."""
    complete(account, purchase(account, account.price(ledger, 1, 20), ledger))


def major_unit(ledger: Ledger) -> int:
    """Return one major unit of the currency, in minor units."""
    return int(10**ledger.money.exponent)


def severity_of(ledger: Ledger, drift: int) -> Severity:
    """Return the severity of a drift, which is in minor units of the ledger's currency."""
    return "error" if abs(drift) >= major_unit(ledger) else "warning"


def second_ledger(account: SimulatedAccount) -> Ledger:
    """Return the ledger of another currency; a new one if there is only one."""
    if len(account.ledgers) == 1:
        money = USD if account.ledgers[0].money is EUR else EUR
        new = replace(account.ledgers[0], money=money, balance=0, sequence=0, held=0)
        account.ledgers += (new,)
    return account.ledgers[1]


def open_and(story: Story, ledger: Ledger, act: Callable[[Ledger], None]) -> None:
    """Let money come in, which begins the chain if nothing has, then act."""
    amount = 300 * ledger.money.unit
    complete(story.account, credit(story.account, "transfer_in", amount, ledger))
    story.account.soon(20, 200, act, ledger)


def booked(account: SimulatedAccount, ledger: Ledger) -> Event:
    """Book an ordinary debit of the owner; return its row, which is not sent yet."""
    kind = account.rng.choice((purchase, transfer))
    order = kind(account, account.price(ledger, 2, 60), ledger)
    return completed_row(order, account.new_id("txn"))


def sent(account: SimulatedAccount, fields: Event) -> StoryEvidence:
    """Send the row; return it as evidence."""
    event_id = account.emit("transaction", fields)
    return StoryEvidence((event_id,), (str(fields["transaction_id"]),))
