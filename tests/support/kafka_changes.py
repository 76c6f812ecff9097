"""What administrators and accidents do to topics while walletwatch has read them."""

from pathlib import Path
from typing import Any

import kafka
from kafka.admin import NewPartitions

from tests.support.crashing_worker import wait_until
from tests.support.kafka_place import KafkaPlace


def delete(place: KafkaPlace, *names: str) -> None:
    """Delete topics, by their names without the prefix, and wait until they are gone."""
    full = {place.prefix + name for name in names}
    with place.admin() as admin:
        admin.delete_topics(sorted(full))
        wait_until(lambda: full.isdisjoint(admin.list_topics()), "the end of topics")


def grow(place: KafkaPlace, partitions: int, *names: str) -> None:
    """Add partitions to topics."""
    with place.admin() as admin:
        new = {place.prefix + name: NewPartitions(partitions) for name in names}
        admin.create_partitions(new)
        wait_until(
            lambda: all(
                len(each["partitions"]) == partitions for each in admin.describe_topics([*new])
            ),
            "the new partitions",
        )


def set_offset(
    place: KafkaPlace, stage: str, topic: str, partition: int, offset: int, metadata: str = ""
) -> None:
    """Set an offset of a stage's group, as Kafka's own tools do."""
    at = kafka.TopicPartition(place.prefix + topic, partition)
    with place.admin() as admin:
        found = kafka.OffsetAndMetadata(offset, metadata, -1)
        answer = admin.alter_group_offsets(place.cluster.group(stage), {at: found})
    assert answer[at] is kafka.errors.NoError


def committed(place: KafkaPlace, stage: str, topic: str, partition: int) -> Any:
    """Return offset and metadata that a stage's group has committed; None if nothing."""
    group = place.cluster.group(stage)
    with place.admin() as admin:
        found = admin.list_group_offsets({group: None})[group]
    return found.get(kafka.TopicPartition(place.prefix + topic, partition))


def truncate(data: Path, topic: str, partition: int) -> None:
    """Remove what a stopped broker has stored of a partition; the topic keeps its id."""
    for file in (data / f"{topic}-{partition}").iterdir():
        if file.name != "partition.metadata":
            file.unlink()
    for checkpoint in data.glob("*-checkpoint"):
        lines = checkpoint.read_text("utf-8").splitlines() or ["0"]
        kept = [line for line in lines[2:] if not line.startswith(f"{topic} {partition} ")]
        checkpoint.write_text("\n".join([lines[0], str(len(kept)), *kept, ""]), "utf-8")
    (data / ".kafka_cleanshutdown").unlink(missing_ok=True)
