"""`walletwatch explain`: one alert explained and derived again, or the fate of one event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from msgspec import structs

from rules.registry import RuleType
from schemas.time import parse_time
from schemas.topics import ALERTS, ALERTS_SHADOW, DETECT_INPUTS
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import emit, say, visible
from worker.cli.reading import Reading
from worker.config.load import load_settings
from worker.config.token_keys import tokens_for
from worker.detect import silence
from worker.detect.seal import seal_of
from worker.detect.stage import Policy
from worker.engine.log import Log, stored
from worker.engine.records import Record, TopicPartition
from worker.errors import CheckFailed, UsageError
from worker.explain.derive import (
    Derivation,
    address_of,
    derive,
    facts_of,
    is_sound,
    values_of,
)
from worker.explain.history import Trace, alerts_again, noted
from worker.explain.lives import Life, reader
from worker.explain.render import alert_lines, happened
from worker.run.replay import replay
from worker.run.runner import policy_of

_NAMED: Final = 5
REREAD: Final = "{} cited records are unchanged, and the rule finds the same from them."


@dataclass(frozen=True, slots=True)
class _Place:
    """A log, and the policy by which its events are read."""

    log: Log
    policy: Policy
    known: Sequence[RuleType]


def explain(
    which: Annotated[
        str,
        typer.Argument(metavar="ID", help="An alert_id, or its beginning; or an event_id."),
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
        typer.Option("--from-history", help="Derive the facts too, from all of the account."),
    ] = False,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain why an alert was raised, and derive it again from the records it cites.

    Reads exactly these records, runs the rule on the facts that the alert quotes, and prints
    what would have made it milder. Given an event_id it prints what every rule did with that event.

    Exit code 0 if the alert is derived, 1 if it is not (and why) or there is none of that id, 2 if
    several ids begin so or a file cannot be read, 70 if the log cannot be used, 78 if the
    configuration is wrong.

    Example: walletwatch explain 4f1c --from events.ndjson.gz
    """
    with _place(source, rules, as_is, log, config) as place:
        life = life_of(place.log, which)
        if life is None:
            _explain_event(place, which, as_json)
        else:
            _explain_alert(place, life, from_history, as_json)


@contextmanager
def _place(
    files: list[str] | None, rules: Path | None, as_is: bool, log: str | None, config: Path | None
) -> Iterator[_Place]:
    if files is None:
        if rules is not None or as_is:
            option = "--as-is" if rules is None else "--rules"
            raise UsageError(f"{option} needs --from: a log has been judged already.")
        loaded = load_settings(config, environment(), log_url=log)
        with readable_log(loaded) as opened:
            tokens = tokens_for(loaded.settings, loaded.settings.log.url)
            policy = policy_of(loaded.settings, tokens=tokens)
            yield _Place(opened, policy, loaded.settings.rules.known)
        return
    settings = load_settings(config, environment(), rules).settings
    policy = replace(policy_of(settings), dead_letter_limit=None)
    reading = Reading(files)
    log_of_files = replay(reading.lines(), policy, as_is).log
    for failure in reading.failures:
        say(failure)
    yield _Place(log_of_files, policy, settings.rules.known)


def life_of(log: Log, prefix: str) -> Life | None:
    """Return the records of the alert whose id is or begins with the prefix; None if there is none.

    Raises:
        UsageError: several ids begin so.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    wanted = prefix.encode()
    for topic in (ALERTS, ALERTS_SHADOW):
        for _, record in stored(log, topic):
            if wanted not in (record.value or b""):
                continue
            step = msgspec.json.decode(record.value or b"{}")
            if step["alert_id"].startswith(prefix):
                found.setdefault(f"{step['alert_id']} {step['mode']}", []).append(step)
    exact = [steps for name, steps in found.items() if name.split()[0] == prefix]
    if len(found) > 1 and not exact:
        ids = ", ".join(sorted(found)[:_NAMED])
        raise UsageError(f"{len(found)} alerts have an id that begins so, such as {ids}.")
    lives = exact or list(found.values())
    return Life(sorted(lives[0], key=lambda step: step["sequence"])) if lives else None


def _explain_alert(place: _Place, life: Life, from_history: bool, as_json: bool) -> None:
    if life.raised["rule"] == silence.RULE:
        raise CheckFailed(
            f"{visible(life.raised['title'])}: {life.raised['rule']} is an alert of the engine "
            "itself. It depends on the clock and cannot be derived from records."
        )
    found = derive(life, place.known, reader(place.log), place.policy.limits)
    checked = REREAD.format(len(found.cited))
    if from_history and found.rule is not None:
        found.failures += _against_history(place, life, found)
        checked += " The history of the account gives the same facts."
    if as_json:
        emit(_document(life, found, from_history))
    else:
        for line in alert_lines(life, found, checked):
            typer.echo(visible(line))
    if found.failures:
        raise CheckFailed(f"Alert {life.raised['alert_id']} is not derived.")


def _against_history(place: _Place, life: Life, found: Derivation) -> list[str]:
    """Return the differences between the alert and what the account's history gives."""
    raised, last = life.raised, life.steps[-1]
    rule = found.rule
    assert rule is not None
    partition = int(raised["origin"].removeprefix("detect-"))
    policy = replace(place.policy, rules=[rule], known_rules=[rule])
    until = parse_time(last["detected_at"]) + 1
    again = alerts_again(place.log, raised["account_id"], partition, policy, until)
    mine = {step["sequence"]: step for step in again if step["alert_id"] == raised["alert_id"]}
    failures = []
    for step in life.steps:
        other = mine.get(step["sequence"])
        name = f"record {step['sequence']} ({step['kind']})"
        if other is None:
            failures.append(f"The history of the account gives no {name} of this alert.")
        elif seal_of({**other, "mode": step["mode"]}) != seal_of(step):
            differing = _differing(step, other)
            failures.append(f"The history of the account gives another {differing} in {name}.")
    if failures and any(place.log.offsets(topic)[partition][0] for topic in DETECT_INPUTS):
        failures.append("The log no longer holds all records of that partition: pruned.")
    return failures


def _differing(step: dict[str, Any], other: dict[str, Any]) -> str:
    mine, history = values_of(step), values_of(other)
    facts = [f"fact {name}" for name in {**mine, **history} if mine.get(name) != history.get(name)]
    fields = [name for name in ("severity", "at", "detected_at") if step[name] != other[name]]
    return ", ".join(facts + fields) or "evidence"


def _document(life: Life, found: Derivation, from_history: bool) -> dict[str, Any]:
    rule = found.rule if found.rule and is_sound(found.rule, life) else None
    facts = facts_of(rule, life.judged) if rule else None
    return {
        "derived": not found.failures,
        "from_history": from_history,
        "failures": found.failures,
        "steps": life.steps,
        "cited": [
            {
                "role": each.role,
                "record": each.address,
                "event_id": each.event.event_id,
                "happened": happened(each.event),
            }
            for each in found.cited
        ],
        "because": list(rule.because(facts)) if rule else [],
        "otherwise": [each.sentence for each in rule.otherwise(facts)] if rule else [],
    }


def _explain_event(place: _Place, event_id: str, as_json: bool) -> None:
    """Print what every rule did with one event."""
    at, record, account_id = _event_of(place.log, event_id)
    trace = noted(place.log, at, account_id, record.offset, place.policy)
    address = f"{at.topic}/{at.partition}@{record.offset}"
    cited = list(_citing(place.log, address))
    if as_json:
        emit({"record": address, **structs.asdict(trace), "alerts": cited})
        return
    typer.echo(visible(f"Event {event_id}, {address}"))
    for line in _event_lines(trace, place.policy):
        typer.echo(f"  {visible(line)}")
    for each in cited:
        typer.echo(f"  cited by alert {each['alert_id']} ({each['rule']}, {each['kind']})")
    if not cited:
        typer.echo("  no alert cites it")


def _event_lines(trace: Trace, policy: Policy) -> Iterator[str]:
    if not trace.happened:
        yield "it never reached the rules: it is a dead letter, or a login under an unknown name"
        return
    yield trace.happened
    if trace.late_by:
        yield f"it came {trace.late_by} ms late: it may cure, or be judged by itself, no more"
    for reason in trace.counted:
        yield f"counted: {reason}"
    for rule in policy.rules:
        did = trace.did.get(rule.id)
        yield f"{rule.code} {rule.id}: {', '.join(did) if did else 'saw nothing in it'}"


def _event_of(log: Log, event_id: str) -> tuple[TopicPartition, Record, str]:
    """Return the first address of the event, its record, and its account."""
    wanted = event_id.encode()
    for topic in DETECT_INPUTS:
        for at, record in stored(log, topic):
            if wanted in (record.value or b""):
                document = _document_of(record)
                if document.get("event_id") == event_id:
                    return at, record, str(document.get("account_id"))
    raise CheckFailed("There is no alert and no event of that id.")


def _document_of(record: Record) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def _citing(log: Log, address: str) -> Iterator[dict[str, str]]:
    for topic in (ALERTS, ALERTS_SHADOW):
        for _, record in stored(log, topic):
            step = _document_of(record)
            if any(address_of(cited) == address for cited in step.get("evidence", ())):
                yield {name: step[name] for name in ("alert_id", "rule", "kind")}
