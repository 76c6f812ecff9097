"""The stage that applies the rules to accounts, and the policy of both stages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rules.contract import AnyRule
from schemas.topics import INPUTS
from worker.codec.codec import Limits
from worker.detect.alerts import Publisher
from worker.detect.dead_letter_limit import DeadLetterWindow, Ranges
from worker.detect.handler import AccountHandler, Horizons
from worker.detect.idleness import DetectClock
from worker.detect.rare_events import RareEvents
from worker.detect.reader import EventReader, InputPolicy
from worker.engine.context import Handler
from worker.engine.log import Log
from worker.engine.records import Snapshot, TopicPartition
from worker.engine.stage import Pace, Stage
from worker.engine.task import Task
from worker.tokens import PUBLIC, Tokens

DETECT = "detect"
INPUT_POLICIES = tuple(
    InputPolicy(each.topic, kind, may_be_silent=each.may_be_silent)
    for kind, each in enumerate(INPUTS)
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides what comes out, given the inputs. Times in milliseconds."""

    rules: Sequence[AnyRule]
    known_rules: Sequence[AnyRule]
    inputs: Sequence[InputPolicy] = INPUT_POLICIES
    limits: Limits = field(default_factory=Limits)
    horizons: Horizons = field(default_factory=Horizons)
    tokens: Tokens = PUBLIC
    dead_letter_limit: int | None = 100
    accepted_dead_letters: Ranges = field(default_factory=dict)
    resolved_retention: int = 30 * 24 * 3_600_000


def detect(
    policy: Policy,
    partition_of: Callable[[bytes], int] | None = None,
    wrap: Callable[[Handler], Handler] = lambda handler: handler,
) -> Stage:
    """Return the stage that applies the rules to accounts.

    Args:
        partition_of: returns the partition of a key; None checks none (files have no partitions).
        wrap: returns a handler around the given one, which sees or passes on less.
    """
    window = DeadLetterWindow(policy.dead_letter_limit, policy.accepted_dead_letters)

    topics = [each.topic for each in policy.inputs]

    def make(number: int, saved: Snapshot) -> Task:
        addresses = [TopicPartition(topic, number) for topic in topics]
        reader = EventReader(policy.inputs, policy.limits, window, partition_of)
        publisher = Publisher(topics, policy.tokens)
        handler = AccountHandler(
            policy.rules,
            policy.known_rules,
            addresses,
            publisher,
            RareEvents(policy.tokens),
            policy.tokens.marks,
            policy.horizons,
        )
        shown = wrap(handler)
        keys = policy.tokens.redelivery_key, policy.tokens.id_key
        return Task(number, DETECT, dict.fromkeys(topics, 1), reader, shown, saved, *keys)

    def clock_policy(log: Log, pace: Pace) -> DetectClock:
        return DetectClock(log, policy.inputs, pace)

    return Stage(DETECT, tuple(topics), make, clock_policy, window.check)
