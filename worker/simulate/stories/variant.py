"""What a story is before anybody lives it: how it is told, and which life it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.simulate.stories.story import Story

Teller = Callable[[Story], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way in which a rule has something to tell, or only seems to."""

    rule: str
    tell: Teller
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
        """Return the name that the truth calls it by."""
        return self.tell.__name__
