"""A place whose log is on Kafka, under a prefix of its own; several workers can share it."""

import os
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from tests.support.commands import PUBLIC_TOKENS, kafka_variables
from tests.support.crashing_worker import Place, wait_until
from tests.support.kafka_clients import library_client
from tests.support.producer import PARTITIONS
from worker.config.load import load_settings
from worker.engine.log import Log
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.ops.topics import Topics
from worker.run.open_log import cluster_at, open_log

TIMINGS = {
    "session_timeout_ms": 2_000,
    "request_timeout_ms": 3_000,
    "delivery_timeout_ms": 4_000,
    "transaction_timeout_ms": 6_000,
    "replication": 1,
    "min_insync": 1,
}


class KafkaPlace(Place):
    """One worker's folder and page; the log belongs to all places of the same prefix."""

    def __init__(
        self,
        folder: Path,
        address: str,
        poll: int = 200,
        prefix: str = "",
        slot: str = "0",
        login: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Make the topics, unless a prefix is given: they exist then.

        Args:
            login: settings by which to log in, as environment.
        """
        super().__init__(folder, poll)
        self._address, self._poll, self._login = address, poll, login
        self.url = f"kafka://{address}"
        self.prefix = prefix or f"{uuid.uuid4().hex[:12]}."
        settings = TIMINGS | {"prefix": self.prefix, "slot": slot}
        self.environment = kafka_variables(settings) | PUBLIC_TOKENS | dict(login)
        self.settings = load_settings(
            self.config, self.environment | {"PATH": os.environ["PATH"]}, log_url=self.url
        ).settings
        if not prefix:
            Topics(self.cluster, self.settings, PARTITIONS).create()

    @property
    def cluster(self) -> Cluster:
        """The cluster as the settings reach it."""
        return cluster_at(self.url, self.settings.kafka)

    @contextmanager
    def admin(self) -> Iterator[Any]:
        """Yield the library's admin client, for what walletwatch itself never does."""
        with closing(library_client(self.cluster.admin())) as admin:
            yield admin

    def foreign_producer(self, **options: Any) -> AbstractContextManager[Any]:
        """Return a producer of the library, with settings of its own."""
        return closing(KafkaProducer(bootstrap_servers=self._address, **options))

    def configure(self, topics: Collection[str], **settings: object) -> None:
        """Change settings of topics, by their names without the prefix, and wait until they hold.

        Args:
            settings: by their names with underscores instead of dots.
        """
        wanted = {name.replace("_", "."): str(value) for name, value in settings.items()}
        names = [self.prefix + topic for topic in topics]
        with closing(self.cluster.admin()) as admin:
            library_client(admin).alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, wanted) for name in names]
            )
            asked = dict.fromkeys(names, tuple(wanted))
            wait_until(
                lambda: all(found == wanted for found in admin.topic_configs(asked).values()),
                "the settings of topics",
            )

    def beside(self, slot: str) -> "KafkaPlace":
        """Return the place of another worker on the same log."""
        folder = self.config.parent.with_name(f"{self.config.parent.name}-{slot}")
        return KafkaPlace(folder, self._address, self._poll, self.prefix, slot, self._login)

    def open(self) -> Log:
        """Open the log, to look at it or to append."""
        return open_log(self.url, kafka=self.settings.kafka)

    def remove(self) -> None:
        """Delete the topics."""
        with self.admin() as admin:
            admin.delete_topics(
                [name for name in admin.list_topics() if name.startswith(self.prefix)]
            )
