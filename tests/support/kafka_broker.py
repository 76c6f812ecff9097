"""The broker of the tests: one that is told, else a container, else jars, else a loud skip."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scripts.broker import VERSION, Broker, Unavailable, free_port

_ADDRESS = "WALLETWATCH_TEST_KAFKA"
_PORT = 9092
_DOCKER_SOCKET = Path("/var/run/docker.sock")


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a broker that many tests share: each takes a prefix of its own."""
    if told := os.environ.get(_ADDRESS):
        yield told
    elif _docker_answers():
        yield from _container()
    else:
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
        pytest.skip(f"a Kafka broker: {missing}; or name one in ${_ADDRESS}")


def _docker_answers() -> bool:
    if not (_DOCKER_SOCKET.exists() or "DOCKER_HOST" in os.environ):
        return False
    import docker

    try:
        with closing(docker.from_env(timeout=5)) as client:
            return bool(client.ping())
    except docker.errors.DockerException:
        return False


def _container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs

    port = free_port()
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{_PORT},CONTROLLER://:9094",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    container = DockerContainer(f"apache/kafka:{VERSION}").with_bind_ports(_PORT, port)
    for name, value in environment.items():
        container = container.with_env(name, value)
    with container:
        wait_for_logs(container, "Kafka Server started", timeout=120)
        yield f"127.0.0.1:{port}"
