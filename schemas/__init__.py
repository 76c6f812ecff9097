"""The records on the wire as strict models, and the one list of topics.

Inputs derive from `Record`, what walletwatch publishes from `Published`. Times are integer
milliseconds inside and RFC 3339 text on the wire, amounts decimal text on the wire and integer
minor units inside. `schemas.export` writes all of it as JSON Schema.
"""

from schemas.alert import Alert, Evidence, Fact, Money
from schemas.balance import Balance
from schemas.base import Published, Record
from schemas.control import End, Heartbeat
from schemas.dead_letter import DEAD_LETTER_REASONS, DeadLetterHeaders, DeadLetterReason
from schemas.incident import AlertCounts, ExternalTicket, Incident, LastChange, Note
from schemas.incident_update import IncidentUpdate
from schemas.late import LateHeaders
from schemas.login import Login
from schemas.notification import Notification
from schemas.signal import Signal
from schemas.topics import KINDS, TOPICS, Kind, Topic, topic
from schemas.transaction import Authorization, Transaction

__all__ = [
    "DEAD_LETTER_REASONS",
    "KINDS",
    "TOPICS",
    "Alert",
    "AlertCounts",
    "Authorization",
    "Balance",
    "DeadLetterHeaders",
    "DeadLetterReason",
    "End",
    "Evidence",
    "ExternalTicket",
    "Fact",
    "Heartbeat",
    "Incident",
    "IncidentUpdate",
    "Kind",
    "LastChange",
    "LateHeaders",
    "Login",
    "Money",
    "Note",
    "Notification",
    "Published",
    "Record",
    "Signal",
    "Topic",
    "Transaction",
    "topic",
]
