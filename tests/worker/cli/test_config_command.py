"""The commands config, schema and rules."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rules.contract import AnyRule, Example
from rules.registry import ALL
from schemas.export import RECORDS, json_schema
from worker.cli.app import app
from worker.config.load import known_keys
from worker.config.settings import settings_model

KEYS = known_keys(settings_model(ALL))

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without any configuration."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_says_ok_and_what_it_has_read() -> None:
    """Exit code 0."""
    assert run(app, ["config", "check"]).stdout == "ok: nothing but defaults\n"
    Path("walletwatch.toml").write_text("log.partitions = 2")
    checked = run(app, ["config", "check", "--json"], env={"WALLETWATCH_LOG__URL": "sqlite:///x"})
    assert checked.exit_code == 0
    sources = ["environment WALLETWATCH_LOG__URL", "walletwatch.toml"]
    assert json.loads(checked.stdout) == {"ok": True, "sources": sources, "warnings": []}


def test_check_fails_with_a_line_per_problem() -> None:
    """Exit code 78, for people and machines alike."""
    Path("mine.toml").write_text("log.partitions = 0\nengine.pol_records = 2")
    problems = [
        "mine.toml: log.partitions must be a whole number from 1 to 1024.",
        "mine.toml: engine.pol_records is not known; the nearest valid key is engine.poll_records.",
    ]
    checked = run(app, ["config", "check", "--config", "mine.toml"])
    assert (checked.exit_code, checked.stdout) == (78, "")
    assert checked.stderr == "walletwatch: " + "\n".join(problems) + "\n"
    checked = run(app, ["config", "check", "--config", "mine.toml", "--json"])
    assert checked.exit_code == 78
    assert json.loads(checked.stdout) == {"ok": False, "problems": problems}


def test_check_looks_at_key_files() -> None:
    """Before a worker needs them."""
    Path("walletwatch.toml").write_text("tokens = { key_id = 'k1', key_file = 'gone' }")
    checked = run(app, ["config", "check"])
    assert checked.exit_code == 78
    assert "tokens.key_file: gone: No such file" in checked.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["config", "show"],
        ["rules", "list"],
        ["rules", "explain", "A1"],
        ["ingest", "events.ndjson"],
        ["tail", "wallet.alerts"],
        ["incidents", "list"],
        ["incidents", "show", "x"],
    ],
)
def test_no_command_works_with_a_bad_configuration(args: list[str]) -> None:
    """Each ends with 78 and touches nothing."""
    Path("walletwatch.toml").write_text("log.partitions = 0")
    Path("events.ndjson").touch()
    ended = run(app, args)
    assert (ended.exit_code, ended.stdout) == (78, "")
    assert not Path("walletwatch.db").exists()


def test_show_tells_every_value_and_its_source() -> None:
    """One JSON object per key; the same on a page for people."""
    Path("walletwatch.toml").write_text("rules.cannot_log_in.threshold = 7")
    args = ["config", "show", "--log", "sqlite:///mine.db"]
    shown = run(app, [*args, "--json"])
    settings = {line["key"]: line for line in map(json.loads, shown.stdout.splitlines())}
    assert list(settings) == [".".join(path) for path in KEYS]
    assert settings["log.url"]["value"] == "sqlite:///mine.db"
    assert settings["log.url"]["source"] == "--log"
    assert settings["rules.cannot_log_in.threshold"]["value"] == 7
    assert settings["rules.cannot_log_in.threshold"]["source"] == "walletwatch.toml"
    assert settings["engine.poll_records"]["source"] == "default"
    lines = [line.split() for line in run(app, args).stdout.splitlines()]
    assert ["rules.cannot_log_in.threshold", "7", "walletwatch.toml"] in lines
    assert ["log.url", '"sqlite:///mine.db"', "--log"] in lines


def test_check_looks_at_the_candidate() -> None:
    """And so does the command that lists the rules."""
    Path("walletwatch.toml").write_text("shadow.rules_file = 'gone.toml'")
    for args in (["config", "check"], ["rules", "list"]):
        ended = run(app, args)
        assert (ended.exit_code, ended.stdout) == (78, "")
        assert "gone.toml: No such file" in ended.stderr


def settings_of(*args: str) -> dict[str, tuple[Any, str]]:
    """Return (value, source) by key, as `config show --json` prints them."""
    lines = map(json.loads, run(app, ["config", "show", "--json", *args]).stdout.splitlines())
    return {line["key"]: (line["value"], line["source"]) for line in lines}


def test_show_says_where_the_key_of_the_log_is() -> None:
    """It is made by run, not by looking; of the key itself only the id is shown."""
    assert settings_of("--log", "sqlite:///my.db")["tokens.key_file"] == (
        None,
        "run makes my.db.key",
    )
    assert not Path("my.db.key").exists()
    secret = "hunter2-hunter2-hunter2"
    Path("my.db.key").write_text(secret)
    Path("my.db.key").chmod(0o600)
    shown = settings_of("--log", "sqlite:///my.db")
    assert shown["tokens.key_file"] == ("my.db.key", "beside the log")
    key_id, source = shown["tokens.key_id"]
    assert len(key_id) == 8
    assert source == "made of what is in my.db.key"
    assert "hunter2" not in str(shown)
    Path("my.db.key").chmod(0o644)
    assert settings_of("--log", "sqlite:///my.db")["tokens.key_id"] == (None, "unusable: my.db.key")


def test_show_never_holds_a_secret() -> None:
    """Only the path of its file."""
    Path("key").write_text("hunter2-hunter2-hunter2")
    Path("key").chmod(0o600)
    Path("walletwatch.toml").write_text("tokens = { key_id = 'k1', key_file = 'key' }")
    for args in (["config", "show"], ["config", "show", "--json"], ["config", "check"]):
        ended = run(app, args)
        assert ended.exit_code == 0
        assert "hunter2" not in ended.output


def test_schema_describes_every_section() -> None:
    """As JSON Schema."""
    schema = json.loads(run(app, ["config", "schema"]).stdout)
    assert set(schema["properties"]) == {path[0] for path in KEYS}
    assert schema["additionalProperties"] is False


def test_schema_export_writes_every_record() -> None:
    """And names the files."""
    exported = run(app, ["schema", "export", "out/json", "--json"])
    assert exported.exit_code == 0
    assert json.loads(exported.stdout) == [f"out/json/{name}.json" for name in RECORDS]
    for name in RECORDS:
        assert Path(f"out/json/{name}.json").read_text("utf-8") == json_schema(name)


def test_schema_export_needs_a_folder() -> None:
    """A file in its place is the caller's mistake."""
    Path("file").touch()
    exported = run(app, ["schema", "export", "file"])
    assert exported.exit_code == 2
    assert exported.stderr.startswith("walletwatch: file: ")


def test_rules_list_tells_of_candidates() -> None:
    """By their file; a rule without one has none."""
    Path("walletwatch.toml").write_text("shadow.rules_file = 'b.toml'")
    Path("b.toml").write_text("rules.cannot_log_in.threshold = 7")
    listed = map(json.loads, run(app, ["rules", "list", "--json"]).stdout.splitlines())
    tried = {line["rule"]: line["candidate"] for line in listed}
    assert tried == {rule.id: "b.toml" if rule.code == "A5" else None for rule in ALL}
    lines = [line.split() for line in run(app, ["rules", "list"]).stdout.splitlines()]
    assert ["A5", "cannot_log_in", "live", "b.toml", "access"] in [line[:5] for line in lines]
    assert ["A1", "live", "payment"] in [[line[0], *line[2:4]] for line in lines]


def test_rules_list_tells_the_mode() -> None:
    """Of every rule."""
    Path("walletwatch.toml").write_text("rules.cannot_log_in.mode = 'off'")
    listed = run(app, ["rules", "list", "--json"]).stdout.splitlines()
    modes = {line["rule"]: line["mode"] for line in map(json.loads, listed)}
    assert modes == {rule.id: "off" if rule.code == "A5" else "live" for rule in ALL}
    lines = run(app, ["rules", "list"]).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [rule.code for rule in ALL]


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_rules_explain_tells_all_there_is(rule: type[AnyRule]) -> None:
    """By name or code, in any case."""
    for name in (rule.id, rule.code, rule.code.lower()):
        explained = run(app, ["rules", "explain", name, "--json"])
        explanation = json.loads(explained.stdout)
        assert explanation["rule"] == rule.id
        assert explanation["doc"].startswith(f"{rule.code}: ")
        assert [each["name"] for each in explanation["parameters"]] == list(
            rule.Params.model_fields
        )
        assert explanation["examples"] == [example.name for example in rule.EXAMPLES]
    page = run(app, ["rules", "explain", rule.id]).stdout
    for each in explanation["parameters"]:
        assert f"  {each['name']} = " in page
        assert each["description"] in page


def test_rules_explain_tells_value_default_bounds_and_source() -> None:
    """A threshold that was set is marked beside its default."""
    ended = run(app, ["rules", "explain", "A5"], env={
        "WALLETWATCH_RULES__CANNOT_LOG_IN__THRESHOLD": "7"
    })  # fmt: skip
    source = "environment WALLETWATCH_RULES__CANNOT_LOG_IN__THRESHOLD"
    assert (
        f"  threshold = 7  ({source})\n    a whole number from 2 to 50; default 5\n" in ended.stdout
    )


def test_an_unknown_rule_is_told_with_the_nearest() -> None:
    """Exit code 2."""
    ended = run(app, ["rules", "explain", "cannot_login"])
    assert ended.exit_code == 2
    assert "the nearest is cannot_log_in" in ended.stderr


def test_rules_test_runs_every_example() -> None:
    """Or those of one rule."""
    ended = run(app, ["rules", "test", "--json"])
    assert ended.exit_code == 0
    results = [json.loads(line) for line in ended.stdout.splitlines()]
    names = [(rule.id, example.name) for rule in ALL for example in rule.EXAMPLES]
    assert [(line["rule"], line["example"]) for line in results] == names
    one = run(app, ["rules", "test", "A5"]).stdout.splitlines()
    assert len(one) == sum(name == "cannot_log_in" for name, _ in names)
    assert one[0].startswith("ok    A5  ")


def test_rules_test_fails_with_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1; the other examples are run all the same."""
    rule = ALL[0]
    good = next(example for example in rule.EXAMPLES if example.expect)
    wrong = Example(name="Wrong", events=good.events, params=good.params)
    monkeypatch.setattr(rule, "EXAMPLES", (wrong, good))
    ended = run(app, ["rules", "test", rule.code])
    assert ended.exit_code == 1
    assert f"FAIL  {rule.code}  Wrong\n          expected no alert, found raised" in ended.stdout
    assert f"ok    {rule.code}  {good.name}\n" in ended.stdout
    assert ended.stderr == "walletwatch: 1 of 2 examples do not hold.\n"
