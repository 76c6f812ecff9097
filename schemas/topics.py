"""The one list of topics: what they carry, how they are keyed, partitioned, cleaned and kept.

Topics of the same partitioning `account` (or `cause`) have the same number of partitions, fixed
for life, because task i of a stage owns partition i of all its inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from schemas.alert import Alert
from schemas.balance import Balance
from schemas.base import Published, Record
from schemas.control import End, Heartbeat
from schemas.dead_letter import DeadLetterHeaders
from schemas.incident import Incident
from schemas.incident_update import IncidentUpdate
from schemas.late import LateHeaders
from schemas.login import Login
from schemas.notification import Notification
from schemas.signal import Signal
from schemas.transaction import Transaction

TRANSACTIONS = "wallet.transactions"
LOGINS = "wallet.logins"
BALANCES = "wallet.balances"
INCIDENT_UPDATES = "wallet.incident-updates"
ALERTS = "wallet.alerts"
ALERTS_SHADOW = "wallet.alerts.shadow"
SIGNALS = "wallet.signals"
INCIDENTS = "wallet.incidents"
NOTIFICATIONS = "wallet.notifications"
LATE = "wallet.late"
DEAD_LETTERS = "wallet.dead-letters"

_DAY = 24 * 60 * 60 * 1000

SEGMENT_MS = _DAY
"""Kafka removes records by whole segments: how long one is written to, so how much longer than its
retention a record may stay."""
COMPACTION_LAG_MS = _DAY
"""How long Kafka may keep what a newer record of its key replaces, on a compacted topic."""


Party = Literal["you", "detect", "triage", "ingest"]
"""Who reads or writes a topic: the systems of its users, a stage, or the command `ingest`."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. Inputs may also carry heartbeats and ends."""

    name: str
    model: type[Record] | type[Published]
    """Of the value; of the headers where the value is the bytes of another record."""
    key: str
    """What the record's key is; always UTF-8."""
    partitioning: Literal["account", "cause", "key"]
    """Of what murmur2 chooses the partition: of the account_id, the cause, or just the key."""
    cleanup: Literal["delete", "compact"]
    retention_ms: int
    """How long records are kept by default; where compacted, how long after they are resolved."""
    role: Literal["input", "output", "internal"]
    written_by: tuple[Party, ...]
    read_by: tuple[Party, ...]
    description: str

    @property
    def is_coming(self) -> bool:
        """Whether what should read or write it is not there yet."""
        return not (self.written_by and self.read_by)


TOPICS: tuple[Topic, ...] = (
    Topic(
        TRANSACTIONS,
        Transaction,
        key="account_id",
        partitioning="account",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="input",
        written_by=("you",),
        read_by=("detect",),
        description="Every change of every transaction.",
    ),
    Topic(
        LOGINS,
        Login,
        key="account_id",
        partitioning="account",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="input",
        written_by=("you",),
        read_by=("detect",),
        description="Logins, locks, and changes of credentials.",
    ),
    Topic(
        BALANCES,
        Balance,
        key="account_id",
        partitioning="account",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="input",
        written_by=("you",),
        read_by=("detect",),
        description="Reported balances; optional, may be silent.",
    ),
    Topic(
        INCIDENT_UPDATES,
        IncidentUpdate,
        key="cause",
        partitioning="cause",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="input",
        written_by=("you",),
        read_by=(),
        description="Coming: acknowledgements, notes and resolutions from ticketing.",
    ),
    Topic(
        ALERTS,
        Alert,
        key="cause",
        partitioning="cause",
        cleanup="delete",
        retention_ms=30 * _DAY,
        role="output",
        written_by=("detect",),
        read_by=("you",),
        description="Alerts of live rules.",
    ),
    Topic(
        ALERTS_SHADOW,
        Alert,
        key="cause",
        partitioning="cause",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="output",
        written_by=("detect",),
        read_by=("you",),
        description="Alerts of rules that run in shadow mode.",
    ),
    Topic(
        SIGNALS,
        Signal,
        key="cause",
        partitioning="cause",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="internal",
        written_by=("detect",),
        read_by=("triage",),
        description="What detect sends triage; progress goes to every partition.",
    ),
    Topic(
        INCIDENTS,
        Incident,
        key="incident_id",
        partitioning="cause",
        cleanup="compact",
        retention_ms=30 * _DAY,
        role="output",
        written_by=("triage",),
        read_by=("you",),
        description="The newest state of every incident; a tombstone after resolved + retention.",
    ),
    Topic(
        NOTIFICATIONS,
        Notification,
        key="recipient",
        partitioning="key",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="output",
        written_by=(),
        read_by=(),
        description="Coming: who is to be notified of what.",
    ),
    Topic(
        LATE,
        LateHeaders,
        key="as the original",
        partitioning="key",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="output",
        written_by=("detect",),
        read_by=("you",),
        description="Original bytes of late events, with how late they were.",
    ),
    Topic(
        DEAD_LETTERS,
        DeadLetterHeaders,
        key="as the original",
        partitioning="key",
        cleanup="delete",
        retention_ms=7 * _DAY,
        role="output",
        written_by=("detect", "triage", "ingest"),
        read_by=("you",),
        description="Original bytes of bad records, with what is wrong; restrict who may read it.",
    ),
)

_BY_NAME = {topic.name: topic for topic in TOPICS}


def topic(name: str) -> Topic:
    """Return the topic of that name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]


class Input(NamedTuple):
    """An input of detect."""

    topic: str
    kind: str
    """Of its records where they are lines of a file: `{"kind": "login", ...}`."""
    model: type[Record]
    setting: str
    """Its section in the configuration: [inputs.<setting>]."""
    may_be_silent: bool = False
    """Whether a topic without records is no sign of a fault, by default."""


INPUTS: tuple[Input, ...] = (
    Input(TRANSACTIONS, "transaction", Transaction, "transactions"),
    Input(LOGINS, "login", Login, "logins"),
    Input(BALANCES, "balance", Balance, "balances", may_be_silent=True),
)
"""Every input of detect, the only list of them. An input's place is the number of its kind, which
is in saved state: add at the end, never renumber."""

DETECT_INPUTS = tuple(each.topic for each in INPUTS)


class Kind(NamedTuple):
    """What a line of an input file is."""

    model: type[Record]
    topic: str | None
    """Where it goes; None: the line itself names the topic."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **{each.kind: Kind(each.model, each.topic) for each in INPUTS},
        "incident_update": Kind(IncidentUpdate, INCIDENT_UPDATES),
        "heartbeat": Kind(Heartbeat, None),
        "end": Kind(End, None),
    }
)
"""By the `kind` of an input line."""
