"""Owners who travel: the same phone in another country, no sooner than a flight gets there."""

from worker.simulate.world.account import HOUR_MS, MINUTE_MS, Event, SimulatedAccount
from worker.simulate.world.config import DAY_MS
from worker.simulate.world.places import distance_km, journey_ms
from worker.simulate.world.world import HOLIDAY_PLACES

FLIGHT_KM_PER_HOUR = 750
AT_AIRPORTS_MS = 3 * HOUR_MS


def depart(account: SimulatedAccount) -> None:
    """Leave for a holiday abroad, and plan the way back; not while anything is under way."""
    if account.busy or account.abroad or account.visits < len(account.devices):
        return
    code, latitude, longitude = account.rng.choice(HOLIDAY_PLACES)
    place: Event = {"country": code, "latitude": latitude, "longitude": longitude}
    home = account.country.latitude, account.country.longitude
    way = AT_AIRPORTS_MS + journey_ms(distance_km(home, (latitude, longitude)), FLIGHT_KM_PER_HOUR)
    stays = account.rng.randint(2, 9) * DAY_MS
    _fly(account, way, place, abroad=True)
    account.agenda.after(way + stays, _return, account, way)


def _return(account: SimulatedAccount, way: int) -> None:
    home = account.country
    place: Event = {
        "country": home.code,
        "latitude": home.latitude,
        "longitude": home.longitude,
    }
    _fly(account, way, place, abroad=False)


def _fly(account: SimulatedAccount, way: int, place: Event, *, abroad: bool) -> None:
    account.no_visits_until = account.agenda.now + way + 30 * MINUTE_MS
    account.agenda.after(way, _arrive, account, place, abroad)


def _arrive(account: SimulatedAccount, place: Event, abroad: bool) -> None:
    account.abroad = abroad
    for device in account.devices:
        device.update(place)
    account.session |= place
