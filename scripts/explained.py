"""docs/explained.md: two incidents of a simulated week, as the commands print them."""

import io
from contextlib import redirect_stdout
from typing import Final

import msgspec
import typer

from rules.registry import ALL
from schemas.alert import Alert
from schemas.topics import ALERTS
from schemas.truth import Plant
from worker import simulate as traffic
from worker.cli.incidents import describe, show_revisions
from worker.cli.printing.output import visible
from worker.codec.codec import Limits
from worker.config.load import default_settings
from worker.engine.log import stored
from worker.explain.checked import derived_from
from worker.explain.derive import derive
from worker.explain.lives import life_of, reader
from worker.explain.render import alert_lines
from worker.explain.revisions import revisions
from worker.logs.memory import MemoryLog
from worker.run.replay import replay
from worker.run.runner import policy_of

SEED: Final = 7
WEEK: Final = traffic.SimulateConfig(accounts=360, days=7)
SHOWN: Final = (
    ("A theft", "guessed_password"),
    ("Money that leaves a locked account", "payment_while_locked"),
)
"""Title, and the variant of the simulation."""
HEAD: Final = f"""# Two incidents explained

Two incidents of a simulated week ({WEEK.accounts} accounts), as `walletwatch explain` prints the
alert and `walletwatch incidents show` its incident. To see more of them:

    walletwatch simulate --accounts {WEEK.accounts} --days {WEEK.days} --seed {SEED} > week.ndjson
    walletwatch replay week.ndjson --out week
    walletwatch explain ALERT_ID --from week.ndjson
    walletwatch explain INCIDENT_ID --from week.ndjson

`explain` prints what happened, why that is an anomaly, what would have made it milder, and which
facts were compared with which thresholds. Its last line is whether the records that the alert
cites still prove it. Names of devices, addresses and payees are never printed. In an incident an
account is a token; the alert, for support agents, names it.
"""


def page() -> str:
    """Return the page, from the simulation as it is today."""
    truth: list[Plant] = []
    events = traffic.simulate(WEEK, SEED, truth)
    lines = [("week", n, msgspec.json.encode(event)) for n, event in enumerate(events, 1)]
    log = replay(lines, policy_of(default_settings())).log
    text = HEAD
    for title, variant in SHOWN:
        plant = next(plant for plant in truth if plant.variant == variant)
        text += f"\n## {title}\n\n{_explained(log, plant)}"
    return text


def _explained(log: MemoryLog, plant: Plant) -> str:
    """Return the output of both commands for the alert that found a plant."""
    alert = next(
        alert
        for _, record in stored(log, ALERTS)
        if (alert := Alert.model_validate_json(record.value or b"")).rule == plant.rule
        and {cited.event_id for cited in alert.evidence} & set(plant.event_ids)
    )
    life = life_of(log, alert.alert_id)
    assert life is not None
    found = derive(life, ALL, reader(log), Limits())
    incident = next(
        each
        for each in revisions(log, "").values()
        if each[0].dedup_key == alert.dedup_key and each[0].opened_at >= alert.at
    )
    explained = "\n".join(map(visible, alert_lines(life, found, derived_from(found))))
    shown = io.StringIO()
    with redirect_stdout(shown):
        describe(incident[-1])
        typer.echo()
        show_revisions(incident)
    parts = (
        (f"walletwatch explain {alert.alert_id[:12]}", explained),
        (f"walletwatch incidents show {incident[0].incident_id[:12]}", shown.getvalue().rstrip()),
    )
    return "\n".join(f"```\n$ {command}\n{output}\n```\n" for command, output in parts)
