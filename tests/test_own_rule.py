"""The package of examples/own-rule, installed beside walletwatch: each command knows its rule."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "examples" / "own-rule"
_TIMEOUT_SECONDS = 120
TWICE = [
    {
        "kind": "transaction",
        "event_id": f"e{number}",
        "transaction_id": f"t{number}",
        "account_id": "acc-1",
        "type": "payment",
        "status": "completed",
        "amount": "10.00",
        "currency": "EUR",
        "merchant_id": "bakery",
        "occurred_at": f"2026-03-02T10:0{number}:00Z",
    }
    for number in (1, 2)
]


class Place:
    """A folder in which walletwatch runs, with or without the package."""

    def __init__(self, folder: Path, packages: Path) -> None:
        self.folder = folder
        self._packages = packages
        self.file("events.ndjson", "\n".join(map(json.dumps, TWICE)))

    def file(self, name: str, text: str) -> None:
        """Write a file into the folder."""
        (self.folder / name).write_text(text)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python there."""
        return self._python([sys.executable, *arguments], self._packages)

    def _python(self, command: list[str], *path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )

    def walletwatch(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it prints."""
        ended = self.python("-m", "walletwatch", *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def without_it(self, *arguments: str) -> tuple[int, str]:
        """Run a command where the package is not installed; return its exit code and its words."""
        command = [sys.executable, "-S", "-m", "walletwatch", *arguments]
        ended = self._python(command, ROOT, self._other_packages())
        return ended.returncode, ended.stderr

    def _other_packages(self) -> Path:
        """Return a folder with what is installed in this environment, but for the package."""
        others = self.folder / "others"
        if not others.exists():
            others.mkdir()
            for each in Path(sysconfig.get_path("purelib")).iterdir():
                if not each.name.startswith("wallet_own_rule"):
                    (others / each.name).symlink_to(each)
        return others


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Walletwatch and the package, as pip installs them."""
    target = tmp_path_factory.mktemp("packages")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([*pip, *offline, str(ROOT), str(PACKAGE)], check=True, timeout=_TIMEOUT_SECONDS)
    return target


@pytest.fixture
def place(packages: Path, tmp_path: Path) -> Place:
    """An empty folder with two payments that are one."""
    return Place(tmp_path, packages)


def test_its_own_tests_pass(place: Place) -> None:
    """With nothing but what is installed."""
    arguments = ("-p", "no:cacheprovider", "--import-mode=importlib", "--quiet")
    ended = place.python("-m", "pytest", *arguments, str(PACKAGE))
    assert ended.returncode == 0, ended.stdout
    assert "7 passed" in ended.stdout


def test_the_commands_about_rules_know_it(place: Place) -> None:
    """With the package that it comes from."""
    lines = place.walletwatch("rules", "list", "--json").splitlines()
    listed = [json.loads(line) for line in lines]
    assert listed[-1]["code"] == "OWN1"
    assert listed[-1]["from"] == "package wallet-own-rule 0.1.0"
    assert "wallet-own-rule 0.1.0" in place.walletwatch("rules", "list")
    explained = json.loads(place.walletwatch("rules", "explain", "own1", "--json"))
    assert explained["doc"].startswith("OWN1: a merchant charges the same amount twice.")
    assert [each["name"] for each in explained["parameters"]] == ["within_ms"]
    tested = place.walletwatch("rules", "test", "charged_twice").splitlines()
    assert len(tested) == len(explained["examples"]) == 5
    assert all(line.startswith("ok    OWN1  ") for line in tested)


def test_the_configuration_has_a_table_for_it(place: Place) -> None:
    """In its schema, in what it shows, and in what is laid over it."""
    place.file("walletwatch.toml", "rules.charged_twice.within_ms = 60000")
    place.walletwatch("config", "check")
    assert "rules.charged_twice.within_ms" in place.walletwatch("config", "show")
    schema = json.loads(place.walletwatch("config", "schema"))
    assert "charged_twice" in schema["$defs"]["RulesSettings"]["properties"]
    place.file("walletwatch.toml", "rules.charged_twice.within_ms = 1")
    ended = place.python("-m", "walletwatch", "config", "check")
    bounds = "must be a whole number from 1000 to 3600000."
    assert ended.returncode == 78
    assert ended.stderr.endswith(f"walletwatch.toml: rules.charged_twice.within_ms {bounds}\n")


def test_replay_finds_what_it_finds_and_diff_says_what_decided(place: Place) -> None:
    """As with any other rule."""
    found = json.loads(place.walletwatch("replay", "events.ndjson", "--json"))
    assert found["alerts"] == {"charged_twice": {"raised": {"warning": 1}}}
    place.file("a.toml", "rules.charged_twice.within_ms = 59999")
    place.file("b.toml", "")
    compared = place.walletwatch("rules", "diff", "a.toml", "b.toml", "events.ndjson", "--json")
    (difference,) = json.loads(compared)["differences"]
    assert (difference["change"], difference["rule"]) == ("added", "charged_twice")
    assert [each["parameter"] for each in difference["decided_by"]] == ["within_ms"]


def test_a_run_leaves_state_that_waits_for_the_package(place: Place) -> None:
    """Without it nothing is read over or lost, and the words say what to install."""
    on = ("--log", "sqlite:///wallet.db")
    place.walletwatch("ingest", *on, "events.ndjson", "--end")
    place.walletwatch("run", *on, "--until-ended")
    alert = json.loads(place.walletwatch("tail", *on, "wallet.alerts", "--from-start", "--json"))
    explained = place.walletwatch("explain", *on, alert["value"]["alert_id"])
    assert "Derived: 2 cited records are unchanged" in explained
    assert "The second payment came 1 min after the first." in explained
    code, words = place.without_it("explain", *on, alert["value"]["alert_id"])
    assert (code, "is not derived" in words) == (1, True)
    code, words = place.without_it("forget", "--yes", *on, "acc-1")
    assert code == 70
    assert "The log holds states of a rule OWN1, which is from outside walletwatch" in words
    assert "1 open alert" in place.walletwatch("forget", "--yes", *on, "acc-1")


def test_a_module_is_as_good_as_a_package(packages: Path, tmp_path: Path) -> None:
    """Where it is named in the configuration; the rule that both name is one."""
    place = Place(tmp_path, packages)
    place.file("walletwatch.toml", 'rules.modules = ["wallet_own_rule.charged_twice"]')
    place.file("copied.py", "from wallet_own_rule.charged_twice import ChargedTwice\n")
    assert place.walletwatch("rules", "list").count("charged_twice") == 1
    place.file("walletwatch.toml", 'rules.modules = ["copied"]')
    ended = place.python("-m", "walletwatch", "rules", "list")
    assert ended.returncode == 78
    assert "walletwatch.toml: rules.modules: copied defines no rule" in ended.stderr
