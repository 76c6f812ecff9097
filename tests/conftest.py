"""What holds for every test: hypothesis profiles, data sets, and that no skip goes unseen.

A run ends with a section that says what it did not check, and why. With WALLETWATCH_NO_SKIPS=1 (CI)
a skipped test has failed, unless it needs a data set and the machine has none at all.
"""

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DATA = Path(os.environ.get("WALLETWATCH_DATA") or Path(__file__).parents[2] / "shared" / "data")
CASES = next((each for each in (DATA / "cases", DATA.parent / "cases") if each.is_dir()), DATA)
"""Small inputs with what is right, a folder each, and `check.py`."""

# No deadline and no complaint about slow examples: how busy the machine is proves nothing.
settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def data() -> Path:
    """The directory of data sets; a test that reads one is marked needs_data(path)."""
    return DATA


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of the cases once per case; once, to be skipped, where there are none."""
    if "case" in metafunc.fixturenames:
        found = sorted(each.parent for each in CASES.glob("*/want.toml")) or [CASES]
        metafunc.parametrize("case", found, ids=[each.name for each in found])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose data set is missing."""
    if item.get_closest_marker("needs_cases") and not (CASES / "check.py").is_file():
        pytest.skip("needs the cases in ../shared/cases or $WALLETWATCH_DATA/cases")
    for mark in item.iter_markers("needs_data"):
        if not (DATA / mark.args[0]).is_file():
            pytest.skip(f"needs the data set {mark.args[0]} in ../shared/data or $WALLETWATCH_DATA")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where none is allowed."""
    report = yield
    folders = {"needs_data": DATA, "needs_cases": CASES / "check.py"}
    missing = [name for name, folder in folders.items() if not folder.exists()]
    excused = any(item.get_closest_marker(name) for name in missing)
    if not excused and not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    _refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped, how often and why."""
    reasons = Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
    if not reasons:
        return
    terminalreporter.section("SKIPPED: NOT CHECKED IN THIS RUN", sep="!", red=True, bold=True)
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:5} x {reason}")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("WALLETWATCH_NO_SKIPS") == "1":
        report.outcome = "failed"
        report.longrepr = f"Skipped where nothing may be (WALLETWATCH_NO_SKIPS): {_reason(report)}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
