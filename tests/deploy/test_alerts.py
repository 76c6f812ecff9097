"""The alerts are valid, fire when they should, and their tests would notice if they did not."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rules.registry import ALL
from schemas.base import PAGING
from tests.support.prometheus_programs import program
from worker.config.load import default_settings
from worker.config.rule_settings import build_rules
from worker.detect.stage import DETECT
from worker.observe.metrics import Metrics
from worker.triage.stage import TRIAGE

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
ALERTS, TESTS, CONFIG = (
    FOLDER / name for name in ("alerts.yml", "alerts.test.yml", "prometheus.yml")
)

MUTANTS = [
    ("record: ", "sum by", "max by"),
    ("WalletwatchDown", 'up{job="walletwatch"} == 0 or ', ""),
    ("WalletwatchDown", ' or absent(up{job="walletwatch"})', ""),
    ("WalletwatchDown", "for: 2m", "for: 1m"),
    ("WalletwatchDown", "for: 2m", "for: 3m"),
    ("WalletwatchStalled", "> 120", "> 30"),
    ("WalletwatchStalled", "> 120", "> 240"),
    ("WalletwatchStalled", "for: 2m", "for: 0m"),
    ("WalletwatchStalled", "for: 2m", "for: 3m"),
    ("WalletwatchLag", "> 10000", ">= 10000"),
    ("WalletwatchLag", "> 10000", "> 12000"),
    ("WalletwatchLag", "for: 15m", "for: 13m"),
    ("WalletwatchLag", "for: 15m", "for: 17m"),
    ("WalletwatchDeadLetters", "> 0.01", "> 0.001"),
    ("WalletwatchDeadLetters", "> 0.01", "> 0.03"),
    ("WalletwatchDeadLetters", "for: 10m", "for: 0m"),
    ("WalletwatchDeadLetters", "for: 10m", "for: 30m"),
    ("WalletwatchRestarting", "> 2", "> 1"),
    ("WalletwatchRestarting", "> 2", "> 3"),
    ("WalletwatchRestarting", "[15m]", "[5m]"),
    ("WalletwatchRestarting", '{job="walletwatch"}', ""),
    ("WalletwatchLate", "> 0.5", "> 0.3"),
    ("WalletwatchLate", "> 0.5", "> 0.7"),
    ("WalletwatchLate", "> 20", "> 2"),
    ("WalletwatchLate", "for: 1m", "for: 0m"),
    ("WalletwatchLate", "for: 1m", "for: 3m"),
    ("WalletwatchLate", ', topic!="wallet.signals"', ""),
    ("WalletwatchPagingIncidentOpen", "critical|error", "critical"),
    ("WalletwatchPagingIncidentOpen", "critical|error", "error"),
    ("WalletwatchPagingIncidentOpen", "critical|error", ".*"),
    ("WalletwatchPagingIncidentOpen", "> 0", "> 1"),
    ("WalletwatchPagingIncidentOpen", "sum by", "min by"),
    ("WalletwatchPagingIncidentOpen", "        keep_firing_for: 10m\n", ""),
    ("WalletwatchPagingIncidentOpen", "keep_firing_for: 10m", "keep_firing_for: 30m"),
]
"""Which rule, what in it, and by what it is replaced."""


def promtool(*arguments: str | Path, text: bytes = b"") -> tuple[int, str]:
    """Run it; return its exit code and its output."""
    done = subprocess.run(
        [program("promtool"), *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def test_configuration_and_alerts_are_valid() -> None:
    """promtool finds nothing to complain of."""
    code, output = promtool("check", "config", CONFIG)
    assert code == 0, output
    code, output = promtool("check", "rules", ALERTS)
    assert code == 0, output


def test_the_severities_that_page_are_those_of_the_records() -> None:
    """The alert on open incidents names them all, and no others."""
    text = ALERTS.read_text("utf-8")
    (named,) = re.findall(r'walletwatch_incidents_open\{severity=~"([^"]+)"', text)
    assert set(named.split("|")) == PAGING


def test_alerts_fire_when_they_should() -> None:
    """And are quiet when nothing is wrong."""
    code, output = promtool("test", "rules", TESTS)
    assert code == 0, output


@pytest.mark.parametrize(("rule", "what", "by"), MUTANTS)
def test_an_alert_that_was_changed_fails_its_tests(
    rule: str, what: str, by: str, tmp_path: Path
) -> None:
    """Each limit, each duration, and each branch of an `or` has a case of its own."""
    before, found, block = ALERTS.read_text("utf-8").partition(rule)
    assert found
    assert what in block.partition("      - alert:")[0]
    (tmp_path / ALERTS.name).write_text(before + found + block.replace(what, by, 1), "utf-8")
    shutil.copy(TESTS, tmp_path)
    code, output = promtool("test", "rules", tmp_path / TESTS.name)
    assert (code, "FAILED" in output) == (1, True)


def test_metrics_keep_the_conventions_of_their_names() -> None:
    """Units, suffixes and help, as promtool wants them."""
    text, _ = Metrics((DETECT, TRIAGE), build_rules(default_settings())[0]).text("")
    code, output = promtool("check", "metrics", text=text)
    assert (code, output) == (0, "")
    assert text.count(b"\n") > 10 * len(ALL)
    code, output = promtool("check", "metrics", text=text.replace(b"_seconds", b"_ms"))
    assert code == 3
