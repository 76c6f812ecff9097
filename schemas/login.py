"""Login and credential events of an account (`wallet.logins`)."""

from typing import Literal

from pydantic import Field

from schemas.base import (
    Count,
    Country,
    Extra,
    Id,
    Latitude,
    Longitude,
    Network,
    Record,
    ShortText,
    Timestamp,
)

LoginAction = Literal[
    "login",
    "lock",
    "unlock",
    "password_change",
    "password_reset",
    "phone_change",
    "email_change",
    "mfa_enable",
    "mfa_disable",
    "device_add",
    "device_remove",
    "logout",
]
LoginReason = Literal[
    "bad_credentials",
    "unknown_account",
    "account_locked",
    "otp_failed",
    "otp_not_delivered",
    "mfa_failed",
    "service_error",
    "timeout",
    "network",
    "suspicious",
    "max_retries",
    "customer",
    "admin",
    "other",
]


class Login(Record):
    """A login, a lock, or a change of credentials."""

    kind: Literal["login"] | None = Field(
        None, description="Needed in files, optional on the topic."
    )
    schema_version: int | None = Field(None, description="Absent means 1.")
    event_id: Id = Field(description="Unique per event of an account; a redelivery carries it too.")
    account_id: Id = Field(
        description="With reason unknown_account it may be a keyed hash of the name tried."
    )
    action: LoginAction
    outcome: Literal["success", "failure"]
    occurred_at: Timestamp
    reason: LoginReason | None = None
    failures_counted: Count | None = Field(
        None, description="Failures that the login service itself has counted."
    )
    lock_until: Timestamp | None = None
    channel: Id | None = None
    session_id: Id | None = None
    ip: Id | None = None
    asn: Count | None = None
    network: Network | None = None
    device_id: Id | None = None
    country: Country | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    user_agent: ShortText | None = None
    app_version: Id | None = None
    extra: Extra | None = None
