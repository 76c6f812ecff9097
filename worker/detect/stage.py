"""The two stages: the same machinery with other inputs, readers and handlers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rules.contract import Rule
from rules.events import BALANCE, LOGIN, TRANSACTION
from schemas.topics import BALANCES, LOGINS, SIGNALS, TRANSACTIONS
from worker.codec.codec import Limits
from worker.detect.alerts import Publisher
from worker.detect.dead_letter_limit import Window
from worker.detect.handler import Accounts, Horizons
from worker.detect.rare_events import Measures
from worker.detect.reader import InputPolicy, Intake
from worker.engine.context import Handler
from worker.engine.records import Snapshot, TopicPartition
from worker.engine.task import Task
from worker.tokens import PUBLIC, Tokens
from worker.triage.handler import Incidents, SignalReader

DETECT = "detect"
TRIAGE = "triage"
DETECT_INPUTS = (TRANSACTIONS, LOGINS, BALANCES)
"""In the order of their kinds: an input's index is the kind of its events."""

INPUT_POLICIES = (
    InputPolicy(TRANSACTIONS, TRANSACTION),
    InputPolicy(LOGINS, LOGIN),
    InputPolicy(BALANCES, BALANCE, may_be_silent=True),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides what comes out, given the inputs. Times in milliseconds."""

    rules: Sequence[Rule[Any, Any]]
    known_rules: Sequence[Rule[Any, Any]]
    inputs: Sequence[InputPolicy] = INPUT_POLICIES
    limits: Limits = field(default_factory=Limits)
    horizons: Horizons = field(default_factory=Horizons)
    tokens: Tokens = PUBLIC
    dead_letter_limit: int | None = 100
    accepted_dead_letters: Mapping[TopicPartition, Sequence[tuple[int, int]]] = field(
        default_factory=dict
    )
    resolved_retention: int = 30 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as the loop needs it: its name, its inputs, and how to make a task of it."""

    name: str
    inputs: tuple[str, ...]
    policies: tuple[InputPolicy, ...]
    make: Callable[[int, Snapshot], Task]


def detect(
    policy: Policy,
    partition_of: Callable[[bytes], int] | None = None,
    wrap: Callable[[Handler], Handler] = lambda handler: handler,
) -> Stage:
    """Return the stage that applies the rules to accounts.

    Args:
        partition_of: tells where a key belongs; None does not look (files have no partitions).
        wrap: puts something around the handler, to see or to show less.
    """
    window = Window(policy.dead_letter_limit, policy.accepted_dead_letters)

    def make(number: int, saved: Snapshot) -> Task:
        addresses = [TopicPartition(topic, number) for topic in DETECT_INPUTS]
        reader = Intake(policy.inputs, policy.limits, window, partition_of)
        publisher = Publisher(DETECT_INPUTS, policy.tokens)
        handler = Accounts(
            policy.rules,
            policy.known_rules,
            addresses,
            publisher,
            Measures(policy.tokens),
            policy.tokens.marks,
            policy.horizons,
        )
        shown = wrap(handler)
        return Task(number, DETECT, DETECT_INPUTS, 1, reader, shown, saved.meta, saved.states)

    return Stage(DETECT, DETECT_INPUTS, tuple(policy.inputs), make)


def triage(policy: Policy, origins: int) -> Stage:
    """Return the stage that makes incidents of alerts; `origins` is the number of detect tasks."""

    def make(number: int, saved: Snapshot) -> Task:
        reader = SignalReader(policy.tokens)
        handler = Incidents(policy.tokens, policy.resolved_retention)
        return Task(number, TRIAGE, (SIGNALS,), origins, reader, handler, saved.meta, saved.states)

    return Stage(TRIAGE, (SIGNALS,), (), make)
