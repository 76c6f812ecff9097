"""The image: what it can do without being able to write, and what is not in it."""

import json
from typing import Final

import pytest

from tests.support.compose import docker
from tests.support.dockerfile import VENV

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

IMAGE: Final = "walletwatch"
CONFINED: Final = ("--read-only", "--network=none", "--cap-drop=ALL")
TOOLS: Final = ("pip", "pip3", "hatchling", "uv", "gcc", "cc", "g++", "make", "git")
MODULES: Final = ("pip", "hatchling", "setuptools", "pytest", "tests")


@pytest.fixture(scope="module", autouse=True)
def image(engine: None) -> None:
    """The image, built from the checkout as docker compose does."""
    docker("compose", "build", "cli")


def run(*words: str) -> str:
    """Run a program of the image without a network and with nothing that it can write."""
    return docker("run", "--rm", *CONFINED, "--entrypoint", words[0], IMAGE, *words[1:])


def test_it_runs_where_nothing_can_be_written() -> None:
    """Every rule fires on its examples."""
    assert "A1" in run("walletwatch", "rules", "test")


def test_it_runs_as_an_unprivileged_user() -> None:
    assert run("id", "--user").split() == ["10001"]
    assert run("id", "--groups").split() == ["10001"]


def test_a_mounted_folder_keeps_a_log() -> None:
    """The embedded log needs nothing but a folder that it may write."""
    folder = ("--tmpfs", "/data:mode=1777")
    demo = ("demo", "--accounts", "60", "--dir", "/data/demo")
    shown = docker("run", "--rm", *CONFINED, *folder, IMAGE, *demo)
    assert "false alerts: 0" in shown


def test_build_tools_stay_outside() -> None:
    """Neither programs nor modules of the build, nor a test, come into the image."""
    find = f"import shutil; print([t for t in {TOOLS} if shutil.which(t)])"
    assert run("python", "-c", find).strip() == "[]"
    look = f"from importlib.util import find_spec as f; print([m for m in {MODULES} if f(m)])"
    for python in ("/usr/local/bin/python", f"{VENV}/bin/python"):
        assert run(python, "-c", look).strip() == "[]"


def test_it_says_of_itself_how_it_is_run_and_watched() -> None:
    (found,) = json.loads(docker("image", "inspect", IMAGE))
    config = found["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert (config["Entrypoint"], config["Cmd"]) == (["walletwatch"], ["run"])
    assert list(config["ExposedPorts"]) == ["9464/tcp"]
    assert "/livez" in " ".join(config["Healthcheck"]["Test"])
