"""`walletwatch explain`: an alert or an incident derived again, or the fate of one event."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from rules.counts import counted
from schemas.incident import Incident
from schemas.topics import ALERTS
from worker.cli.incidents import describe
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import echo, emit, say, table, visible
from worker.cli.reading import Reading
from worker.config.load import load_settings
from worker.config.token_keys import tokens_for
from worker.detect import silence
from worker.errors import CheckFailed, UsageError
from worker.explain import fate
from worker.explain.checked import NOT_FROM_RECORDS, Checked, Place, check, document
from worker.explain.ids import LISTED, SHORTEST, Named, named
from worker.explain.lives import life_of, lives_in
from worker.explain.render import alert_lines
from worker.explain.revisions import revisions
from worker.run.replay import replay
from worker.run.runner import policy_of, policy_of_files

_KEY_OF_FILES: Final = (
    "With --from, ids are made with the configured token key, else with the public one: an alert "
    "that a log has under another key has another id here."
)


def explain(
    which: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="An alert_id, an incident_id or an event_id; or its first 6 characters or more.",
        ),
    ],
    *,
    source: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="FILE", help="Replay these files instead of a log."),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="With --from: TOML with thresholds, as for replay.")
    ] = None,
    as_is: Annotated[
        bool,
        typer.Option("--as-is", help="With --from: keep the order of arrival, as replay does."),
    ] = False,
    from_history: Annotated[
        bool,
        typer.Option("--from-history", help="Derive facts and id too, from all of the account."),
    ] = False,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain why an alert was raised, and derive it again from the records it cites.

    Reads exactly these records, runs the rule on the facts that the alert quotes, and prints
    what would have made it milder. Given an incident_id it prints the incident and explains each
    alert that it lists; given an event_id, what every rule did with that event.

    Exit code 0 if every alert is derived, 1 if one is not (and why) or nothing has that id, 2 if
    several ids begin so (they are listed) or a file cannot be read, 70 if the log cannot be used,
    78 if the configuration is wrong.

    Example: walletwatch explain 4f1c02 --from events.ndjson.gz
    """
    with _place(source, rules, as_is, log, config) as place:
        found = _the_one(named(place.log, which), which, as_json, [_KEY_OF_FILES] if source else [])
        if found.kind == "alert":
            _explain_alert(place, found.id, from_history, as_json)
        elif found.kind == "incident":
            _explain_incident(place, found.id, from_history, as_json)
        else:
            _explain_event(place, found, as_json)


@contextmanager
def _place(
    files: list[str] | None, rules: Path | None, as_is: bool, log: str | None, config: Path | None
) -> Iterator[Place]:
    if files is None:
        if rules is not None or as_is:
            option = "--as-is" if rules is None else "--rules"
            raise UsageError(f"{option} needs --from: a log has been judged already.")
        loaded = load_settings(config, environment(), log_url=log)
        with readable_log(loaded) as opened:
            tokens = tokens_for(loaded.settings, loaded.settings.log.url)
            policy = policy_of(loaded.settings, tokens=tokens)
            yield Place(opened, policy, loaded.settings.rules.known)
        return
    settings = load_settings(config, environment(), rules).settings
    policy = policy_of_files(settings)
    reading = Reading(files, policy.limits.max_event_bytes)
    log_of_files = replay(reading.lines(), policy, as_is).log
    for failure in reading.failures:
        say(failure)
    yield Place(log_of_files, policy, settings.rules.known)


def _the_one(found: list[Named], which: str, as_json: bool, hints: list[str]) -> Named:
    """Return what is meant; list them and end if it may be several. `hints`: why it may be none."""
    if len(found) == 1:
        return found[0]
    if found:
        _list(found, as_json)
        count = f"More than {LISTED}" if len(found) > LISTED else str(len(found))
        raise UsageError(f"{count} ids begin so: give more of the one that is meant.")
    if len(which) < SHORTEST:
        raise UsageError(
            f"Nothing has exactly that id, and the beginning of an id must have at least "
            f"{SHORTEST} characters."
        )
    raise CheckFailed(
        "There is no alert, incident or event whose id is that or begins so. The ids of alerts and "
        "incidents: walletwatch alerts list, and walletwatch incidents list --all; of one account: "
        "either with --account.",
        *hints,
    )


def _list(found: list[Named], as_json: bool) -> None:
    if as_json:
        matches = [{"kind": each.kind, "id": each.id} for each in found[:LISTED]]
        emit({"matches": matches, "more": len(found) > LISTED})
        return
    about = {
        "alert": "of rule {0.about}",
        "incident": "{0.about}",
        "event": "in {0.at.topic}",
    }
    rows = [(each.id, each.kind, about[each.kind].format(each)) for each in found[:LISTED]]
    table(("id", "kind", "what"), rows)


def _explain_alert(place: Place, alert_id: str, from_history: bool, as_json: bool) -> None:
    life = life_of(place.log, alert_id)
    assert life is not None  # it was found
    if life.raised["rule"] == silence.RULE:
        title = visible(life.raised["title"])
        raise CheckFailed(f"{title}: {NOT_FROM_RECORDS.format(silence.RULE)}")
    checked = check(place, life, from_history=from_history)
    if as_json:
        emit(document(checked))
    else:
        _show(checked)
    if checked.found.failures:
        raise CheckFailed(f"Alert {alert_id} is not derived.")


def _show(checked: Checked) -> None:
    for line in alert_lines(checked.life, checked.found, checked.result):
        echo(line)


def _explain_incident(place: Place, incident_id: str, from_history: bool, as_json: bool) -> None:
    """Print an incident, and explain each alert that it lists."""
    incident = revisions(place.log, incident_id, forgotten=True)[incident_id][-1]
    lives = lives_in(place.log, ALERTS, incident.alert_ids)
    checked = [check(place, life, from_history=from_history) for life in lives.values()]
    gone = [alert_id for alert_id in incident.alert_ids if alert_id not in lives]
    failed = len(gone) + sum(bool(each.found.failures) for each in checked)
    if as_json:
        emit(
            {
                "incident": incident.model_dump(mode="json", exclude_none=True),
                "derived": not failed,
                "alerts": [document(each) for each in checked],
                "missing": gone,
            }
        )
    else:
        _show_incident(incident, checked, gone)
    if failed:
        total = counted(len(incident.alert_ids), "alert")
        raise CheckFailed(f"{failed} of {total} of incident {incident_id} cannot be derived.")


def _show_incident(incident: Incident, checked: list[Checked], gone: list[str]) -> None:
    describe(incident)
    listed, total = len(incident.alert_ids), incident.alerts.total
    if listed < total:
        echo("", f"It lists {listed:,} of its {counted(total, 'alert')}.")
    for number, each in enumerate(checked, 1):
        echo("", f"Alert {number} of {len(checked)}", "")
        _show(each)
    for alert_id in gone:
        echo("", f"Alert {alert_id} is no longer in the log: it has been pruned.")


def _explain_event(place: Place, event: Named, as_json: bool) -> None:
    """Print what every rule did with one event."""
    found = fate.fate(place, event)
    if as_json:
        emit(fate.document(found))
        return
    echo(f"Event {event.id}, {found.record}")
    for line in fate.lines(found, place.policy):
        echo(f"  {line}")
