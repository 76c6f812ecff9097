"""The image: pinned, run by an unprivileged user; its build steps work where they need no Docker.

tests/containers builds the image itself.
"""

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.dockerfile import DOCKERFILE, VENV, arguments, exec_form, stages


def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_pinned_and_runs_as_a_user_by_number() -> None:
    """All stages begin with the same release of Python, or with another that is given."""
    build, final = stages()
    assert {stage[0].text.partition(" ")[0] for stage in (build, final)} == {"${PYTHON_IMAGE}"}
    image = arguments()["PYTHON_IMAGE"]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", image)
    (user,) = [each.text for each in final if each.name == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert [each.text for each in final if each.name == "STOPSIGNAL"] == ["SIGTERM"]
    assert exec_form("ENTRYPOINT") == ["walletwatch"]
    assert exec_form("CMD") == ["run"]


def test_only_the_venv_comes_into_the_image() -> None:
    """It is made without pip, which with what else builds is in another."""
    copies = [each.text for each in stages()[-1] if each.name == "COPY"]
    assert copies == [f"--from=build {VENV} {VENV}"]
    (made,) = [each.text for each in stages()[0] if "-m venv" in each.text]
    assert f"python -m venv --without-pip {VENV}" in made


def test_what_is_copied_is_not_ignored() -> None:
    """.dockerignore lets through what the build copies, and nothing else of the repository."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_through = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        name for each in stages()[0] if each.name == "COPY" for name in each.text.split()[:-1]
    }
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.timeout(300)
def test_the_build_makes_a_venv_that_runs_where_nothing_can_be_written(tmp_path: Path) -> None:
    """The instructions of the build stage, with another folder for the venv."""
    work, venv = tmp_path / "build", tmp_path / "venv"
    work.mkdir()
    for name, text in stages()[0][1:]:
        if name == "COPY":
            *sources, to = text.split()
            _copy(sources, work, to)
        elif name == "RUN":
            command = text.replace(VENV, str(venv)).replace(
                "python -m venv", f"{sys.executable} -m venv"
            )
            subprocess.run(command, shell=True, cwd=work, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(work)
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    nowhere.chmod(stat.S_IRUSR | stat.S_IXUSR)
    walletwatch = venv / "bin" / "walletwatch"
    done = subprocess.run(
        [walletwatch, "rules", "test"], cwd=nowhere, env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "A1" in done.stdout
    installed = {each.name for each in (venv / "lib").glob("python*/site-packages/*")}
    assert {"worker", "kafka"} <= installed
    assert not {"tests", "pip", "hatchling"} & installed


def _copy(sources: list[str], work: Path, to: str) -> None:
    """Copy as Docker does: into a folder if `to` ends with a slash or is the working directory."""
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, work / to)
        else:
            assert to.endswith("/"), to
            (work / to).mkdir(exist_ok=True)
            shutil.copy(ROOT / source, work / to)
