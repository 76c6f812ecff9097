"""`walletwatch tail`: show the records of a topic."""

import time
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
import typer

from schemas.time import format_any
from schemas.topics import TOPICS
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import echo, emit, visible
from worker.config.load import load_settings
from worker.engine.log import Log
from worker.engine.records import Record
from worker.errors import UsageError

_CHUNK: Final = 1_000
_FOLLOW_SECONDS: Final = 0.5
_LATEST: Final = 10

Addressed = tuple[int, Record]
"""A record with its partition."""


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Such as wallet.alerts.")],
    *,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest record stored.")
    ] = False,
    number: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--number",
            metavar="N",
            min=0,
            help="At most N records, 0: none of those stored. The newest, or those from where it "
            "begins. Without it the newest 10, or all from there.",
        ),
    ] = None,
    partition: Annotated[
        int | None,
        typer.Option("-p", "--partition", metavar="P", min=0, help="Only of this partition."),
    ] = None,
    offset: Annotated[
        int | None,
        typer.Option(
            "-o",
            "--offset",
            metavar="OFFSET",
            help="With --partition: begin with the record of this offset; -5: with the fifth "
            "before the end.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new records until Ctrl-C.")
    ] = False,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show records of a topic with their append time, partition, offset, key and value.

    Inputs, dead letters and late events hold personal data, and so does what this prints of them.

    Exit code 0, 2 if there is no such topic or log, 70 if the log cannot be used, 78 if the
    configuration is wrong, 130 after Ctrl-C.

    Example: walletwatch tail wallet.alerts --from-start --json

    Example: walletwatch tail wallet.logins --partition 2 --offset 4700 -n 1
    """
    _refuse_unknown(topic)
    if offset is not None and (partition is None or from_start):
        raise UsageError(
            "--offset needs --partition, since each partition has offsets of its own, and goes "
            "without --from-start."
        )
    loaded = load_settings(config, environment(), log_url=log)

    def show(partition: int, record: Record) -> None:
        if as_json:
            emit(_fields(topic, partition, record))
        else:
            echo(_line(partition, record))

    with readable_log(loaded) as opened:
        ends = readable_ends(opened, topic)
        chosen = _partitions(topic, len(ends), partition)
        if offset is not None:
            records = _from_offset(opened, topic, chosen[0], offset, ends)
        elif from_start:
            records = _oldest(opened, topic, chosen, ends)
        else:
            records = iter(_newest(opened, topic, chosen, ends, number))
        for found, record in islice(records, number):
            show(found, record)
        while follow:
            time.sleep(_FOLLOW_SECONDS)
            for found, record in appended(opened, topic, ends):
                if found in chosen:
                    show(found, record)


def _refuse_unknown(topic: str) -> None:
    names = [each.name for each in TOPICS]
    if topic not in names:
        close = get_close_matches(topic, names, n=1, cutoff=0)[0]
        raise UsageError(f"There is no topic {visible(topic)}; the nearest is {close}.")


def readable_ends(log: Log, topic: str) -> list[int]:
    """Return per partition the offset up to which records can be read now."""
    ends = [end for _, end in log.offsets(topic)]
    return [end - hidden for end, hidden in zip(ends, log.hidden(topic), strict=True)]


def _partitions(topic: str, count: int, partition: int | None) -> Sequence[int]:
    if partition is None:
        return range(count)
    if partition >= count:
        raise UsageError(f"--partition: {topic} has the partitions 0 to {count - 1}.")
    return (partition,)


def _from_offset(
    log: Log, topic: str, partition: int, offset: int, ends: list[int]
) -> Iterator[Addressed]:
    """Return the records from an offset on; a negative one counts from the end.

    Raises:
        UsageError: the offset is not stored any more, or lies after the end.
    """
    first, end = log.offsets(topic)[partition][0], ends[partition]
    start = offset if offset >= 0 else max(first, end + offset)
    if not first <= start <= end:
        stored = (
            f"holds the offsets {first} to {end - 1}"
            if first < end
            else f"holds no record that can be read; the next one has offset {end}"
        )
        raise UsageError(f"--offset: {topic}, partition {partition}, {stored}.")
    return _between(log, topic, partition, start, end)


def _oldest(
    log: Log, topic: str, partitions: Sequence[int], ends: list[int]
) -> Iterator[Addressed]:
    offsets = log.offsets(topic)
    for partition in partitions:
        yield from _between(log, topic, partition, offsets[partition][0], ends[partition])


def _newest(
    log: Log, topic: str, partitions: Sequence[int], ends: list[int], number: int | None
) -> list[Addressed]:
    count = _LATEST if number is None else number
    offsets = log.offsets(topic)
    found = [
        addressed
        for partition in partitions
        for addressed in _between(
            log,
            topic,
            partition,
            max(offsets[partition][0], ends[partition] - count),
            ends[partition],
        )
    ]
    found.sort(key=lambda each: (each[1].append_time or 0, each[0], each[1].offset))
    return found[len(found) - min(count, len(found)) :]


def appended(log: Log, topic: str, ends: list[int]) -> Iterator[Addressed]:
    """Yield the records after the ends, and move each end past what was yielded.

    Not past what an open transaction hides: its records come when it commits.
    """
    for partition, (_, end) in enumerate(log.offsets(topic)):
        for addressed in _between(log, topic, partition, ends[partition], end):
            ends[partition] = addressed[1].offset + 1
            yield addressed


def _between(log: Log, topic: str, partition: int, offset: int, end: int) -> Iterator[Addressed]:
    while offset < end:
        records = log.read(topic, partition, offset, min(_CHUNK, end - offset))
        if not records:
            return
        for record in records:
            if record.offset < end:
                yield partition, record
        offset = records[-1].offset + 1


def _line(partition: int, record: Record) -> str:
    when = format_any(record.append_time) or "-"
    headers = " ".join(f"{name}={_text(value)}" for name, value in record.headers)
    value = "(tombstone)" if record.value is None else _text(record.value)
    parts = [when, f"{partition}/{record.offset}", _text(record.key or b"-"), headers, value]
    return "  ".join(part for part in parts if part)


def _fields(topic: str, partition: int, record: Record) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "append_time": format_any(record.append_time),
        "key": None if record.key is None else record.key.decode(errors="backslashreplace"),
    }
    if record.headers:
        fields["headers"] = {
            name: value.decode(errors="backslashreplace") for name, value in record.headers
        }
    return fields | _value(record.value)


def _value(value: bytes | None) -> dict[str, Any]:
    """Return the value as JSON, digit for digit as it was written; else its bytes in base64."""
    if value is None:
        return {"value": None}
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {"value_base64": value}
    return {"value": msgspec.Raw(msgspec.json.format(value, indent=-1))}


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
