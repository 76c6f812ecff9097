"""Bad input at full size: 100,000 events each mutated, beside clean ones.

Nothing may raise; every event is processed, recognised as redelivered, set aside with a reason, or
a dead letter; and the clean accounts have the same alerts as without the others.

Use: python -m bench.bad_input [EVENTS [SEED]]
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from rules.contract import AnyRule, Params, Rule, State
from rules.effects import Effects
from rules.facts import Facts
from rules.registry import ALL
from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS
from tests.support.events.mutations import clean_events, compact, full_login, mutants
from tests.support.run_comparison import comparable
from worker.detect.stage import Policy
from worker.engine.log import Log, stored
from worker.engine.outcomes import Counts, RuleFailure
from worker.run.replay import replay
from worker.tokens import PUBLIC

EVENTS: Final = 100_000
CLEAN_ACCOUNTS: Final = 30
REDELIVERED: Final = 0.1
LAST: Final = compact(
    full_login(account_id="last", event_id="last", occurred_at="8999-12-30T00:00:00.000Z")
)
"""The end of every run, whatever times the mutants have, so that the same timers fire."""

VALUES: Final = ("mutant-", "acme-pay", "s-4711", "2001:db8", "phone-1", "north", "first of many")
"""Contents of mutants that no message may quote."""


class Witness(Rule[Params, State, Facts]):
    """Remembers which events were given to rules, and finds nothing."""

    id = "witness"
    code = "T0"
    category = "pipeline"
    Params = Params
    State = State
    Facts = Facts

    def __init__(self) -> None:
        super().__init__(Params())
        self.seen: set[tuple[str, int, int]] = set()
        """(account, kind, offset)."""

    def _see(self, state: Any, event: Any, profile: object, fx: Effects) -> None:
        self.seen.add((event.account_id, fx.ref.kind, fx.ref.offset))

    on_transaction = on_login = on_balance = _see
    late_transaction = late_login = late_balance = _see


@dataclass(slots=True)
class Ordeal:
    """A policy that observes every event, and the checks after a run with it."""

    more: Sequence[AnyRule] = ()
    witness: Witness = field(default_factory=Witness)

    @property
    def policy(self) -> Policy:
        """All rules and the witness, without a limit of dead letters."""
        every: Sequence[type[AnyRule]] = ALL
        rules = [*(rule(rule.Params()) for rule in every), self.witness, *self.more]
        return Policy(rules, rules, dead_letter_limit=None)

    def account_for(self, read: int, log: Log, counts: Counts) -> list[str]:
        """Return the problems: events that are not accounted for, quotes, errors of rules."""
        kinds = Counter[str]()
        for outcome, number in counts.items():
            kinds[outcome.name] += number
        dead = dead_letters(log)
        kinds["dead_letter"] = dead.total() - dead["rule_error"]
        set_aside = kinds["redelivered"] + kinds["too_old"] + kinds["unknown_account"]
        found = len(self.witness.seen) + set_aside + kinds["dead_letter"]
        problems = [] if found == read else [f"{read} events read, {found} accounted for: {kinds}"]
        return (
            problems
            + quoted(log)
            + [f"rule {each.rule} raised" for each in counts if isinstance(each, RuleFailure)]
        )


def dead_letters(log: Log) -> Counter[str]:
    """Return how many dead letters there are, by reason."""
    return Counter(
        dict(record.headers)["dlq_reason"].decode() for _, record in stored(log, DEAD_LETTERS)
    )


def quoted(log: Log) -> list[str]:
    """Return the messages that quote the contents of an event."""
    messages = {
        dict(record.headers)["dlq_error"].decode() for _, record in stored(log, DEAD_LETTERS)
    }
    return [
        f"a message quotes its input: {message}"
        for message in sorted(messages)
        if any(value in message for value in VALUES) or not message.isprintable()
    ]


def of_clean_accounts(log: Log) -> tuple[list[str], list[str]]:
    """Return the records about clean accounts, in the form in which two runs are compared."""
    accounts = {f"clean-{number}" for number in range(CLEAN_ACCOUNTS)}
    tokens = set(map(PUBLIC.of, accounts))
    alerts, incidents = comparable(log)

    def kept(texts: Sequence[str], name: str, wanted: set[str]) -> list[str]:
        return [text for text in texts if msgspec.json.decode(text).get(name) in wanted]

    return kept(alerts, "account_id", accounts), kept(incidents, "account_token", tokens)


def differences(expected: Log, found: Log) -> list[str]:
    """Return the differences of two runs in the records about clean accounts."""
    return [
        f"{topic} of the clean accounts: {len(without)} without mutants, {len(beside)} beside them"
        for topic, without, beside in zip(
            (ALERTS, INCIDENTS), of_clean_accounts(expected), of_clean_accounts(found), strict=True
        )
        if without != beside
    ]


def judge_replay(events: int, seed: int, partitions: int = 1) -> tuple[list[str], Counter[str]]:
    """Replay mutants beside clean events; return (what is wrong, dead letters by reason)."""
    chance = random.Random(seed)
    clean = [*map(compact, clean_events(CLEAN_ACCOUNTS)), LAST]
    lines = clean + [raw for _, _, raw in mutants(events, seed)]
    lines += chance.sample(lines, int(len(lines) * REDELIVERED))
    chance.shuffle(lines)
    ordeal = Ordeal()
    alone = replay(_named(clean), Ordeal().policy, partitions=partitions)
    beside = replay(_named(lines), ordeal.policy, partitions=partitions)
    problems = ordeal.account_for(len(lines), beside.log, beside.counts)
    return problems + differences(alone.log, beside.log), dead_letters(beside.log)


def _named(lines: Sequence[bytes]) -> list[tuple[str, int, bytes]]:
    return [("events.ndjson", number, line) for number, line in enumerate(lines, 1)]


def main(arguments: Sequence[str] = (), say: Callable[[str], Any] = print) -> int:
    """Run it, print the result, and return 0 if all is well, else 1."""
    events = int(arguments[0]) if arguments else EVENTS
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    started = time.monotonic()
    problems, dead = judge_replay(events, seed)
    say(f"bad input: {events} mutated events, seed {seed}, {time.monotonic() - started:.0f} s")
    for reason, number in dead.most_common():
        say(f"  {number:7} {reason}")
    for problem in problems:
        say(f"  WRONG: {problem}")
    say("  FAILED" if problems else "  ok: all accounted for, clean accounts unchanged")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
