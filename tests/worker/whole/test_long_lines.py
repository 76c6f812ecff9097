"""A line of any length takes the memory of the longest line that is allowed, in every command."""

import gzip
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import ROOT, WALLETWATCH
from tests.support.events.mutations import compact, full_login

MIB = 1024 * 1024
LINE_BYTES = 320 * MIB
ADDRESS_SPACE = 256 * MIB
GOOD = [compact(full_login(event_id=f"e{number}")) for number in range(2)]
LIMIT = "record: has more than 262144 bytes (engine.max_event_bytes)"
TIMEOUT_SECONDS = 240


def bomb(path: Path) -> None:
    """Write a good line, one of 320 MiB that looks like JSON, and a good one in few bytes."""
    inside = gzip.compress(b"[" * 32 * MIB, 6)
    with path.open("wb") as file:
        file.write(gzip.compress(GOOD[0] + b"\n"))
        for _ in range(LINE_BYTES // (32 * MIB)):
            file.write(inside)
        file.write(gzip.compress(b"\n" + GOOD[1] + b"\n"))


def sparse(path: Path) -> None:
    """Write a good line, one of 320 MiB of zero bytes that are not on the disk, and a good one."""
    with path.open("wb") as file:
        file.write(GOOD[0] + b"\n")
        file.seek(LINE_BYTES, os.SEEK_CUR)
        file.write(b"\n" + GOOD[1] + b"\n")


def endless(path: Path) -> None:
    """Write 320 MiB of zero bytes without any end of a line."""
    with path.open("wb") as file:
        file.truncate(LINE_BYTES)


def limited(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that may have 256 MiB of addresses."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    return subprocess.run(
        [*WALLETWATCH, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
        preexec_fn=limit,
    )


def test_the_limit_is_one() -> None:
    """A program that holds such a line ends."""
    held = f"exec {sys.executable} -c 'b\"[\" * {LINE_BYTES}'"
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -v {ADDRESS_SPACE // 1024}; {held}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert "MemoryError" in done.stderr


FILES: dict[str, Callable[[Path], None]] = {"bomb": bomb, "sparse": sparse, "endless": endless}


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = tmp_path / request.param
    FILES[request.param](path)
    return path


def test_every_reader_of_events_names_the_line_and_the_limit(file: Path) -> None:
    """`validate`, `ingest`, `replay`, `explain` and `rules diff`; lines around it are taken."""
    good, number, lines = (0, 1, "1 line") if file.name == "endless" else (2, 2, "3 lines")
    where, cwd = f"{file.name}, line {number}: {LIMIT} (too_large)", file.parent

    done = limited("validate", file.name, cwd=cwd)
    assert done.stdout == f"{file.name}:{number}: {LIMIT} (too_large)\n"
    assert (done.returncode, done.stderr) == (1, f"{lines}, 1 bad.\n")

    log = ("--log", "sqlite:///log.db")
    done = limited("ingest", file.name, "--json", *log, cwd=cwd)
    counted = json.loads(done.stdout)
    assert counted["dead_letters"] == {"too_large": 1}
    assert counted["topics"].get("wallet.logins", 0) == good
    assert (done.returncode, where in done.stderr) == (1, True)
    peeked = limited("dlq", "peek", "--values", *log, cwd=cwd)
    assert len(peeked.stdout) < 5_000
    again = limited("dlq", "replay", *log, cwd=cwd)
    assert (again.returncode, "Nothing was appended." in again.stderr) == (1, True)

    done = limited("replay", file.name, "--out", "found", "--json", cwd=cwd)
    assert (done.returncode, where in done.stderr) == (1, True)
    assert json.loads(done.stdout)["events"] == good
    (letter,) = (cwd / "found" / "dead-letters.ndjson").read_text("utf-8").splitlines()
    assert len(letter) < 10_000
    assert json.loads(letter)["dlq_reason"] == "too_large"

    done = limited("explain", "e1e1e1e1", "--from", file.name, cwd=cwd)
    assert (done.returncode, "There is no alert, incident" in done.stderr) == (1, True)

    (cwd / "rules.toml").touch()
    done = limited("rules", "diff", "rules.toml", "rules.toml", file.name, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")


def test_convert_names_the_line_and_the_limit(file: Path) -> None:
    """And goes on behind it."""
    number = 1 if file.name == "endless" else 2
    mapping = ROOT / "examples" / "ndjson-gateway" / "mapping.toml"
    options = ("--mapping", mapping, "--rejects", "rejects")
    done = limited("convert", file.name, *options, cwd=file.parent)
    assert done.returncode == 1
    rejects = [json.loads(line) for line in (file.parent / "rejects").read_bytes().splitlines()]
    assert {"line": number, "reason": "longer than 262144 bytes"} in rejects
    assert len(rejects) == 1 if number == 1 else 3


def test_a_truth_names_the_line_and_the_limit(tmp_path: Path) -> None:
    """Before anything is replayed."""
    (tmp_path / "events.ndjson").write_bytes(GOOD[0] + b"\n")
    endless(tmp_path / "truth")
    done = limited("replay", "events.ndjson", "--truth", "truth", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "walletwatch: truth, line 1: has more than 1048576 bytes.\n"
