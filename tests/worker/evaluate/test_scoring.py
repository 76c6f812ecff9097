"""Alerts against the truth: who is matched with whom, and every kind of error."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import msgspec
import pytest

from schemas.time import format_time
from schemas.truth import Plant
from tests.support.events.traffic import START
from worker.errors import UsageError
from worker.evaluate.score_report import report
from worker.evaluate.scoring import BACKGROUND, Census, Found, alerts_of, read_truth, score

RULE = "cannot_log_in"
OTHER = "account_lockout"
MAX_DELAY = 6_000


def plant(variant: str = "plain", *events: str, at: int = 0, **fields: Any) -> Plant:
    """Return a plant that must alert, known `at` milliseconds after the start."""
    record = {
        "expect": "alert",
        "rule": RULE,
        "variant": variant,
        "account_id": "acc",
        "event_ids": events or ("anchor",),
        "severity": "warning",
        "at": format_time(START),
        "earliest_at": format_time(START + at),
        "severity_at": format_time(START + at),
    }
    return Plant.model_validate_json(msgspec.json.encode(record | fields))


def silent(variant: str, *events: str, **fields: Any) -> Plant:
    """Return a plant that must stay silent."""
    return plant(variant, *events, expect="silent", severity=None, **fields)


def record(name: str, *events: str, at: int = 0, kind: str = "raised", **fields: Any) -> bytes:
    """Return a record of the alert `name` as it is published."""
    moment = format_time(START + at)
    times = ("at", "first_event_at", "last_event_at", "detected_at", "published_at")
    cited = [
        {"topic": "t", "partition": 0, "offset": 1, "event_id": event, "role": "failure"}
        for event in events
    ]
    given = {
        "alert_id": name,
        "kind": kind,
        "sequence": 1,
        "rule": RULE,
        "rule_version": 1,
        "mode": "live",
        "category": "access",
        "severity": "warning",
        "title": "title",
        "cause": "auth",
        "dedup_key": "key",
        "account_id": "acc",
        "late": False,
        "evidence": cited,
        "evidence_total": len(cited),
        "suspected_root_cause": "unknown",
        "origin": "detect-0",
        "origin_sequence": 0,
    }
    return msgspec.json.encode(given | dict.fromkeys(times, moment) | fields)


def judged(plants: Sequence[Plant], *records: bytes) -> dict[str, Any]:
    """Return the report on these alert records."""
    return report(score(plants, alerts_of(records)), MAX_DELAY, lambda name: f"explain {name}")


def problems(plants: Sequence[Plant], *records: bytes) -> list[tuple[str, str]]:
    """Return (problem, variant) of everything that is not right."""
    return [(p["problem"], p["variant"]) for p in judged(plants, *records)["problems"]]


def pairs(plants: Sequence[Plant], found: Sequence[Found]) -> dict[str, str]:
    """Return which variant was found by which alert."""
    return {p.plant.variant: p.alert.raised.alert_id for p in score(plants, found).pairs}


# -- who is matched with whom ---------------------------------------------------------------


@pytest.mark.parametrize(
    "alert",
    [
        record("a", "anchor"),
        record("a", "one of the others", "x"),
        record("a", "x", transaction_ids=["t-1", "t-2"]),
        record("a", transaction_ids=["t-2"]),
    ],
)
def test_an_alert_that_shares_an_event_or_a_transaction_finds_the_plant(alert: bytes) -> None:
    there = plant("it", "one-of-the-others", "anchor", transaction_ids=("t-2", "t-3"))
    alert = alert.replace(b"one of the others", b"one-of-the-others")
    assert judged([there], alert)["right"]


@pytest.mark.parametrize("fields", [{"rule": OTHER}, {"account_id": "other"}, {"account_id": None}])
def test_an_alert_of_another_rule_or_account_does_not(fields: dict[str, Any]) -> None:
    """It is false, and the plant is missed."""
    wrong = record("a", "anchor", **fields)
    assert problems([plant("it")], wrong) == [("missed", "it"), ("false", BACKGROUND)]


def test_the_alert_with_the_anchor_is_preferred() -> None:
    """In whatever order they come; the other one is false, and named with the variant."""
    records = [record("near", "one"), record("best", "one", "anchor", at=9), record("far", "zero")]
    for order in permutations(records):
        there = plant("it", "zero", "one", "anchor")
        assert pairs([there], alerts_of(order)) == {"it": "best"}
        assert problems([there], *order) == [("false", "it"), ("false", "it")]


def test_of_several_alerts_with_the_anchor_the_one_nearest_in_time_is_preferred() -> None:
    records = [record("early", "anchor"), record("best", "anchor", at=800)]
    for order in permutations(records):
        assert pairs([plant("it", at=900)], alerts_of(order)) == {"it": "best"}


def test_each_plant_has_one_alert_and_each_alert_one_plant() -> None:
    """Two plants with one alert: one is missed. One plant with two alerts: one is false."""
    two = [plant("one"), plant("two")]
    assert problems(two, record("a", "anchor")) == [("missed", "two")]
    assert problems([plant("it")], record("a", "anchor"), record("b", "anchor")) == [
        ("false", "it")
    ]


def test_of_two_plants_with_one_alert_that_of_the_anchor_is_found() -> None:
    """In either order."""
    plants = [plant("other", "e-1", "e-2"), plant("it", "e-1")]
    for some in permutations(plants):
        assert pairs(some, alerts_of([record("a", "e-1")])) == {"it": "a"}


def test_as_many_as_possible_are_matched() -> None:
    """A plant leaves its alert to one that has no other, in every order."""
    plants = [
        plant("any", "e-1", "e-2", "e-3"),
        plant("two", "e-1", "e-2", "none"),
        plant("only one", "e-1", "nothing"),
    ]
    records = [record("a", "e-1"), record("b", "e-2"), record("c", "e-3")]
    for some in permutations(plants):
        for order in permutations(records):
            found = pairs(some, alerts_of(order))
            assert found == {"any": "c", "two": "b", "only one": "a"}


def test_a_truth_about_nothing_finds_nothing_wrong() -> None:
    """No plants, no alerts; and silent plants about which nothing was said."""
    assert judged([])["right"]
    quiet = judged([silent("trap")])
    assert quiet["right"]
    assert quiet["total"]["silent"] == 1
    assert quiet["total"]["precision"] is quiet["total"]["recall"] is None


# -- each kind of error -----------------------------------------------------------------------


UPDATE = {"kind": "updated", "sequence": 2}


@pytest.mark.parametrize(
    ("there", "records", "expected"),
    [
        (plant("v"), [], ["missed"]),
        (plant("v"), [record("a", "anchor")], []),
        (silent("v"), [record("a", "anchor")], ["false"]),
        (plant("v", severity="info"), [record("a", "anchor")], ["wrong_severity"]),
        (plant("v", severity="error"), [record("a", "anchor")], ["wrong_severity"]),
        (plant("v", severity=None), [record("a", "anchor")], []),
        (plant("v", at=1), [record("a", "anchor")], ["too_early"]),
        (plant("v"), [record("a", "anchor", at=MAX_DELAY)], []),
        (plant("v"), [record("a", "anchor", at=MAX_DELAY + 1)], ["too_late"]),
        (
            plant("v", severity="info", at=1),
            [record("a", "anchor")],
            ["wrong_severity", "too_early"],
        ),
        (plant("v", cured_at=format_time(START)), [record("a", "anchor")], ["not_cured"]),
        (
            plant("v", cured_at=format_time(START)),
            [record("a", "anchor"), record("a", "x", kind="cured")],
            [],
        ),
        (
            plant("v", cured_at=format_time(START)),
            [record("a", "anchor"), record("a", kind="cured"), record("a", kind="updated")],
            [],
        ),
        (
            plant("v", cured_at=format_time(START)),
            [record("a", "anchor"), record("a", "x", kind="expired")],
            ["not_cured"],
        ),
    ],
)
def test_every_kind_of_error_is_told(
    there: Plant, records: list[bytes], expected: list[str]
) -> None:
    """And nothing else."""
    assert problems([there], *records) == [(problem, "v") for problem in expected]
    assert judged([there], *records)["right"] is not bool(expected)


@pytest.mark.parametrize(
    ("rise", "expected"),
    [
        ([(0, "info"), (500, "error")], []),
        ([(0, "info"), (499, "error")], ["too_early"]),
        ([(0, "info"), (500 + MAX_DELAY, "error")], []),
        ([(0, "info"), (501 + MAX_DELAY, "error")], ["too_late"]),
        ([(0, "error")], ["too_early"]),
        ([(0, "info"), (500, "warning")], ["wrong_severity"]),
        ([(0, "info"), (500, "error"), (600, "info")], []),
    ],
)
def test_the_highest_severity_counts_and_when_it_was_reached(
    rise: list[tuple[int, str]], expected: list[str]
) -> None:
    """Not before the truth allows, and not long after it."""
    there = plant("v", severity="error", severity_at=format_time(START + 500))
    kinds = ["raised", *["updated"] * len(rise)]
    records = [
        record("a", "anchor", at=at, severity=severity, kind=kind)
        for (at, severity), kind in zip(rise, kinds, strict=False)
    ]
    assert problems([there], *records) == [(problem, "v") for problem in expected]


def test_a_plant_without_earliest_time_may_be_found_when_it_occurred() -> None:
    there = plant("v", earliest_at=None, severity_at=None)
    assert judged([there], record("a", "anchor"))["right"]


def test_what_alerts_on_background_is_false_whatever_it_is() -> None:
    """On another account, on other events of the account, and on none."""
    records = [
        record("a", "elsewhere", account_id="other"),
        record("b", "elsewhere"),
        record("c", account_id=None, rule="pipeline_silent"),
    ]
    assert problems([silent("trap"), plant("v")], *records) == [
        ("missed", "v"),
        *[("false", BACKGROUND)] * 3,
    ]


# -- the report -------------------------------------------------------------------------------


def test_rows_add_up_by_rule_and_by_variant() -> None:
    """Precision and recall are those of the row."""
    plants = [
        plant("v", "e-1", at=0),
        plant("v", "e-2", at=0),
        plant("v", "e-3", at=0),
        plant("w", "e-4"),
        silent("trap", "e-5"),
    ]
    records = [
        record("a", "e-1", at=1_000),
        record("b", "e-2", at=3_000),
        record("c", "e-3", at=2_000),
        record("d", "e-5"),
        record("e", "elsewhere"),
    ]
    told = judged(plants, *records)
    rule = told["rules"][RULE]
    assert {name: rule[name] for name in ("planted", "silent", "found", "missed", "false")} == {
        "planted": 4,
        "silent": 1,
        "found": 3,
        "missed": 1,
        "false": 2,
    }
    assert (rule["precision"], rule["recall"]) == (3 / 5, 3 / 4)
    assert {name: told["total"][name] for name in rule if name != "variants"} == {
        name: value for name, value in rule.items() if name != "variants"
    }
    rows = rule["variants"]
    assert list(rows) == [BACKGROUND, "trap", "v", "w"]
    assert rows["v"]["delay_ms"] == {"min": 1_000, "median": 2_000, "max": 3_000}
    assert (rows["v"]["precision"], rows["v"]["recall"]) == (1, 1)
    assert (rows["w"]["precision"], rows["w"]["recall"], rows["w"]["delay_ms"]) == (None, 0, None)
    assert (rows["trap"]["false"], rows[BACKGROUND]["false"]) == (1, 1)


def test_each_problem_names_what_explains_it() -> None:
    """The alert where there is one, else the anchor of the plant."""
    told = judged(
        [plant("v", "e-1", "e-2"), plant("w", severity="info")],
        record("a", "elsewhere"),
        record("b", "anchor"),
    )
    assert [problem["explain"] for problem in told["problems"]] == [
        "explain e-2",
        "explain a",
        "explain b",
    ]
    assert told["problems"][2]["planted"] == "info"
    assert told["problems"][2]["reached"] == "warning"


def test_events_that_nothing_planted_is_about_are_background() -> None:
    """Copies count as often as they come; what has no event_id is no event."""
    census = Census([plant("v", "e-1", "e-2"), silent("trap", "e-3")])
    lines = [b'{"event_id":"e-%d"}' % n for n in (1, 1, 2, 3, 4, 5, 5)]
    junk = [b'{"kind":"heartbeat"}', b"{", b"\xff", b"[" * 100_000, b'{"event_id":7}']
    given = [("f", 1, line) for line in (*lines, *junk)]
    assert list(census.counted(given)) == given
    assert (census.events, census.background) == (7, 3)


# -- reading the truth --------------------------------------------------------------------------

GOOD = {
    "expect": "alert",
    "rule": RULE,
    "variant": "v",
    "account_id": "secret",
    "event_ids": ["secret"],
    "at": "2026-01-05T00:00:00Z",
    "something": "new",
}


def test_a_truth_is_read_with_what_it_may_leave_out() -> None:
    """Unknown fields are for later versions."""
    (found,) = read_truth("f", [(1, msgspec.json.encode(GOOD))], [RULE])
    assert (found.anchor, found.severity, found.transaction_ids) == ("secret", None, ())
    assert found.knowable_at == found.at


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rule": "secret"}, f"rule: unknown; the rules are {OTHER}, {RULE}."),
        ({"expect": "secret"}, "expect: not one of alert, silent."),
        ({"severity": "secret"}, "severity: not one of critical, error, warning, info."),
        (
            {"at": "secret"},
            "at: must be RFC 3339 text with a UTC offset, such as 2026-03-01T10:00:00.250Z.",
        ),
        ({"event_ids": []}, "event_ids: must have 1 or more entries."),
        ({"event_ids": "secret"}, "event_ids: must be an array."),
        ({"variant": None}, "variant: must be a string."),
    ],
)
def test_a_wrong_line_is_named_and_not_quoted(change: dict[str, Any], sentence: str) -> None:
    lines = [(4, msgspec.json.encode(GOOD)), (5, msgspec.json.encode(GOOD | change))]
    with pytest.raises(UsageError) as caught:
        read_truth("truth.ndjson", lines, [RULE, OTHER])
    assert str(caught.value) == f"truth.ndjson, line 5: {sentence}"


@pytest.mark.parametrize("line", [b"{", b"secret", b"[]", b"\xff\xfe", b"{} {}"])
def test_a_line_that_is_no_object_is_named(line: bytes) -> None:
    with pytest.raises(UsageError, match=r"^truth\.ndjson, line 1: \S+: \w+") as caught:
        read_truth("truth.ndjson", [(1, line)], [RULE])
    assert "secret" not in str(caught.value)
