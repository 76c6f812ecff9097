"""Resolved incidents are kept for their retention; of one key only so many."""

from schemas.topics import INCIDENTS
from tests.support.clocked_stages import Station
from tests.support.events.traffic import MINUTE, SECOND, START
from tests.support.noisy_rule import NOISY
from tests.support.run_comparison import documents
from worker.detect.stage import Policy
from worker.engine.outcomes import IncidentForgotten
from worker.triage.handler import MAX_RESOLVED

POLICY = Policy(rules=(NOISY,), known_rules=(NOISY,), dead_letter_limit=None)
MORE = 7


def test_the_oldest_of_too_many_resolved_incidents_is_forgotten_early() -> None:
    """In their order, each once; the record of the key grows no more."""
    at_work = Station(policy=POLICY)
    sizes = []
    for number in range(MAX_RESOLVED + MORE):
        at = START + number * MINUTE
        at_work.now = at
        at_work.transaction("one", at, "failed", transaction_id="t", failure_code="info")
        at_work.transaction("one", at + 1, transaction_id="t")
        for topic in ("wallet.transactions", "wallet.logins", "wallet.balances"):
            at_work.control(topic, "end", at + SECOND)
        at_work.work(at + SECOND)
        (record,) = [value for key, value in at_work.triage.tasks[0].states.items() if key]
        sizes.append(len(record))
    found = documents(at_work.log, INCIDENTS)
    resolved = [each["incident_id"] for _, each in found if each.get("status") == "resolved"]
    assert len(resolved) == MAX_RESOLVED + MORE
    assert [each["tombstone"] for _, each in found if "tombstone" in each] == resolved[:MORE]
    assert max(sizes) == sizes[MAX_RESOLVED - 1]
    at_work.stop()
    assert at_work.counts[IncidentForgotten()] == MORE
