"""The rules about skipped tests hold: they are reported loudly, and fail where none may be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"
SUITE = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="no such tool here")
def test_of_a_tool():
    pass

@pytest.mark.skipif(True, reason="no such tool here")
def test_of_the_tool_again():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known_failure():
    raise AssertionError

@pytest.mark.needs_data("set/file.csv")
def test_of_data():
    pass
"""
MODULE = "import pytest\npytest.importorskip('no_such_module_at_all')\n"
OK, FAILED, INTERRUPTED = 0, 1, 2


def run(directory: Path, *, no_skips: bool, data: Path, suite: str = SUITE) -> tuple[int, str]:
    """Run a suite of its own under this conftest; gives exit code and output."""
    (directory / "conftest.py").write_text(CONFTEST.read_text("utf-8"), "utf-8")
    (directory / "test_suite.py").write_text(suite, "utf-8")
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = needs_data(path): data\n", "utf-8")
    environment = os.environ | {
        "WALLETWATCH_NO_SKIPS": "1" if no_skips else "",
        "WALLETWATCH_DATA": str(data),
    }
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(directory)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=directory,
        check=False,
    )
    return done.returncode, done.stdout


def test_skips_are_told_with_their_reasons(tmp_path: Path) -> None:
    """A section of its own counts them by reason."""
    code, output = run(tmp_path, no_skips=False, data=tmp_path / "none")
    assert code == OK
    assert "SKIPPED: NOT CHECKED IN THIS RUN" in output
    assert "2 x no such tool here" in output
    assert "1 x needs the data set set/file.csv" in output


def test_a_run_without_skips_says_nothing_about_them(tmp_path: Path) -> None:
    """The section is there only when something was skipped."""
    code, output = run(tmp_path, no_skips=True, data=tmp_path, suite="def test(): pass")
    assert code == OK
    assert "NOT CHECKED" not in output


def test_skips_fail_where_none_may_be(tmp_path: Path) -> None:
    """Only a test of data is excused, and only where there are no data sets at all."""
    code, output = run(tmp_path, no_skips=True, data=tmp_path / "none")
    assert code == FAILED
    assert "Skipped where nothing may be (WALLETWATCH_NO_SKIPS): no such tool here" in output
    assert "1 passed, 1 skipped, 1 xfailed, 2 errors" in output


def test_a_data_set_missing_among_others_is_no_excuse(tmp_path: Path) -> None:
    """Where the data directory exists, all of it must be there."""
    code, output = run(tmp_path, no_skips=True, data=tmp_path)
    assert code == FAILED
    assert "1 passed, 1 xfailed, 3 errors" in output


def test_a_data_set_that_is_there_is_used(tmp_path: Path) -> None:
    """Nothing is skipped for it."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.csv").touch()
    _, output = run(tmp_path, no_skips=True, data=tmp_path)
    assert "2 passed, 1 xfailed, 2 errors" in output


@pytest.mark.parametrize(("no_skips", "expected"), [(False, 5), (True, INTERRUPTED)])
def test_a_module_that_skips_itself_is_a_skip_too(
    tmp_path: Path, no_skips: bool, expected: int
) -> None:
    """It is reported, or it is an error of collection."""
    code, output = run(tmp_path, no_skips=no_skips, data=tmp_path, suite=MODULE)
    assert code == expected
    assert "no_such_module_at_all" in output
