"""`walletwatch run`: work on the log until a signal stops it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.topics import DETECT_INPUTS
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, writable_log
from worker.cli.printing.holding import Holding
from worker.cli.printing.lateness import Lateness
from worker.cli.printing.noticed import Noticed
from worker.cli.printing.output import emit, say
from worker.cli.printing.restoring import Restoring
from worker.cli.ranges import input_ranges
from worker.cli.stopping import stop_signals
from worker.config.load import Settings, load_settings
from worker.config.token_keys import tokens_for
from worker.detect.stage import DETECT
from worker.engine.log import Log
from worker.engine.observer import Observer, Observers
from worker.engine.outcomes import Counts
from worker.errors import UsageError
from worker.logs.sqlite.log import wall_clock
from worker.run.open_log import refuse_two_clusters, refuse_wrong_topics, step_over_records
from worker.run.runner import Runner
from worker.triage.stage import TRIAGE

_STAGES: Final = {"all": (DETECT, TRIAGE), DETECT: (DETECT,), TRIAGE: (TRIAGE,)}

TasksOption = Annotated[
    str | None, typer.Option(help="Which tasks, such as 0,2-3; all by default.")
]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option(metavar="TOPIC/PARTITION:FROM-TO", help="Offsets that may be bad; repeatable."),
]
StepOverOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TOPIC/PARTITION:FROM-TO",
        help="Records that cannot be read: make an empty dead letter of each; repeatable.",
    ),
]
ShadowOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML with [rules.<name>] tables: these rules run in shadow too, with its values.",
    ),
]


def run(
    *,
    log: LogOption = None,
    config: ConfigOption = None,
    stage: Annotated[str, typer.Option(help="detect, triage or all.")] = "all",
    tasks: TasksOption = None,
    accept_dead_letters: AcceptOption = None,
    step_over: StepOverOption = None,
    shadow: ShadowOption = None,
    until_ended: Annotated[
        bool, typer.Option("--until-ended", help="Stop when every input has ended.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read events, publish alerts and incidents, until SIGTERM or Ctrl-C.

    The current unit of work is finished first; a start ends where it waits. A second signal ends
    either at once; nothing is lost then either.

    With --shadow, rules run a second time with other thresholds. What these find goes to
    wallet.alerts.shadow only: it makes no incident.

    If most events of a topic come late, it prints how many, why and what to do: after a minute of
    them, and at the end.

    Unless tokens.key_file is set, the log gets a key of its own, in a file beside it. One on Kafka
    does not: there a worker starts with a key that is configured, or with tokens.key_id = "public".

    Exit code 0 after a signal or, with --until-ended, at the end; 1 if too many records are bad, 2
    if an option is wrong, 70 if the log cannot be used or a commit is in doubt, 78 if the
    configuration is wrong, or others have changed topics or offsets so that you must decide.

    Example: walletwatch run --log sqlite:///wallet.db

    Example: walletwatch run --shadow candidate.toml
    """
    if stage not in _STAGES:
        raise UsageError(f"--stage: {stage} is none of {', '.join(_STAGES)}.")
    if until_ended and stage == TRIAGE:
        raise UsageError("--until-ended: only detect sees the ends; triage alone goes on.")
    accepted = input_ranges("--accept-dead-letters", accept_dead_letters or ())
    stepped_over = input_ranges("--step-over", step_over or ())
    loaded = load_settings(config, environment(), log_url=log, shadow_file=shadow)
    settings = loaded.settings
    tokens_for(settings, settings.log.url)  # what is wrong with a key ends the start at once
    counts, lateness = Counts(), Lateness()
    with stop_signals() as stop, writable_log(loaded, stop.interruptible) as opened:
        refuse_two_clusters(settings, stop.interruptible)
        step_over_records(opened, stepped_over)
        partitions = opened.partitions(DETECT_INPUTS[0])
        refuse_wrong_topics(settings, partitions, stop.interruptible)
        numbers = _numbers(tasks, partitions) if tasks else None
        tokens = tokens_for(settings, settings.log.url, create=True, report=say)
        with _observed(settings, _STAGES[stage], opened, lateness) as observer:
            runner = Runner(
                opened,
                settings,
                _STAGES[stage],
                numbers,
                wall_clock,
                accepted,
                observer=observer,
                tokens=tokens,
            )
            with closing(runner):
                stop.begin_work()
                say(
                    f"Running {' and '.join(_STAGES[stage])}, tasks {tasks or 'all'}, "
                    f"on {settings.log.url}. Stop with Ctrl-C or SIGTERM."
                )
                runner.run(stop, until_ended)
        counts = runner.counts
    _report(counts, as_json)
    lateness.finish()


@contextmanager
def _observed(
    settings: Settings, stages: Sequence[str], log: Log, lateness: Lateness
) -> Iterator[Observer]:
    """Serve metrics and probes if a port is configured; yield the observer of the work.

    Raises:
        ConfigError: the port is not available.
    """
    holding = Holding(settings.engine.silence_limit_ms)
    printed = Observers(Restoring(), holding, Noticed(), lateness)
    if settings.metrics.port is None:
        yield printed
        return
    from worker.observe.watching import watching  # noqa: PLC0415 - its client takes long to load

    with watching(settings, stages, log.offsets) as (observer, url):
        say(f"Metrics are at {url}/metrics, probes at /livez and /readyz.")
        yield Observers(printed, observer)


def _numbers(text: str, partitions: int) -> list[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"--tasks: {text} is not a list such as 0,2-3.")
        numbers.update(range(int(first), int(last if dash else first) + 1))
    if not numbers or max(numbers) >= partitions:
        raise UsageError(f"--tasks: the log has tasks 0 to {partitions - 1}.")
    return sorted(numbers)


def _report(counts: Counts, as_json: bool) -> None:
    named = sorted((outcome.words, count) for outcome, count in counts.items())
    if as_json:
        emit({" ".join(words): count for words, count in named})
        return
    say("Stopped." if named else "Stopped; nothing had happened.")
    for words, count in named:
        say(f"{count:>10,}  {' '.join(words)}")
