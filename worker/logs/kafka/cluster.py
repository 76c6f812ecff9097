"""A Kafka cluster as walletwatch uses it: names, and clients that are all made the same way.

Every client is bounded in time. The client's own defaults wait for half a minute, or for ever,
where a worker must rather end and be started again.
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import crc32c
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.record import util

from worker.errors import ConfigError, LogError

Options = Mapping[str, Any]
"""Arguments that every client takes: how to encrypt, and who we are."""

OLDEST: Final = (2, 7)
"""The oldest brokers that walletwatch works with."""
_RECONNECT_MAX_MS: Final = 1_000
_FETCH_MAX_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timings:
    """How long things may take, in milliseconds."""

    bootstrap: int = 10_000
    """Until the first broker has answered a new client."""
    request: int = 4_000
    """Of the producer: one answer of a coordinator. The bound of a commit."""
    delivery: int = 8_000
    """From sending a record to its acknowledgement."""
    transaction: int = 12_000
    """After which the broker aborts what a dead worker has begun."""
    session: int = 6_000
    """Without a heartbeat, after which a worker's tasks are given to others."""
    max_poll: int = 60_000
    """Between two polls, after which a worker counts as stuck."""
    fetch_wait: int = 100
    """How long a broker holds back an answer for the first new record."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the brokers are, how to talk to them, and what things are called there."""

    servers: tuple[str, ...]
    options: Options = field(default_factory=dict)
    timings: Timings = Timings()
    prefix: str = ""
    """Before every topic, group and transactional id: several systems can share a cluster."""

    def topic(self, name: str) -> str:
        """Return what the topic is called on the cluster."""
        return self.prefix + name

    def changelog(self, stage: str) -> str:
        """Return what the topic of a stage's states is called on the cluster."""
        return f"{self.prefix}walletwatch.{stage}.changelog"

    def group(self, stage: str) -> str:
        """Return the consumer group whose members share the stage's tasks."""
        return f"{self.prefix}walletwatch.{stage}"

    def transactional_id(self, stage: str, slot: str) -> str:
        """Return the identity under which the worker in a slot commits."""
        return f"{self.prefix}walletwatch.{stage}.{slot}"

    def consumer(self, **more: Any) -> KafkaConsumer:
        """Make a consumer that reads committed records as bytes and commits nothing by itself.

        Raises:
            ConfigError: the brokers are too old.
            LogError: no broker answered in time.
        """
        return self._make(
            KafkaConsumer,
            isolation_level="read_committed",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            auto_offset_reset="none",
            fetch_max_bytes=_FETCH_MAX_BYTES,
            metrics_enabled=False,
            **{"fetch_max_wait_ms": self.timings.fetch_wait, **more},
        )

    def producer(self, **more: Any) -> KafkaProducer:
        """Make a producer that waits for all replicas and never longer than the timings say.

        Raises:
            ConfigError: the brokers are too old.
            LogError: no broker answered in time.
        """
        return self._make(
            KafkaProducer,
            acks="all",
            linger_ms=0,
            retry_backoff_ms=20,
            request_timeout_ms=self.timings.request,
            delivery_timeout_ms=self.timings.delivery,
            max_block_ms=self.timings.bootstrap,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **more,
        )

    def admin(self, **more: Any) -> KafkaAdminClient:
        """Make a client for questions about the cluster.

        Raises:
            ConfigError: the brokers are too old.
            LogError: no broker answered in time.
        """
        return self._make(KafkaAdminClient, request_timeout_ms=self.timings.bootstrap, **more)

    def _make(self, client: Callable[..., Any], **more: Any) -> Any:
        made = self._connected(client, more)
        version = broker_version(made)
        if version < OLDEST:
            made.close()
            raise ConfigError(
                f"The brokers at {','.join(self.servers)} are Kafka {_dotted(version)}: "
                f"walletwatch needs {_dotted(OLDEST)} or newer."
            )
        return made

    def _connected(self, client: Callable[..., Any], more: Options) -> Any:
        try:
            return client(
                bootstrap_servers=list(self.servers),
                bootstrap_timeout_ms=self.timings.bootstrap,
                reconnect_backoff_max_ms=_RECONNECT_MAX_MS,
                **self.options,
                **more,
            )
        except KafkaError as error:
            raise LogError(
                f"No Kafka broker at {','.join(self.servers)} can be used ({error}): "
                "walletwatch doctor says why."
            ) from error


def broker_version(client: Any) -> tuple[int, ...]:
    """Return the release whose requests the first broker of a connected client understands.

    The last releases before it may look like it, where no request has changed.
    """
    # Consumers and producers keep it as a setting, the admin client only where it found it.
    version: tuple[int, ...] = client.config["api_version"] or client._manager.broker_version
    return version


def brokers_of(client: Any) -> list[str]:
    """Return host:port of all brokers, as the cluster has told a connected client to reach them."""
    # describe_cluster() raises KeyError on brokers before Kafka 3.7.
    return sorted(f"{each.host}:{each.port}" for each in client._manager.cluster.brokers())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def checksum_in_c() -> bool:
    """Say whether record batches are checked by the C extension, not a hundred times slower."""
    return util.crc32c_c is crc32c.crc32c


def client_id() -> str:
    """Return how this process is called in the cluster's lists: by host and process id."""
    return f"walletwatch-{os.getpid()}@{socket.gethostname()}"
