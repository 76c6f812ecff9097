"""Both stages on a log in memory, at a clock that the test sets: for what depends on the clock."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from schemas.time import format_time
from schemas.topics import ALERTS, LATE, LOGINS, TRANSACTIONS
from tests.support.events.traffic import START
from tests.support.random_runs import POLICY, FragileLog, Mishap
from tests.support.run_comparison import documents
from worker.detect.stage import Policy, detect
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.observer import UNOBSERVED, Observer
from worker.engine.outcomes import Counts
from worker.engine.records import NewRecord
from worker.engine.stage import Pace
from worker.errors import LogError
from worker.triage.stage import triage


class Station:
    """A log with its clock, and one worker per stage."""

    def __init__(
        self,
        partitions: int = 1,
        pace: Pace | None = None,
        policy: Policy = POLICY,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self.now = START
        self.counts = Counts()
        self.log = FragileLog(partitions=partitions, clock=lambda: self.now)
        self._pace = pace or Pace()
        self._policy = policy
        self._observer = observer
        self._partitions = partitions
        self._detecting: Sequence[int] = range(partitions)
        self._ids = 0
        self._workers: list[StageWorker] = []
        self._hire()

    # -- what comes in --------------------------------------------------------------------

    def transaction(self, account: str, at: int, status: str = "completed", **fields: Any) -> None:
        """Append a transaction event that carries no balance."""
        self._ids += 1
        self._send(
            TRANSACTIONS,
            account,
            at,
            {
                "transaction_id": f"tx-{self._ids}",
                "type": "payment",
                "status": status,
                "amount": "10.00",
                "currency": "EUR",
            }
            | fields,
        )

    def login(self, account: str, at: int, outcome: str = "success", **fields: Any) -> None:
        """Append a login event."""
        fields = {"action": "login", "outcome": outcome} | fields
        self._send(LOGINS, account, at, fields)

    def fail(self, account: str, *times: int) -> None:
        """Append a failed login for each time."""
        for at in times:
            self.login(account, at, "failure", reason="bad_credentials")

    def control(self, topic: str, kind: str, at: int, partitions: Sequence[int] = (0,)) -> None:
        """Append a heartbeat or an end to partitions of a topic."""
        value = msgspec.json.encode({"kind": kind, "occurred_at": format_time(at)})
        self.log.append([NewRecord(topic, None, value, number) for number in partitions])

    def _send(self, topic: str, account: str, at: int, fields: dict[str, Any]) -> None:
        self._ids += 1
        head = {"event_id": f"event-{self._ids}", "account_id": account}
        value = msgspec.json.encode(head | {"occurred_at": format_time(at)} | fields)
        self.log.append([NewRecord(topic, account.encode(), value)])

    # -- what is done ---------------------------------------------------------------------

    def work(self, now: int | None = None) -> None:
        """Set the clock, then work until there is nothing to do."""
        if now is not None:
            self.now = now
        while self.step():
            pass

    def step(self) -> bool:
        """Do one unit of work per stage; say whether there was any."""
        worked = [worker.run_once() for worker in self._workers]
        return any(worked)

    def restart(self, detecting: Sequence[int] | None = None) -> None:
        """Drop the workers and make new ones from the log, perhaps for some detect tasks only."""
        self.stop()
        if detecting is not None:
            self._detecting = detecting
        self._hire()

    def crash(self, mishap: Mishap) -> None:
        """Let the next commit fail, before or after it was written, and make new workers."""
        self.log.mishap = mishap
        with suppress(LogError):
            self.work()
        self.log.mishap = None
        self.restart()

    def stop(self) -> None:
        """Let the workers go, wherever they are."""
        for worker in self._workers:
            self.counts += worker.counts
            worker.close()
        self._workers = []

    def _hire(self) -> None:
        stages = (
            (detect(self._policy), self._detecting),
            (triage(self._policy, self._partitions), range(self._partitions)),
        )
        self._workers = [
            StageWorker(self.log, stage, tasks, lambda: self.now, self._pace, self._observer)
            for stage, tasks in stages
        ]

    @property
    def detect(self) -> StageWorker:
        """The worker of the first stage."""
        return self._workers[0]

    @property
    def triage(self) -> StageWorker:
        """The worker of the second stage."""
        return self._workers[1]

    # -- what came out --------------------------------------------------------------------

    def alerts(self, rule: str) -> list[dict[str, Any]]:
        """Return the alert records of a rule."""
        return [alert for _, alert in documents(self.log, ALERTS) if alert["rule"] == rule]

    def steps(self, rule: str) -> list[tuple[str, str]]:
        """Return (kind, account) of the alert records of a rule, sorted."""
        return sorted((alert["kind"], alert.get("account_id", "")) for alert in self.alerts(rule))

    def late(self) -> list[dict[str, Any]]:
        """Return the late events."""
        return [document for _, document in documents(self.log, LATE)]


def names_on(partition: int, partitions: int, count: int) -> list[str]:
    """Return names of accounts that live on a partition."""
    names = (f"name-{n}" for n in range(1_000))
    found = [name for name in names if partition_of(name.encode(), partitions) == partition]
    return found[:count]
