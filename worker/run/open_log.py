"""Logs: the port between tasks and the world, and its implementations.

The one on Kafka is imported when it is asked for: its client takes longer to load than most
commands take to run.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.topics import TRANSACTIONS
from worker.config.kafka_settings import KafkaSettings
from worker.config.settings import Settings
from worker.engine.log import Log
from worker.engine.records import TopicPartition
from worker.errors import ConfigError, UsageError
from worker.logs.exposed import exposed
from worker.logs.finding import Finding, Verdict
from worker.logs.sqlite.log import SqliteLog, wall_clock

if TYPE_CHECKING:
    from worker.logs.kafka.cluster import Cluster

_SQLITE = "sqlite:///"
_KAFKA = "kafka://"

Interruptible = Callable[[], AbstractContextManager[None]]
"""Makes blocks that a signal may end: each raises, on entry or inside, what the caller catches."""


def open_log(
    url: str,
    partitions: int | None = None,
    clock: Callable[[], int] = wall_clock,
    kafka: KafkaSettings | None = None,
    interruptible: Interruptible = nullcontext,
) -> Log:
    """Open the log of `log.url`, making it if it is a file that is not there.

    `sqlite:///wallet.db` is relative to the working directory, `sqlite:////data/wallet.db`
    absolute. A new log gets `partitions` per topic, 4 if None; an existing one must have as many
    as given. `clock` gives milliseconds since the epoch.

    `kafka://host:port,host:port` are bootstrap brokers, reached with the settings `kafka`. Waiting
    for them, and for the group of workers, is done where `interruptible` can end it.

    Raises:
        ConfigError: the URL names no log.
        LogError: the log cannot be used.
    """
    if is_on_kafka(url):
        from worker.logs.kafka.kafka_python.decode import decode_lean  # noqa: PLC0415
        from worker.logs.kafka.log import KafkaLog  # noqa: PLC0415

        settings = kafka or KafkaSettings()
        decode_lean(settings.lean_decode)
        return KafkaLog(cluster_at(url, settings, interruptible), settings.slot, clock)
    path = url.removeprefix(_SQLITE)
    if path in ("", url, ":memory:") or "?" in path:
        raise ConfigError(
            "log.url: expected sqlite:///relative/path.db, sqlite:////absolute/path.db, "
            "or kafka://host:port."
        )
    return SqliteLog(Path(path), partitions=partitions, clock=clock)


def is_on_kafka(url: str) -> bool:
    """Return whether brokers keep the log of a `log.url`."""
    return url.startswith(_KAFKA)


def step_over_records(
    log: Log, ranges: Mapping[TopicPartition, Collection[tuple[int, int]]]
) -> None:
    """Let sessions that are opened from now on read records as empty ones.

    Args:
        ranges: the first and the last offset of each.

    Raises:
        UsageError: it is no log on Kafka; only there a record can be too large to be read.
    """
    if not ranges:
        return
    from worker.logs.kafka.log import KafkaLog  # noqa: PLC0415

    if not isinstance(log, KafkaLog):
        raise UsageError("--step-over: only a log on Kafka can hold a record that cannot be read.")
    log.step_over(ranges)


def make_topics(settings: Settings) -> None:
    """Make the topics that are missing, where they do not come with the log.

    Raises:
        LogError: the cluster refused one, or did not answer.
    """
    if settings.log.url.startswith(_KAFKA):
        from worker.logs.kafka.ops.topics import Topics  # noqa: PLC0415

        Topics(cluster_at(settings.log.url, settings.kafka), settings).create()


def refuse_two_clusters(settings: Settings, interruptible: Interruptible = nullcontext) -> None:
    """Check that all servers of the log belong to one cluster.

    Raises:
        ConfigError: they do not.
        LogError: none answered.
    """
    if settings.log.url.startswith(_KAFKA):
        from worker.logs.kafka.ops import clusters  # noqa: PLC0415

        cluster = cluster_at(settings.log.url, settings.kafka, interruptible)
        clusters.refuse_two_clusters(cluster)


def refuse_wrong_topics(
    settings: Settings, partitions: int, interruptible: Interruptible = nullcontext
) -> None:
    """Look whether workers can run on the topics of the log, if these do not come with the log.

    Raises:
        ConfigError: they cannot; the message names what is wrong.
        LogError: the cluster did not answer.
    """
    if settings.log.url.startswith(_KAFKA):
        from worker.logs.kafka.ops.topics import Topics  # noqa: PLC0415

        cluster = cluster_at(settings.log.url, settings.kafka, interruptible)
        Topics(cluster, settings, partitions).refuse_wrong()


def examine(
    log: Log, settings: Settings, clock: Callable[[], int] = wall_clock
) -> Iterator[Finding]:
    """Yield findings about the log of the settings, as a worker would meet it.

    Raises:
        ConfigError: a file of the settings cannot be used.
    """
    yield from exposed(settings)
    url = settings.log.url
    if is_on_kafka(url):
        from worker.logs.kafka.ops.doctor import Doctor  # noqa: PLC0415

        yield from Doctor(cluster_at(url, settings.kafka), settings, log, clock).findings()
    else:
        counts = f"{log.partitions(TRANSACTIONS)} partitions per topic"
        yield Finding("log", Verdict.OK, f"{url}: opened, {counts}")


def cluster_at(
    url: str, kafka: KafkaSettings, interruptible: Interruptible = nullcontext
) -> "Cluster":
    """Return how to reach the brokers of a kafka:// URL.

    Raises:
        ConfigError: the URL names none, or a file of the settings cannot be used.
    """
    if not url.startswith(_KAFKA):
        raise ConfigError(f"log.url: {url} is not on Kafka: expected kafka://host:port.")
    from worker.logs.kafka.connect import cluster_of  # noqa: PLC0415

    return replace(
        cluster_of(url.removeprefix(_KAFKA).split(","), kafka), interruptible=interruptible
    )
