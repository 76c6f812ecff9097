"""Running the examples of rules through the real engine."""

import json

import msgspec

from rules.contract import AnyRule, Example
from schemas.topics import ALERTS
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.outcomes import DeadLettered, summed
from worker.run.replay import replay


def run_example(rule: type[AnyRule], example: Example) -> str | None:
    """Replay an example with this rule alone; return what differs, None if it holds."""
    made = rule(rule.Params(**example.params))
    lines = [("example", n, msgspec.json.encode(e)) for n, e in enumerate(example.events, 1)]
    result = replay(lines, Policy([made], [made], dead_letter_limit=None))
    refused = summed(result.counts, DeadLettered, ("reason",))
    if refused:
        return f"dead letters: {refused}"
    alerts = [json.loads(record.value or b"") for _, record in stored(result.log, ALERTS)]
    found = tuple(f"{alert['kind']} {alert['severity']}" for alert in alerts)
    if found != example.expect:
        return f"expected {_listed(example.expect)}, found {_listed(found)}"
    for wanted, alert in zip(example.details or (), alerts, strict=False):
        if not wanted.items() <= alert["details"].items():
            return f"expected details {wanted}, found {alert['details']}"
    return None


def _listed(steps: tuple[str, ...]) -> str:
    return ", ".join(steps) or "no alert"
