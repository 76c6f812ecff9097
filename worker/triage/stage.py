"""The stage that makes incidents of alerts."""

from typing import Final

from schemas.topics import SIGNALS
from worker.detect.stage import Policy
from worker.engine.records import Snapshot
from worker.engine.stage import Stage
from worker.engine.task import Task
from worker.triage.handler import IncidentHandler
from worker.triage.origins import OriginTimeouts
from worker.triage.reader import SignalReader

TRIAGE: Final = "triage"


def triage(policy: Policy, origins: int) -> Stage:
    """Return the stage that makes incidents of alerts; `origins` is the number of detect tasks."""

    inputs = {SIGNALS: origins}

    def make(number: int, saved: Snapshot) -> Task:
        reader = SignalReader(policy.tokens)
        handler = IncidentHandler(policy.tokens, policy.resolved_retention)
        return Task(number, TRIAGE, inputs, reader, handler, saved)

    return Stage(TRIAGE, tuple(inputs), make, lambda _, pace: OriginTimeouts(pace.origin_timeout))
