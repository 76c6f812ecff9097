"""What A4 finds and what it leaves alone; run by the tests and `rules test`."""

from typing import Any, Final

from rules.builders import at, clock, login, txn
from rules.contract import Example

SEEN: Final = login("09:00:00")
"""A login long before: the account has been observed for longer than the policy's window."""
FIVE: Final = ("09:50:00", "09:52:00", "09:54:00", "09:56:00", "09:58:00")


def _failures(*times: str, **fields: Any) -> tuple[dict[str, Any], ...]:
    return tuple(login(time, "failure", **fields) for time in times)


def _lock(time: str = "10:00:00", reason: str = "max_retries", **fields: Any) -> dict[str, Any]:
    fields = {"channel": "app", "event_id": f"lock-{time}"} | fields
    return login(time, action="lock", reason=reason, **fields)


def _refused(time: str) -> dict[str, Any]:
    return login(time, "failure", reason="account_locked")


def _unlock(time: str) -> dict[str, Any]:
    return login(time, action="unlock", reason="admin")


TIMED: Final = _lock(lock_until=at("10:15:00"))
EARNED: Final = (SEEN, *_failures(*FIVE))
"""What leads to a lock that the policy justifies."""

OPEN_BEFORE: Final = {"session_id": "session-1", "device_id": "phone-1"}

FIRING: Final = (
    Example(
        name="Five failures, then the lock they lead to: only info",
        events=(*EARNED, _lock()),
        expect=("raised info",),
        details=({"kinds": ["lock"], "reason": "max_retries"},),
    ),
    Example(
        name="A lock because something is suspicious is a warning",
        events=(SEEN, _lock(reason="suspicious")),
        expect=("raised warning",),
        details=({"kinds": ["lock"], "reason": "suspicious"},),
    ),
    Example(
        name="Locked for too many retries after four: an error",
        events=(SEEN, *_failures(*FIVE[1:]), _lock()),
        expect=("raised info", "updated error"),
        details=({"kinds": ["lock"]}, {"kinds": ["lock", "unjustified"]}),
    ),
    Example(
        name="Failures of the service, and those before a success, justify no lock",
        events=(
            SEEN,
            *_failures("09:50:00", "09:51:00"),
            login("09:52:00"),
            *_failures("09:53:00", "09:54:00"),
            *_failures("09:55:00", "09:56:00", "09:57:00", reason="timeout"),
            _lock(),
        ),
        expect=("raised info", "updated error"),
    ),
    Example(
        name="Locked for five failures of which four were forgiven by a success: an error",
        events=(
            *_failures("08:50:00", "08:52:00", "08:54:00", "08:56:00"),
            SEEN,
            *_failures("09:58:00"),
            _lock(failures_counted=5),
        ),
        expect=("raised info", "updated error"),
        details=({"kinds": ["lock"]}, {"kinds": ["lock", "unjustified"]}),
    ),
    Example(
        name="Locked for two failures, as the service says itself: its policy is stricter",
        events=(SEEN, *_failures("09:59:59.700", "10:00:00"), _lock(failures_counted=2)),
        expect=("raised warning",),
        details=({"kinds": ["lock", "stricter"]},),
    ),
    Example(
        name="A session that was open before refreshes: the account stays locked",
        events=(
            SEEN | OPEN_BEFORE,
            *_failures(*FIVE),
            TIMED,
            login("10:02:00", **OPEN_BEFORE),
            _refused("10:03:00"),
            txn("t1", "10:05:00", type="transfer_out"),
        ),
        expect=("raised info", "updated error"),
        details=({"kinds": ["lock"]}, {"kinds": ["lock", "money_moved"]}),
    ),
    Example(
        name="Refused after it seemed to be open, before the lock ends: it lasts",
        events=(*EARNED, TIMED, login("10:02:00"), _refused("10:03:00"), clock("10:16:01")),
        expect=("raised info", "cured info", "raised info", "cured info"),
    ),
    Example(
        name="The third lock within a day is a warning",
        events=(
            SEEN,
            _lock("10:00:00", channel="branch"),
            _unlock("10:10:00"),
            _lock("11:00:00", channel="branch"),
            _unlock("11:10:00"),
            _lock("12:00:00", channel="branch"),
        ),
        expect=("raised info", "cured info", "raised info", "cured info", "raised warning"),
    ),
    Example(
        name="Refused as locked when the lock had ended, again and again: an error",
        events=(*EARNED, TIMED, _refused("10:15:30"), _refused("10:16:00.001")),
        expect=("raised info", "updated error"),
        details=({"kinds": ["lock"]}, {"kinds": ["lock", "overdue"]}),
    ),
    Example(
        name="Refused long after the lock had been taken to have ended: an alert of its own",
        events=(*EARNED, TIMED, clock("10:20:00"), _refused("11:00:00")),
        expect=("raised info", "cured info", "raised error"),
        details=({"kinds": ["lock"]}, {}, {"kinds": ["lock", "overdue"]}),
    ),
    Example(
        name="A transfer begins while the account is locked: an error",
        events=(*EARNED, TIMED, txn("t1", "10:05:00", type="transfer_out")),
        expect=("raised info", "updated error"),
        details=({"kinds": ["lock"]}, {"kinds": ["lock", "money_moved"]}),
    ),
    Example(
        name="Where no locks are sent, five failures can be taken for one",
        events=(*EARNED, login("10:30:00")),
        expect=("raised info", "cured info"),
        details=({"kinds": ["lock"], "reason": "max_retries"},),
        params={"derive_locks": True},
    ),
    Example(
        name="Money moves while failures count as a lock",
        events=(*EARNED, txn("t1", "10:20:00")),
        expect=("raised info", "updated error"),
        details=({"kinds": ["lock"]}, {"kinds": ["lock", "money_moved"]}),
        params={"derive_locks": True},
    ),
)

CURED: Final = (
    Example(
        name="An unlock cures",
        events=(*EARNED, _lock(), _unlock("10:30:00")),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="A successful login cures",
        events=(*EARNED, _lock(), login("10:30:00")),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="A timed lock ends by itself",
        events=(*EARNED, TIMED, clock("10:16:01")),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="A refusal after its end keeps a timed lock from being taken to have ended",
        events=(*EARNED, TIMED, _refused("10:15:00.001"), clock("11:00:00")),
        expect=("raised info",),
    ),
    Example(
        name="Locked anew before the first lock ended: the newer end counts, for both alerts",
        events=(
            *EARNED,
            TIMED,
            *_failures("10:03:00"),
            _lock("10:04:00", lock_until=at("10:40:00")),
            _refused("10:20:00"),
            clock("10:41:01"),
        ),
        expect=("raised info", "raised info", "cured info", "cured info"),
    ),
)

TRAPS: Final = (
    Example(
        name="Five failures over four hours, and the service counts them all: only info",
        events=(
            login("05:00:00"),
            *_failures("06:00:00", "07:00:00", "08:00:00", "09:00:00", "09:59:59"),
            _lock(failures_counted=5),
            clock("10:01:00"),
        ),
        expect=("raised info",),
    ),
    Example(
        name="Each failure after the fifth locks again, for longer: one story, repeated",
        events=(
            *EARNED,
            _lock(failures_counted=5, lock_until=at("10:01:00")),
            *_failures("10:01:30"),
            _lock("10:01:30.100", failures_counted=6, lock_until=at("10:03:30")),
            *_failures("10:03:40"),
            _lock("10:03:40.100", failures_counted=7, lock_until=at("10:06:40")),
            login("10:07:00"),
        ),
        expect=(
            "raised info",
            "raised info",
            "raised warning",
            "cured info",
            "cured info",
            "cured warning",
        ),
    ),
    Example(
        name="What failures count as a lock ends, and a payment after it is no trouble",
        events=(*EARNED, txn("t1", "10:28:00.001")),
        expect=("raised info", "cured info"),
        params={"derive_locks": True},
    ),
    Example(
        name="The owner asks for locks, three times: only info",
        events=(
            SEEN,
            _lock("10:00:00", "customer"),
            _lock("10:10:00", "customer"),
            _lock("10:20:00", "customer"),
        ),
        expect=("raised info", "raised info", "raised info"),
    ),
    Example(
        name="Refusals while the lock lasts are what a lock is for",
        events=(*EARNED, TIMED, _refused("10:05:00"), _refused("10:15:00"), clock("10:20:00")),
        expect=("raised info", "cured info"),
    ),
    Example(
        name="A debit that was under way before the lock completes in it",
        events=(
            *EARNED,
            txn("t1", "09:59:00", "pending"),
            txn("t2", "09:59:30", "pending", funding="card"),
            TIMED,
            txn("t1", "10:05:00"),
            txn("t2", "10:06:00", funding="card"),
        ),
        expect=("raised info",),
    ),
    Example(
        name="Others may move money while the owner is locked out, and the owner before and after",
        events=(
            *EARNED,
            txn("t0", "10:00:00"),
            TIMED,
            txn("t1", "10:05:00", initiator="merchant"),
            txn("t2", "10:06:00", type="topup"),
            txn("t3", "10:07:00", "failed"),
            txn("t4", "10:15:00.001"),
        ),
        expect=("raised info",),
    ),
    Example(
        name="A channel whose failures do not stream: nobody knows how many there were",
        events=(SEEN, _lock(channel="branch"), clock("10:01:00")),
        expect=("raised info",),
    ),
    Example(
        name="An account that has not been observed for longer than the policy's window",
        events=(*_failures("09:45:00"), _lock(), clock("10:01:00")),
        expect=("raised info",),
    ),
    Example(
        name="The failure that led to the lock carries its millisecond, and is read after it",
        events=(
            SEEN,
            *_failures(*FIVE[1:]),
            _lock(event_id="a-lock"),
            *_failures("10:00:00", event_id="z-failure"),
            clock("10:01:00"),
        ),
        expect=("raised info", "updated info"),
        details=({"kinds": ["lock"]}, {"kinds": ["lock"]}),
    ),
    Example(
        name="Failures alone are no lock, unless locks are derived",
        events=(*EARNED, clock("10:30:00")),
    ),
)

EXAMPLES: Final = (*FIRING, *CURED, *TRAPS)
