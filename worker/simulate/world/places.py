"""Places on a sphere, and how long a journey between them takes.

Degrees have one decimal, so that nothing is lost where places are kept coarse.
"""

from math import asin, cos, radians, sin, sqrt

from worker.simulate.world.account import HOUR_MS

EARTH_RADIUS_KM = 6_371
Coordinates = tuple[float, float]
"""Latitude and longitude, in degrees."""


def distance_km(a: Coordinates, b: Coordinates) -> float:
    """Return the length of the great circle between two places."""
    north, east = (radians(there - here) for here, there in zip(a, b, strict=True))
    half = sin(north / 2) ** 2 + cos(radians(a[0])) * cos(radians(b[0])) * sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(half))


def moved(place: Coordinates, north_steps: int, east_steps: int) -> Coordinates:
    """Return the place so many tenths of a degree away."""
    return round(place[0] + north_steps / 10, 1), round(place[1] + east_steps / 10, 1)


def around(place: Coordinates, km: int) -> tuple[Coordinates, Coordinates]:
    """Return the farthest place that is at most `km` away, and the nearest beyond."""
    steps = range(-15, 16)
    places = [moved(place, north, east) for north in steps for east in steps]
    inside = [there for there in places if distance_km(place, there) <= km]
    beyond = [there for there in places if distance_km(place, there) > km]

    def distance(there: Coordinates) -> float:
        return distance_km(place, there)

    return max(inside, key=distance), min(beyond, key=distance)


def journey_ms(km: float, km_per_hour: int) -> int:
    """Return how long the journey takes, in full milliseconds."""
    return round(km / km_per_hour * HOUR_MS)
