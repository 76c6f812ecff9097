"""One kind of story: its plot, and the life that its account needs."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.simulate.stories.story import Story

Plot = Callable[[Story], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way in which a rule must alert, or must not although it looks like it."""

    rule: str
    plot: Plot
    history_days: int = 0
    """How many days before the simulation the account's life begins; see `live_before`."""
    begins_early: int = 0
    """How many days before its end the story begins; that may be before the simulation."""
    alone: bool = False
    """The owner makes no visit before the story, except in the life before the simulation."""
    anniversary: bool = False
    """The story begins ANNIVERSARY_LEAD_MS before the account's life is `history_days` old."""

    @property
    def name(self) -> str:
        """Return the name that it has in the truth."""
        return self.plot.__name__
