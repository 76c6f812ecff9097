"""Stories of what real wallets do, against the rules: a part of what `make truth` measures."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from schemas.truth import Plant
from worker.cli.app import app
from worker.simulate import SimulateConfig, simulate
from worker.simulate.stories import (
    after_alone,
    amounts,
    assignment,
    counters,
    disputes,
    ended,
    holds,
    jumps,
    lock_money,
    moments,
    openings,
    races,
    undone,
    unreported,
)

PLANTED = (
    after_alone,
    amounts,
    counters,
    disputes,
    ended,
    holds,
    jumps,
    lock_money,
    moments,
    openings,
    races,
    undone,
    unreported,
)
MODULES = {module.__name__ for module in PLANTED}


class Scored:
    """A replay of such stories: the summary, the truth, and the directory of what was found."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.truth: list[Plant] = []
        self.found = directory / "found"
        events, truth = directory / "events.ndjson", directory / "truth.ndjson"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(assignment, "STORIES", _stories())
            config = SimulateConfig(accounts=2 * len(_stories()), days=1, stories_per_variant=2)
            lines = [msgspec.json.encode(event) for event in simulate(config, seed, self.truth)]
        events.write_bytes(b"\n".join(lines))
        truth.write_bytes(b"\n".join(plant.line() for plant in self.truth))
        options = ["--truth", str(truth), "--out", str(self.found), "--json"]
        result = CliRunner().invoke(app, ["replay", str(events), *options])
        self.summary: dict[str, Any] = json.loads(result.stdout)

    def incidents(self, cause: str) -> list[dict[str, Any]]:
        lines = (self.found / "incidents.ndjson").read_text("utf-8").splitlines()
        records = map(json.loads, lines)
        return [each for each in records if each["dedup_key"].startswith(cause)]


def _stories() -> tuple[assignment.Variant, ...]:
    return tuple(each for each in assignment.STORIES if each.plot.__module__ in MODULES)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return Scored(tmp_path_factory.mktemp("planted"), 5)


def test_every_plant_is_found_and_nothing_else(scored: Scored) -> None:
    score = scored.summary["truth"]
    assert score["problems"] == []
    assert score["right"]
    assert score["total"]["planted"] == sum(plant.expect == "alert" for plant in scored.truth) > 60
    assert score["total"]["silent"] == sum(plant.expect == "silent" for plant in scored.truth) > 30
    assert {plant.variant for plant in scored.truth} == {each.name for each in _stories()}


def test_wallets_that_number_their_transactions_alike_have_incidents_of_their_own(
    scored: Scored,
) -> None:
    refusals = "failed_payment_sufficient_balance:transaction:"
    of_incident: dict[str, set[str]] = {}
    for incident in scored.incidents(refusals):
        of_incident.setdefault(incident["incident_id"], set()).add(incident["account_token"])
    assert all(len(accounts) == 1 for accounts in of_incident.values())
    alerting = [
        plant
        for plant in scored.truth
        if plant.expect == "alert" and plant.rule == refusals.split(":", maxsplit=1)[0]
    ]
    assert len(of_incident) == len(alerting)
    assert sum(plant.transaction_ids == ("txn-000001",) for plant in alerting) == 2
