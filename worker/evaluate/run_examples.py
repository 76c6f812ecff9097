"""Running the examples of rules through the real engine."""

import json

import msgspec

from rules.contract import AnyRule, Example
from schemas.topics import ALERTS
from worker.codec.codec import Limits
from worker.detect.stage import Policy
from worker.engine.log import Log, stored
from worker.engine.outcomes import DeadLettered, summed
from worker.explain.derive import derive
from worker.explain.lives import lives_of, reader
from worker.explain.render import alert_lines
from worker.run.replay import replay


def run_example(rule: type[AnyRule], example: Example) -> str | None:
    """Replay an example with this rule alone; return what is wrong with what comes of it.

    Its alerts must be those it expects, and each must be derived again from the records it cites,
    as `walletwatch explain` does. None: it holds.
    """
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
    return _underived(rule, result.log)


def _underived(rule: type[AnyRule], log: Log) -> str | None:
    """Return why an alert of the log is not derived again; None if each is."""
    for life in lives_of(record.value or b"" for _, record in stored(log, ALERTS)).values():
        title = life.raised["title"]
        found = derive(life, (rule,), reader(log), Limits())
        if found.failures:
            return f"explain does not derive the alert `{title}`: {' '.join(found.failures)}"
        try:
            list(alert_lines(life, found, ""))
        except Exception as error:  # noqa: BLE001 - `because` and `otherwise` may raise anything
            return f"explain cannot render the alert `{title}`: {type(error).__name__}: {error}"
    return None


def _listed(steps: tuple[str, ...]) -> str:
    return ", ".join(steps) or "no alert"
