"""Creating topics on a cluster as walletwatch needs them, and finding where they differ."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from schemas.topics import (
    COMPACTION_LAG_MS,
    DEAD_LETTERS,
    DETECT_INPUTS,
    LATE,
    SEGMENT_MS,
    TOPICS,
    Topic,
)
from worker.config.settings import Settings
from worker.detect.stage import DETECT
from worker.errors import ConfigError, LogError
from worker.logs.kafka.client import Admin, NewTopic, Visibility
from worker.logs.kafka.client_errors import ClientError
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.decisions import partitions_changed
from worker.logs.kafka.limits import DEFAULT_LIMIT, SETTING
from worker.logs.kafka.ops.stages import INPUTS_OF

_HOUR: Final = 3_600_000
_TOMBSTONES_MS: Final = 24 * _HOUR
"""Longer than any restore: a tombstone must not vanish before a reader that approaches it."""
_COMPACTED: Final = {
    "delete.retention.ms": str(_TOMBSTONES_MS),
    # Without it what a newer record replaces may stay for ever.
    "max.compaction.lag.ms": str(COMPACTION_LAG_MS),
}
_BLOCK_LIMIT: Final = 8 * 1024 * 1024
_HIDDEN: Final = "settings"
PARTITIONS: Final = "partitions"
VITAL: Final = frozenset({"topic", _HIDDEN, PARTITIONS, "cleanup.policy", "message.timestamp.type"})
"""Differences with which no worker may run; the others concern retention and safety."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be."""

    name: str
    """On the cluster."""
    partitions: int
    replication: int
    configs: dict[str, str]
    least_limit: int = 0
    """Bytes of a record that it must take."""

    def compare(
        self, found: Mapping[str, str] | None, least_limit: int = 0
    ) -> list[tuple[str, str, str]]:
        """Return (what, expected, found) of all that differs.

        Args:
            found: the facts of the topic; None if it does not exist, empty if it is hidden.
            least_limit: bytes of a record that it must take beside its own.
        """
        if found is None:
            return [("topic", "there", "missing")]
        if not found:
            return [("topic", "there", "hidden from this user: allow Describe")]
        facts = {PARTITIONS: str(self.partitions), "replication": str(self.replication)}
        if self.configs.keys().isdisjoint(found):
            return [(_HIDDEN, "visible", "hidden from this user: allow DescribeConfigs")]
        facts |= {what: is_ for what, is_ in self.configs.items() if what != SETTING}
        differing = [(what, is_, found[what]) for what, is_ in facts.items() if found[what] != is_]
        least = max(self.least_limit, least_limit)
        if int(found[SETTING]) < least:
            differing.append((SETTING, f"at least {least}", found[SETTING]))
        return differing

    def new(self) -> NewTopic:
        """Return the topic to create."""
        return NewTopic(self.name, self.partitions, self.replication, self.configs)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about a topic that is not as it should be."""

    topic: str
    what: str
    expected: str
    found: str

    @property
    def vital(self) -> bool:
        """Whether a worker must not run on it."""
        return self.what in VITAL

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} should be {self.expected}, and is {self.found}"


class Topics:
    """The topics of one cluster: the one list, and a changelog for each stage."""

    def __init__(self, cluster: Cluster, settings: Settings, partitions: int | None = None) -> None:
        """Decide how they should be.

        Args:
            partitions: instead of `log.partitions`.
        """
        self._cluster = cluster
        self._settings = settings
        self._partitions = partitions or settings.log.partitions

    def wanted(self) -> list[Wanted]:
        """Return every topic as it should be."""
        cluster, replication = self._cluster, self._settings.kafka.replication
        configs = {cluster.topic(topic.name): self._configs(topic) for topic in TOPICS}
        configs |= {cluster.changelog(stage): self._changelog() for stage in INPUTS_OF}
        limits = {name: int(own.get(SETTING, DEFAULT_LIMIT)) for name, own in configs.items()}
        limits |= dict.fromkeys(map(cluster.topic, DETECT_INPUTS), 0)
        insync = {"min.insync.replicas": str(self._settings.kafka.min_insync)}
        return [
            Wanted(name, self._partitions, replication, own | insync, limits[name])
            for name, own in configs.items()
        ]

    def create(self) -> list[str]:
        """Create the missing topics, and return their names on the cluster.

        Raises:
            LogError: the cluster refused one; the error says why.
        """
        new = [topic.new() for topic in self.wanted()]
        try:
            with closing(self._cluster.admin()) as admin:
                answers = admin.create_topics(new)
                created = [answer.name for answer in answers if answer.created]
                admin.wait_for_topics(created)
        except ClientError as error:
            raise LogError(f"The topics cannot be made: {error}") from error
        for answer in answers:
            if answer.error is not None:
                raise LogError(
                    f"Topic {answer.name} cannot be made: {answer.error} "
                    "See kafka.replication and kafka.min_insync."
                )
        return created

    def differences(self, as_state: bool = False) -> list[Difference]:
        """Return what is not as it should be; nothing if all is well.

        Args:
            as_state: expect as many partitions as the changelog of detect has, if it exists: its
                number is final, whatever has become of the other topics.

        Raises:
            LogError: the cluster did not answer.
        """
        wanted = self.wanted()
        try:
            with closing(self._cluster.admin()) as admin:
                found = _facts(admin, wanted)
        except ClientError as error:
            raise LogError(f"The topics cannot be looked at: {error}") from error
        inputs = (found.get(self._cluster.topic(name)) or {} for name in DETECT_INPUTS)
        largest = max((int(facts.get(SETTING, 0)) for facts in inputs), default=0)
        # Here the original bytes of what the inputs take have to fit.
        least = dict.fromkeys(map(self._cluster.topic, (DEAD_LETTERS, LATE)), largest)
        kept = found.get(self._cluster.changelog(DETECT), {}).get(PARTITIONS)
        if as_state and kept:
            wanted = [replace(topic, partitions=int(kept)) for topic in wanted]
        return [
            Difference(topic.name, what, expected, is_)
            for topic in wanted
            for what, expected, is_ in topic.compare(
                found.get(topic.name), least.get(topic.name, 0)
            )
        ]

    def refuse_wrong(self) -> None:
        """Check whether workers can run on the topics as they are.

        Raises:
            ConfigError: one is missing, or its partitions, cleanup or timestamps are wrong.
            LogError: the cluster did not answer.
        """
        wrong = [difference for difference in self.differences(as_state=True) if difference.vital]
        for each in wrong:
            if each.what == PARTITIONS:
                raise partitions_changed(each.topic, int(each.expected), int(each.found))
        if wrong:
            raise ConfigError(
                "The topics are not those that a worker needs (walletwatch topics check says "
                "more): " + "; ".join(map(str, wrong[:3]))
            )

    def _configs(self, topic: Topic) -> dict[str, str]:
        configs: dict[str, str] = {"cleanup.policy": topic.cleanup}
        if topic.cleanup == "delete":
            configs["retention.ms"] = str(self._settings.retention[topic.name])
            configs["segment.ms"] = str(SEGMENT_MS)
        else:
            configs |= _COMPACTED
        if topic.role == "input":
            # Time is judged by when the log took a record, not by a producer's clock.
            configs["message.timestamp.type"] = "LogAppendTime"
        return configs

    def _changelog(self) -> dict[str, str]:
        return {
            "cleanup.policy": "compact",
            **_COMPACTED,
            SETTING: str(_BLOCK_LIMIT),
            "segment.ms": str(_HOUR),
            "min.cleanable.dirty.ratio": "0.3",
        }


def _facts(admin: Admin, wanted: list[Wanted]) -> dict[str, dict[str, str]]:
    """Return the facts of every topic that exists; none of one that is hidden."""
    found: dict[str, dict[str, str]] = {}
    for topic in admin.describe_topics([topic.name for topic in wanted]):
        if topic.visibility is Visibility.VISIBLE:
            found[topic.name] = {
                PARTITIONS: str(topic.partitions),
                "replication": str(topic.replication),
            }
        elif topic.visibility is Visibility.HIDDEN:
            found[topic.name] = {}
    visible = {topic.name: {*topic.configs, SETTING} for topic in wanted if found.get(topic.name)}
    for name, configs in admin.topic_configs(visible).items():
        found[name] |= configs
    return found
