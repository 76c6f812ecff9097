"""PaySim's books, a foreign data set: convert, replay, and exactly the known mismatches."""

import gzip
import tomllib
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from rules.balance_mismatch.rule import BalanceMismatch
from schemas.money import to_minor
from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS, LATE
from tests.support.run_comparison import documents
from worker.cli.convert import convert
from worker.config.load import load_settings
from worker.engine.outcomes import AlertPublished, Counts, IncidentPublished
from worker.run.replay import Replayed, replay
from worker.run.runner import policy_of

PAYSIM = "paysim/paysim_sample.csv.gz"
EXAMPLE = Path(__file__).parents[3] / "examples" / "paysim"
ROWS = 51_392

pytestmark = pytest.mark.needs_data(PAYSIM)


@pytest.fixture(scope="module")
def lines(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The sample as events, by the shipped mapping, without a reject."""
    folder = tmp_path_factory.mktemp("paysim")
    events, rejects = folder / "events.ndjson", folder / "rejects.ndjson"
    convert(
        source=str(data / PAYSIM),
        mapping=EXAMPLE / "mapping.toml",
        output=str(events),
        rejects=str(rejects),
    )
    assert rejects.read_bytes() == b""
    return events.read_bytes().splitlines()


def replayed(lines: list[bytes], rules: Path, partitions: int = 1) -> Replayed:
    """Replay with a file of rules over the defaults."""
    policy = policy_of(load_settings(None, {}, rules).settings)
    named = (("paysim", number, line) for number, line in enumerate(lines, 1))
    return replay(named, policy, partitions=partitions)


def with_tolerance(folder: Path, minor: int) -> Path:
    """Return the shipped rules with another tolerance."""
    text = (EXAMPLE / "rules.toml").read_text("utf-8")
    changed = text.replace("tolerance_minor = 0", f"tolerance_minor = {minor}")
    assert tomllib.loads(changed)["rules"]["balance_mismatch"]["tolerance_minor"] == minor
    path = folder / "rules.toml"
    path.write_text(changed, "utf-8")
    return path


def mismatches(counts: Counts) -> int:
    """Return how many alerts there are, having made sure that nothing else was found."""
    raised: Counter[str] = Counter()
    for outcome, number in counts.items():
        match outcome:
            case AlertPublished(BalanceMismatch.id, "raised", "error" | "warning"):
                raised["alerts"] += number
            case IncidentPublished("opened"):
                raised["incidents"] += number
            case AlertPublished(BalanceMismatch.id, "expired") | IncidentPublished():
                raised["later"] += number
            case _:
                pytest.fail(f"{number} of {outcome}")
    return raised["alerts"]


@pytest.mark.parametrize(("tolerance", "expected", "partitions"), [(0, 30_776, 1), (1, 27_751, 3)])
def test_exactly_the_known_mismatches_and_nothing_else(
    lines: list[bytes], tmp_path: Path, tolerance: int, expected: int, partitions: int
) -> None:
    result = replayed(lines, with_tolerance(tmp_path, tolerance), partitions)
    assert result.events == ROWS
    assert mismatches(result.counts) == expected
    for topic in (LATE, DEAD_LETTERS):
        assert [end for _, end in result.log.offsets(topic)] == [0] * partitions
    raised = [alert for _, alert in documents(result.log, ALERTS) if alert["kind"] == "raised"]
    assert len({alert["alert_id"] for alert in raised}) == expected
    assert {alert["details"]["check"] for alert in raised} == {"row"}
    assert {row["event_id"] for row in _off_by_more(lines, tolerance)} == {
        alert["evidence"][0]["event_id"] for alert in raised
    }
    assert documents(result.log, INCIDENTS)


def test_the_shipped_rules_switch_on_the_row_check_alone() -> None:
    policy = policy_of(load_settings(None, {}, EXAMPLE / "rules.toml").settings)
    (rule,) = policy.rules
    assert rule.id == BalanceMismatch.id
    assert (rule.params.row_check, rule.params.chain_check) == (True, False)
    assert rule.params.tolerance_minor == 0


def test_no_digit_is_lost_on_the_way(lines: list[bytes], data: Path) -> None:
    """Every amount and balance of the file is in the events, as text that was never a float."""
    with gzip.open(data / PAYSIM, "rt", encoding="utf-8") as file:
        names, *rows = [line.rstrip("\n").split(",") for line in file]
    wanted = Counter(
        tuple(
            _minor(row[names.index(name)]) for name in ("amount", "oldbalanceOrg", "newbalanceOrig")
        )
        for row in rows
    )
    events = [msgspec.json.decode(line) for line in lines]
    assert wanted == Counter(
        tuple(to_minor(event[name], 2) for name in ("amount", "balance_before", "balance_after"))
        for event in events
    )
    assert not any(isinstance(value, float) for event in events for value in event.values())


def _minor(text: str) -> int:
    """Return the hundredths that a text such as 9839.64, 0.0 or 1.0E7 means; digit by digit."""
    digits, _, exponent = text.upper().partition("E")
    whole, _, fraction = digits.partition(".")
    shift = int(exponent or 0) + 2 - len(fraction)
    number, scale = int(whole + fraction), int("1" + "0" * abs(shift))
    if shift >= 0:
        return number * scale
    assert number % scale == 0
    return number // scale


def _off_by_more(lines: list[bytes], tolerance: int) -> list[dict[str, str]]:
    found = []
    for line in lines:
        row = msgspec.json.decode(line)
        amount = to_minor(row["amount"], 2)
        due = amount if row["type"] == "topup" else -amount
        moved = to_minor(row["balance_after"], 2) - to_minor(row["balance_before"], 2)
        if abs(moved - due) > tolerance:
            found.append(row)
    return found


def test_hundredths_are_read_digit_by_digit() -> None:
    """The helper above, which must not be the thing that errs."""
    cases = {"1.0E7": 10**9, "0.0": 0, "9839.64": 983964, "1.5": 150, "1.234E2": 12340}
    assert {text: _minor(text) for text in cases} == cases
