"""The world that accounts live in: countries, currencies, providers and their failure codes.

Names, addresses and numbers are invented or from ranges reserved for documentation.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from schemas.money import CURRENCIES

Family = Literal["insufficient_funds", "technical", "limit", "fraud", "unknown"]


@dataclass(frozen=True, slots=True)
class SimulatedCurrency:
    """A currency; `unit` is about the price of a loaf of bread, in its minor units."""

    code: str
    unit: int

    @property
    def exponent(self) -> int:
        """Return how many decimals the currency has."""
        return CURRENCIES[self.code]


@dataclass(frozen=True, slots=True)
class Country:
    """A home country; the place is that of its largest city, in degrees."""

    code: str
    money: SimulatedCurrency
    utc_offset_hours: int
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Provider:
    """A payment provider, and the raw codes that it fails with."""

    name: str
    rail: str
    code_system: str
    codes: dict[Family, str]


EUR = SimulatedCurrency("EUR", 100)
USD = SimulatedCurrency("USD", 110)
JPY = SimulatedCurrency("JPY", 160)
BHD = SimulatedCurrency("BHD", 410)
BGN = SimulatedCurrency("BGN", 195)
CHF = SimulatedCurrency("CHF", 105)
HRK = SimulatedCurrency("HRK", 750)
"""No account has these three but in stories."""

COUNTRIES = (
    Country("DE", EUR, 1, 52.5, 13.4),
    Country("FR", EUR, 1, 48.9, 2.4),
    Country("NL", EUR, 1, 52.4, 4.9),
    Country("US", USD, -5, 40.7, -74.0),
    Country("JP", JPY, 9, 35.7, 139.7),
    Country("BH", BHD, 3, 26.2, 50.6),
)

_ISO8583: dict[Family, str] = {
    "insufficient_funds": "51",
    "technical": "91",
    "limit": "61",
    "fraud": "59",
    "unknown": "05",
}
PROVIDERS = (
    Provider("northpay", "card", "iso8583", _ISO8583),
    Provider("kaiyo", "wallet", "iso8583", _ISO8583),
    Provider(
        "bluerail",
        "card",
        "stripe",
        {
            "insufficient_funds": "insufficient_funds",
            "technical": "processing_error",
            "limit": "card_velocity_exceeded",
            "fraud": "fraudulent",
            "unknown": "do_not_honor",
        },
    ),
    Provider(
        "gulfline",
        "instant",
        "iso20022",
        {
            "insufficient_funds": "AM04",
            "technical": "AB05",
            "limit": "AM02",
            "fraud": "FRAD",
            "unknown": "MS03",
        },
    ),
)

MERCHANTS = tuple(f"mer-{number:03d}" for number in range(300))
NETWORKS = ("residential", "mobile")
HIDING_NETWORKS = ("vpn", "relay")
"""They hide where the owner is."""
METHODS = ("biometric", "biometric", "pin", "passkey", "otp")
FIRST_DOCUMENTATION_ASN = 64_496
HOUR_WEIGHTS = tuple(
    accumulate((1, 0, 0, 0, 0, 1, 3, 8, 9, 6, 5, 6, 9, 8, 5, 5, 6, 9, 11, 11, 9, 7, 5, 2))
)
"""How likely an hour of a working day is for a visit, added up: morning, noon, evening."""
WEEKEND_HOUR_WEIGHTS = tuple(
    accumulate((3, 2, 1, 0, 0, 0, 0, 1, 3, 6, 9, 10, 9, 8, 8, 9, 9, 8, 7, 7, 7, 6, 5, 4))
)
HOLIDAY_PLACES = (
    ("ES", 41.4, 2.2),
    ("IT", 41.9, 12.5),
    ("PT", 38.7, -9.1),
    ("TH", 13.8, 100.5),
    ("AU", -33.9, 151.2),
    ("MX", 19.4, -99.1),
)
"""Country, latitude and longitude in degrees: where no owner of the simulation lives."""
