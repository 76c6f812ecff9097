"""How far apart two places are, and whether anybody gets from one to the other in time. Pure.

Places are cells of 0.1 degree: finer is neither kept nor needed.
"""

from math import asin, ceil, cos, pi, sin, sqrt
from typing import Final

EARTH_RADIUS_M: Final = 6_371_000
_RADIANS: Final = pi / 1_800
"""Of a tenth of a degree."""
_M_PER_KM: Final = 1_000
_S_PER_H: Final = 3_600

Cell = tuple[int, int]
"""Latitude and longitude, in tenths of a degree."""


def metres_between(here: Cell, there: Cell) -> int:
    """Return the great circle between two cells on a sphere, in full metres, rounded up."""
    if here == there:
        return 0
    north, east = ((b - a) * _RADIANS for a, b in zip(here, there, strict=True))
    widths = cos(here[0] * _RADIANS) * cos(there[0] * _RADIANS)
    half = sin(north / 2) ** 2 + widths * sin(east / 2) ** 2
    return ceil(2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(half))))


def is_impossible(metres: int, ms: int, far_km: int, fast_kmh: int) -> bool:
    """Say whether it is more than `far_km`, and faster than `fast_kmh`; 0 ms is infinitely fast."""
    return metres > far_km * _M_PER_KM and metres * _S_PER_H > fast_kmh * ms


def slowest_ms(metres: int, fast_kmh: int) -> int:
    """Return the least milliseconds in which the way is possible."""
    return -(-metres * _S_PER_H // fast_kmh)
