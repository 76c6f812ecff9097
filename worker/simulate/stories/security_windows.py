"""The times and places of unauthorized_transaction: each limit just reached, and just missed.

What happens is the same in both stories of a pair; the points are those of the one that alerts.
"""

from schemas.base import Severity
from worker.simulate.life.history import ANNIVERSARY_LEAD_MS
from worker.simulate.stories.scene import ACTS_AFTER_MS, GUESSING_MS, VISITS_OVER_MS, Scene, seclude
from worker.simulate.stories.security import CHANGES
from worker.simulate.stories.story import Story
from worker.simulate.world.account import MINUTE_MS
from worker.simulate.world.config import DAY_MS
from worker.simulate.world.places import Coordinates, around, distance_km, journey_ms, moved

GUESSES_WITHIN_MS = 30 * MINUTE_MS
_BEGUN_MS = VISITS_OVER_MS + ACTS_AFTER_MS
"""How long after its story's begin a secluded scene is acted."""


def device_24_hours(story: Story) -> None:
    """A device is new for so long: 25 + 25."""
    _device_after(story, DAY_MS, "warning")


def device_24_hours_and_1_ms(story: Story) -> None:
    """Then it is known."""
    _device_after(story, DAY_MS + 1, None)


def country_24_hours(story: Story) -> None:
    """A country is new for so long: 25 + 25."""
    _country_after(story, DAY_MS, "warning")


def country_24_hours_and_1_ms(story: Story) -> None:
    """Then it is known."""
    _country_after(story, DAY_MS + 1, None)


def guessed_24_hours(story: Story) -> None:
    """A guessed password is remembered for so long: 35 + 15."""
    _guessed_after(story, DAY_MS, "warning")


def guessed_24_hours_and_1_ms(story: Story) -> None:
    """Then it is forgotten."""
    _guessed_after(story, DAY_MS + 1, None)


def changed_24_hours(story: Story) -> None:
    """A change of credentials is remembered for so long: 30 + 20."""
    _changed_after(story, DAY_MS, "warning")


def changed_24_hours_and_1_ms(story: Story) -> None:
    """Then it is forgotten."""
    _changed_after(story, DAY_MS + 1, None)


def travel_24_hours(story: Story) -> None:
    """Two sign-ins too far apart are remembered for so long: 40 + 15."""
    _travelled_after(story, DAY_MS, "warning")


def travel_24_hours_and_1_ms(story: Story) -> None:
    """Then they are forgotten."""
    _travelled_after(story, DAY_MS + 1, None)


def guesses_within_30_minutes(story: Story) -> None:
    """The first of five failures is just recent enough at the success: 35 + 15."""
    _guesses_since(story, GUESSES_WITHIN_MS, "warning")


def guesses_within_30_minutes_and_1_ms(story: Story) -> None:
    """The first of five failures is too old."""
    _guesses_since(story, GUESSES_WITHIN_MS + 1, None)


def five_guesses(story: Story) -> None:
    """As few failures as a guessed password has: 35 + 15."""
    _guesses(story, 5, "warning")


def four_guesses(story: Story) -> None:
    """One failure fewer."""
    _guesses(story, 4, None)


def at_901_km_per_hour(story: Story) -> None:
    """Faster than anybody travels: 40 + 15."""
    _journey(story, moved(_home(story), 15, 10), 901, "warning")


def at_899_km_per_hour(story: Story) -> None:
    """As fast as an aeroplane."""
    _journey(story, moved(_home(story), 15, 10), 899, None)


def beyond_100_km(story: Story) -> None:
    """In no time, and just far enough: 40 + 15."""
    _journey(story, around(_home(story), 100)[1], 100_000, "warning")


def within_100_km(story: Story) -> None:
    """In no time, but so near that a place is not known well enough."""
    _journey(story, around(_home(story), 100)[0], 100_000, None)


def seven_days_known(story: Story) -> None:
    """The account is known for just so long that a new device counts: 25 + 25."""
    _young(story, 0, "warning")


def seven_days_less_1_ms(story: Story) -> None:
    """It is known for too short a time."""
    _young(story, 1, None)


def ninety_days_of_sessions(story: Story) -> None:
    """Sign-ins are known for just so long that an unknown session counts: 40 + 20."""
    _unknown_session(story, 0, "warning")


def ninety_days_less_1_ms(story: Story) -> None:
    """They are known for too short a time."""
    _unknown_session(story, 1, None)


def _device_after(story: Story, delay_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.sign_in(scene.stranger())
        scene.later(delay_ms, _drain, scene, severity)

    seclude(story, act, lasts_ms=delay_ms)


def _country_after(story: Story, delay_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.sign_in(_without_place(scene) | {"country": "AT"})
        scene.later(delay_ms, _drain, scene, severity)

    seclude(story, act, lasts_ms=delay_ms)


def _guessed_after(story: Story, delay_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.guess(scene.owner(), 5)
        scene.later(GUESSING_MS + delay_ms, _pay_somebody, scene, severity)

    seclude(story, act, lasts_ms=GUESSING_MS + delay_ms)


def _changed_after(story: Story, delay_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.change(scene.account.rng.choice(CHANGES))
        scene.later(delay_ms, shop, scene)

    def shop(scene: Scene) -> None:
        scene.pay(scene.shop(scene.drain()), severity)

    seclude(story, act, lasts_ms=delay_ms)


def _travelled_after(story: Story, delay_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.sign_in(scene.owner() | _at(moved(_home(story), 15, 10)))
        scene.later(delay_ms, pay, scene)

    def pay(scene: Scene) -> None:
        for name in ("latitude", "longitude"):
            del scene.account.session[name]
        _pay_somebody(scene, severity)

    seclude(story, act, lasts_ms=delay_ms)


def _guesses_since(story: Story, first_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        for before_ms in (first_ms, *(minutes * MINUTE_MS for minutes in (21, 12, 5, 1))):
            scene.later(first_ms - before_ms, scene.fail, scene.owner())
        scene.later(first_ms, scene.sign_in, scene.owner())
        scene.later(first_ms + MINUTE_MS, _pay_somebody, scene, severity)

    seclude(story, act, lasts_ms=first_ms + MINUTE_MS)


def _guesses(story: Story, times: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.guess(scene.owner(), times)
        scene.later(GUESSING_MS + MINUTE_MS, _pay_somebody, scene, severity)

    seclude(story, act, lasts_ms=GUESSING_MS + MINUTE_MS)


def _journey(story: Story, there: Coordinates, km_per_hour: int, severity: Severity | None) -> None:
    """Sign in at home, and pay elsewhere after so fast a journey."""
    takes = journey_ms(distance_km(_home(story), there), km_per_hour)

    def act(scene: Scene) -> None:
        scene.sign_in(scene.owner())
        scene.later(takes, pay, scene)

    def pay(scene: Scene) -> None:
        scene.account.session |= _at(there)
        _pay_somebody(scene, severity)

    seclude(story, act, lasts_ms=takes)


def _young(story: Story, missing_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        for number in range(3):
            scene.later(number * MINUTE_MS, scene.sign_in, scene.owner())
        scene.later(5 * MINUTE_MS, scene.sign_in, scene.stranger())
        scene.later(_till_anniversary(missing_ms), _drain, scene, severity)

    seclude(story, act, lasts_ms=ANNIVERSARY_LEAD_MS)


def _unknown_session(story: Story, missing_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.later(_till_anniversary(missing_ms), pay, scene)

    def pay(scene: Scene) -> None:
        session_id = scene.account.new_id("ses")
        scene.pay(scene.send(scene.new_payee()), severity, session_id=session_id)

    seclude(story, act, lasts_ms=ANNIVERSARY_LEAD_MS)


def _drain(scene: Scene, severity: Severity | None) -> None:
    scene.pay(scene.send(scene.known_payee(), scene.drain()), severity)


def _pay_somebody(scene: Scene, severity: Severity | None) -> None:
    scene.pay(scene.pay_person(scene.new_payee()), severity)


def _till_anniversary(missing_ms: int) -> int:
    return ANNIVERSARY_LEAD_MS - _BEGUN_MS - missing_ms


def _home(story: Story) -> Coordinates:
    country = story.account.country
    return country.latitude, country.longitude


def _at(place: Coordinates) -> dict[str, object]:
    return {"latitude": place[0], "longitude": place[1]}


def _without_place(scene: Scene) -> dict[str, object]:
    known = scene.owner()
    return {name: known[name] for name in known if name not in ("latitude", "longitude")}
