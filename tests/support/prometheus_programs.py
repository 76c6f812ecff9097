"""The programs of Prometheus, where they are."""

import shutil

import pytest


def program(name: str) -> str:
    """Return the path of a program; skip the test without it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on this machine (Debian: apt-get install prometheus)")
    return path
