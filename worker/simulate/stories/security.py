"""Stolen accounts: what unauthorized_transaction must find.

The points that a payment gets are in the docstrings: those of who pays + those of the money.
"""

from worker.simulate.life.bookings import hold, settle
from worker.simulate.life.orders import Order
from worker.simulate.stories.scene import GUESSING_MS, Scene, abroad, place_of, seclude
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import MINUTE_MS, SECOND_MS

CHANGES = (
    "password_change",
    "password_reset",
    "phone_change",
    "email_change",
    "mfa_enable",
    "mfa_disable",
)


def new_device_drained(story: Story) -> None:
    """A stranger's phone sends nearly everything to a new payee: 25 + 40."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger())
        scene.later(MINUTE_MS, drain, scene)

    def drain(scene: Scene) -> None:
        scene.pay(scene.send(scene.new_payee(), scene.drain()), "warning")

    seclude(story, act)


def new_country_drained(story: Story) -> None:
    """A stranger's phone abroad does the same: 50 + 40."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger(country=abroad(scene).code))
        scene.later(MINUTE_MS, drain, scene)

    def drain(scene: Scene) -> None:
        scene.pay(scene.send(scene.new_payee(), scene.drain()), "error")

    seclude(story, act)


def guessed_password(story: Story) -> None:
    """Five failures, then a stranger is in and sends money to a new payee: 60 + 20."""

    def act(scene: Scene) -> None:
        scene.guess(scene.stranger(), 5)
        scene.later(GUESSING_MS + MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.send(scene.new_payee()), "error")

    seclude(story, act, lasts_ms=GUESSING_MS + MINUTE_MS)


def credentials_changed(story: Story) -> None:
    """A stranger locks the owner out, then sends money to a new payee: 55 + 20."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger())
        scene.later(40 * SECOND_MS, scene.change, scene.account.rng.choice(CHANGES))
        scene.later(90 * SECOND_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.send(scene.new_payee()), "warning")

    seclude(story, act)


def impossible_travel(story: Story) -> None:
    """A stranger takes cash abroad, minutes after the owner signed in at home: 90 + 5."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger() | place_of(abroad(scene)))
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.cash(scene.little()), "error")

    seclude(story, act)


def stolen_session(story: Story) -> None:
    """A session without a sign-in pays a new payee: 40 + 20."""

    def act(scene: Scene) -> None:
        session_id = scene.account.new_id("ses")
        scene.pay(scene.send(scene.new_payee()), "warning", session_id=session_id)

    seclude(story, act)


def authorization_failed(story: Story) -> None:
    """A transfer is carried out although its approval failed: 60 + 5."""

    def act(scene: Scene) -> None:
        failed = {"method": "otp", "result": "failed"}
        scene.pay(scene.send(scene.known_payee()), "warning", authorization=failed)

    seclude(story, act)


def authorization_expired(story: Story) -> None:
    """A purchase of nearly everything is carried out on an approval that expired: 60 + 20."""

    def act(scene: Scene) -> None:
        expired = {"method": "passkey", "result": "expired"}
        scene.pay(scene.shop(scene.drain()), "error", authorization=expired)

    seclude(story, act)


def not_authorized(story: Story) -> None:
    """A stranger's phone pays nearly everything without approval: 55 + 20."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger())
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        method, result = scene.account.rng.choice((("none", "passed"), ("otp", "skipped")))
        unapproved = {"method": method, "result": result}
        scene.pay(scene.shop(scene.drain()), "warning", authorization=unapproved)

    seclude(story, act)


def held_then_captured(story: Story) -> None:
    """A stranger's phone abroad reserves nearly everything: 50 + 20, once, at the reservation."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger(country=abroad(scene).code))
        scene.later(MINUTE_MS, reserve, scene)

    def reserve(scene: Scene) -> None:
        order = scene.shop(scene.drain())
        transaction_id = hold(scene.account, order)
        event_id = str(scene.account.outbox[-1][3]["event_id"])
        scene.judge(StoryEvidence((event_id,), (transaction_id,)), "warning")
        capture = 5 * MINUTE_MS
        scene.account.agenda.after(
            capture, settle, scene.account, order, transaction_id, captured=True
        )

    seclude(story, act)


def disputed(story: Story) -> None:
    """The owner disputes an old payment, about which nothing else is known: 100."""

    def act(scene: Scene) -> None:
        transaction_id = scene.account.new_id("txn")
        event_id = scene.dispute(scene.shop(), transaction_id)
        scene.judge(StoryEvidence((event_id,), (transaction_id,)), "error")

    seclude(story, act)


def disputed_later(story: Story) -> None:
    """The owner disputes a payment that nothing was wrong with: 100, when he does."""

    def act(scene: Scene) -> None:
        order = scene.shop()
        event_id, transaction_id = scene.complete(order)
        scene.later(10 * MINUTE_MS, complain, scene, order, event_id, transaction_id)

    def complain(scene: Scene, order: Order, event_id: str, transaction_id: str) -> None:
        disputed_id = scene.dispute(order, transaction_id)
        scene.judge(StoryEvidence((event_id, disputed_id), (transaction_id,)), "error")

    seclude(story, act, lasts_ms=10 * MINUTE_MS)


def who_alone(story: Story) -> None:
    """A stranger's phone abroad buys something usual: 50 + 0 is worth a note."""

    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger(country=abroad(scene).code))
        scene.later(MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(), "info")

    seclude(story, act)


def who_alone_below_50(story: Story) -> None:
    """A guessed password, and a new phone behind a VPN: 47 + 0."""

    def act(scene: Scene) -> None:
        scene.guess(scene.stranger(network="vpn"), 5)
        scene.later(GUESSING_MS + MINUTE_MS, pay, scene)

    def pay(scene: Scene) -> None:
        scene.pay(scene.shop(), None)

    seclude(story, act, lasts_ms=GUESSING_MS + MINUTE_MS)
