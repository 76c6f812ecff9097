"""The points and amounts of unauthorized_transaction: each limit just reached, and just missed.

Points are those of who pays + those of the money.
"""

from schemas.base import Severity
from worker.simulate.life.bookings import complete
from worker.simulate.stories.scene import GUESSING_MS, Scene, seclude
from worker.simulate.stories.story import Story
from worker.simulate.world.account import MINUTE_MS, SECOND_MS

NEW_PAYEES_WITHIN_MS = 30 * MINUTE_MS
EXEMPT_MAJOR_UNITS = 50


def total_50(story: Story) -> None:
    """A new phone sends nearly everything to a known payee: 25 + 25."""
    _new_phone_drains(story, "warning")


def total_49(story: Story) -> None:
    """So it does from a country that is new too, but both behind a VPN: 24 + 25."""
    _new_phone_drains(story, None, network="vpn", country="AT")


def total_80(story: Story) -> None:
    """A guessed password, and a new phone buys for nearly everything: 60 + 20."""
    _guessed_and_drained(story, "error")


def total_79(story: Story) -> None:
    """So it does from a country that is new too, but both behind a VPN: 59 + 20."""
    _guessed_and_drained(story, "warning", network="vpn", country="AT")


def drained_80_percent(story: Story) -> None:
    """After a change of credentials just enough of the balance goes: 30 + 20."""
    _changed_and_shops(story, 0, "warning")


def drained_less_1_unit(story: Story) -> None:
    """One minor unit less: 30 + 0."""
    _changed_and_shops(story, 1, None)


def drained_with_fee(story: Story) -> None:
    """It is enough only with the fee, although that is booked separately: 30 + 25."""
    _changed_and_takes_cash(story, 0, "warning")


def drained_with_fee_less_1_unit(story: Story) -> None:
    """Amount and fee are one minor unit less: 30 + 5."""
    _changed_and_takes_cash(story, 1, None)


def above_3_times_the_largest(story: Story) -> None:
    """After a change of credentials a purchase that is large enough: 30 + 20."""
    _changed_and_buys_big(story, 1, "warning")


def exactly_3_times_the_largest(story: Story) -> None:
    """One minor unit less: 30 + 0."""
    _changed_and_buys_big(story, 0, None)


def above_exempt(story: Story) -> None:
    """A transfer to a new payee without approval, just above the exempt amount: 30 + 20."""
    _unapproved(story, 1, "warning")


def exempt(story: Story) -> None:
    """One minor unit less needs no approval: 0 + 20."""
    _unapproved(story, 0, None)


def five_new_payees(story: Story) -> None:
    """A new phone sends money to five new payees; the fifth alerts: 25 + 50."""
    _new_payees(story, 5, 60 * SECOND_MS, "warning")


def four_new_payees(story: Story) -> None:
    """One payee fewer: 25 + 20 each."""
    _new_payees(story, 4, 60 * SECOND_MS, None)


def five_payees_in_30_minutes(story: Story) -> None:
    """The first of five new payees is just recent enough at the fifth: 25 + 50."""
    _new_payees(story, 5, NEW_PAYEES_WITHIN_MS // 4, "warning")


def five_payees_in_30_minutes_and_1_ms(story: Story) -> None:
    """The first of five new payees is too old at the fifth: 25 + 20 each."""
    _new_payees(story, 5, NEW_PAYEES_WITHIN_MS // 4, None, pause_ms=1)


def five_logins(story: Story) -> None:
    """The fifth login makes the account known well enough, not its debits: 25 + 25."""
    _barely_known(story, own_debits=0, stranger_signs_in=True, severity="warning")


def four_logins(story: Story) -> None:
    """Four logins and fewer than ten debits: nothing counts as new."""
    _barely_known(story, own_debits=0, stranger_signs_in=False, severity=None)


def ten_debits(story: Story) -> None:
    """The tenth debit makes the account known well enough, not its four logins: 25 + 25."""
    _barely_known(story, own_debits=3, stranger_signs_in=False, severity="warning")


def nine_debits(story: Story) -> None:
    """Nine debits and four logins: nothing counts as new."""
    _barely_known(story, own_debits=2, stranger_signs_in=False, severity=None)


def travel_behind_a_vpn(story: Story) -> None:
    """Where a VPN ends is no place to travel from: 20 + 20, where 40 + 20 would alert."""
    _travel_behind(story, "vpn")


def travel_behind_a_gateway(story: Story) -> None:
    """A carrier's gateway is far from its users: 20 + 20, where 40 + 20 would alert."""
    _travel_behind(story, "mobile")


def _travel_behind(story: Story, network: str) -> None:
    def act(scene: Scene) -> None:
        home = scene.account.country
        there = {"latitude": round(home.latitude + 5, 1), "longitude": home.longitude}
        scene.sign_in(scene.owner() | there | {"network": network})
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.send(scene.new_payee()), None)

    seclude(story, act)


def _new_phone_drains(story: Story, severity: Severity | None, **where: object) -> None:
    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger(**where))
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.send(scene.known_payee(), scene.drain()), severity)

    seclude(story, act)


def _guessed_and_drained(story: Story, severity: Severity | None, **where: object) -> None:
    def act(scene: Scene) -> None:
        scene.guess(scene.stranger(**where), 5)
        scene.later(GUESSING_MS + MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(scene.drain()), severity)

    seclude(story, act, lasts_ms=GUESSING_MS + MINUTE_MS)


def _changed_and_shops(story: Story, missing: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.change("phone_change")
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(scene.drain(missing)), severity)

    seclude(story, act)


def _changed_and_takes_cash(story: Story, missing: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.change("email_change")
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        fee = scene.ledger.money.unit
        scene.pay(scene.cash(scene.drain(missing) - fee), severity)

    seclude(story, act)


def _changed_and_buys_big(story: Story, more: int, severity: Severity | None) -> None:
    """Buy for `more` minor units above three times the largest purchase so far."""

    def act(scene: Scene) -> None:
        largest = max(6_000 * scene.ledger.money.unit, scene.ledger.available)
        scene.receive(10 * largest)
        complete(scene.account, scene.shop(largest))
        scene.later(30 * SECOND_MS, scene.change, "mfa_disable")
        scene.later(MINUTE_MS, pay, scene, 3 * largest + more)

    def pay(scene: Scene, amount: int) -> None:
        scene.pay(scene.shop(amount), severity)

    seclude(story, act)


def _unapproved(story: Story, more: int, severity: Severity | None) -> None:
    """Transfer `more` minor units above the exempt amount, from a much larger balance."""

    def act(scene: Scene) -> None:
        exempt = EXEMPT_MAJOR_UNITS * 10**scene.ledger.money.exponent
        scene.receive(4 * exempt)
        unapproved = {"method": "none", "result": "passed"}
        scene.pay(scene.send(scene.new_payee(), exempt + more), severity, authorization=unapproved)

    seclude(story, act)


def _new_payees(
    story: Story, times: int, gap_ms: int, severity: Severity | None, pause_ms: int = 0
) -> None:
    """Send a little to so many new payees; the last one waits for `pause_ms` longer.

    The first one waits until one that the owner may have paid in his last visit is not recent.
    """
    first_ms = NEW_PAYEES_WITHIN_MS
    last_ms = first_ms + (times - 1) * gap_ms + pause_ms

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger())
        for number in range(times - 1):
            scene.later(first_ms + number * gap_ms, pay, scene, None)
        scene.later(last_ms, pay, scene, severity)

    def pay(scene: Scene, severity: Severity | None) -> None:
        scene.pay(scene.send(scene.new_payee()), severity)

    seclude(story, act, lasts_ms=last_ms)


def _barely_known(
    story: Story, *, own_debits: int, stranger_signs_in: bool, severity: Severity | None
) -> None:
    """Pay as a stranger in an account that had 4 logins and 7 debits, these ones included."""

    def act(scene: Scene) -> None:
        for number in range(own_debits):
            scene.later(number * MINUTE_MS, shop, scene)
        scene.later(5 * MINUTE_MS, begin, scene)

    def shop(scene: Scene) -> None:
        complete(scene.account, scene.shop())

    def begin(scene: Scene) -> None:
        who = scene.stranger()
        if stranger_signs_in:
            scene.sign_in(who)
        scene.later(MINUTE_MS, pay, scene, who["device_id"])

    def pay(scene: Scene, device_id: object) -> None:
        order = scene.send(scene.known_payee(), scene.drain())
        scene.pay(order, severity, device_id=device_id)

    seclude(story, act, lasts_ms=6 * MINUTE_MS)
