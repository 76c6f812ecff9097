"""The command line as a process of its own."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
WALLETWATCH: Final = (sys.executable, "-m", "walletwatch")
PUBLIC_TOKENS: Final = {"WALLETWATCH_TOKENS__KEY_ID": "public"}
"""A log on Kafka needs a key; tests of other things take the public one."""
_TIMEOUT_SECONDS: Final = 240


def heed_ctrl_c() -> None:
    """Undo that a shell lets its background jobs ignore Ctrl-C; in a process before its program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def walletwatch(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, with these variables added to the environment."""
    return subprocess.run(
        [*WALLETWATCH, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )


def in_terminal(*arguments: str | Path, cwd: Path, typed: str = "", columns: int = 300) -> str:
    """Run a command in a terminal; return everything that was shown there.

    Args:
        typed: what a person types, and is shown too.
    """
    ours, its = pty.openpty()
    subprocess.run(["stty", "cols", str(columns)], stdin=its, check=True)
    process = subprocess.Popen(
        [*WALLETWATCH, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    os.write(ours, typed.encode())
    parts = []
    try:
        while part := os.read(ours, 1 << 16):
            parts.append(part)
    except OSError:  # every other end is closed
        pass
    os.close(ours)
    process.wait(_TIMEOUT_SECONDS)
    return b"".join(parts).decode()


def kafka_variables(settings: Mapping[str, object]) -> dict[str, str]:
    """Return the environment variables that give these settings of the section `kafka`."""
    return {f"WALLETWATCH_KAFKA__{name.upper()}": str(value) for name, value in settings.items()}
