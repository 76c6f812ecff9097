"""A Kafka broker for tests, in a container that only this machine can reach."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, cast

import docker
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from scripts.broker import free_port
from tests.support.compose_file import image

_HOST: Final = "127.0.0.1"
_PORT: Final = 9092
_STARTED: Final = "Kafka Server started"
_START_SECONDS: Final = 120
_ENGINE_SECONDS: Final = 60
_DEFAULT_ENGINE: Final = "unix:///var/run/docker.sock"
_ENVIRONMENT: Final = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": f"PLAINTEXT://:{_PORT},BROKER://localhost:9093,CONTROLLER://localhost:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
        "PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT"
    ),
    "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
}


def lacking() -> str | None:
    """Return why no container can be started here, None if one can.

    An image that is not here is pulled.
    """
    scheme, _, path = os.environ.get("DOCKER_HOST", _DEFAULT_ENGINE).partition("://")
    if scheme != "unix":
        return "a Docker engine on this machine; that of $DOCKER_HOST is reached by the network"
    try:
        # The client leaks its socket where nothing listens.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
        with closing(docker.from_env(timeout=_ENGINE_SECONDS)) as client:
            for name in _images():
                _provide(client, name)
    except (docker.errors.DockerException, OSError) as error:
        return f"a Docker engine with the images {', '.join(_images())} ({error})"
    return None


def _images() -> list[str]:
    """Return the images: the broker, and what removes its container if the tests are killed."""
    reaper = [] if testcontainers_config.ryuk_disabled else [testcontainers_config.ryuk_image]
    return [image("kafka"), *reaper]


def _provide(client: Any, name: str) -> None:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        client.images.pull(name)


@contextmanager
def kafka_container() -> Iterator[tuple[str, DockerContainer]]:
    """Run a broker; yield its address and its container.

    The address that clients get is one of this machine, which does not exist in the container:
    the broker reaches itself, as it must to end transactions, through a listener of its own.
    """
    address = f"{_HOST}:{(port := free_port())}"
    started = LogMessageWaitStrategy(_STARTED).with_startup_timeout(_START_SECONDS)
    container = DockerContainer(image("kafka"), env=dict(_ENVIRONMENT))
    container.with_env(
        "KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://{address},BROKER://localhost:9093"
    )
    # With a port alone, as its type has it, the engine would publish on all addresses.
    cast("dict[str, Any]", container.ports)[str(_PORT)] = (_HOST, port)
    with container.waiting_for(started.with_poll_interval(0.1)):
        yield address, container
