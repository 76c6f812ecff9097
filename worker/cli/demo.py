"""`walletwatch demo`: two simulated days, from events to incidents, in the first five minutes."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from rules.registry import RuleType
from schemas.alert import Alert
from schemas.incident import Incident
from schemas.topics import ALERTS, TOPICS
from schemas.truth import Plant
from worker import simulate as traffic
from worker.cli.incidents import describe, show_revisions
from worker.cli.ingest import Appender
from worker.cli.options import environment
from worker.cli.printing.output import echo, say, table, watched
from worker.codec.codec import Limits
from worker.config.load import load_settings
from worker.config.token_keys import tokens_for
from worker.detect.stage import DETECT
from worker.engine.log import Log, stored
from worker.errors import UsageError
from worker.evaluate.scoring import alerts_of, read_truth, score
from worker.explain.checked import derived_from
from worker.explain.derive import derive
from worker.explain.lives import life_of, reader
from worker.explain.render import alert_lines
from worker.explain.revisions import revisions
from worker.logs.sqlite.log import wall_clock
from worker.outputs import open_output
from worker.private_files import make_folder
from worker.run.open_log import make_topics, open_log
from worker.run.runner import Runner
from worker.triage.stage import TRIAGE

_EVENTS: Final = "events.ndjson"
_TRUTH: Final = "truth.ndjson"
_LOG: Final = "walletwatch.db"
_SHOWN_RULE: Final = "unauthorized_transaction"

Known = Sequence[RuleType]


def demo(
    *,
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the demo keeps its files; old ones are replaced.")
    ] = Path("demo"),
    accounts: Annotated[int, typer.Option(min=60, help="How many accounts there are.")] = 200,
    days: Annotated[int, typer.Option(min=1, max=31, help="How many days they live.")] = 2,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal demos.")] = 1,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="URL",
            help="A log without records, instead of a file in the directory; topics are made.",
        ),
    ] = None,
) -> None:
    """Simulate a wallet, ingest its events, find what is wrong, and show what was found.

    Without --log the demo reads no configuration; with it, that of the environment.

    Exit code 0, 2 if the files cannot be written or the log holds records, 70 if the log cannot be
    used, 78 if the configuration is wrong, or a file is a link or open to others.

    Example: walletwatch demo --accounts 1000 --days 3
    """
    _clear(directory)
    url = log or f"sqlite:///{directory / _LOG}"
    settings = load_settings(None, environment() if log else {}, log_url=url).settings
    tokens_for(settings, url)  # what is wrong with a key ends the demo before it writes events
    make_topics(settings)
    truth: list[Plant] = []
    lines = list(_simulated(directory / _EVENTS, accounts, days, seed, truth))
    planted = [plant.line() for plant in truth]
    _write(directory / _TRUTH, planted)
    must = sum(plant.expect == "alert" for plant in truth)
    say(
        f"1. Simulated {accounts} accounts over {days} days: {len(lines):,} events, in the order "
        "of their arrival.",
        f"   Among them {must} anomalies, and {len(truth) - must} that only look like one.",
    )
    with closing(open_log(url, settings.log.partitions, kafka=settings.kafka)) as opened:
        _refuse_used(opened, url)
        appender = Appender(opened, settings, wall_clock())
        appender.take(_EVENTS, watched(enumerate(lines, 1), "lines"))
        appender.end()
        say(f"2. Ingested them into {url}, {opened.partitions(ALERTS)} partitions a topic.")
        _run(opened, settings)
        say("3. Ran both stages until every input had ended: detect, then triage.")
        alerts = [_alert(record.value) for _, record in stored(opened, ALERTS)]
        known = settings.rules.known
        _show_found(opened, alerts, planted, known)
        alert_id = _show_alert(opened, alerts, known)
        _show_incident(opened)
    _show_next(url, directory, alert_id)


def _clear(directory: Path) -> None:
    try:
        make_folder(directory)
        for name in (_EVENTS, _TRUTH, _LOG, f"{_LOG}-wal", f"{_LOG}-shm", f"{_LOG}.key"):
            (directory / name).unlink(missing_ok=True)
        shutil.rmtree(directory / f"{_LOG}.lock", ignore_errors=True)
    except OSError as error:
        raise UsageError(f"--dir {directory}: {error.strerror}.") from error


def _refuse_used(log: Log, url: str) -> None:
    """Check that the log holds no records; raises UsageError if it does."""
    for topic in TOPICS:
        if any(end for _, end in log.offsets(topic.name)):
            raise UsageError(
                f"{url} holds records of {topic.name}: the demo needs a log of its own."
            )


def _simulated(
    path: Path, accounts: int, days: int, seed: int, truth: list[Plant]
) -> Iterator[bytes]:
    config = traffic.SimulateConfig(accounts=accounts, days=days)
    with open_output(path) as file:
        for event in traffic.simulate(config, seed, truth):
            line = msgspec.json.encode(event)
            file.write(line + b"\n")
            yield line


def _write(path: Path, lines: list[bytes]) -> None:
    with open_output(path) as file:
        file.writelines(line + b"\n" for line in lines)


def _run(log: Log, settings: Any) -> None:
    tokens = tokens_for(settings, settings.log.url, create=True, report=say)
    runner = Runner(log, settings, (DETECT, TRIAGE), None, wall_clock, tokens=tokens)
    try:
        runner.run(lambda: False, until_ended=True)
    finally:
        runner.close()


def _alert(value: bytes | None) -> Alert:
    return Alert.model_validate_json(value or b"")


def _show_found(log: Log, alerts: list[Alert], truth: list[bytes], known: Known) -> None:
    plants = read_truth(_TRUTH, enumerate(truth, 1), {rule.id for rule in known})
    result = score(plants, alerts_of(record.value or b"" for _, record in stored(log, ALERTS)))
    echo(
        "",
        f"Found {len(result.pairs)} of the {len(result.pairs) + len(result.missed)} anomalies; "
        f"false alerts: {len(result.false)}.",
        "",
    )
    raised = [alert for alert in alerts if alert.kind == "raised"]
    found = Counter((alert.rule, alert.severity) for alert in raised)
    became = Counter((alert.rule, alert.kind) for alert in alerts)
    table(
        ("rule", "error", "warning", "info", "updated", "cured", "expired"),
        [
            (
                rule,
                *(found[rule, severity] or "" for severity in ("error", "warning", "info")),
                *(became[rule, kind] or "" for kind in ("updated", "cured", "expired")),
            )
            for rule in sorted({alert.rule for alert in raised})
        ],
    )


def _show_alert(log: Log, alerts: list[Alert], known: Known) -> str:
    """Show one theft as `walletwatch explain` does; return the alert_id."""
    alert = max(
        (alert for alert in alerts if alert.kind == "raised"),
        key=lambda a: (a.rule == _SHOWN_RULE, a.severity == "error", len(a.evidence), a.alert_id),
    )
    life = life_of(log, alert.alert_id)
    assert life is not None
    found = derive(life, known, reader(log), Limits())
    echo("", "One alert, explained and derived again from the records it cites:", "")
    for line in alert_lines(life, found, derived_from(found)):
        echo(line)
    return alert.alert_id


def _show_incident(log: Log) -> None:
    """Show the incident with the most revisions."""
    longest = max(revisions(log, "").values(), key=_eventful)
    echo("", "One incident's life:", "")
    describe(longest[-1])
    echo("")
    show_revisions(longest)


def _eventful(life: list[Incident]) -> tuple[bool, int, str]:
    return life[-1].status == "resolved", len(life), life[0].incident_id


def _show_next(url: str, directory: Path, alert: str) -> None:
    events, truth = directory / _EVENTS, directory / _TRUTH
    me = "walletwatch" if shutil.which("walletwatch") else sys.argv[0]
    echo(
        "",
        "What to try next:",
        f"  {me} incidents list --all --log {url}",
        f"  {me} explain {alert} --from-history --log {url}",
        f"  {me} tail wallet.alerts --from-start --json --log {url}",
        f"  {me} replay {events} --truth {truth}",
        f"  {me} rules explain A1",
        f"  {me} simulate --accounts 1000 | {me} replay -",
    )
