"""`walletwatch alerts`: what the rules have found."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
import typer
from msgspec import Struct

from schemas.time import parse_time
from schemas.topics import ALERTS, ALERTS_SHADOW
from worker.cli.filters import (
    Chosen,
    ProviderOption,
    RuleOption,
    SeverityOption,
    SinceOption,
    rule_ids,
    time_of,
)
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import echo, emit, table
from worker.config.load import load_settings
from worker.detect import silence
from worker.engine.log import Log, stored
from worker.errors import CheckFailed
from worker.logs.sqlite.log import wall_clock

_OPEN: Final = ("raised", "updated")

app = typer.Typer(help="Alerts: what the rules have found.", no_args_is_help=True)


class _Step(Struct, gc=False):
    """What is listed of one record of an alert."""

    alert_id: str
    kind: str
    sequence: int
    rule: str
    severity: str
    title: str
    detected_at: str
    account_id: str | None = None
    provider: str | None = None


class Listed(Struct):
    """An alert by its first and its newest record."""

    first: _Step
    newest: _Step
    value: bytes
    """The newest record as it was published."""

    @property
    def is_open(self) -> bool:
        """Whether it is neither cured, retracted nor expired."""
        return self.newest.kind in _OPEN

    @property
    def found_at(self) -> int:
        """Event time at which it was raised, milliseconds."""
        return parse_time(self.first.detected_at)


_STEP: Final = msgspec.json.Decoder(_Step)


@app.command("list")
def list_command(
    *,
    rule: RuleOption = None,
    severity: SeverityOption = None,
    since: SinceOption = None,
    provider: ProviderOption = None,
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT_ID", help="Only of this account.")
    ] = None,
    only_open: Annotated[
        bool,
        typer.Option("--open", help="Only those neither cured, retracted nor expired."),
    ] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Those of rules that run in shadow, instead.")
    ] = False,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List alerts with what has become of them, those found last first.

    With --since, those that were found at that event time or later. With --json, the newest record
    of each as it was published. What this prints is personal data: it names accounts.

    Exit code 0 even if there is none, 2 if there is no log or no such rule, 70 if the log cannot be
    used, 78 if the configuration is wrong.

    Example: walletwatch alerts list --severity error --since 24h

    Example: walletwatch alerts list --rule A3 --open --json
    """
    loaded = load_settings(config, environment(), log_url=log)
    start = None if since is None else time_of(since, wall_clock())
    with readable_log(loaded) as opened:
        found = listed(opened, ALERTS_SHADOW if shadow else ALERTS)
    others = {silence.RULE, *(each.newest.rule for each in found)}
    rules = rule_ids(rule or (), loaded.settings.rules.known, others)
    chosen = Chosen(rules, severity or (), start, provider or ())
    wanted = [
        each
        for each in found
        if chosen.takes([each.newest.rule], each.newest.severity, each.found_at, _provider(each))
        and (account is None or each.newest.account_id == account)
        and (each.is_open or not only_open)
    ]
    wanted.sort(key=lambda each: (-each.found_at, each.first.alert_id))
    if as_json:
        for each in wanted:
            emit(msgspec.Raw(each.value))
    elif wanted:
        _print(wanted)
    else:
        echo("There is no such alert." if found else "There is no alert.")


def listed(log: Log, topic: str) -> list[Listed]:
    """Return the alerts of a topic.

    Raises:
        CheckFailed: a record is not an alert; the sentence has its address.
    """
    found: dict[str, Listed] = {}
    for at, record in stored(log, topic):
        value = record.value or b""
        try:
            step = _STEP.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise CheckFailed(
                f"{at.topic}, partition {at.partition}, offset {record.offset}: "
                "the record is not an alert that this version can read."
            ) from None
        known = found.setdefault(step.alert_id, Listed(step, step, value))
        if step.sequence > known.newest.sequence:
            known.newest, known.value = step, value
        elif step.sequence < known.first.sequence:
            known.first = step
    return list(found.values())


def _provider(each: Listed) -> str | None:
    return each.newest.provider


def _print(wanted: Iterable[Listed]) -> None:
    head = ("alert", "rule", "severity", "state", "found at", "account", "title")
    table(head, [_row(each) for each in wanted])


def _row(each: Listed) -> tuple[Any, ...]:
    newest = each.newest
    return (
        newest.alert_id,
        newest.rule,
        newest.severity,
        "open" if each.is_open else newest.kind,
        each.first.detected_at,
        newest.account_id or "-",
        newest.title,
    )
