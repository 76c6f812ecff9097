"""The settings of topics bound how long brokers keep what is to go. Without a broker."""

import pytest

from schemas.topics import COMPACTION_LAG_MS, SEGMENT_MS, topic
from worker.config.load import default_settings
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.limits import SETTING
from worker.logs.kafka.ops.topics import PARTITIONS, Difference, Topics, Wanted

WANTED = {
    each.name: each for each in Topics(Cluster(servers=("x:1",)), default_settings()).wanted()
}
CHANGELOGS = {"walletwatch.detect.changelog", "walletwatch.triage.changelog"}


@pytest.mark.parametrize("wanted", WANTED.values(), ids=lambda wanted: str(wanted.name))
def test_every_topic_has_its_bound(wanted: Wanted) -> None:
    """Compacted ones a lag, the others segments that are not written to for long."""
    compacted = wanted.name in CHANGELOGS or topic(wanted.name).cleanup == "compact"
    bound, span = (
        ("max.compaction.lag.ms", COMPACTION_LAG_MS) if compacted else ("segment.ms", SEGMENT_MS)
    )
    assert wanted.configs[bound] == str(span)
    found = wanted.configs | {
        PARTITIONS: str(wanted.partitions),
        "replication": str(wanted.replication),
        SETTING: str(8 << 20),
    }
    assert wanted.compare(found) == []
    unbounded = str(2**63 - 1)
    ((what, expected, is_),) = wanted.compare(found | {bound: unbounded})
    assert (what, expected, is_) == (bound, str(span), unbounded)
    assert not Difference(wanted.name, what, expected, is_).vital, "workers go on meanwhile"
