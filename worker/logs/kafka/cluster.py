"""A Kafka cluster as walletwatch uses it: names, and clients that are all made the same way.

Every client is bounded in time. The library's defaults wait for half a minute, or without limit,
where a worker must rather end and be started again.
"""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

from worker.errors import ConfigError, LogError
from worker.logs.kafka.client import Admin, ClusterPartition, Consumer, Producer
from worker.logs.kafka.client_errors import ClientError, LoginRefused
from worker.logs.kafka.kafka_python.admin import KafkaPythonAdmin
from worker.logs.kafka.kafka_python.consumer import KafkaPythonConsumer
from worker.logs.kafka.kafka_python.producer import KafkaPythonProducer
from worker.logs.kafka.limits import MAX_REQUEST_BYTES, UNKNOWN, Limits
from worker.logs.kafka.names import Names

Options = Mapping[str, Any]
"""Arguments that every client takes: how to encrypt, and which credentials to use."""
C = TypeVar("C", Admin, Consumer, Producer)

OLDEST: Final = (2, 7)
"""The oldest brokers that walletwatch works with."""
SEE_DOCTOR: Final = " walletwatch doctor says more."
_RECONNECT_MAX_MS: Final = 1_000
_LINGER_MS: Final = 100
_FETCH_MAX_BYTES: Final = 16 * 1024 * 1024
ANSWER_MAX_BYTES: Final = 128 * 1024 * 1024
"""The largest batch that is read, as compressed: brokers take 100 MiB at once by default."""


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
    """Without a heartbeat, after which a worker's tasks are assigned to others."""
    max_poll: int = 60_000
    """Between two polls, after which a worker counts as stuck."""
    fetch_wait: int = 100
    """How long a broker holds back an answer for the first new record."""
    topics: int = 30_000
    """Between two looks of a worker at whether its topics are still those that they were."""


@dataclass(frozen=True, slots=True)
class Cluster(Names):
    """The addresses of the brokers, how to connect to them, and the names used there."""

    servers: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)
    timings: Timings = Timings()
    stepped_over: frozenset[tuple[ClusterPartition, int, int]] = frozenset()
    """Ranges (partition, first, last offset) that no client can read: stages read empty records."""
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext
    """Makes the blocks in which the process may be asked to stop, see `open_log`."""

    def consumer(self, **options: Any) -> Consumer:
        """Make a consumer that reads committed records as bytes and commits nothing by itself.

        Args:
            options: further settings, by their names in Kafka with underscores.

        Raises:
            ConfigError: the brokers are too old, or refuse the login.
            LogError: no broker answered in time.
        """
        return self._make(
            KafkaPythonConsumer,
            isolation_level="read_committed",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            auto_offset_reset="none",
            fetch_max_bytes=_FETCH_MAX_BYTES,
            metrics_enabled=False,
            receive_message_max_bytes=ANSWER_MAX_BYTES,
            **{"fetch_max_wait_ms": self.timings.fetch_wait, **options},
        )

    def producer(self, transactional_id: str, limits: Limits = UNKNOWN) -> Producer:
        """Make a producer that waits for all replicas and never longer than the timings allow.

        Args:
            limits: of the topics that it writes.

        Raises:
            ConfigError: the brokers are too old, or refuse the login.
            LogError: no broker answered in time.
        """
        timings = self.timings
        return self._make(
            KafkaPythonProducer,
            transactional_id=transactional_id,
            transaction_timeout_ms=timings.transaction,
            acks="all",
            # A commit sends all it has and then flushes, which waits for no linger. Until then
            # batches fill up: sent one by one, records cost a sixth more of the whole stage.
            linger_ms=min(_LINGER_MS, timings.delivery - timings.request),
            batch_size=limits.batch,
            max_request_size=max(MAX_REQUEST_BYTES, limits.largest),
            retry_backoff_ms=20,
            request_timeout_ms=timings.request,
            delivery_timeout_ms=timings.delivery,
            max_block_ms=timings.bootstrap,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def admin(self) -> Admin:
        """Make a client for questions about the cluster.

        Raises:
            ConfigError: the brokers are too old, or refuse the login.
            LogError: no broker answered in time.
        """
        return self._make(KafkaPythonAdmin, request_timeout_ms=self.timings.bootstrap)

    def _make(self, kind: Callable[[Options], C], **options: Any) -> C:
        client = self._connected(kind, options)
        if client.broker_version < OLDEST:
            client.close()
            raise ConfigError(
                f"The brokers at {','.join(self.servers)} are Kafka "
                f"{_dotted(client.broker_version)}: walletwatch needs {_dotted(OLDEST)} or newer."
            )
        return client

    def _connected(self, kind: Callable[[Options], C], options: Options) -> C:
        servers = ",".join(self.servers)
        bootstrap = {
            "bootstrap_servers": list(self.servers),
            "bootstrap_timeout_ms": self.timings.bootstrap,
            "reconnect_backoff_max_ms": _RECONNECT_MAX_MS,
        }
        try:
            return self._apart(lambda: kind({**bootstrap, **self.options, **options}))
        except LoginRefused as error:
            raise ConfigError(
                f"The brokers at {servers} refuse the login: {error}. See kafka.username, "
                "kafka.password_file and kafka.sasl_mechanism."
            ) from error
        except ClientError as error:
            seconds = self.timings.bootstrap // 1000
            raise LogError(
                f"No Kafka broker at {servers} can be used ({error}); tried for {seconds} s."
                f"{SEE_DOCTOR}"
            ) from error

    def _apart(self, make: Callable[[], C]) -> C:
        """Make a client in a thread of its own, and wait for it where a signal may end the wait.

        The client waits for brokers in a loop that swallows what a signal handler raises.
        """
        made: SimpleQueue[C | Exception] = SimpleQueue()

        def run() -> None:
            try:
                made.put(make())
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                made.put(error)

        Thread(target=run, daemon=True).start()
        with self.interruptible():
            client = made.get()
        if isinstance(client, Exception):
            raise client
        return client


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def no_topic(name: str) -> LogError:
    """Return the error about a topic that a worker needs, by its name on the cluster."""
    return LogError(
        f"Topic {name} does not exist, or may not be read: walletwatch topics check says more."
    )


def client_id() -> str:
    """Return the name of this process in the cluster's lists: process id and host."""
    return f"walletwatch-{os.getpid()}@{socket.gethostname()}"
