"""`walletwatch incidents`: what is wrong now, and the life of one incident."""

from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from schemas.incident import Incident
from schemas.time import format_time
from schemas.topics import INCIDENTS
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import emit, table, visible
from worker.config.load import load_settings
from worker.config.token_keys import tokens_for
from worker.engine.log import Log, stored
from worker.errors import CheckFailed, UsageError

_NAMED: Final = 5


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
        list[Status] | None, typer.Option(help="Only incidents of this status; repeatable.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    account: Annotated[
        str | None,
        typer.Option(help="Only incidents of this account, by its tokens under all active keys."),
    ] = None,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List incidents that are not resolved, the newest first.

    Exit code 0 even if there is none, 2 if there is no log, 70 if it cannot be used, 78 if the
    configuration is wrong.

    Example: walletwatch incidents list --status open --json

    Example: walletwatch incidents list --all --account acc-1001
    """
    unresolved = [Status.OPEN, Status.ACKNOWLEDGED]
    wanted = status or (list(Status) if everything else unresolved)
    loaded = load_settings(config, environment(), log_url=log)
    with readable_log(loaded) as opened:
        newest = [life[-1] for life in lives(opened, "").values()]
    found = [incident for incident in newest if incident.status in wanted]
    if account is not None:
        tokens = tokens_for(loaded.settings, loaded.settings.log.url).all_of(account)
        found = [incident for incident in found if incident.account_token in tokens]
    found.sort(key=lambda incident: (-incident.opened_at, incident.incident_id))
    if as_json:
        for incident in found:
            emit(_fields(incident))
        return
    if not found:
        whose = "" if account is None else " of this account"
        typer.echo(f"No incident{whose} is {' or '.join(wanted)}.")
        return
    table(
        ("incident", "status", "severity", "opened at", "alerts", "title"),
        [
            (
                each.incident_id,
                each.status,
                each.severity,
                format_time(each.opened_at),
                f"{each.alerts.active} of {each.alerts.total} active",
                each.title,
            )
            for each in found
        ],
    )


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
    """Show one incident: what it is, every change of it, and the records that prove it.

    Exit code 0, 1 if there is no such incident, 2 if several ids begin so, 70 if the log
    cannot be used, 78 if the configuration is wrong.

    Example: walletwatch incidents show 4f1c
    """
    loaded = load_settings(config, environment(), log_url=log)
    with readable_log(loaded) as opened:
        found = lives(opened, incident_id)
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
    typer.echo()
    show_revisions(life)


def lives(log: Log, prefix: str) -> dict[str, list[Incident]]:
    """Return every stored revision of the incidents whose id begins so, oldest first.

    Raises:
        CheckFailed: a record is not an incident; the sentence has its address.
    """
    found: dict[str, list[Incident]] = {}
    for at, record in stored(log, INCIDENTS):
        key = (record.key or b"").decode(errors="backslashreplace")
        if not key.startswith(prefix):
            continue
        if record.value is None:
            found.pop(key, None)
            continue
        try:
            incident = Incident.model_validate_json(record.value)
        except ValidationError:
            raise CheckFailed(
                f"{at.topic}, partition {at.partition}, offset {record.offset}: "
                "the record is not an incident that this version can read."
            ) from None
        found.setdefault(key, []).append(incident)
    return found


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
    typer.echo(visible(incident.title))
    facts = {
        "incident": incident.incident_id,
        "status": incident.status,
        "severity": f"{incident.severity}, {incident.priority}",
        "cause": incident.cause,
        "rules": ", ".join(incident.rules),
        "account": incident.account_token,
        "provider": incident.provider,
        "suspected": incident.suspected_root_cause,
        "opened at": format_time(incident.opened_at),
        "resolved at": incident.resolved_at and format_time(incident.resolved_at),
        "resolution": incident.resolution,
        "before it": incident.previous_incident_id,
        "summary": incident.summary,
    }
    for name, value in facts.items():
        if value:
            typer.echo(f"  {name:<12} {visible(str(value))}")


def show_revisions(life: list[Incident]) -> None:
    """Print the revisions of an incident, oldest first, and the addresses of its evidence."""
    if life[0].revision > 1:
        typer.echo(f"The log no longer has the revisions before {life[0].revision}.")
    rows = [_revision(each) for each in life]
    table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    newest = life[-1]
    if newest.evidence:
        typer.echo(f"\nEvidence, {len(newest.evidence)} of {newest.evidence_total} records:")
        table(
            ("role", "topic", "partition", "offset", "event"),
            [(e.role, e.topic, e.partition, e.offset, e.event_id) for e in newest.evidence],
        )
