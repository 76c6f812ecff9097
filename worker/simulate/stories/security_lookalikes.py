"""Owners who do what thieves do: unauthorized_transaction must stay silent.

The points that a payment gets are in the docstrings: those of who pays + those of the money.
"""

from worker.simulate.life.orders import merchant_debit
from worker.simulate.stories.scene import GUESSING_MS, Scene, abroad, place_of, seclude
from worker.simulate.stories.story import Story
from worker.simulate.world.account import HOUR_MS, MINUTE_MS, SECOND_MS
from worker.simulate.world.places import distance_km, journey_ms

FLIGHT_KM_PER_HOUR = 800
FLIGHT_AT_MOST_MS = 20 * HOUR_MS


def traveller(story: Story) -> None:
    """The owner flies abroad, and takes cash there with the phone he has always had: 25 + 5."""

    def act(scene: Scene) -> None:
        away, home = abroad(scene), scene.account.country
        km = distance_km((home.latitude, home.longitude), (away.latitude, away.longitude))
        arrives = journey_ms(km, FLIGHT_KM_PER_HOUR)
        there = scene.owner() | place_of(away)
        scene.later(arrives, scene.sign_in, there)
        scene.later(arrives + MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.cash(scene.little()), None)

    seclude(story, act, lasts_ms=FLIGHT_AT_MOST_MS)


def new_phone(story: Story) -> None:
    """The owner's new phone sends money to a payee he knows: 25 + 5."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.owner() | {"device_id": scene.account.new_id("dev")})
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(), None)
        scene.pay(scene.send(scene.known_payee()), None)

    seclude(story, act)


def relay_network(story: Story) -> None:
    """The owner's phone hides behind a relay abroad, and pays somebody new: 12 + 20, and 15."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.owner() | place_of(abroad(scene)) | {"network": "relay"})
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.pay_person(scene.new_payee()), None)

    seclude(story, act)


def new_payee_drained(story: Story) -> None:
    """The owner, at home on his own phone, sends nearly everything to somebody new: 0 + 40."""

    def act(scene: Scene) -> None:
        scene.pay(scene.send(scene.new_payee(), scene.drain()), None)

    seclude(story, act)


def big_purchase(story: Story) -> None:
    """The owner buys what costs much more than anything before: 0 + 40."""

    def act(scene: Scene) -> None:
        scene.receive(10 * scene.account.salary)
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(scene.drain()), None)

    seclude(story, act)


def typing_errors_then_drained(story: Story) -> None:
    """Four typing errors, then the owner is in and pays with nearly everything: 0 + 20."""

    def act(scene: Scene) -> None:
        scene.guess(scene.owner(), 4)
        scene.later(GUESSING_MS + MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(scene.drain()), None)

    seclude(story, act, lasts_ms=GUESSING_MS + MINUTE_MS)


def typing_errors_then_usual(story: Story) -> None:
    """Five typing errors, then the owner is in and pays something usual: 35 + 5."""

    def act(scene: Scene) -> None:
        scene.guess(scene.owner(), 5)
        scene.later(GUESSING_MS + MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(), None)
        scene.pay(scene.send(scene.known_payee()), None)

    seclude(story, act, lasts_ms=GUESSING_MS + MINUTE_MS)


def own_change_then_usual(story: Story) -> None:
    """The owner changes his password, then pays a payee he knows: 30 + 5."""

    def act(scene: Scene) -> None:
        scene.change("password_change")
        scene.later(90 * SECOND_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.send(scene.known_payee()), None)

    seclude(story, act)


def salary_moved_on(story: Story) -> None:
    """On the day of his salary the owner moves nearly all to a payee he knows: 0 + 45 at most."""

    def act(scene: Scene) -> None:
        scene.receive(scene.account.salary)
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.send(scene.known_payee(), scene.drain()), None)

    seclude(story, act)


def recurring_debit(story: Story) -> None:
    """A merchant takes nearly everything after a password change: no attempt by a person."""

    def act(scene: Scene) -> None:
        scene.change("password_change")
        scene.later(MINUTE_MS, debit, scene)

    def debit(scene: Scene) -> None:
        account = scene.account
        order = merchant_debit(account, scene.drain(), account.merchants[0])
        scene.pay(order, None)

    seclude(story, act)


def too_young(story: Story) -> None:
    """A new account's phone, payee and country are all new, so none of them counts: 0 + 25."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger())
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.send(scene.new_payee(), scene.drain()), None)

    seclude(story, act)
