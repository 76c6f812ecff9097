"""One kind of story: its plot, and the life that its account needs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TypeVar

from worker.simulate.stories.story import Story

Plot = Callable[[Story], None]
T = TypeVar("T")


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


Variants = tuple[Variant, ...]


def of(rule: str, *plots: Plot) -> Variants:
    """Return stories that need no life but the ordinary one."""
    return tuple(Variant(rule=rule, plot=plot) for plot in plots)


def in_turn(*groups: Iterable[T]) -> tuple[T, ...]:
    """Return the first of every group, then the second of every group, and so on."""
    rounds = chain.from_iterable(zip_longest(*groups))
    return tuple(one for one in rounds if one is not None)
