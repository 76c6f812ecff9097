"""What `explain` prints: amounts in units of their currency, moments as times, one thing as one."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec
import pytest

from rules.contract import Example
from rules.registry import ALL, RuleType
from schemas.topics import ALERTS
from worker.codec.codec import Limits
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.explain.checked import Checked, Place, check
from worker.explain.derive import Derivation, derive
from worker.explain.lives import Life, lives_of, reader
from worker.explain.render import _fact, _label, _threshold, _unit_of, alert_lines
from worker.logs.memory import MemoryLog
from worker.run.replay import replay

EXAMPLES: Final = [(rule, each) for rule in ALL for each in rule.EXAMPLES if each.expect]
MONEY: Final[Mapping[str, str | int | bool | None]] = {
    "currency": "BHD",
    "exponent": 3,
    "drift_minor": -1,
    "rows_minor": "9000>-50 0>7",
}


def found_in(rule: RuleType, example: Example) -> tuple[Policy, MemoryLog, list[Life]]:
    """Return what the rule finds in its example."""
    made = rule(rule.Params(**example.params))
    policy = Policy([made], [made], dead_letter_limit=None)
    lines = [("example", n, msgspec.json.encode(e)) for n, e in enumerate(example.events, 1)]
    log = replay(lines, policy).log
    lives = lives_of(record.value or b"" for _, record in stored(log, ALERTS))
    return policy, log, list(lives.values())


@cache
def some_alert() -> tuple[RuleType, Policy, MemoryLog, Life]:
    """Return the first alert of the examples, with where it was found."""
    for rule, example in EXAMPLES:
        policy, log, lives = found_in(rule, example)
        if lives:
            return rule, policy, log, lives[0]
    raise AssertionError("no example raises an alert")


@cache
def printed() -> dict[str, list[str]]:
    """Return what explain prints of every alert of the examples, by the name of the example."""
    pages: dict[str, list[str]] = {}
    for rule, example in EXAMPLES:
        policy, log, lives = found_in(rule, example)
        for life in lives:
            checked = check(Place(log, policy, [rule]), life)
            lines = alert_lines(life, checked.found, checked.result)
            pages.setdefault(f"{rule.code} {example.name}", []).extend(lines)
    return pages


def lines() -> Iterator[str]:
    """Yield every line that explain prints of the examples."""
    for page in printed().values():
        yield from page


def test_no_amount_is_in_minor_units() -> None:
    """Neither a fact nor the threshold that it is compared with."""
    seen = 0
    for line in lines():
        for limit in re.findall(r"\w+_minor(?:_by_currency)? ([^,)]+)", line):
            assert re.fullmatch(r"none|-?\d+(\.\d+)? [A-Z]{3,}", limit), line
            seen += 1
    assert seen > 20


def test_no_moment_is_a_span_since_1970() -> None:
    """A fact that is a moment is a time."""
    assert any(line.startswith("  as of: 2026-03-02T") for line in lines())
    assert [line for line in lines() if re.search(r": \d{5} d ", line)] == []


def test_one_cited_record_is_not_told_as_several() -> None:
    """Neither in the result nor among what was counted but not cited."""
    results = {line for line in lines() if line.startswith("Derived: ")}
    assert "Derived: 1 cited record is unchanged, and the rule finds the same from it." in results
    assert "Derived: 2 cited records are unchanged, and the rule finds the same from them." in (
        results
    )
    assert [line for line in lines() if re.search(r"(?<![\d.,])1 (cited )?records", line)] == []


@pytest.mark.parametrize(
    ("cited", "history", "result"),
    [
        (0, False, "0 cited records are unchanged, and the rule finds the same from them."),
        (1, False, "1 cited record is unchanged, and the rule finds the same from it."),
        (21, False, "21 cited records are unchanged, and the rule finds the same from them."),
        (
            1,
            True,
            (
                "1 cited record is unchanged, and the rule finds the same from it. The history of "
                "the account gives the same facts."
            ),
        ),
    ],
)
def test_the_result_counts_what_was_read_again(cited: int, history: bool, result: str) -> None:
    """In the singular where it is one."""
    rule, _, log, life = some_alert()
    found = derive(life, [rule], reader(log), Limits())
    found.cited = found.cited[:1] * cited
    assert Checked(life, found, history).result == result


@pytest.mark.parametrize(
    ("total", "said"),
    [
        (2, None),
        (3, "  and 1 more like these, which is counted but not cited"),
        (4, "  and 2 more like these, which are counted but not cited"),
        (1_236, "  and 1,234 more like these, which are counted but not cited"),
    ],
)
def test_what_is_counted_but_not_cited_is_said(total: int, said: str | None) -> None:
    """By its number."""
    *_, life = some_alert()
    step = {**life.raised, "evidence": life.raised["evidence"][:1] * 2, "evidence_total": total}
    shown = list(alert_lines(Life([step]), Derivation(None), ""))
    assert [line for line in shown if "not cited" in line] == [said] * bool(said)


@pytest.mark.parametrize(
    ("name", "value", "facts", "shown"),
    [
        ("drift_minor", -1, MONEY, "drift: -0.001 BHD"),
        ("drift_minor", 0, MONEY, "drift: 0.000 BHD"),
        ("drift_minor", 10**20, MONEY, "drift: 100000000000000000.000 BHD"),
        ("drift_minor", 5, {**MONEY, "currency": "JPY", "exponent": 0}, "drift: 5 JPY"),
        ("rows_minor", "9000>-50 0>7", MONEY, "rows: 9.000>-0.050 0.000>0.007 BHD"),
        ("rows_minor", "", MONEY, "rows: none"),
        ("debit_amount_minor", 7, {"debit_currency": "EUR", "debit_exponent": 2},
         "debit amount: 0.07 EUR"),
        ("debit_amount_minor", 7, MONEY, "debit amount: 0.007 BHD"),
        # Without a currency nothing can be said but the number and its unit.
        ("drift_minor", 7, {}, "drift minor: 7"),
        ("drift_minor", 7, {"currency": "EUR"}, "drift minor: 7"),
        ("drift_minor", 7, {"exponent": 2}, "drift minor: 7"),
        ("drift_minor", 7, {"currency": None, "exponent": None}, "drift minor: 7"),
        # Not money.
        ("as_of_ms", 0, MONEY, "as of: 1970-01-01T00:00:00.000Z"),
        ("locked_at_ms", 1, MONEY, "locked at: 1970-01-01T00:00:00.001Z"),
        ("off_by_ms", 5_001, MONEY, "off by: 5 s 1 ms"),
        ("failures", 1, MONEY, "failures: 1"),
        ("late", True, MONEY, "late: yes"),
        ("currency", "BHD", MONEY, "currency: BHD"),
    ],
)  # fmt: skip
def test_a_fact_is_printed(name: str, value: Any, facts: dict[str, Any], shown: str) -> None:
    """With its unit; money in the currency that the facts name."""
    assert f"{_label(name, facts)}: {_fact(name, value, _unit_of(name, facts))}" == shown


@pytest.mark.parametrize(
    ("name", "value", "fact", "shown"),
    [
        ("tolerance_minor", 0, "drift_minor", "0.000 BHD"),
        ("tolerance_minor", 12_345, "drift_minor", "12.345 BHD"),
        ("tolerance_minor_by_currency", {}, "drift_minor", "none"),
        ("tolerance_minor_by_currency", {"EUR": 5}, "drift_minor", "none"),
        ("tolerance_minor_by_currency", {"EUR": 5, "BHD": 7}, "drift_minor", "0.007 BHD"),
        ("tolerance_minor_by_currency", {"EUR": 5, "BHD": 7}, "failures", "EUR 5, BHD 7"),
        ("tolerance_minor", 5, "failures", "5"),
        ("window_ms", 600_000, "drift_minor", "10 min"),
        ("exempt_amount_major", 50, "drift_minor", "50"),
        ("families", [], "drift_minor", "none"),
        ("families", ["limit", "fraud"], "family", "limit, fraud"),
        ("enabled", True, "drift_minor", "yes"),
    ],
)
def test_a_threshold_is_printed_as_the_fact_it_is_compared_with(
    name: str, value: Any, fact: str, shown: str
) -> None:
    """Of a table by currency that of the fact's alone."""
    assert _threshold(name, value, _unit_of(fact, MONEY)) == shown


@pytest.mark.parametrize("kept", [["cured"], ["expired"], ["updated", "cured"]])
def test_an_alert_whose_first_records_were_pruned_is_printed_all_the_same(kept: list[str]) -> None:
    """Without the reasons if no record with a verdict is left."""
    rule, policy, log, life = some_alert()
    steps = [
        {**life.raised, "kind": kind, "sequence": n, "facts": []} for n, kind in enumerate(kept, 2)
    ]
    checked = check(Place(log, policy, [rule]), Life(steps))
    shown = list(alert_lines(checked.life, checked.found, checked.result))
    assert "NOT derived:" in shown
    assert any("no longer holds record 1" in line for line in shown)
