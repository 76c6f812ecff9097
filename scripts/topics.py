"""docs/topics.md: an example of each kind of record, the topics, and what each field must be."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from schemas.alert import Alert
from schemas.base import (
    Amount,
    Count,
    Country,
    Currency,
    Extra,
    Id,
    Latitude,
    Longitude,
    Published,
    ShortText,
    Timestamp,
)
from schemas.examples import EXAMPLES
from schemas.incident import Incident
from schemas.time import format_span
from schemas.topics import INPUTS, KINDS, Kind, Topic, topic
from schemas.transaction import Authorization
from schemas.wrong_fields import CONSEQUENCES, WrongField, field_types, wrong_fields
from scripts.tables import table

_WIDTH: Final = 100

_TOPICS_HEAD: Final = (
    "topic",
    "role",
    "written by",
    "read by",
    "key",
    "partition by",
    "cleanup",
    "kept",
    "what it carries",
)
_FIELDS_HEAD: Final = ("field", "of", "required", "must be", "if it is not")

_AMOUNT: Final = (
    'decimal text of at most 38 digits, such as `"12.50"`; no more decimals than the currency has'
)
_MUST_BE: Final[Sequence[tuple[Any, str]]] = (
    (Id, "1 to 128 printable characters without spaces"),
    (ShortText, "1 to 256 characters, none of them a control character"),
    (Amount, _AMOUNT),
    (
        Currency,
        "a code of ISO 4217, in use or withdrawn, or one of `[currencies]` in the configuration",
    ),
    (Timestamp, "RFC 3339 text with an offset, in the years 1000 to 8999"),
    (Count, "a whole number from 0 to 2^63 - 1"),
    (Country, "a code of ISO 3166-1: two letters from A to Z"),
    (Latitude, "a number from -90 to 90"),
    (Longitude, "a number from -180 to 180"),
    (Extra, "an object of up to 16 texts of up to 256 characters; names of up to 64"),
    (int, "1"),
)


def page(topics: Iterable[Topic]) -> str:
    """Return the page about topics and the kinds of lines in files."""
    rows = (
        (
            f"`{topic.name}`",
            topic.role,
            _parties(topic.written_by),
            _parties(topic.read_by),
            topic.key if " " in topic.key else f"`{topic.key}`",
            topic.partitioning,
            topic.cleanup,
            format_span(topic.retention_ms),
            topic.description,
        )
        for topic in topics
    )
    kinds = ((f"`{name}`", _place(kind)) for name, kind in KINDS.items())
    meanings = ((consequence, meaning) for consequence, meaning in CONSEQUENCES.items())
    return f"""# Topics

What walletwatch reads and writes, on every log alike. One complete record of each kind that you may
write, in files each on one line (`incident_update` is coming, and nothing reads it yet):

```json
{_examples()}```

What each [field](#fields-of-events) must be, and what happens where it is not, is listed below;
`walletwatch validate` checks events before you send them. All records are described by the JSON
Schemas in [schemas/json](../schemas/json), one file per kind. Inputs may hold unknown fields,
outputs only ever gain some.

{table(_TOPICS_HEAD, rows)}
- *input* is what you write, *output* what walletwatch publishes, *internal* what its stages send
  each other. *You* are your systems, and the commands that you run; `tail` shows any topic.
- *coming*: reserved for what is not there yet. Nothing reads updates of incidents, so that an
  acknowledgement has no effect; nothing writes notifications; a field that is coming is never
  filled.
- On Kafka, consumers of outputs need `isolation.level=read_committed`, or they read alerts and
  incidents that never were ([why](kafka.md#reading-what-walletwatch-publishes)); it is not the
  default of the Java client and kafka-python. [examples/consumer](../examples/consumer) is one to
  begin with.
- On the embedded log, [SQL](sqlite.md) reads them.
- Records go to partitions by murmur2 of the *partition by*: the account_id, the cause of an alert,
  or the key as it is. Topics of the same partitioning have the same number of partitions, for life.
- *delete* forgets records after the time in *kept*. *compact* keeps the newest record of every key,
  and forgets a resolved incident after that time.

In files every line carries its `kind`, which decides the topic:

{table(("kind", "goes to"), kinds)}
A heartbeat or an end goes to the line's `partition`, or to all partitions of the topic without it.

A topic has ended when the last record of every partition is an end: it is never reported as silent.
Where all inputs have ended, time stays at the ends, unless the clock has taken an input beyond them
already; while one input goes on, the clock moves those that have ended. A partition that never had
a record has not ended; one that has lost all of its records to retention does not count. With the
next record the topic goes on.

## Fields of events

Only what identity, money, time and the rules need can reject an event. A wrong value of another
field is cut, cleaned or dropped, and counted by field (`fields_mended` in
[operations](operations.md)); what else the event has stays as it came.

{table(("if it is not", "then"), meanings)}
{table(_FIELDS_HEAD, _fields())}
Where a field is not required it may be absent or null; `balance_kind` is required with a balance.
A record is rejected as a whole if it is no JSON object in UTF-8, gives a name twice, is nested more
than 16 levels deep, or has more than `engine.max_event_bytes`. A line of a file is never read
beyond that: its dead letter has the first 1,024 bytes of it and three dots.

## Fields of incidents

A record of `wallet.incidents` is the whole state of one incident after one change of it; its key is
the `incident_id`. A record without a value (a tombstone) removes the incident, long after it was
resolved. Fields without a value are left out.

{table(("field", "meaning"), _published(Incident))}
## Fields of alerts

A record of `wallet.alerts` is one step in the life of one alert; the step with the highest
`sequence` says what is true now. Fields without a value are left out.

{table(("field", "meaning"), _published(Alert))}"""


def _place(kind: Kind) -> str:
    if kind.topic is None:
        return "the line's `topic`"
    coming = "coming, and a dead letter until then: " if topic(kind.topic).is_coming else ""
    return f"{coming}`{kind.topic}`"


def _parties(parties: Sequence[str]) -> str:
    return ", ".join(parties) or "coming"


def _published(model: type[Published]) -> Iterator[tuple[str, str]]:
    """Yield every field of a record that walletwatch writes, parts of records with a dot."""
    for name, field in model.model_fields.items():
        yield f"`{name}`", field.description or ""
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Published):
                yield from ((f"`{name}.{inner[1:]}", text) for inner, text in _published(part))


def _examples() -> str:
    """Return one record of each kind of line as JSON, in lines of a page's width."""
    return "\n".join(map(_shown, KINDS)) + "\n"


def _shown(kind: str) -> str:
    lines = ["{"]
    for name, value in EXAMPLES[kind].items():
        field = f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},"
        space = "" if lines[-1] == "{" else " "
        if len(lines[-1] + space + field) < _WIDTH:
            lines[-1] += space + field
        else:
            lines.append(f" {field}")
    return "\n".join(lines).removesuffix(",") + "}"


class _Row(NamedTuple):
    name: str
    required: str
    must: str
    wrong: WrongField


def _fields() -> Iterator[tuple[str, ...]]:
    """Yield the cells of every field of an event: first those that reject, then the others."""
    kinds: defaultdict[_Row, list[str]] = defaultdict(list)
    for each in INPUTS:
        for name, kind in field_types(each.model).items():
            required = "yes" if each.model.model_fields[name].is_required() else ""
            must = "the kind of the event" if name == "kind" else _must_be(kind)
            kinds[_Row(name, required, must, wrong_fields(each.model)[name])].append(each.kind)
    for row in sorted(kinds, key=lambda row: (row.wrong.consequence != "rejects", row.wrong)):
        yield f"`{row.name}`", ", ".join(kinds[row]), row.required, row.must, _then(row.wrong)


def _then(wrong: WrongField) -> str:
    return f"rejects: {wrong.needed_by}" if wrong.needed_by else wrong.consequence


def _must_be(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind is Authorization:
        parts = (f"`{name}`: {_must_be(each)}" for name, each in field_types(kind).items())
        return f"an object of {'; '.join(parts)}"
    return next(text for each, text in _MUST_BE if each == kind)
