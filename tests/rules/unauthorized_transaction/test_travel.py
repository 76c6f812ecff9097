"""Distances that anybody can look up, and the edges of what is impossible."""

import pytest

from rules.unauthorized_transaction.travel import is_impossible, metres_between, slowest_ms

BERLIN, LISBON, SYDNEY, QUITO = (525, 134), (387, -91), (-339, 1512), (-2, -785)


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        (BERLIN, LISBON, 2_310),
        (BERLIN, SYDNEY, 16_097),
        (LISBON, QUITO, 8_250),
        ((0, 0), (0, 1), 11),
        ((0, 0), (1, 0), 11),
        ((600, 0), (600, 10), 56),
        ((0, 0), (0, 1_800), 20_015),
        ((0, 1_799), (0, -1_799), 22),
        ((900, 0), (-900, 0), 20_015),
    ],
)
def test_distances_are_those_of_the_globe(
    here: tuple[int, int], there: tuple[int, int], km: int
) -> None:
    """To a kilometre, in both directions; nowhere is any way from itself."""
    assert abs(metres_between(here, there) / 1_000 - km) < 1
    assert metres_between(there, here) == pytest.approx(metres_between(here, there), abs=1)
    assert metres_between(here, here) == 0


def test_a_degree_of_the_equator_is_exact_to_the_metre() -> None:
    """On a sphere of 6,371 km."""
    assert metres_between((0, 0), (0, 10)) == 111_195


@pytest.mark.parametrize(
    ("metres", "ms", "impossible"),
    [
        (100_000, 0, False),
        (100_001, 0, True),
        (900_000, 3_600_000, False),
        (900_000, 3_599_999, True),
        (900_001, 3_600_000, True),
        (900_000, 3_600_001, False),
    ],
)
def test_far_and_fast_are_both_needed(metres: int, ms: int, impossible: bool) -> None:
    """Exactly 100 km, or exactly 900 km/h, is possible."""
    assert is_impossible(metres, ms, 100, 900) is impossible
    assert (ms < slowest_ms(metres, 900) and metres > 100_000) is impossible


def test_the_slowest_time_is_rounded_up() -> None:
    """One millisecond less would be too fast."""
    assert [slowest_ms(metres, 900) for metres in (900_000, 900_001, 1)] == [
        3_600_000,
        3_600_004,
        4,
    ]
