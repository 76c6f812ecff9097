"""A Kafka cluster as walletwatch uses it: names, and clients that are all made the same way.

Every client is bounded in time. The client's own defaults wait for half a minute, or for ever,
where a worker must rather end and be started again.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import crc32c
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import (
    AuthorizationError,
    InvalidSessionTimeoutError,
    KafkaError,
    SaslAuthenticationFailedError,
)
from kafka.record import util

from worker.errors import ConfigError, LogError
from worker.logs.kafka.last_words import hear_last_words
from worker.logs.kafka.names import Names

Options = Mapping[str, Any]
"""Arguments that every client takes: how to encrypt, and who we are."""

OLDEST: Final = (2, 7)
"""The oldest brokers that walletwatch works with."""
SEE_DOCTOR: Final = " walletwatch doctor says more."
_RECONNECT_MAX_MS: Final = 1_000
_LINGER_MS: Final = 100
_BATCH_BYTES: Final = 256 * 1024
"""Well below the 1 MiB that a topic takes by default."""
_CONNECTIONS: Final = logging.getLogger("kafka.net.manager")
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
class Cluster(Names):
    """Where the brokers are, how to talk to them, and what things are called there."""

    servers: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)
    timings: Timings = Timings()

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
        timings = self.timings
        return self._make(
            KafkaProducer,
            acks="all",
            # A commit sends all it has and then flushes, which waits for no linger. Until then
            # batches fill up: sent one by one, records cost a sixth more of the whole stage.
            linger_ms=min(_LINGER_MS, timings.delivery - timings.request),
            batch_size=_BATCH_BYTES,
            retry_backoff_ms=20,
            request_timeout_ms=timings.request,
            delivery_timeout_ms=timings.delivery,
            max_block_ms=timings.bootstrap,
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
        hear_last_words()
        overheard = _Overheard()
        _CONNECTIONS.addHandler(overheard)
        try:
            return client(
                bootstrap_servers=list(self.servers),
                bootstrap_timeout_ms=self.timings.bootstrap,
                reconnect_backoff_max_ms=_RECONNECT_MAX_MS,
                **self.options,
                **more,
            )
        except KafkaError as error:
            reason = overheard.why or error
            servers = ",".join(self.servers)
            if isinstance(reason, SaslAuthenticationFailedError):
                said = str(reason).rpartition(": ")[2]
                raise ConfigError(
                    f"The brokers at {servers} refuse the login: {said}. See kafka.username, "
                    "kafka.password_file and kafka.sasl_mechanism."
                ) from error
            raise LogError(
                f"No Kafka broker at {servers} can be used ({reason}).{SEE_DOCTOR}"
            ) from error
        finally:
            _CONNECTIONS.removeHandler(overheard)


class _Overheard(logging.Handler):
    """Keeps why connecting failed, which the client logs but does not raise.

    That is what it met first: after a refusal it only meets closed doors. A refused login says
    most.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.why: Exception | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look for an error among what is logged."""
        for said in record.args or ():
            if isinstance(said, SaslAuthenticationFailedError) or (
                isinstance(said, Exception) and self.why is None
            ):
                self.why = said


def told(error: KafkaError) -> str:
    """Return what went wrong, for people: what was not allowed, or the client's own words."""
    for cause in (error, *error.args):
        if isinstance(cause, InvalidSessionTimeoutError):
            return (
                "the brokers refuse kafka.session_timeout_ms (their group.min.session.timeout.ms "
                "and group.max.session.timeout.ms bound it)"
            )
        if isinstance(cause, AuthorizationError):
            return (
                f"{cause!r}: this user is not allowed to; walletwatch topics acls lists what is "
                "needed"
            )
    return repr(error)


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
