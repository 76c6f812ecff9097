"""`walletwatch ingest`: append the events of files to the log."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from rules.counts import counted
from schemas.time import format_time, parse_time
from schemas.topics import DETECT_INPUTS, INPUTS, LATE
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, writable_log
from worker.cli.printing.output import emit, say, source_name, watched
from worker.cli.reading import refuse_unreadable
from worker.codec.bad_record import BadRecord, bad
from worker.codec.lines import PlacedLine, place, read_lines
from worker.config.load import Settings, load_settings
from worker.engine.log import Log
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord
from worker.errors import CheckFailed
from worker.logs.sqlite.log import wall_clock
from worker.observe.lateness import mostly
from worker.run.lateness import LateAppends
from worker.run.replay import dead_line, ends

_CHUNK_RECORDS: Final = 5_000
_CHUNK_BYTES: Final = 16 * 1024 * 1024
_LISTED: Final = 10
_STAGE: Final = "ingest"


def ingest(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is stdin."),
    ],
    *,
    end: Annotated[
        bool, typer.Option("--end", help="Mark the end of every input after the last line.")
    ] = False,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Append events to the log, and print how many each topic got.

    A line without a topic or an account goes to wallet.dead-letters, with the name of the file as
    its topic and the number of the line as its offset; what is wrong inside an event, the worker
    finds, and `walletwatch validate` before it. To ingest a file again does no harm: redelivered
    events are recognised.

    It prints how many events of a topic come late, why and what to do, if they are most of them: by
    what the log has had already, or by lines before them.

    After the last event time goes on by the clock. Ingest files of the past into a log of
    their own, with --end and before its first run: else their alerts expire, or they are late.

    Exit code 0, 1 if lines were dead letters, a file was cut short or no end could be marked, 2 if
    a file cannot be opened, 70 if the log cannot be used, 78 if the configuration is wrong.

    Example: walletwatch ingest events.ndjson more.ndjson.gz --end
    """
    refuse_unreadable(files, "Nothing was appended.")
    loaded = load_settings(config, environment(), log_url=log)
    failures: list[str] = []
    now, most = wall_clock(), loaded.settings.engine.max_event_bytes
    with writable_log(loaded) as opened:
        appender = Appender(opened, loaded.settings, now)
        try:
            for name in files:
                try:
                    appender.take(name, watched(read_lines(name, most), "lines"))
                except CheckFailed as failure:
                    appender.flush()
                    failures += failure.lines
            if end and not failures:
                appender.end()
        finally:
            _report(appender, as_json)
    if not as_json:
        _warn_of_the_late(appender.late)
    engine = loaded.settings.engine
    if engine.idle_advances and not (end or as_json):
        _warn_of_the_past(appender.newest, now - engine.max_open_ms)
    failures += ["The end was not marked."] if failures and end else []
    if failures := [*failures, *appender.unusable(_peek(log, config))]:
        raise CheckFailed(*failures)


def _peek(log: str | None, config: Path | None) -> str:
    """Return the command that shows the dead letters of the log."""
    words = ["walletwatch", "dlq", "peek", "--values"]
    words += [] if log is None else ["--log", log]
    words += [] if config is None else ["--config", str(config)]
    return shlex.join(words)


class Appender:
    """Appends lines in chunks, each of which is stored as a whole or not at all.

    Attributes:
        topics: how many records each topic got.
        dead_letters: how many lines had no topic or key, by reason.
        end_at: the time of the end that was marked, in milliseconds; None if it was not.
        late: which events come late.
        newest: time of the newest event, in milliseconds; None if there was none with a time.
    """

    def __init__(self, log: Log, settings: Settings, now: int) -> None:
        self.topics: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.end_at: int | None = None
        self.newest: int | None = None
        self.late = LateAppends(
            log, {each.topic: settings.inputs.of(each).lateness_ms for each in INPUTS}
        )
        self._first: list[str] = []
        self._reasons: Counter[str] = Counter()
        """Of the dead letters of the pending chunk."""
        self._log = log
        self._chunk: list[NewRecord] = []
        self._bytes = 0
        self._at_most = settings.engine.max_event_bytes
        # An event beyond this will be a dead letter: it must not move the end.
        self._latest = {
            each.topic: now + settings.inputs.of(each).max_clock_skew_ms for each in INPUTS
        }

    def take(self, name: str, lines: Iterable[tuple[int, bytes]]) -> None:
        """Append (number, line) of a file; lines before a read error are kept.

        Raises:
            LogError: the log cannot be used; earlier chunks are stored.
        """
        source = source_name(name)
        for number, raw in lines:
            self._add(source, number, raw)
            if len(self._chunk) >= _CHUNK_RECORDS or self._bytes >= _CHUNK_BYTES:
                self.flush()
        self.flush()

    def flush(self) -> None:
        """Append the pending records."""
        if self._chunk:
            self._log.append(self._chunk)
            self.topics.update(record.topic for record in self._chunk)
            self.dead_letters.update(self._reasons)
            self._reasons.clear()
        self._chunk, self._bytes = [], 0

    def end(self) -> None:
        """Mark the end of every input of detect, which ends the signals by itself.

        Raises:
            CheckFailed: no event with a time was appended, so the time of the end is unknown.
        """
        if self.newest is None:
            raise CheckFailed("The end was not marked: no event with a time was read.")
        self.end_at = self.newest + 1
        self._chunk += ends(self.end_at, self._log.partitions(DETECT_INPUTS[0]))
        self.flush()

    def unusable(self, command: str) -> Iterator[str]:
        """Yield how many lines are dead letters, the first of them, and the command that shows all.

        Nothing if there are none.
        """
        count = self.dead_letters.total()
        if not count:
            return
        yield f"{counted(count, 'line')} could not be used:"
        yield from self._first
        if count > len(self._first):
            yield f"  and {count - len(self._first):,} more"
        yield f"To see them whole: {command}"

    def _add(self, source: str, number: int, raw: bytes) -> None:
        self._bytes += len(raw)
        line = place(raw, self._at_most)
        if isinstance(line, PlacedLine) and line.partition is not None:
            line = self._in_range(line)
        if isinstance(line, BadRecord):
            self._reasons[line.reason] += 1
            if len(self._first) < _LISTED:
                self._first.append(f"  {source}, line {number}: {line.error} ({line.reason})")
            self._chunk.append(dead_line(source, number, raw, line, _STAGE))
            return
        if line.key is None and line.partition is None:
            self._see(line)
            self._everywhere(line.topic, line.value)
            return
        partition = line.partition
        if partition is None:
            assert line.key is not None
            partition = partition_of(line.key, self._log.partitions(line.topic))
        self._see(line, partition)
        self._chunk.append(NewRecord(line.topic, line.key, line.value, partition))

    def _in_range(self, line: PlacedLine) -> PlacedLine | BadRecord:
        if line.partition in range(self._log.partitions(line.topic)):
            return line
        return bad("schema", "partition", "no_such_partition")

    def _see(self, line: PlacedLine, partition: int | None = None) -> None:
        latest = self._latest.get(line.topic)
        if latest is None:
            return
        try:
            time = parse_time(line.occurred_at)
        except ValueError:
            return
        if time > latest:
            return
        if self.newest is None or time > self.newest:
            self.newest = time
        if line.key is not None and partition is not None:
            self.late.see(line.topic, partition, time)

    def _everywhere(self, topic: str, value: bytes) -> None:
        for partition in range(self._log.partitions(topic)):
            self._chunk.append(NewRecord(topic, None, value, partition))


def _report(appender: Appender, as_json: bool) -> None:
    end = None if appender.end_at is None else format_time(appender.end_at)
    if as_json:
        late = appender.late.behind_log + appender.late.behind_file
        emit(
            {
                "topics": appender.topics,
                "dead_letters": appender.dead_letters,
                "late": late,
                "end": end,
            }
        )
        return
    for topic, count in sorted(appender.topics.items()):
        say(f"{count:>12,}  {topic}")
    if not appender.topics:
        say("Nothing was appended.")
    for reason, count in sorted(appender.dead_letters.items()):
        say(f"{count:>12,}  of the dead letters: {reason}")
    if end is not None:
        say(f"Every input ends at {end}.")


def _warn_of_the_late(appended: LateAppends) -> None:
    """Print for which topics most events come late, why, and what to do."""
    for topic, events in sorted(appended.events.items()):
        stored, lines = appended.behind_log[topic], appended.behind_file[topic]
        if not mostly(stored + lines, events):
            continue
        why, what = (
            (
                "older than what the log had already",
                "ingest the file with --end into a log of its own",
            )
            if stored >= lines
            else ("after lines of a later time", "sort the lines by occurred_at before")
        )
        say(
            f"{stored + lines:,} of {counted(events, 'event')} of {topic} come late, most of them "
            f"{why}: a worker publishes them on {LATE}, and finds little in them. To have them "
            f"judged in full, {what}; walletwatch replay judges files and keeps nothing."
        )


def _warn_of_the_past(newest: int | None, expired: int) -> None:
    """Warn about events that are so old that a worker closes their alerts at once."""
    if newest is not None and newest <= expired:
        say(
            f"The newest event is of {format_time(newest)}. Time goes on by the clock from there, "
            "so what a worker finds in these events expires at once. To see it, ingest them with "
            "--end into a log of their own."
        )
