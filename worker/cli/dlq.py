"""`walletwatch dlq`: show dead letters, and append again those that a worker would accept now."""

import heapq
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from schemas.dead_letter import DEAD_LETTER_REASONS
from schemas.time import format_any
from schemas.topics import DEAD_LETTERS
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.pace import paced, refuse_wrong_rate
from worker.cli.printing.output import echo, emit, say, table, visible, watched
from worker.cli.ranges import input_ranges
from worker.config.load import Loaded, load_settings
from worker.detect.dead_letter_limit import Ranges
from worker.engine.log import Log, stored
from worker.engine.records import NewRecord
from worker.errors import Exit, UsageError
from worker.logs.sqlite.log import wall_clock
from worker.run.dead_letters import DeadLetter, DeadLetterFilter, dead_letters

_BATCH: Final = 500
"""Records that are appended together: all of them or none."""

_LATE: Final = (
    "Those older than what a worker has judged meanwhile are late: they correct alerts and are "
    "judged by themselves, but not what should have followed them."
)

app = typer.Typer(help="Dead letters: look at them, replay them.", no_args_is_help=True)

ReasonOption = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", help="Only of this reason; repeatable."),
]
TopicOption = Annotated[
    list[str] | None,
    typer.Option(
        "--topic", metavar="TOPIC", help="Only of records read from it (or a file); repeatable."
    ),
]


@app.command()
def peek(
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    number: Annotated[
        int,
        typer.Option(
            "-n", "--number", metavar="N", min=0, help="Show the newest N; 0: only count."
        ),
    ] = 10,
    values: Annotated[
        bool, typer.Option("--values", help="The original bytes too: they are personal data.")
    ] = False,
    unread: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="TOPIC/PARTITION:FROM-TO",
            help="Instead, the records at these offsets of an input that would be dead letters; "
            "repeatable.",
        ),
    ] = None,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the dead letters by topic and reason, and show the newest with what is wrong.

    A worker that stops at engine.dead_letter_limit has committed none of the records that stopped
    it. It prints the --input that shows them, judged by the configuration as it is now.

    Exit code 0 even if there is none, 2 if there is no log, reason or range, 70 if the log cannot
    be used, 78 if the configuration is wrong.

    Example: walletwatch dlq peek --reason schema -n 3 --values

    Example: walletwatch dlq peek --input wallet.logins/2:4700-4810
    """
    wanted, ranges = _wanted(reason, topic), input_ranges("--input", unread or ())
    loaded = load_settings(config, environment(), log_url=log)
    with readable_log(loaded) as opened:
        found = _unread(opened, loaded, ranges, wanted) if ranges else _found(opened, wanted)
        counts, newest = _counted(found, number)
    rows = [(*kind, count) for kind, count in sorted(counts.items())]
    if as_json:
        names = ("topic", "reason", "count")
        counted_rows = [dict(zip(names, row, strict=True)) for row in rows]
        emit({"counts": counted_rows, "newest": [_fields(dead, values=values) for dead in newest]})
        return
    if not rows:
        which = "such " if reason or topic or ranges else ""
        echo(f"There are no {which}{'bad records' if ranges else 'dead letters'}.")
        return
    title = "bad records" if ranges else "dead letters"
    table(("topic", "reason", title), [(*kind, f"{count:,}") for *kind, count in rows])
    for dead in newest:
        _show(dead, values=values)


@app.command()
def replay(
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be appended.")
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option("--rate", metavar="N", help="At most N records a second; else at once."),
    ] = None,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Append again, to their own topics, the dead letters that would be accepted now.

    For when a schema was extended, a currency added, a limit raised, or a partitioner corrected.
    Those that would be refused again stay where they are, and so do those that were cut. To replay
    twice does no harm: redelivered events are recognised.

    Events older than what a worker has judged meanwhile are late: rules use them to correct alerts
    and judge them by themselves, but not what should have followed them; those beyond
    engine.dedup_horizon_ms are not judged. A worker that stopped at engine.dead_letter_limit has
    committed nothing of its last unit: correct the cause and start it again, and they are in time.

    Exit code 0, 1 if some of them would be refused again, 2 if there is no log or no such reason,
    70 if the log cannot be used, 78 if the configuration is wrong, 130 after Ctrl-C.

    Example: walletwatch dlq replay --reason currency --rate 500 --dry-run
    """
    refuse_wrong_rate(rate, "records")
    wanted = _wanted(reason, topic)
    loaded = load_settings(config, environment(), log_url=log)
    again: Counter[str] = Counter()
    dead: Counter[tuple[str, str]] = Counter()
    with readable_log(loaded) as opened:
        records = _acceptable(opened, loaded, wanted, dead)
        try:
            for batch in paced(records, None if dry_run else rate, _BATCH):
                if not dry_run:
                    opened.append(batch)
                again.update(record.topic for record in batch)
        finally:
            _report(again, dead, dry_run=dry_run, as_json=as_json)
    if dead:
        raise typer.Exit(Exit.FOUND)


def _wanted(reasons: list[str] | None, topics: list[str] | None) -> DeadLetterFilter:
    for reason in reasons or ():
        if reason not in DEAD_LETTER_REASONS:
            known = ", ".join(DEAD_LETTER_REASONS)
            raise UsageError(f"There is no reason {visible(reason)}; there are {known}.")
    return DeadLetterFilter(reasons or (), topics or ())


def _found(log: Log, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
    return dead_letters(watched(stored(log, DEAD_LETTERS), "dead letters"), wanted)


def _unread(
    log: Log, loaded: Loaded, ranges: Ranges, wanted: DeadLetterFilter
) -> Iterator[DeadLetter]:
    # Imported here: most looks at dead letters need nothing of what judges them.
    from worker.run.bad_ranges import bad_records  # noqa: PLC0415
    from worker.run.runner import policy_of  # noqa: PLC0415

    records = bad_records(log, policy_of(loaded.settings), ranges)
    return dead_letters(watched(records, "bad records"), wanted)


def _acceptable(
    log: Log, loaded: Loaded, wanted: DeadLetterFilter, refused: Counter[tuple[str, str]]
) -> Iterator[NewRecord]:
    """Yield the records to append again; count the others by topic and reason."""
    from worker.run.requeue import Judge  # noqa: PLC0415 - as above
    from worker.run.runner import policy_of  # noqa: PLC0415

    judge = Judge(policy_of(loaded.settings), wall_clock())
    for dead in _found(log, wanted):
        again = judge.again(dead)
        if isinstance(again, NewRecord):
            yield again
        else:
            refused[_kind(dead)[0], again] += 1


def _counted(
    found: Iterator[DeadLetter], number: int
) -> tuple[Counter[tuple[str, str]], list[DeadLetter]]:
    """Count all of them by topic and reason; return the newest, oldest first, too."""
    counts: Counter[tuple[str, str]] = Counter()

    def counting() -> Iterator[DeadLetter]:
        for dead in found:
            counts[_kind(dead)] += 1
            yield dead

    # One at least: with none to find, nlargest would read nothing, and nothing would be counted.
    newest = heapq.nlargest(max(number, 1), counting(), key=_age)[:number]
    return counts, newest[::-1]


def _age(dead: DeadLetter) -> tuple[int, int, int]:
    return dead.record.append_time or 0, dead.at.partition, dead.record.offset


def _kind(dead: DeadLetter) -> tuple[str, str]:
    if dead.headers is None:
        return "?", "?"
    return dead.headers.dlq_topic, dead.headers.dlq_reason


def _show(dead: DeadLetter, *, values: bool) -> None:
    headers, at = dead.headers, f"{dead.at.partition}/{dead.record.offset}"
    if headers is None:
        what = "not written by walletwatch"
    else:
        origin = f"{headers.dlq_topic}/{headers.dlq_partition}:{headers.dlq_offset}"
        what = f"{origin}  {headers.dlq_reason}  {headers.dlq_error}"
        if headers.is_cut:
            what += "  (cut to what the topic takes)"
    echo(f"{format_any(dead.record.append_time) or '-'}  {at}  {what}")
    if values:
        value = dead.record.value
        text = "(none)" if value is None else value.decode(errors="backslashreplace")
        echo(f"    {text}")


def _fields(dead: DeadLetter, *, values: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "partition": dead.at.partition,
        "offset": dead.record.offset,
        "append_time": format_any(dead.record.append_time),
    }
    if dead.headers is not None:
        fields |= dead.headers.model_dump(mode="json", exclude_none=True)
    if values:
        fields["value_base64"] = dead.record.value
    return fields


def _report(
    again: Counter[str], dead: Counter[tuple[str, str]], *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        rows = [
            {"topic": topic, "why": why, "count": count}
            for (topic, why), count in sorted(dead.items())
        ]
        emit({"dry_run": dry_run, "replayed": again, "still_dead": rows})
        return
    for topic, count in sorted(again.items()):
        say(f"{count:>12,}  {'would go to' if dry_run else 'appended to'} {topic}")
    if not again:
        say("Nothing would be appended." if dry_run else "Nothing was appended.")
    if again:
        say(_LATE)
    for (topic, why), count in sorted(dead.items()):
        say(f"{count:>12,}  of {visible(topic)} would stay dead: {why}")
