"""What one account is going to do, in order of time."""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import ParamSpec

P = ParamSpec("P")
Step = tuple[int, int, Callable[[], object]]


class Agenda:
    """Steps with a due time; `now` is the due time of the step that runs (epoch ms)."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._added = 0
        self._steps: list[Step] = []

    def after(
        self, delay_ms: int, step: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run the step `delay_ms` from now; steps of one moment run as they were added."""
        self.at(self.now + delay_ms, step, *args, **kwargs)

    def at(self, moment: int, step: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run the step at that moment (epoch ms), which is not before now."""
        self._added += 1
        planned: Step = (moment, self._added, partial(step, *args, **kwargs))
        heappush(self._steps, planned)

    def run_until(self, end: int) -> None:
        """Run the steps due before `end`."""
        steps = self._steps
        while steps and steps[0][0] < end:
            self.now, _, step = heappop(steps)
            step()
