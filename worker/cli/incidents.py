"""`walletwatch incidents`: what is wrong now, and the life of one incident."""

from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from rules.counts import counted
from schemas.alert import Money
from schemas.incident import Incident
from schemas.time import format_time
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
from worker.config.token_keys import tokens_for
from worker.detect import silence
from worker.errors import CheckFailed, UsageError
from worker.explain.revisions import revisions
from worker.logs.sqlite.log import wall_clock

_NAMED: Final = 5
_SHORT: Final = 12
"""Digits of an alert_id in a list: enough for `explain`."""
_FEW: Final = 2
"""Alerts that a row of a list names."""


class Status(StrEnum):
    """The values of `--status`: the status of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


app = typer.Typer(help="Incidents: what is wrong, and since when.", no_args_is_help=True)


@app.command("list")
def list_command(
    *,
    status: Annotated[
        list[Status] | None,
        typer.Option(help="Only of this status; repeatable; acknowledged is coming."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    rule: RuleOption = None,
    severity: SeverityOption = None,
    since: SinceOption = None,
    provider: ProviderOption = None,
    account: Annotated[
        str | None,
        typer.Option(help="Only incidents of this account, by its tokens under all active keys."),
    ] = None,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List incidents that are not resolved, the newest first.

    With --since, those that were opened at that event time or later; with --rule, those with an
    alert of that rule. The newest alerts are named by the beginnings of their ids.

    Exit code 0 even if there is none, 2 if there is no log or no such rule, 70 if the log cannot be
    used, 78 if the configuration is wrong.

    Example: walletwatch incidents list --status open --json

    Example: walletwatch incidents list --all --account acc-1001

    Example: walletwatch incidents list --severity error --rule A3 --since 2026-03-09
    """
    unresolved = [Status.OPEN, Status.ACKNOWLEDGED]
    wanted = status or (list(Status) if everything else unresolved)
    loaded = load_settings(config, environment(), log_url=log)
    start = None if since is None else time_of(since, wall_clock())
    with readable_log(loaded) as opened:
        newest = [life[-1] for life in revisions(opened, "").values()]
    others = {silence.RULE, *(name for each in newest for name in each.rules)}
    rules = rule_ids(rule or (), loaded.settings.rules.known, others)
    chosen = Chosen(rules, severity or (), start, provider or ())
    found = [each for each in newest if each.status in wanted and _is_chosen(each, chosen)]
    if account is not None:
        tokens = tokens_for(loaded.settings, loaded.settings.log.url).all_of(account)
        found = [incident for incident in found if incident.account_token in tokens]
    found.sort(key=lambda incident: (-incident.opened_at, incident.incident_id))
    if as_json:
        for incident in found:
            emit(_fields(incident))
        return
    if not found:
        which = "" if chosen == Chosen(rules=set()) else " that is chosen"
        whose = "" if account is None else " of this account"
        echo(f"No incident{whose}{which} is {' or '.join(wanted)}.")
        return
    _print(found)


def _is_chosen(incident: Incident, chosen: Chosen) -> bool:
    opened = incident.opened_at
    return chosen.takes(incident.rules, incident.severity, opened, incident.provider)


def _print(found: list[Incident]) -> None:
    table(
        ("incident", "status", "severity", "opened at", "newest alerts", "alerts", "title"),
        [
            (
                each.incident_id,
                each.status,
                each.severity,
                format_time(each.opened_at),
                _few(each),
                f"{each.alerts.active} of {each.alerts.total} active",
                each.title,
            )
            for each in found
        ],
    )


def _few(incident: Incident) -> str:
    """Return the newest alerts of an incident by the beginnings of their ids."""
    ids = [alert_id[:_SHORT] for alert_id in reversed(incident.alert_ids[-_FEW:])]
    more = incident.alerts.total - len(ids)
    return ", ".join(ids) + (f" and {more:,} more" if ids and more else "")


@app.command()
def show(
    incident_id: Annotated[
        str,
        typer.Argument(metavar="INCIDENT_ID", help="Its id, or a beginning that no other has."),
    ],
    *,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one incident: what it is, every change of it, its alerts, and the records that prove it.

    Exit code 0, 1 if there is no such incident, 2 if several ids begin so, 70 if the log
    cannot be used, 78 if the configuration is wrong.

    Example: walletwatch incidents show 4f1c
    """
    loaded = load_settings(config, environment(), log_url=log)
    with readable_log(loaded) as opened:
        found = revisions(opened, incident_id)
    if not found:
        raise CheckFailed("There is no incident of that id; walletwatch incidents list --all.")
    if incident_id not in found and len(found) > 1:
        ids = ", ".join(sorted(found)[:_NAMED])
        raise UsageError(f"{len(found)} incidents have an id that begins so, such as {ids}.")
    life = found.get(incident_id) or next(iter(found.values()))
    if as_json:
        emit({"incident": _fields(life[-1]), "revisions": [_revision(each) for each in life]})
        return
    describe(life[-1])
    echo("")
    show_revisions(life)


def _fields(incident: Incident) -> dict[str, Any]:
    fields: dict[str, Any] = incident.model_dump(mode="json", exclude_none=True)
    return fields


def _revision(incident: Incident) -> dict[str, Any]:
    change = incident.last_change
    return {
        "revision": incident.revision,
        "at": format_time(change.at),
        "what": change.what,
        "by": change.by,
        "status": incident.status,
        "severity": incident.severity,
        "alerts": f"{incident.alerts.active} of {incident.alerts.total} active",
    }


def describe(incident: Incident) -> None:
    """Print the newest revision of an incident."""
    echo(incident.title)
    facts = {
        "incident": incident.incident_id,
        "status": incident.status,
        "severity": f"{incident.severity}, {incident.priority}",
        "cause": incident.cause,
        "rules": ", ".join(incident.rules),
        "account": incident.account_token,
        "provider": incident.provider,
        "at stake": _at_stake(incident),
        "suspected": incident.suspected_root_cause,
        "opened at": format_time(incident.opened_at),
        "resolved at": incident.resolved_at and format_time(incident.resolved_at),
        "resolution": incident.resolution,
        "before it": incident.previous_incident_id,
        "summary": incident.summary,
    }
    for name, value in facts.items():
        if value:
            echo(f"  {name:<12} {value}")


def _at_stake(incident: Incident) -> str:
    amounts = ", ".join(map(_amount, incident.amount_at_stake))
    return f"{amounts} (added up: not exact)" if amounts and incident.truncated else amounts


def _amount(money: Money) -> str:
    return f"{money.amount} {money.currency}"


def show_revisions(life: list[Incident]) -> None:
    """Print the revisions of an incident, oldest first, its alerts, and where its evidence is."""
    if life[0].revision > 1:
        echo(f"The log no longer has the revisions before {life[0].revision}.")
    rows = [_revision(each) for each in life]
    table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    newest = life[-1]
    if newest.alert_ids:
        listed, total = len(newest.alert_ids), newest.alerts.total
        echo("", f"Alerts, {listed} of {total:,}; walletwatch explain takes their ids:")
        for alert_id in newest.alert_ids:
            echo(f"  {alert_id}")
    if newest.evidence:
        records = counted(newest.evidence_total, "record")
        echo("", f"Evidence, {len(newest.evidence)} of {records}:")
        table(
            ("role", "topic", "partition", "offset", "event"),
            [(e.role, e.topic, e.partition, e.offset, e.event_id) for e in newest.evidence],
        )
