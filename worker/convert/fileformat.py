"""The table of a mapping that describes how a file is written."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from worker.convert.formats import Table, Text, wrong


class FileFormat(Table):
    """How the file is written."""

    format: Literal["csv", "ndjson"]
    encoding: Literal["utf-8", "cp1252", "iso-8859-1", "iso-8859-15"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    skip_lines: Annotated[int, Field(ge=0)] = 0
    columns: list[Text] | None = None
    empty: list[Text] = Field(default_factory=list)

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise wrong("columns names one column twice")
        return self
