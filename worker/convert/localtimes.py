"""Local times: which of two hours, which year, by what the rows before have shown.

When clocks are put back, an hour comes twice; when they are put forward, one never comes. Logs
leave the year out. A file in order of time, oldest or newest first, shows what its times do not.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal

Fold = Literal["first", "second", "file_order"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SAME_NIGHT: Final = timedelta(days=1) // _MILLISECOND
_HALF_A_YEAR: Final = timedelta(days=183)
_ALMOST_A_YEAR: Final = timedelta(days=350)
"""A step as long as this, against the order of the file, is a late row of the turn of the year."""


class LocalTimeError(ValueError):
    """The local time is none that can be read; str() is the reason, which quotes nothing."""


@dataclass(slots=True)
class Clock:
    """What the times of a file have shown so far."""

    saw_twice: bool = False
    """Whether a time was read that comes twice, since this was last set to False."""
    _tracks: dict[object, "Track"] = field(default_factory=dict)

    def track(self, key: object) -> "Track":
        """Return the track of that name, the same for the same name."""
        return self._tracks.setdefault(key, Track(self))


@dataclass(slots=True, eq=False)
class Track:
    """The times of one column, row by row; a track is equal to itself only."""

    clock: Clock
    local: datetime | None = None
    moment: int = 0
    """Milliseconds since the epoch. `local` and `moment` are those of the row before."""
    comes_twice: bool = False
    is_second: bool = False
    turns_forward: bool = False
    """Within an hour that comes twice: from its second time to its first, newest first."""
    trend: int = 0
    """How many steps from row to row went forward, less those that went back."""

    def is_newest_first(self) -> bool:
        """Return whether the file has gone back in time more often than forward."""
        return self.trend < 0

    def step(self, local: datetime, moment: int) -> None:
        """Take the time of a row into account."""
        if self.local is not None:
            self.trend += (moment > self.moment) - (moment < self.moment)
        self.local, self.moment = local, moment


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """Reads a strptime format.

    `zone`: for a format without an offset. `year`: of the first row, for one without a year.
    """

    layout: str
    zone: tzinfo | None
    fold: Fold | None = None
    year: int | None = None

    def read(self, text: str, track: Track) -> int:
        """Return milliseconds since the epoch.

        Raises:
            LocalTimeError: a time that the clocks skip, or one of two without a sign of which.
            ValueError, OverflowError: no time in this format.
        """
        moment = self._parsed(text, track)
        local = moment.replace(tzinfo=None)
        found = self._of_zone(local, track) if moment.tzinfo is None else _millis(moment)
        track.step(local, found)
        return found

    def _parsed(self, text: str, track: Track) -> datetime:
        if self.year is None:
            return datetime.strptime(text, self.layout)  # noqa: DTZ007 (the zone follows)
        before = track.local
        if before is None:
            return self._in_year(self.year, text)
        forward, backward = _ALMOST_A_YEAR, _HALF_A_YEAR
        if track.is_newest_first():
            forward, backward = backward, forward
        for year in (before.year, before.year - 1, before.year + 1):
            try:
                moment = self._in_year(year, text)
            except ValueError:  # the leap day
                continue
            ahead = moment.replace(tzinfo=None) - before
            if -backward <= ahead <= forward:
                return moment
        raise ValueError("a day of none of these years")

    def _in_year(self, year: int, text: str) -> datetime:
        return datetime.strptime(f"{year:04} {text}", f"%Y {self.layout}")  # noqa: DTZ007

    def _of_zone(self, local: datetime, track: Track) -> int:
        first = _millis(local.replace(tzinfo=self.zone))
        second = _millis(local.replace(tzinfo=self.zone, fold=1))
        if first > second:
            raise LocalTimeError(f"is a local time that the clocks of {self.zone} skip")
        if first == second:
            track.comes_twice = False
            return first
        is_second = self._is_second(local, first, second, track)
        track.clock.saw_twice = track.comes_twice = True
        track.is_second = is_second
        return second if is_second else first

    def _is_second(self, local: datetime, first: int, second: int, track: Track) -> bool:
        """Return whether a local time that comes twice is the second one."""
        if self.fold != "file_order":
            return self.fold == "second"
        if not track.comes_twice or abs(first - track.moment) > _SAME_NIGHT:
            # The hour begins. Newest first, its second time is the first in the file.
            track.turns_forward = track.is_newest_first() or (
                track.trend == 0 and track.moment > second
            )
            return track.turns_forward
        before = track.local or local
        if not (local > before if track.turns_forward else local < before):
            return track.is_second
        if track.is_second is not track.turns_forward:
            raise LocalTimeError(
                "is a local time that comes twice, and the order of the file goes back more than"
                " once; see fold"
            )
        return not track.is_second


def _millis(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
