"""Running stages on a log until asked to stop, or until every input has ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from schemas.money import CURRENCIES
from schemas.topics import DETECT_INPUTS, INPUTS, SIGNALS
from worker.codec.codec import Limits
from worker.config.load import Settings
from worker.config.rule_settings import build_rules
from worker.config.settings import InputSettings
from worker.config.token_keys import tokens_for
from worker.detect.dead_letter_limit import Ranges
from worker.detect.handler import Horizons
from worker.detect.reader import InputPolicy
from worker.detect.stage import DETECT, Policy, detect
from worker.engine.log import Log
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.observer import UNOBSERVED, Observer
from worker.engine.outcomes import Counts
from worker.engine.stage import Pace
from worker.run.gc_pause import calm_collector
from worker.tokens import Tokens
from worker.triage.stage import TRIAGE, triage

_IDLE_WAIT_SECONDS: Final = 0.1
_PRUNE_INTERVAL_MS: Final = 600_000
READERS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(DETECT_INPUTS, (DETECT,)),
    SIGNALS: (TRIAGE,),
}
"""Per topic the stages that must have passed a record before it may be pruned."""


def policy_of(
    settings: Settings, accepted: Ranges | None = None, tokens: Tokens | None = None
) -> Policy:
    """Return the policy that the settings describe.

    Args:
        tokens: those of the log; None: by the configured key, or else the public one.

    Raises:
        ConfigError: a key file or the candidate's file cannot be used.
    """
    running, known = build_rules(settings)
    engine, inputs = settings.engine, settings.inputs
    return Policy(
        rules=running,
        known_rules=known,
        inputs=tuple(
            _input_policy(kind, each.topic, inputs.of(each)) for kind, each in enumerate(INPUTS)
        ),
        limits=Limits(
            engine.max_event_bytes,
            engine.accept_json_numbers,
            {**CURRENCIES, **settings.currencies},
        ),
        horizons=Horizons(engine.dedup_horizon_ms, engine.max_open_ms, engine.max_open_alerts),
        tokens=tokens or tokens_for(settings),
        dead_letter_limit=engine.dead_letter_limit,
        accepted_dead_letters=accepted or {},
        resolved_retention=engine.resolved_retention_ms,
    )


def policy_of_files(settings: Settings) -> Policy:
    """Return the policy for files that are judged as a whole.

    All that can be read is judged. No alert expires: years may lie between two events of a file.

    Raises:
        ConfigError: a key file or the candidate's file cannot be used.
    """
    policy = policy_of(settings)
    horizons = msgspec.structs.replace(policy.horizons, max_open=None)
    return replace(policy, dead_letter_limit=None, horizons=horizons)


def _input_policy(kind: int, topic: str, given: InputSettings) -> InputPolicy:
    return InputPolicy(topic, kind, given.lateness_ms, given.may_be_silent, given.max_clock_skew_ms)


def pace_of(settings: Settings) -> Pace:
    """Return the pace that the settings describe."""
    engine = settings.engine
    return Pace(
        poll_records=engine.poll_records,
        max_buffered=engine.max_buffered,
        idle_advances=engine.idle_advances,
        silence_limit=engine.silence_limit_ms,
        origin_timeout=engine.origin_timeout_ms,
        progress_interval=engine.progress_interval_ms,
    )


class Runner:
    """Some tasks of one stage or both, in this process.

    Args:
        stages: names of the stages to run, detect before triage.
        tasks: numbers of the tasks of each of them; None: all, or what the log gives this worker.
        tokens: those of the log; None: by the configured key, or else the public one.
    """

    def __init__(
        self,
        log: Log,
        settings: Settings,
        stages: Sequence[str],
        tasks: Sequence[int] | None,
        clock: Callable[[], int],
        accepted: Ranges | None = None,
        observer: Observer = UNOBSERVED,
        tokens: Tokens | None = None,
    ) -> None:
        policy = policy_of(settings, accepted, tokens)
        partitions = log.partitions(DETECT_INPUTS[0])
        made = {
            DETECT: detect(policy, lambda key: partition_of(key, partitions)),
            TRIAGE: triage(policy, partitions),
        }
        self._log = log
        self._clock = clock
        self._retention = settings.retention
        self._pruned_at = clock()
        self._workers: dict[str, StageWorker] = {}
        try:
            for name in stages:
                self._workers[name] = StageWorker(
                    log, made[name], tasks, clock, pace_of(settings), observer
                )
        except BaseException:
            self.close()
            raise

    @property
    def counts(self) -> Counts:
        """What was committed since the start."""
        return sum((worker.counts for worker in self._workers.values()), Counts())

    def run(self, stopping: Callable[[], bool], until_ended: bool = False) -> None:
        """Work until `stopping()`, asked after each unit of work, or until all inputs ended.

        Raises:
            LogError: the log failed; what was committed is safe.
            DeadLetterLimit: too much of an input is bad.
        """
        busy = True
        with calm_collector():
            while not stopping():
                busy = self._run_once(0.0 if busy else _IDLE_WAIT_SECONDS)
                self._prune()
                if until_ended and not busy and self._ended():
                    return

    def _run_once(self, wait: float) -> bool:
        """Let each stage do one unit of work; only the first waits for records."""
        busy = False
        for worker in self._workers.values():
            busy |= worker.run_once(wait)
            wait = 0.0
        return busy

    def close(self) -> None:
        """Release the tasks."""
        for worker in self._workers.values():
            worker.close()

    def _ended(self) -> bool:
        """Return whether every input has ended and triage has read that."""
        detecting, judging = self._workers.get(DETECT), self._workers.get(TRIAGE)
        if detecting is None or not detecting.ended:
            return False
        reached = min(task.watermark for task in detecting.tasks.values())
        return judging is None or all(t.watermark >= reached for t in judging.tasks.values())

    def _prune(self) -> None:
        now = self._clock()
        if DETECT in self._workers and now - self._pruned_at >= _PRUNE_INTERVAL_MS:
            self._pruned_at = now
            self._log.prune(self._retention, READERS)
