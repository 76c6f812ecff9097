"""What A5 finds and what it leaves alone; run by the tests and `rules test`."""

from typing import Any, Final

from rules.builders import clock, login
from rules.contract import Example


def _failures(*times: str, **fields: Any) -> tuple[dict[str, Any], ...]:
    return tuple(login(time, "failure", **fields) for time in times)


FIVE: Final = ("10:00:00", "10:01:00", "10:02:00", "10:03:00", "10:04:00")

EXAMPLES: Final = (
    Example(
        name="Five failures and no success in the ten minutes after the fifth",
        events=(*_failures(*FIVE), clock("10:14:01")),
        expect=("raised info",),
        details=({"failures": 5, "reasons": {"bad_credentials": 5}},),
    ),
    Example(
        name="Half of the failures come from the service: a warning",
        events=(
            *_failures(*FIVE[:3]),
            *_failures("10:03:00", "10:04:00", reason="timeout"),
            *_failures("10:05:00", reason="otp_not_delivered"),
            clock("10:14:01"),
        ),
        expect=("raised warning",),
        details=({"failures": 6, "service_failures": 3},),
    ),
    Example(
        name="The window slides: a burst across a full ten minutes counts",
        events=(
            *_failures("10:07:00", "10:08:00", "10:09:00", "10:10:30", "10:16:00"),
            clock("10:26:01"),
        ),
        expect=("raised info",),
    ),
    Example(
        name="One alert until a success, whatever follows",
        events=(
            *_failures(*FIVE, "10:15:00", "10:16:00", "10:17:00", "10:18:00", "10:19:00"),
            clock("10:40:00"),
        ),
        expect=("raised info",),
    ),
    Example(
        name="A success after the alert cures it, and the next attempt starts afresh",
        events=(*_failures(*FIVE), login("10:20:00"), *_failures("10:21:00")),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="An unlock cures it",
        events=(*_failures(*FIVE), login("10:20:00", action="unlock", reason="admin")),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="A password reset alone cures nothing; the success after it does",
        events=(
            *_failures(*FIVE),
            login("10:12:00", action="password_reset"),
            login("10:20:00"),
        ),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="Half an hour without failures: the owner has given up",
        events=(*_failures(*FIVE), clock("10:34:01")),
        expect=("raised info", "expired info"),
    ),
    Example(
        name="Typing errors: four failures are none",
        events=(*_failures(*FIVE[:4]), clock("10:30:00")),
    ),
    Example(
        name="The owner gets in within ten minutes of the fifth failure",
        events=(*_failures(*FIVE), login("10:14:00"), clock("10:30:00")),
    ),
    Example(
        name="A success in between starts the count again",
        events=(
            *_failures(*FIVE[:3]),
            login("10:02:30"),
            *_failures(*FIVE[3:]),
            clock("10:30:00"),
        ),
    ),
    Example(
        name="Five failures spread over more than the window",
        events=(
            *_failures("10:00:00", "10:03:00", "10:06:00", "10:09:00", "10:10:00.001"),
            clock("10:30:00"),
        ),
    ),
    Example(
        name="One attempt logged twice by two layers counts once",
        events=(
            *_failures(*FIVE[:4], session_id="s-1"),
            *_failures("10:03:00.400", session_id="s-1"),
            clock("10:30:00"),
        ),
    ),
    Example(
        name="Without the collapse both layers count",
        events=(
            *_failures(*FIVE[:4], session_id="s-1"),
            *_failures("10:03:00.400", session_id="s-1"),
            clock("10:30:00"),
        ),
        expect=("raised info",),
        params={"collapse_double_logging": False},
    ),
    Example(
        name="Names that do not exist create no state",
        events=(*_failures(*FIVE, reason="unknown_account"), clock("10:30:00")),
    ),
)
