"""Which personal data may be where: the one table, field by place.

`docs/privacy.md` is written from it, and the canary test searches every place for data that
it does not allow there. A field of an input is either in `PERSONAL` or in `IMPERSONAL`.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from schemas.topics import (
    ALERTS,
    ALERTS_SHADOW,
    BALANCES,
    DEAD_LETTERS,
    INCIDENT_UPDATES,
    INCIDENTS,
    LATE,
    LOGINS,
    NOTIFICATIONS,
    SIGNALS,
    TRANSACTIONS,
)

Form = Literal["raw", "token", "mark", "coarse", "never"]

FORMS: Final[Mapping[Form, str]] = {
    "raw": "as it came, or as a number of minor units",
    "token": "a keyed hash with the id of its key; the same for the same value",
    "mark": "a keyed hash of at most 6 bytes",
    "coarse": "rounded: places to 0.1 degree",
    "never": "not at all",
}


class DataPlace(NamedTuple):
    """Where data may be: on topics, or elsewhere."""

    name: str
    topics: tuple[str, ...]
    meaning: str


INPUTS: Final = DataPlace(
    "inputs", (TRANSACTIONS, LOGINS, BALANCES, INCIDENT_UPDATES), "what you write; yours to protect"
)
ORIGINALS: Final = DataPlace(
    "original bytes",
    (LATE, DEAD_LETTERS),
    "records as they came; restrict who may read them, kept for 7 days at most",
)
ALERT: Final = DataPlace(
    "alerts",
    (ALERTS, ALERTS_SHADOW),
    "for support agents, who help the owner; also what `alerts list` prints",
)
SIGNAL: Final = DataPlace("signals", (SIGNALS,), "internal; carries the alerts to triage")
INCIDENT: Final = DataPlace(
    "incidents", (INCIDENTS,), "for ticketing and third parties; also what `incidents` prints"
)
NOTIFICATION: Final = DataPlace(
    "notifications", (NOTIFICATIONS,), "coming: for the channels that send them"
)
STATE: Final = DataPlace("saved state", (), "what the stages keep, beside the topics in the log")
EXPLAINED: Final = DataPlace(
    "explain", (), "what `explain` and `replay --truth` print: for support agents, and for you"
)
SPOKEN: Final = DataPlace(
    "logs, errors, summaries",
    (),
    "all else that is printed, `--json` included, and the headers of records; `tail` prints what "
    "its topic holds",
)
FILE_NAMES: Final = DataPlace("file names", (), "names of files and folders that are written")

PLACES: Final = (
    INPUTS,
    ORIGINALS,
    ALERT,
    SIGNAL,
    INCIDENT,
    NOTIFICATION,
    STATE,
    EXPLAINED,
    SPOKEN,
    FILE_NAMES,
)


class Leftover(NamedTuple):
    """What `forget` leaves of an account in one place; empty: nothing."""

    place: DataPlace
    on_sqlite: str
    on_kafka: str
    """Until retention or compaction removes it."""


LEFT_BY_FORGET: Final = (
    Leftover(INPUTS, "what detect has not handled yet", "all of it"),
    Leftover(ORIGINALS, "", "all of it"),
    Leftover(ALERT, "the last record of each alert that it ends", "all of it"),
    Leftover(SIGNAL, "what triage has not handled yet", "all of it"),
    Leftover(INCIDENT, "the last record of each incident that it ends", "all of it"),
    Leftover(NOTIFICATION, "", "all of it"),
    Leftover(STATE, "", "what it was before"),
)
"""`docs/privacy.md` has this table, and `forget` prints it with its times."""


class Personal(NamedTuple):
    """Fields with personal data, and the form that they may have in each place."""

    fields: tuple[str, ...]
    elsewhere: Mapping[DataPlace, Form]
    """Beyond inputs and original bytes, where all is as it came; "never" where not named."""
    why: str

    def form(self, place: DataPlace) -> Form:
        """Return the form that the fields may have there."""
        return "raw" if place in (INPUTS, ORIGINALS) else self.elsewhere.get(place, "never")


_ALERTED: Final[Mapping[DataPlace, Form]] = {
    ALERT: "raw",
    SIGNAL: "raw",
    STATE: "raw",
    EXPLAINED: "raw",
}
"""What an alert quotes: it is in the state while the alert is open."""

PERSONAL: Final = (
    Personal(
        ("account_id",),
        {**_ALERTED, INCIDENT: "token", NOTIFICATION: "raw", SPOKEN: "token"},
        "who it is; notifications name it to the owner only",
    ),
    Personal(
        ("event_id",),
        {**_ALERTED, INCIDENT: "raw"},
        "the address of evidence; producers must not put names into it",
    ),
    Personal(
        ("transaction_id",),
        {**_ALERTED, INCIDENT: "token"},
        "one payment of one person; an incident about it carries a token of it and its account",
    ),
    Personal(
        ("idempotency_key", "external_reference"),
        _ALERTED,
        "an order of one person; ties retries to the payment that failed",
    ),
    Personal(("original_transaction_id",), {}, "another payment of that person"),
    Personal(
        ("amount", "fee", "funding_from_balance"),
        {**_ALERTED, INCIDENT: "raw"},
        "what was paid; incidents carry what is at stake",
    ),
    Personal(
        ("balance", "balance_before", "balance_after", "available_balance", "hold_remaining"),
        _ALERTED,
        "what somebody owns",
    ),
    Personal(("failure_code",), _ALERTED, "why a payment was refused, as a code"),
    Personal(("failure_reason",), {}, "free text of a provider"),
    Personal(("counterparty_id",), {STATE: "mark"}, "whom somebody pays"),
    Personal(("merchant_id",), {}, "where somebody buys"),
    Personal(("device_id", "session_id"), {STATE: "mark"}, "what somebody uses"),
    Personal(
        ("ip",),
        {SIGNAL: "token"},
        "where somebody is; the token distinguishes sources, of IPv6 networks of 64 bits",
    ),
    Personal(("asn",), {}, "whose network somebody uses"),
    Personal(("country",), _ALERTED, "where somebody is, as a country"),
    Personal(("latitude", "longitude"), {STATE: "coarse"}, "where somebody is"),
    Personal(("network",), {SIGNAL: "raw"}, "the kind of network: mobile, vpn, ..."),
    Personal(("user_agent", "app_version"), {}, "what may distinguish a device from others"),
    Personal(("extra",), {}, "unknown: whatever the producer wants carried along"),
    Personal(
        ("actor", "owner", "note"),
        {INCIDENT: "raw", STATE: "raw"},
        "who works on an incident, and what they write of it",
    ),
)

IMPERSONAL: Final[Mapping[str, str]] = {
    "the form of the record": "kind schema_version update_id expected_revision",
    "of a fixed list, the same for many people": (
        "type status action outcome reason currency fee_mode balance_kind funding initiator "
        "failure_code_system source authorization client_status root_cause"
    ),
    "names of systems": "channel provider rail external_ticket incident_id cause",
    "times and counters; another field names their account": (
        "occurred_at posted_at as_of expected_by lock_until ledger_sequence failures_counted"
    ),
}
"""Fields that may be anywhere, by the reason."""


def forms_of(field: str) -> Mapping[DataPlace, Form]:
    """Return the form that a field may have in each place.

    Raises:
        KeyError: the field is in no row of the table.
    """
    for row in PERSONAL:
        if field in row.fields:
            return {place: row.form(place) for place in PLACES}
    if any(field in fields.split() for fields in IMPERSONAL.values()):
        return dict.fromkeys(PLACES, "raw")
    raise KeyError(field)


def place_of(topic: str) -> DataPlace:
    """Return the place of a topic.

    Raises:
        KeyError: no place has the topic.
    """
    for place in PLACES:
        if topic in place.topics:
            return place
    raise KeyError(topic)
