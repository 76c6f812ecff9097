"""`walletwatch validate`: check events before they are sent."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from rules.counts import counted
from schemas.topics import DETECT_INPUTS
from worker.cli.options import ConfigOption, JsonOption, environment
from worker.cli.printing.output import echo, emit, say, visible, watched
from worker.codec.bad_record import Problem
from worker.codec.files import STDIN
from worker.codec.lines import read_lines
from worker.codec.mending import Mended
from worker.config.load import load_settings
from worker.errors import CheckFailed, Exit, UsageError
from worker.logs.sqlite.log import wall_clock
from worker.run.runner import policy_of
from worker.run.validate import Validator, Verdict


def validate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is stdin."),
    ],
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fields that would be cut, cleaned or dropped are bad too."),
    ] = False,
    topic: Annotated[
        str | None,
        typer.Option(
            "--topic", metavar="TOPIC", help="Lines are records of it, where kind may be absent."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check events as a worker would read them, and print what is wrong with each that is bad.

    Of every bad line: the file, its number, the reason of the dead letter that it would be, the
    field, and what is allowed there; never a value. Checked are fields, ids, times, amounts,
    currencies and limits of the configuration, and ids that are used again with other content. With
    --json one object a line, the last of which is the summary.

    Exit code 0, 1 if an event is bad or a file was cut short, 2 if one cannot be opened or there is
    no such topic, 78 if the configuration is wrong.

    Example: walletwatch validate events.ndjson more.ndjson.gz --strict
    """
    if topic not in (None, *DETECT_INPUTS):
        raise UsageError(
            f"{visible(str(topic))} is no input; these are {', '.join(DETECT_INPUTS)}."
        )
    policy = policy_of(load_settings(config, environment()).settings)
    validator = Validator(policy, wall_clock(), topic)
    report = _Report(validator, strict=strict, as_json=as_json)
    failures = []
    for name in files:
        file = "stdin" if name == STDIN else visible(name)
        try:
            lines = watched(read_lines(name, policy.limits.max_event_bytes), "lines")
            for number, raw in lines:
                report.add(file, number, validator.check(file, number, raw))
        except CheckFailed as failure:
            failures.append(f"{failure}. The lines before that were checked.")
    report.end()
    if failures:
        raise CheckFailed(*failures)
    if report.bad:
        raise typer.Exit(Exit.FOUND)


class _Report:
    """Prints what is bad as it comes, then a summary.

    Attributes:
        lines: how many lines were checked.
        bad: how many of them are bad.
    """

    def __init__(self, validator: Validator, *, strict: bool, as_json: bool) -> None:
        self.lines = 0
        self.bad = 0
        self._validator = validator
        self._strict = strict
        self._as_json = as_json

    def add(self, file: str, number: int, verdict: Verdict) -> None:
        """Count a line, and print what is wrong with it."""
        self.lines += 1
        if verdict.bad is not None:
            self._print(file, number, verdict.bad.reason, verdict.bad.problems)
        elif self._strict and verdict.mended:
            self._print(file, number, "mended", _problems(verdict.mended))

    def _print(self, file: str, number: int, reason: str, problems: Sequence[Problem]) -> None:
        self.bad += 1
        if self._as_json:
            emit({"file": file, "line": number, "reason": reason, "problems": problems})
            return
        for each in problems:
            echo(f"{file}:{number}: {each.where}: {each.what} ({reason})")

    def end(self) -> None:
        """Print the summary."""
        if self._as_json:
            emit({"summary": self._summary()})
            return
        say(f"{counted(self.lines, 'line')}, {self.bad:,} bad.")
        if redelivered := self._validator.redelivered:
            say(f"{redelivered:>12,}  delivered again: recognised by their ids")
        if unknown := self._validator.unknown_fields:
            say(f"{unknown:>12,}  unknown fields: ignored")
        for (kind, each), count in sorted(self._validator.mended.items()):
            say(f"{count:>12,}  {kind}: {each.field} would be {each.how}: {each.what}")

    def _summary(self) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "bad": self.bad,
            "redelivered": self._validator.redelivered,
            "unknown_fields": self._validator.unknown_fields,
            "mended": list(_counted(self._validator)),
        }


def _counted(validator: Validator) -> Iterator[dict[str, Any]]:
    for (kind, each), count in sorted(validator.mended.items()):
        yield {"kind": kind, **each._asdict(), "count": count}


def _problems(mended: Sequence[Mended]) -> tuple[Problem, ...]:
    return tuple(Problem(each.field, f"{each.what}: would be {each.how}") for each in mended)
