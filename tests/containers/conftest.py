"""Fixtures of the tests that need a Docker engine."""

import subprocess

import pytest

from tests.support.kafka_container import lacking


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip, loudly, where containers cannot run."""
    try:
        done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        missing = lacking() if done.returncode == 0 else "docker compose"
    except FileNotFoundError:
        missing = "docker compose"
    if missing is not None:
        pytest.skip(f"containers: needs {missing}")
