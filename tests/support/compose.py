"""`docker compose` on docker-compose.yml, under a project name of its own."""

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.support.commands import ROOT
from tests.support.compose_file import FILE
from tests.support.crashing_worker import wait_until

_PROFILES: Final = ("simulate", "monitoring", "cli")
_KILLED: Final = 128 + signal.SIGKILL
_PATIENCE_SECONDS: Final = 300
_TIMEOUT_SECONDS: Final = 600
"""For one command; the first builds an image."""


def docker(*words: str | Path, **environment: str) -> str:
    """Run a command of docker and return what it prints; fail with its errors."""
    done = subprocess.run(
        ["docker", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, f"docker {' '.join(map(str, words))}:\n{done.stderr[-3000:]}"
    return done.stdout


def await_that(reached: Callable[[], bool], what: str) -> None:
    """Wait until it is so, for as long as containers may take on a crowded machine."""
    wait_until(reached, what, look=0.2, limit=_PATIENCE_SECONDS)


class Compose:
    """The services in containers, until `down`."""

    def __init__(self, changes: Path, environment: Mapping[str, str]) -> None:
        """Choose a name; nothing is started.

        Args:
            changes: a compose file that is laid over docker-compose.yml.
            environment: the variables of both.
        """
        self._environment = dict(environment)
        profiles = [word for profile in _PROFILES for word in ("--profile", profile)]
        self._words = ["compose", "-p", f"walletwatch-{uuid.uuid4().hex[:8]}", *profiles]
        self._words += ["-f", str(FILE), "-f", str(changes)]

    def __call__(self, *words: str) -> str:
        """Run a command of docker compose and return what it prints."""
        return docker(*self._words, *words, **self._environment)

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of the container of a service."""
        (found,) = msgspec.json.decode(docker("inspect", self._container(service)))
        return dict(found)

    def _container(self, service: str) -> str:
        return self("ps", "--all", "--quiet", service).strip()

    def crash(self, service: str) -> None:
        """Kill (-9) the program in its container, and wait until that has been started again."""
        crashes = self.inspect(service)["RestartCount"]
        killing = "import os, signal; os.kill(-1, signal.SIGKILL)"
        # It does not return: the container ends with the program.
        docker(*self._words, "exec", "--detach", service, "python", "-c", killing)
        await_that(lambda: self._restarted(service, crashes), f"{service} to be started again")

    def _restarted(self, service: str, crashes: int) -> bool:
        found = self.inspect(service)
        return bool(found["RestartCount"] > crashes and found["State"]["Running"])

    def kill(self, *services: str) -> None:
        """Kill (-9) containers, and start them again."""
        for service in services:
            assert self.stop(service, signal.SIGKILL) == _KILLED
        self.start(*services)

    def start(self, *services: str) -> None:
        """Start containers that have ended; not the services that they depend on."""
        docker("start", *map(self._container, services))

    def await_health(self, *services: str) -> None:
        """Wait until the health checks of services succeed."""
        for service in services:
            await_that(partial(self._healthy, service), f"{service} to be healthy")

    def _healthy(self, service: str) -> bool:
        return bool(self.inspect(service)["State"]["Health"]["Status"] == "healthy")

    def stop(self, service: str, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to a container, wait until it has ended, and return its exit code."""
        self("kill", "--signal", how.name, service)
        return self.await_exit(service)

    def await_exit(self, service: str) -> int:
        """Wait until the container of a service has ended, and return its exit code."""
        await_that(lambda: not self.inspect(service)["State"]["Running"], f"{service} to end")
        return int(self.inspect(service)["State"]["ExitCode"])

    def logs(self, *services: str) -> str:
        """Return the newest lines that services have printed."""
        return self("logs", "--no-color", "--tail", "50", *services)

    def down(self) -> None:
        """Remove containers, networks and volumes."""
        self("down", "--volumes", "--timeout", "0")
