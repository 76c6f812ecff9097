"""Every setting of walletwatch: its section, type, default, bounds and meaning.

Secrets are never values here: fields that end in `_file` hold the path of a file with the secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    GetCoreSchemaHandler,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from rules.registry import RuleType
from schemas.money import ISO_4217, MAX_EXPONENT, is_currency_code
from schemas.topics import DEAD_LETTERS, LATE, TOPICS, Input, Topic
from worker.config.kafka_settings import KafkaSettings
from worker.config.rules_section import RulesSettings, rules_section
from worker.config.section import DAY, MINUTE, SECOND, Section

PUBLIC_KEY_ID: Final = "public"
"""Names the public key, which hides nothing."""
_PERSONAL: Final = frozenset({LATE, DEAD_LETTERS})


@dataclass(frozen=True, slots=True)
class _TableOf:
    """Validates a table by a model made at run time; the field then holds a plain dict."""

    model: type[BaseModel]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            dict, handler.generate_schema(self.model)
        )


def _log_url(url: str) -> str:
    if re.fullmatch(r"sqlite:///[^?]+|kafka://[^/?,:\s]+:\d+(,[^/?,:\s]+:\d+)*", url) is None:
        raise ValueError(
            "must be sqlite:///relative/path.db, sqlite:////absolute/path.db, "
            "or kafka://host:port,host:port"
        )
    return url


def _key_id(key_id: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,16}", key_id) is None:
        raise ValueError("must be 1 to 16 letters, digits, - or _")
    return key_id


def _new_codes(exponents: dict[str, int]) -> dict[str, int]:
    if not all(map(is_currency_code, exponents)):
        raise ValueError("codes must be three to ten of A-Z and 0-9, beginning with a letter")
    if not ISO_4217.keys().isdisjoint(exponents):
        raise ValueError("only adds codes; those of ISO 4217 in use have their own exponents")
    return exponents


class LogSettings(Section):
    """Where records are kept."""

    url: Annotated[str, AfterValidator(_log_url)] = Field(
        "sqlite:///walletwatch.db",
        description="sqlite:///relative/path.db, sqlite:////absolute/path.db, "
        "or kafka://host:port,host:port.",
    )
    partitions: int = Field(
        4, ge=1, le=1024, description="Partitions per topic of a new log, fixed for its life."
    )


class InputSettings(Section):
    """How time is judged on one input."""

    lateness_ms: int = Field(
        5 * SECOND,
        ge=0,
        le=DAY,
        description="Milliseconds by which events may come out of order; 0 for ordered producers.",
    )
    may_be_silent: bool = Field(
        False,
        description="Silence of the whole topic is normal: absence is then judged by the clock.",
    )
    max_clock_skew_ms: int = Field(
        5 * MINUTE,
        ge=0,
        le=DAY,
        description="Milliseconds by which an event may lie after its append time; "
        "beyond, it is a dead letter (future_timestamp).",
    )


class OptionalInputSettings(InputSettings):
    """The same, for an input that not every platform has."""

    may_be_silent: bool = Field(
        True,
        description="Silence of the whole topic is normal: absence is then judged by the clock.",
    )


class InputsSettings(Section):
    """The inputs of detect."""

    transactions: InputSettings = InputSettings()
    logins: InputSettings = InputSettings()
    balances: OptionalInputSettings = OptionalInputSettings()

    def of(self, given: Input) -> InputSettings:
        """Return the settings of one input."""
        settings: InputSettings = getattr(self, given.setting)
        return settings


class EngineSettings(Section):
    """How the stages work."""

    dedup_horizon_ms: int = Field(
        DAY,
        ge=SECOND,
        le=31 * DAY,
        description="Milliseconds for which event ids are remembered; "
        "older events count as late and are not judged.",
    )
    max_open_ms: int = Field(
        7 * DAY,
        ge=MINUTE,
        le=366 * DAY,
        description="Milliseconds after which an open alert expires; in `replay` none does.",
    )
    max_open_alerts: int = Field(
        100,
        ge=10,
        le=1_000,
        description="Open alerts of one rule on one account; what it finds beyond is counted by "
        "one overflow alert.",
    )
    max_buffered: int = Field(
        1_000,
        ge=1,
        le=10_000_000,
        description="Events per input partition that may wait for slower inputs before it pauses.",
    )
    poll_records: int = Field(
        40_000,
        ge=1,
        le=1_000_000,
        description="Records per unit of work at most: one poll, one commit.",
    )
    max_event_bytes: int = Field(
        256 * 1024,
        ge=256,
        le=64 * 1024 * 1024,
        description="Bytes of a record beyond which it is refused before parsing.",
    )
    accept_json_numbers: bool = Field(
        False, description="Accept amounts as JSON numbers, read from their text."
    )
    idle_advances: bool = Field(
        True, description="Let the time of an input that was read to its end follow the clock."
    )
    silence_limit_ms: int = Field(
        MINUTE,
        ge=SECOND,
        le=DAY,
        description="Milliseconds without a record after which a topic counts as silent, and for "
        "which an open transaction may hold an input before the worker counts as not ready.",
    )
    origin_timeout_ms: int = Field(
        5 * MINUTE,
        ge=SECOND,
        le=DAY,
        description="Milliseconds of silence after which triage passes over a detect task.",
    )
    progress_interval_ms: int = Field(
        SECOND,
        ge=1,
        le=MINUTE,
        description="Milliseconds at least between two progress signals of a detect task.",
    )
    dead_letter_limit: int = Field(
        100,
        ge=0,
        le=1000,
        description="Dead letters among the last 1,000 records of an input partition "
        "beyond which the worker stops.",
    )
    resolved_retention_ms: int = Field(
        30 * DAY,
        ge=0,
        le=3660 * DAY,
        description="Milliseconds a resolved incident is kept before its tombstone.",
    )


class TokensSettings(Section):
    """The key of account tokens, and the one before it while both are active."""

    key_id: Annotated[str, AfterValidator(_key_id)] | None = Field(
        None,
        description="Begins every token: 1 to 16 letters, digits, - or _. "
        "public: the fixed key, which hides nothing. Absent: see key_file.",
    )
    key_file: Annotated[Path, Field(strict=False)] | None = Field(
        None,
        description="Path of a file with a secret of at least 16 bytes, relative to the working "
        "directory. Absent: the key beside the log, which run makes. On Kafka there is none, and "
        "no worker starts.",
    )
    previous_key_id: Annotated[str, AfterValidator(_key_id)] | None = Field(
        None,
        description="During a rotation, the id of the key before; public: the public key. "
        "Absent: there is none.",
    )
    previous_key_file: Annotated[Path, Field(strict=False)] | None = Field(
        None, description="Path of the file with the key before, as key_file."
    )

    @model_validator(mode="after")
    def _belong_together(self) -> "TokensSettings":
        if (self.key_file is None) != (self.key_id in (None, PUBLIC_KEY_ID)):
            raise ValueError(
                f"key_file needs a key_id of its own, other than {PUBLIC_KEY_ID}, and a key_id "
                "needs a key_file"
            )
        if (self.previous_key_file is None) != (self.previous_key_id in (None, PUBLIC_KEY_ID)):
            raise ValueError(
                "previous_key_id and previous_key_file are set together, but for previous_key_id "
                f"{PUBLIC_KEY_ID}, which needs no file"
            )
        if self.previous_key_id is not None and self.key_file is None:
            raise ValueError("a previous key needs a key_id and a key_file that follow it")
        if self.previous_key_id is not None and self.previous_key_id == self.key_id:
            raise ValueError("previous_key_id must be another than key_id")
        return self


class MetricsSettings(Section):
    """Where a running process serves metrics and probes."""

    port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="The port at which run serves /metrics, /livez and /readyz; "
        "0: any that is free. Absent: none.",
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="The address it listens on; 0.0.0.0: all of the machine.",
    )
    stalled_after_ms: int = Field(
        MINUTE,
        ge=SECOND,
        le=DAY,
        description="Milliseconds without a sign of life from the loop after which /livez fails.",
    )


class ShadowSettings(Section):
    """Other thresholds, tried on the stream beside those of the configuration."""

    rules_file: Annotated[Path, Field(strict=False)] | None = Field(
        None,
        description="Path of a TOML file with [rules.<name>] tables, relative to the working "
        "directory: these rules also run in shadow, with its parameters laid over their own.",
    )


def _retention_field(topic: Topic) -> Any:
    what = "older revisions" if topic.cleanup == "compact" else "records"
    # Original bytes hold personal data that walletwatch publishes nowhere else.
    longest = 7 * DAY if topic.name in _PERSONAL else 3660 * DAY
    return (
        int,
        Field(
            topic.retention_ms, ge=1, le=longest, description=f"Milliseconds its {what} are kept."
        ),
    )


_RETENTION = create_model(
    "RetentionSettings",
    __base__=Section,
    **{topic.name: _retention_field(topic) for topic in TOPICS},
)


class Settings(Section):
    """All settings of walletwatch. Times are whole milliseconds."""

    log: LogSettings = LogSettings()
    kafka: KafkaSettings = KafkaSettings()
    inputs: InputsSettings = InputsSettings()
    engine: EngineSettings = EngineSettings()
    currencies: Annotated[
        dict[str, Annotated[int, Field(ge=0, le=MAX_EXPONENT)]], AfterValidator(_new_codes)
    ] = Field(
        {},
        description="Currency codes beyond those of ISO 4217 that are in use, each with its "
        "number of decimals.",
    )
    tokens: TokensSettings = TokensSettings()
    shadow: ShadowSettings = ShadowSettings()
    metrics: MetricsSettings = MetricsSettings()
    retention: Annotated[Mapping[str, int], _TableOf(_RETENTION)] = Field(
        default_factory=lambda: dict(_RETENTION())
    )
    rules: RulesSettings


@cache
def settings_model(known: tuple[RuleType, ...]) -> type[Settings]:
    """Return the model of a configuration in which each of these rules has a table."""
    section = rules_section(known)
    rules: Any = (section, Field(default_factory=section))
    return create_model("Settings", __base__=Settings, __doc__=Settings.__doc__, rules=rules)
