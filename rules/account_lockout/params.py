"""The parameters of A4."""

from typing import Annotated, Final

from pydantic import Field

from rules.account_lockout.state import MAX_LOCKS
from rules.contract import Params
from rules.habits import MAX_FAILURES
from schemas.time import DAY_MS, MINUTE_MS, SECOND_MS

MAX_GRACE_MS: Final = DAY_MS


class AccountLockoutParams(Params):
    """Thresholds and switches of A4."""

    policy_limit: int = Field(
        5,
        ge=1,
        le=MAX_FAILURES,
        description="failures after which the login service locks; with fewer since the last "
        "successful login a lock for too many retries is unjustified, unless the service says that "
        "its own limit is lower; seen in the field: 3 to 30",
    )
    policy_window_ms: int = Field(
        15 * MINUTE_MS,
        ge=SECOND_MS,
        le=DAY_MS,
        description="milliseconds before the lock, sliding, whose failures are cited, and for "
        "which the account must have been observed where the service does not say what it counted; "
        "seen in the field (3 in 15 minutes)",
    )
    streaming_channels: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        ("app", "web"),
        description="channels whose failed logins all arrive here; locks of others are not said "
        "to be unjustified; our own guess",
    )
    overdue_grace_ms: int = Field(
        MINUTE_MS,
        ge=0,
        le=MAX_GRACE_MS,
        description="milliseconds after the end of a lock in which a refusal is excused: clocks "
        "differ, caches linger; our own guess",
    )
    repeated_locks: int = Field(
        3,
        ge=2,
        le=MAX_LOCKS,
        description="locks within repeated_window_ms, without those the owner asked for; our own "
        "guess",
    )
    repeated_window_ms: int = Field(
        DAY_MS,
        ge=MINUTE_MS,
        le=7 * DAY_MS,
        description="milliseconds, sliding, both ends included; our own guess",
    )
    derive_locks: bool = Field(
        False,
        description="switch; failures count as a lock; only for producers that send no locks",
    )
    derive_limit: int = Field(
        5,
        ge=2,
        le=MAX_FAILURES,
        description="failures that count as a lock; the limit of the login service",
    )
    derive_window_ms: int = Field(
        15 * MINUTE_MS,
        ge=SECOND_MS,
        le=DAY_MS,
        description="milliseconds, sliding, both ends included, for derive_limit; the window of "
        "the login service",
    )
    derive_lock_ms: int = Field(
        30 * MINUTE_MS,
        ge=MINUTE_MS,
        le=30 * DAY_MS,
        description="milliseconds after which a derived lock ends, unless a login succeeds before; "
        "how long the login service locks; seen in the field: 1 minute to 3 hours",
    )
