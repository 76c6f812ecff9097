"""Small inputs that wallets, ledgers and login services produce, each with what is right."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT

pytestmark = pytest.mark.needs_cases


def test_what_is_found_is_what_is_right(case: Path, tmp_path: Path) -> None:
    """As the judge of the cases says, which runs the command itself."""
    command = tmp_path / "walletwatch"
    command.write_text(
        f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m walletwatch \"$@\"\n"
    )
    command.chmod(0o755)
    judge = [sys.executable, str(case.parent / "check.py"), str(command), str(case)]
    ended = subprocess.run(judge, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["1 of 1 right"]), ended.stdout
