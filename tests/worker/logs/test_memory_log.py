"""The memory log's own facts."""

from tests.support.sqlite_logs import AT, TOPICS
from worker.engine.records import Commit, NewRecord
from worker.logs.memory import MemoryLog


def test_a_memory_log_without_a_clock_has_no_times() -> None:
    """As in replay; retention then knows no age and keeps only what readers need."""
    log = MemoryLog(TOPICS)
    log.append([NewRecord("in", b"k", b"%d" % n, 0) for n in range(3)])
    worker = log.open_session("detect", ["in"], [0])
    worker.restore(0)
    assert [record.append_time for record in worker.poll(2).records[AT]] == [None, None]
    worker.commit(Commit(offsets={AT: 2}))
    assert log.prune({"in": 0}, {"in": ["detect"]}) == 2
    assert [record.value for record in worker.poll(2).records[AT]] == [b"2"]
