"""The tables of a mapping that describe how a file writes its numbers and times."""

import re
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.money import MAX_EXPONENT
from schemas.time import parse_time
from worker.convert import times
from worker.convert.decimals import Notation
from worker.convert.localtimes import Fold, LocalTimes
from worker.convert.nearest import unknown

Text = Annotated[str, Field(min_length=1)]
_YEARLESS = "is only for a format without a year, such as %b %d %H:%M:%S"
Separator = Literal[".", ","]
Thousands = Literal[".", ",", " ", "'", "\u2019", "_", "\u00a0", "\u202f"]
Exponent = Annotated[int, Field(ge=0, le=MAX_EXPONENT)]


def wrong(message: str) -> PydanticCustomError:
    """Return the error that a validator raises; `message` is one sentence with what is allowed."""
    # Braces would be taken for places to fill in.
    return PydanticCustomError("mapping", "{message}", {"message": message})


class Table(BaseModel):
    """A table of the mapping: strict, frozen; the error of an unknown key names the nearest one."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, table: Any) -> Any:
        allowed = [field.alias or name for name, field in cls.model_fields.items()]
        for key in table if isinstance(table, dict) else ():
            if key not in allowed:
                raise wrong(unknown("key", key, allowed))
        return table

    def exactly_one(self, *names: str) -> None:
        """Check that exactly one of the keys is given; raises the error of a validator."""
        if sum(getattr(self, name) is not None for name in names) != 1:
            given = ", ".join(name.rstrip("_") for name in names)
            raise wrong(f"needs exactly one of {given}")


class DecimalFormat(Table):
    """How numbers are written."""

    separator: Separator = "."
    thousands: Thousands | None = None
    strip: list[Text] = Field(default_factory=list)
    minor_units: bool = False
    exponent: Exponent | None = None
    exponents: dict[str, Exponent] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.separator == self.thousands:
            raise wrong("separator and thousands must differ")
        for key in ("exponent", "exponents"):
            if key in self.model_fields_set and not self.minor_units:
                raise wrong(f"{key} is only for minor_units = true")
        for mark in self.strip:
            if mark in get_args(Separator) + get_args(Thousands):
                raise wrong(
                    f"strip: {mark!r} separates digits: declare it as thousands or separator,"
                    " by which groups are checked"
                )
            if re.search(r"[-+\u2212\d]", mark) or mark != mark.strip():
                raise wrong(f"strip: {mark!r} holds a digit or a sign, or a space at an end")
        return self

    @cached_property
    def notation(self) -> Notation:
        """The notation that reads these numbers."""
        return Notation(self.separator, self.thousands or "", tuple(self.strip))

    def exponent_of(self, code: str, own: int) -> int:
        """Return the decimals of minor units of a currency, whose own exponent is `own`."""
        return self.exponents.get(code, own if self.exponent is None else self.exponent)

    def example(self) -> str:
        """Return a number written so, for messages."""
        example = self.notation.example()
        return re.sub(r"[^-\d]", "", example) if self.minor_units else example


class TimeFormat(Table):
    """How times are written."""

    format: Text | None = None
    zone: Text | None = None
    since: Text | None = None
    unit: Literal["seconds", "minutes", "hours", "days"] | None = None
    fold: Fold | None = None
    year: Annotated[int, Field(ge=1970, le=9999)] | None = None

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if (self.since is None) != (self.unit is None):
            raise wrong("since and unit go together")
        if self.since is not None and (self.format or self.zone or self.fold or self.year):
            raise wrong("since and unit leave no room for format, zone, fold or year")
        if self.fold is not None and self.zone is None:
            raise wrong("fold is only for a format with a zone")
        try:
            self.reader  # noqa: B018
        except ValueError as error:
            raise wrong(str(error)) from None
        return self

    @cached_property
    def reader(self) -> times.TimeReader:
        """The reader of these times; raises ValueError with a sentence if there is none."""
        if self.since is not None and self.unit is not None:
            return times.elapsed(_rfc3339(self.since), times.UNITS[self.unit])
        layout = self.format or "rfc3339"
        if layout in times.NAMED:
            if self.zone:
                raise ValueError(f"{layout} leaves no room for zone")
            if self.year is not None:
                raise ValueError(f"year {_YEARLESS}")
            return times.NAMED[layout]
        self._check_layout(layout)
        return LocalTimes(layout, self._zone(layout), self.fold, self.year).read

    def _check_layout(self, layout: str) -> None:
        if self.year is not None:
            if times.names_a_day(layout):
                raise ValueError(f"year {_YEARLESS}")
            if not times.names_a_day(f"%Y {layout}"):
                raise ValueError(f"year {_YEARLESS}; it must give month and day")
        elif not times.names_a_day(layout):
            raise ValueError(
                f"format must be one of {', '.join(times.NAMED)} or a strptime format that gives"
                " year, month and day, such as %Y-%m-%d %H:%M:%S, or month and day with a year"
                " beside it"
            )

    def _zone(self, layout: str) -> Any:
        if ("%z" in layout) == bool(self.zone):
            raise ValueError("a format needs either zone or %z")
        if self.zone is None:
            return None
        try:
            return times.zone_of(self.zone)
        except ValueError:
            raise ValueError(
                "zone must be an IANA name that this machine knows, such as Europe/Berlin,"
                " or an offset such as +02:00"
            ) from None


def _rfc3339(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError("since must be RFC 3339, such as 2024-01-01T00:00:00Z") from None
