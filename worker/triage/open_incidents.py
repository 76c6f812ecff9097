"""How many incidents are open, by severity: kept up from what triage saves. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable

from schemas.base import Severity
from worker.engine.records import StateChange
from worker.triage.handler import severity_if_open


class OpenIncidents:
    """The incidents of some triage tasks that are not resolved."""

    def __init__(self) -> None:
        self._severities: dict[tuple[int, bytes], Severity] = {}
        self.by_severity: Counter[Severity] = Counter()
        """How many there are."""

    def keep(self, tasks: Collection[int]) -> None:
        """Forget the incidents of all other tasks."""
        for task, key in [each for each in self._severities if each[0] not in tasks]:
            self._set(task, key, None)

    def restore(self, task: int, states: Iterable[tuple[bytes, bytes]]) -> None:
        """Take over what a task has restored; some microseconds per incident."""
        for key, stored in states:
            self._set(task, key, severity_if_open(stored))

    def change(self, changes: Iterable[StateChange]) -> None:
        """Take over what was committed."""
        for task, key, stored in changes:
            self._set(task, key, severity_if_open(stored))

    def _set(self, task: int, key: bytes, severity: Severity | None) -> None:
        before = self._severities.pop((task, key), None)
        if before is not None:
            self.by_severity[before] -= 1
        if severity is not None:
            self._severities[task, key] = severity
            self.by_severity[severity] += 1
