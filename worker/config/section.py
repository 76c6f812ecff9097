"""The base of every section of the configuration, and the units of its times."""

from typing import Final

from pydantic import BaseModel, ConfigDict

SECOND: Final = 1_000
"""Milliseconds, as the next ones."""
MINUTE: Final = 60 * SECOND
DAY: Final = 24 * 60 * MINUTE


class Section(BaseModel):
    """A table whose keys are all known: values of the very type, frozen once they are read."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )
