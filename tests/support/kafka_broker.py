"""The broker of the tests: one that is named, else a container, else jars, else a loud skip."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts.broker import Broker, Unavailable
from tests.support.kafka_container import kafka_container, lacking

_CHOICE: Final = "WALLETWATCH_TEST_KAFKA"
_CONTAINER: Final = "container"
"""Instead of an address: a container, and jars in no case."""


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a broker that many tests share: each takes a prefix of its own."""
    choice = os.environ.get(_CHOICE, "")
    if choice not in ("", _CONTAINER):
        yield choice
        return
    missing = lacking()
    if missing is None:
        with kafka_container() as (address, _):
            yield address
        return
    if choice == _CONTAINER:
        pytest.skip(f"a Kafka broker in a container: needs {missing}")
    broker = _from_jars(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker.address
    broker.kill()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker from jars that the test may kill, freeze, and start again."""
    broker = _from_jars(tmp_path / "kafka")
    broker.start()
    yield broker
    broker.kill()


def _from_jars(folder: Path) -> Broker:
    try:
        return Broker(folder)
    except Unavailable as missing:
        pytest.skip(f"a Kafka broker: {missing}; or name one in ${_CHOICE}")
