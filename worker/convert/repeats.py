"""The table of a mapping that makes many events of one row: so many as a column counts."""

from typing import Annotated, Final, Literal

from pydantic import Field

from worker.convert.formats import Table, Text
from worker.convert.times import UNITS

MAX_EVENTS: Final = 100_000
"""The most events of a row."""


class Repeat(Table):
    """As many events as a column counts, spread evenly over the span that it was counted in."""

    count: Text
    over: Annotated[int, Field(ge=1, le=1_000_000)]
    unit: Literal["seconds", "minutes", "hours", "days"]

    def shift_ms(self, number: int, count: int) -> int:
        """Return how long after the time of the row an event is; `number` counts from 1."""
        return (number - 1) * self.over * UNITS[self.unit] // count
