"""The tables of a mapping that describe how a file is written, and how cells are taken apart."""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from worker.convert.formats import Table, Text, wrong
from worker.convert.patterns import Pattern


def _in_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _check_patterns(key: str, texts: list[str]) -> None:
    for text in texts:
        try:
            Pattern(text)
        except ValueError as error:
            raise wrong(f"{key}: the pattern {error}") from None


class FileFormat(Table):
    """How the file is written."""

    format: Literal["csv", "ndjson", "text"]
    encoding: Literal["utf-8", "cp1252", "iso-8859-1", "iso-8859-15"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    skip_lines: Annotated[int, Field(ge=0)] = 0
    columns: list[Text] | None = None
    line: Annotated[list[Text], BeforeValidator(_in_list), Field(min_length=1)] | None = None
    unmatched: Literal["reject", "skip"] = "reject"
    empty: list[Text] = Field(default_factory=list)

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise wrong("columns names one column twice")
        return self

    @model_validator(mode="after")
    def _lines_are_of_text(self) -> Self:
        if self.format == "text":
            if self.line is None:
                raise wrong('format = "text" needs line, a pattern with named groups')
            _check_patterns("line", self.line)
        elif not self.model_fields_set.isdisjoint(("line", "unmatched")):
            raise wrong('line and unmatched are only for format = "text"')
        return self

    @cached_property
    def lines(self) -> list[Pattern]:
        """The patterns of a line, in the order in which they are tried."""
        return [Pattern(text) for text in self.line or ()]

    def known_columns(self) -> list[str] | None:
        """Return the columns that the mapping gives the file, None if the file names them."""
        if self.format == "text":
            return list(dict.fromkeys(name for pattern in self.lines for name in pattern.names))
        return self.columns if self.format == "csv" else None


class Extract(Table):
    """A cell that is taken apart: the named groups of a pattern become columns."""

    column: Text
    pattern: Text
    unmatched: Literal["reject", "empty"] = "reject"

    @model_validator(mode="after")
    def _pattern_is_bounded(self) -> Self:
        _check_patterns("pattern", [self.pattern])
        return self

    @cached_property
    def compiled(self) -> Pattern:
        """The pattern."""
        return Pattern(self.pattern)
