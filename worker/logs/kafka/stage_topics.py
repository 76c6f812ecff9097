"""The topics of a stage as they were when this worker joined, and what others change of them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

from worker.engine.records import Notice, TopicPartition
from worker.errors import ConfigError
from worker.logs.kafka.blocks import Blocks
from worker.logs.kafka.client import (
    Admin,
    ClusterPartition,
    CommittedOffset,
    TopicDescription,
    Visibility,
)
from worker.logs.kafka.client_errors import ClientError
from worker.logs.kafka.cluster import Cluster, no_topic
from worker.logs.kafka.commit_note import InputNote, noted, read_note
from worker.logs.kafka.decisions import decide, partitions_changed
from worker.logs.kafka.resume import (
    Changelog,
    FoundInput,
    completed,
    is_another,
    refuse_other_changelog,
    resume,
)

_TIMESTAMPS: Final = "message.timestamp.type"
_END_TIMEOUT_MS: Final = 5_000


class _Beginnings(Protocol):
    def beginning_offsets(
        self, partitions: Collection[ClusterPartition]
    ) -> Mapping[ClusterPartition, int]:
        """Return the oldest stored offset of each partition."""


class StageTopics:
    """The inputs of a stage and its changelog."""

    def __init__(self, cluster: Cluster, stage: str, admin: Admin, inputs: Sequence[str]) -> None:
        """Read what the brokers say of them.

        Args:
            inputs: names in the log.

        Raises:
            ConfigError: an input has another number of partitions than the changelog.
            LogError: one does not exist.
            ClientError: the cluster did not answer.
        """
        self._cluster = cluster
        self._admin = admin
        self._group = cluster.group(stage)
        self._inputs = [cluster.topic(name) for name in inputs]
        self._changelog = cluster.changelog(stage)
        self._notices: list[Notice] = []
        self._known = self._described()
        for name in (*self._inputs, self._changelog):
            if name not in self._known:
                raise no_topic(name)
        count = self._known[self._changelog].partitions
        for name in self._inputs:
            if self._known[name].partitions != count:
                raise partitions_changed(
                    self._cluster.in_log(name), count, self._known[name].partitions
                )
        self._by_producers = self._stamped_by_producers()
        self._looked_at = monotonic()

    # -- changes --------------------------------------------------------------------------

    def refuse_changed(self) -> None:
        """Check that all are still the topics that they were.

        Raises:
            ConfigError: one was deleted and made again, or has other partitions.
            ClientError: the cluster did not answer.
        """
        for name, now in self._described().items():
            before, own = self._known[name], self._cluster.in_log(name)
            if is_another(before.id, now.id):
                raise ConfigError(
                    f"{own} was deleted and made again while group {self._group} used it. "
                    f"{decide(own)}"
                )
            if now.partitions != before.partitions:
                raise partitions_changed(own, before.partitions, now.partitions)

    def notices(self) -> list[Notice]:
        """Return what others have changed since the last call.

        Asks the brokers once per `timings.topics`. If they do not answer, the next poll fails.

        Raises:
            ConfigError: see refuse_changed.
        """
        if monotonic() - self._looked_at > self._cluster.timings.topics / 1000:
            self._looked_at = monotonic()
            with suppress(ClientError):
                self.refuse_changed()
                before, self._by_producers = self._by_producers, self._stamped_by_producers()
                self._notices += map(_stamped, sorted(self._by_producers - before))
        found, self._notices = self._notices, []
        return found

    def _described(self) -> Mapping[str, TopicDescription]:
        """Return the topics that exist, by their names on the cluster."""
        found = self._admin.describe_topics([*self._inputs, self._changelog])
        return {each.name: each for each in found if each.visibility is Visibility.VISIBLE}

    def _stamped_by_producers(self) -> set[str]:
        """Return the inputs whose records bear times of their producers' clocks."""
        configs = self._admin.topic_configs(dict.fromkeys(self._inputs, (_TIMESTAMPS,)))
        return {
            self._cluster.in_log(name)
            for name, values in configs.items()
            if values.get(_TIMESTAMPS) == "CreateTime"
        }

    # -- what commits note of them --------------------------------------------------------

    def note(
        self,
        metadata: str,
        offsets: Mapping[TopicPartition, int],
        positions: Mapping[TopicPartition, int],
    ) -> bytes:
        """Return what a commit of a task notes.

        Args:
            metadata: that of its offsets.
            offsets: per input that of the commit.
            positions: per input what has been read.
        """
        inputs = {}
        for at, offset in offsets.items():
            topic = self._known[self._cluster.topic(at.topic)]
            inputs[at.topic] = InputNote(topic.id, topic.partitions, offset, positions[at])
        return noted(metadata, self._known[self._changelog].id, inputs)

    def resume(
        self,
        task: int,
        committed: Mapping[TopicPartition, CommittedOffset | None],
        blocks: Blocks,
        consumer: _Beginnings,
    ) -> tuple[dict[TopicPartition, int], set[str]]:
        """Return the offsets where a task goes on, and its inputs whose offsets begin anew.

        Args:
            committed: by the group, per input of the task.
            blocks: of the task, restored.

        Raises:
            ConfigError: what is there is not what its last commit has left.
            ClientError: the cluster did not answer.
        """
        note, changelog = read_note(blocks.note), self._known[self._changelog]
        committed = completed(committed, note)
        state = Changelog(self._cluster.in_log(changelog.name), changelog.id, blocks.is_new, note)
        refuse_other_changelog(self._group, state, committed.values())
        places = {at: ClusterPartition(self._cluster.topic(at.topic), task) for at in committed}
        firsts = consumer.beginning_offsets(places.values())
        offsets, renewed = {}, set()
        for at, place in places.items():
            topic, end = self._known[place.topic], self._admin.end_offset(place, _END_TIMEOUT_MS)
            found = FoundInput(at, topic.id, topic.partitions, firsts[place], end, committed[at])
            resumed = resume(self._group, found, note.inputs.get(at.topic) if note else None)
            offsets[at] = resumed.offset
            if resumed.renewed:
                renewed.add(at.topic)
            if resumed.notice is not None and resumed.notice not in self._notices:
                self._notices.append(resumed.notice)
        return offsets, renewed


def _stamped(topic: str) -> Notice:
    return Notice(
        "timestamps_by_producers",
        f"{topic} has message.timestamp.type=CreateTime now: its times are those of its producers' "
        "clocks, by which lateness and silence are judged. Set it to LogAppendTime; a worker that "
        "starts refuses it.",
    )
