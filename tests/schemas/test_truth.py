"""The truth of a simulation: one line per plant, written and read by the same record."""

import pytest

from schemas.time import parse_time
from schemas.truth import Plant
from worker.simulate import SimulateConfig, simulate

AT = parse_time("2026-01-05T10:00:00Z")
SILENT = Plant(
    expect="silent",
    rule="balance_mismatch",
    variant="just_right",
    account_id="acc-000001",
    event_ids=("evt-1", "evt-2"),
    at=AT,
)
THEFT = Plant(
    expect="alert",
    rule="unauthorized_transaction",
    variant="guessed_password",
    account_id="acc-000202",
    event_ids=("evt-1",),
    transaction_ids=("txn-1",),
    severity="error",
    at=AT,
    earliest_at=AT + 1,
    severity_at=AT + 2,
    cured_at=AT + 60_000,
)


@pytest.mark.parametrize(
    ("plant", "line"),
    [
        (
            SILENT,
            (
                b'{"expect":"silent","rule":"balance_mismatch","variant":"just_right",'
                b'"account_id":"acc-000001","event_ids":["evt-1","evt-2"],"transaction_ids":[],'
                b'"at":"2026-01-05T10:00:00.000Z"}'
            ),
        ),
        (
            THEFT,
            (
                b'{"expect":"alert","rule":"unauthorized_transaction","variant":"guessed_password",'
                b'"account_id":"acc-000202","event_ids":["evt-1"],"transaction_ids":["txn-1"],'
                b'"severity":"error","at":"2026-01-05T10:00:00.000Z",'
                b'"earliest_at":"2026-01-05T10:00:00.001Z","severity_at":"2026-01-05T10:00:00.002Z",'
                b'"cured_at":"2026-01-05T10:01:00.000Z"}'
            ),
        ),
    ],
)
def test_a_plant_is_one_line(plant: Plant, line: bytes) -> None:
    """These bytes stand in the files of users: what does not apply is left out."""
    assert plant.line() == line
    assert Plant.model_validate_json(line) == plant


def test_every_plant_of_a_simulation_is_read_as_it_was_written() -> None:
    truth: list[Plant] = []
    for _ in simulate(SimulateConfig(accounts=120, days=2), 3, truth):
        pass
    assert len({plant.rule for plant in truth}) > 3
    assert [Plant.model_validate_json(plant.line()) for plant in truth] == truth


def test_an_alert_can_be_known_from_the_anchor_on_where_nothing_else_is_said() -> None:
    assert (SILENT.anchor, SILENT.knowable_at) == ("evt-2", AT)
    assert (THEFT.anchor, THEFT.knowable_at) == ("evt-1", AT + 1)
