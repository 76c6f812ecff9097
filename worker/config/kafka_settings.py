"""The settings of a log on Apache Kafka: their types, defaults, bounds and meaning."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from worker.config.section import DAY, MINUTE, SECOND, Section


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{0,100}", name) is None:
        raise ValueError("must be at most 100 letters, digits, ., - or _")
    return name


class KafkaSettings(Section):
    """How a log on Apache Kafka is reached and shared; of no meaning for others."""

    prefix: Annotated[str, AfterValidator(_name)] = Field(
        "",
        description="Before every topic, group and transactional id: several systems can share "
        "a cluster.",
    )
    slot: Annotated[str, AfterValidator(_name)] = Field(
        "0",
        min_length=1,
        description="This worker's place among those of its stage, the same after a restart; "
        "of two with the same slot the older one ends.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How connections are encrypted, and whether there is a login."
    )
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="How the login proves the password."
    )
    username: str | None = Field(None, description="The user who logs in. Absent: no login.")
    password_file: Annotated[Path, Field(strict=False)] | None = Field(
        None,
        description="Path of a file with the password, readable by its owner only.",
    )
    ca_file: Annotated[Path, Field(strict=False)] | None = Field(
        None,
        description="Path of the certificates (PEM) that brokers are checked by. "
        "Absent: those of the system.",
    )
    cert_file: Annotated[Path, Field(strict=False)] | None = Field(
        None, description="Path of this client's certificate (PEM), where brokers ask for one."
    )
    key_file: Annotated[Path, Field(strict=False)] | None = Field(
        None, description="Path of the certificate's key (PEM), readable by its owner only."
    )
    allow_insecure_password: bool = Field(
        False, description="Send a password over connections that are not encrypted."
    )
    lean_decode: bool = Field(
        True, description="Decode batches of records in walletwatch's own, faster way."
    )
    replication: int = Field(
        3, ge=1, le=100, description="Replicas of each partition that topics create makes."
    )
    min_insync: int = Field(
        2, ge=1, le=100, description="Replicas that must have a record before it counts as written."
    )
    session_timeout_ms: int = Field(
        6 * SECOND,
        ge=SECOND,
        le=5 * MINUTE,
        description="Milliseconds without a heartbeat after which others get a worker's tasks.",
    )
    max_poll_interval_ms: int = Field(
        MINUTE,
        ge=10 * SECOND,
        le=DAY,
        description="Milliseconds between two polls after which others get a worker's tasks.",
    )
    request_timeout_ms: int = Field(
        4 * SECOND,
        ge=SECOND,
        le=MINUTE,
        description="Milliseconds a broker may take to answer a commit.",
    )
    delivery_timeout_ms: int = Field(
        8 * SECOND,
        ge=SECOND,
        le=10 * MINUTE,
        description="Milliseconds until a record must be acknowledged.",
    )
    transaction_timeout_ms: int = Field(
        12 * SECOND,
        ge=SECOND,
        le=15 * MINUTE,
        description="Milliseconds after which brokers abort what a dead worker has begun.",
    )

    @model_validator(mode="after")
    def _belong_together(self) -> "KafkaSettings":
        if not self.request_timeout_ms <= self.delivery_timeout_ms < self.transaction_timeout_ms:
            raise ValueError(
                "request_timeout_ms must not be above delivery_timeout_ms, "
                "and that must be below transaction_timeout_ms"
            )
        if self.min_insync > self.replication:
            raise ValueError("min_insync must not be above replication")
        login = self.security_protocol.startswith("SASL")
        if login != (self.username is not None) or login != (self.password_file is not None):
            raise ValueError(
                "username and password_file go with the protocols SASL_SSL and SASL_PLAINTEXT, "
                "which need both"
            )
        if self.security_protocol == "SASL_PLAINTEXT" and not self.allow_insecure_password:
            raise ValueError(
                "SASL_PLAINTEXT sends the password over connections that anybody can read: "
                "use SASL_SSL, or set allow_insecure_password"
            )
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file are set together")
        return self
