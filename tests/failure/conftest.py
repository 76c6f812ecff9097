"""Fixtures of the tests that kill and freeze."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crashing_worker import Place
from tests.support.kafka_broker import kafka_address, own_broker  # noqa: F401
from tests.support.kafka_place import KafkaPlace
from tests.support.secured_broker import secured  # noqa: F401


@pytest.fixture
def place(kafka_address: str, tmp_path: Path) -> Iterator[KafkaPlace]:  # noqa: F811
    """A log on Kafka without records."""
    place = KafkaPlace(tmp_path / "place", kafka_address)
    yield place
    place.remove()


@pytest.fixture
def embedded(tmp_path: Path) -> Place:
    """A place on the embedded log."""
    return Place(tmp_path / "place", poll=5_000)
