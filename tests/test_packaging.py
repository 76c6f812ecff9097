"""What is installed is pinned, hashed and complete."""

import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BUILD, RUNTIME, DEV = (f"requirements/{name}.txt" for name in ("build", "runtime", "dev"))


def pinned(name: str) -> dict[str, str]:
    """Return what a requirements file pins: name to the rest of its entry."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return dict(re.split(r"(?===)", line, maxsplit=1) for line in lines)


@pytest.mark.parametrize("name", [BUILD, RUNTIME, DEV])
def test_every_requirement_is_an_exact_version_with_hashes(name: str) -> None:
    """No ranges, and no addresses: those are the choice of the user who installs."""
    entries = pinned(name)
    assert entries
    for rest in entries.values():
        assert re.fullmatch(r"==[\w.]+(?: ; [^:]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+", rest)


def test_every_dependency_is_pinned() -> None:
    """What pyproject.toml asks for is in the files; dev.txt holds the others, which differ."""
    build, runtime, dev = pinned(BUILD), pinned(RUNTIME), pinned(DEV)
    for asked, given in (
        (PROJECT["project"]["dependencies"], runtime),
        (PROJECT["dependency-groups"]["build"], build),
        (PROJECT["project"]["optional-dependencies"]["dev"], dev),
    ):
        assert {text.partition(">=")[0] for text in asked} <= set(given)
    assert runtime.items() | build.items() <= dev.items()
    assert "hatchling" not in runtime


def test_every_package_is_shipped_with_its_types() -> None:
    """Mypy checks all that the wheel holds, and each package is marked as typed."""
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) < set(PROJECT["tool"]["mypy"]["packages"])
    for package in packages:
        assert (ROOT / package / "py.typed").is_file()


def test_ci_runs_the_commands_of_the_readme() -> None:
    """.ci/run can be started, and tests the commands that the pages name."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "    make test " in (ROOT / "README.md").read_text("utf-8")
    last = script.read_text("utf-8").splitlines()[-3:]
    assert last == ["make lint", ".ci/containers", "make test"]
    assert os.access(script.with_name("containers"), os.X_OK)
