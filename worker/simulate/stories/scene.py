"""The parts of stories of stolen accounts: who signs in, what he does, what he pays."""

from collections.abc import Callable
from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import complete, top_up
from worker.simulate.life.orders import Order, credit, purchase, transfer, withdrawal
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import HOUR_MS, MINUTE_MS, SECOND_MS, Event
from worker.simulate.world.config import DAY_MS
from worker.simulate.world.world import COUNTRIES, FIRST_DOCUMENTATION_ASN, Country

VISITS_OVER_MS = 15 * MINUTE_MS
"""By then a visit that was under way is over."""
REMEMBERED_MS = DAY_MS + HOUR_MS
"""What a stranger does makes the owner's own payments suspicious for a day: he makes none."""
ACTS_AFTER_MS = MINUTE_MS
"""How long after the owner has signed in, and has shopped, somebody else acts."""
FAILURE_GAP_MS = 40 * SECOND_MS
GUESSING_MS = 5 * FAILURE_GAP_MS
"""By then the guesser has signed in."""


class Scene:
    """The account of a story, left alone by its owner. Delays are in ms from now."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.account = story.account
        self.ledger = story.account.ledgers[0]

    def sign_in(self, who: Event) -> None:
        """Sign in successfully; what is paid from now on carries these fields."""
        self.account.session = {**who, "session_id": self.account.new_id("ses"), "channel": "app"}
        fields: Event = {"action": "login", "outcome": "success"}
        self.account.emit("login", fields | self.account.session)

    def owner(self) -> Event:
        """Return the fields of the owner at home, on a device that is known for long.

        Not by a carrier's gateway, from which a journey would count half.
        """
        return self.account.devices[0] | {"network": "residential"}

    def stranger(self, **changes: object) -> Event:
        """Return the fields of another device in the owner's country; its place is unknown."""
        number = self.account.rng.randrange(1, 65_536)
        return {
            "device_id": self.account.new_id("dev"),
            "ip": f"2001:db8:ffff:{number:x}::1",
            "asn": FIRST_DOCUMENTATION_ASN + number % 16,
            "network": "residential",
            "country": self.account.country.code,
            "app_version": "5.8.0",
        } | changes

    def fail(self, who: Event, reason: str = "bad_credentials") -> str:
        """Let an attempt to sign in fail; return the event_id."""
        fields: Event = {"action": "login", "outcome": "failure", "reason": reason}
        return self.account.emit("login", fields | who | {"channel": "app"})

    def guess(self, who: Event, times: int) -> None:
        """Fail at most 5 times, then sign in after GUESSING_MS."""
        for attempt in range(times):
            self.later(attempt * FAILURE_GAP_MS, self.fail, who)
        self.later(GUESSING_MS, self.sign_in, who)

    def change(self, action: str) -> None:
        """Change how the account is reached, in the current session."""
        self.account.emit("login", {"action": action, "outcome": "success"} | self.account.session)

    def later(self, delay_ms: int, step: Callable[..., object], *args: object) -> None:
        """Run the step after the delay."""
        self.account.agenda.after(delay_ms, step, *args)

    def shop(self, amount: int | None = None) -> Order:
        """Return a purchase at a merchant; only its amount can be suspicious."""
        return replace(purchase(self.account, amount or self.little(), self.ledger), fee=0)

    def send(self, payee: str, amount: int | None = None) -> Order:
        """Return a transfer out, without fee."""
        order = replace(transfer(self.account, amount or self.little(), self.ledger), fee=0)
        return replace(order, details=order.details | {"counterparty_id": payee})

    def pay_person(self, payee: str) -> Order:
        """Return a payment to somebody: no transfer out, and no merchant."""
        return replace(self.send(payee), type="payment")

    def cash(self, amount: int) -> Order:
        """Return a withdrawal; its fee of one unit of the currency is booked separately."""
        return replace(withdrawal(self.account, amount, self.ledger), fee=self.ledger.money.unit)

    def known_payee(self) -> str:
        """Return a payee that the owner has sent money to."""
        return self.account.payees[0]

    def new_payee(self) -> str:
        """Return a payee that no account of the simulation has sent money to."""
        return self.account.new_id("payee")

    def little(self) -> int:
        """Return an amount, in minor units, that is less than a half of what is available."""
        amount = self.account.price(self.ledger, 2, 30)
        top_up(self.account, self.ledger, 3 * amount)
        return amount

    def drain(self, missing: int = 0) -> int:
        """Return the least amount that drains what is available, less `missing` minor units.

        Drained: four fifths of it.
        """
        top_up(self.account, self.ledger, 100 * self.ledger.money.unit)
        return -(-self.ledger.available * 4 // 5) - missing

    def pay(self, order: Order, severity: Severity | None, **fields: object) -> None:
        """Complete the order, and record that it alerts at once, or that it stays silent."""
        order = replace(order, details=order.details | fields)
        event_id, transaction_id = self.complete(order)
        self.judge(StoryEvidence((event_id,), (transaction_id,)), severity)

    def complete(self, order: Order) -> tuple[str, str]:
        """Complete the order; return its event_id and its transaction_id."""
        transaction_id = self.account.new_id("txn")
        return complete(self.account, order, transaction_id), transaction_id

    def dispute(self, order: Order, transaction_id: str) -> str:
        """Dispute the order as the owner; return the event_id."""
        row: Event = {
            "transaction_id": transaction_id,
            "type": order.type,
            "status": "disputed",
            "amount": self.ledger.text(order.amount),
            "currency": self.ledger.money.code,
            "funding": order.funding,
            "initiator": order.initiator,
            "provider": order.provider.name,
            "external_reference": order.reference,
        }
        return self.account.emit("transaction", row)

    def receive(self, amount: int) -> None:
        """Let money come in, as a salary does."""
        complete(self.account, credit(self.account, "transfer_in", amount, self.ledger))

    def judge(self, evidence: StoryEvidence, severity: Severity | None) -> None:
        """Record what must follow from the event that occurs now."""
        if severity is None:
            self.story.must_stay_silent(evidence)
        else:
            self.story.must_alert(severity, evidence)


def seclude(story: Story, act: Callable[[Scene], object], lasts_ms: int = 0) -> None:
    """Keep the owner's visits away until a day after the story, which lasts `lasts_ms` at most.

    When those under way are over he signs in at home and spends half of his money; then
    `act` runs. No debit of the rest can be more than three times the largest.
    """
    account = story.account
    begins_ms = VISITS_OVER_MS + lasts_ms
    account.no_visits_until = account.agenda.now + begins_ms + REMEMBERED_MS
    account.agenda.after(VISITS_OVER_MS, _begin, Scene(story), act)


def abroad(scene: Scene) -> Country:
    """Draw a country that is not the owner's."""
    home = scene.account.country
    return scene.account.rng.choice([country for country in COUNTRIES if country is not home])


def place_of(country: Country) -> Event:
    """Return the fields of an event in that country."""
    return {
        "country": country.code,
        "latitude": country.latitude,
        "longitude": country.longitude,
    }


def _begin(scene: Scene, act: Callable[[Scene], object]) -> None:
    scene.sign_in(scene.owner())
    scene.later(ACTS_AFTER_MS // 2, _spend_half, scene)
    scene.later(ACTS_AFTER_MS, act, scene)


def _spend_half(scene: Scene) -> None:
    top_up(scene.account, scene.ledger, 400 * scene.ledger.money.unit)
    complete(scene.account, scene.shop(scene.ledger.available // 2))
