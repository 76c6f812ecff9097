"""The configuration: what is laid over what, what is refused and in which words, what it makes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rules.contract import AnyRule
from rules.registry import ALL
from schemas.topics import TOPICS
from worker.config.load import Loaded, known_keys, load_settings
from worker.config.report import shown
from worker.config.rule_settings import build_rules
from worker.config.settings import settings_model
from worker.errors import ConfigError, Exit
from worker.run.runner import policy_of

ROOT = Path(__file__).parents[3]
SECRET = "hunter2-hunter2-hunter2"

KEYS = known_keys(settings_model(ALL))

Load = Callable[..., Loaded]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without any configuration."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(
    toml: str = "", rules: str | None = None, log_url: str | None = None, **env: str
) -> Loaded:
    """Load ./walletwatch.toml with this text, the environment, and perhaps a rules file."""
    Path("walletwatch.toml").write_text(toml)
    if rules is None:
        return load_settings(None, env, log_url=log_url)
    Path("rules.toml").write_text(rules)
    return load_settings(None, env, Path("rules.toml"), log_url)


def refusal(*args: Any, **kwargs: Any) -> str:
    """Return the message with which a configuration is refused."""
    with pytest.raises(ConfigError) as refused:
        load(*args, **kwargs)
    assert refused.value.exit_code == Exit.CONFIG
    return str(refused.value)


# What is laid over what


def test_without_any_configuration_everything_is_a_default() -> None:
    """The sources name it."""
    loaded = load_settings(None, {})
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.settings.log.url == "sqlite:///walletwatch.db"
    assert loaded.settings.inputs.transactions.may_be_silent is False
    assert loaded.settings.inputs.balances.may_be_silent is True
    assert loaded.settings.retention == {topic.name: topic.retention_ms for topic in TOPICS}


def test_later_layers_win_key_by_key() -> None:
    """File, environment, command line, rules file; each value knows where it is from."""
    toml = """
    log = { url = "sqlite:///file.db", partitions = 8 }
    engine = { poll_records = 1, max_buffered = 1, max_open_ms = 60000 }
    """
    loaded = load(
        toml,
        "[engine]\nmax_buffered = 3",
        "sqlite:///option.db",
        WALLETWATCH_LOG__URL="sqlite:///env.db",
        WALLETWATCH_ENGINE__POLL_RECORDS="2",
        WALLETWATCH_ENGINE__MAX_BUFFERED="2",
    )
    log, engine = loaded.settings.log, loaded.settings.engine
    assert (log.url, log.partitions) == ("sqlite:///option.db", 8)
    assert (engine.max_open_ms, engine.poll_records, engine.max_buffered) == (60_000, 2, 3)
    sources = {key: source for key, source in loaded.sources.items() if source != "default"}
    assert sources == {
        "log.url": "--log",
        "log.partitions": "walletwatch.toml",
        "engine.max_open_ms": "walletwatch.toml",
        "engine.poll_records": "environment WALLETWATCH_ENGINE__POLL_RECORDS",
        "engine.max_buffered": "rules.toml",
    }


def test_one_key_of_an_input_leaves_its_other_defaults() -> None:
    """Balances may stay silent although their lateness is set."""
    balances = load("[inputs.balances]\nlateness_ms = 0").settings.inputs.balances
    assert (balances.lateness_ms, balances.may_be_silent) == (0, True)


def test_an_empty_table_takes_nothing_away() -> None:
    """Neither from an earlier layer nor from the defaults."""
    assert load("engine.poll_records = 1", "[engine]").settings.engine.poll_records == 1
    assert (
        load("[engine]\n[rules]").settings == load_settings(Path("walletwatch.toml"), {}).settings
    )


def test_the_file_may_be_named_by_argument_or_variable() -> None:
    """The argument wins over the variable, the variable over the usual name."""
    for number in (1, 2, 3):
        Path(f"{number}.toml").write_text(f"log.partitions = {number}")
    Path("3.toml").rename("walletwatch.toml")
    named = {"WALLETWATCH_CONFIG": "2.toml"}
    assert load_settings(Path("1.toml"), named).settings.log.partitions == 1
    assert load_settings(None, named).settings.log.partitions == 2
    assert load_settings(None, {}).settings.log.partitions == 3


def test_a_named_file_must_be_there() -> None:
    """Only the usual one may be missing."""
    with pytest.raises(ConfigError, match=r"^gone\.toml: No such file"):
        load_settings(Path("gone.toml"), {})
    with pytest.raises(ConfigError, match=r"^gone\.toml: No such file"):
        load_settings(None, {"WALLETWATCH_CONFIG": "gone.toml"})


def test_variables_reach_every_kind_of_value() -> None:
    """Texts as they are, the rest as in TOML; dots and hyphens of a name as underscores."""
    loaded = load(
        WALLETWATCH_LOG__URL="sqlite:///1.db",
        WALLETWATCH_ENGINE__IDLE_ADVANCES="false",
        WALLETWATCH_RETENTION__WALLET_DEAD_LETTERS="5",
        WALLETWATCH_CURRENCIES__POINTS="0",
        WALLETWATCH_RULES__BALANCE_MISMATCH__TOLERANCE_MINOR_BY_CURRENCY="{ EUR = 1 }",
        WALLETWATCH_RULES__CANNOT_LOG_IN__MODE="off",
    )
    settings = loaded.settings
    assert settings.log.url == "sqlite:///1.db"
    assert settings.engine.idle_advances is False
    assert settings.retention["wallet.dead-letters"] == 5
    assert settings.currencies == {"POINTS": 0}
    assert settings.rules.of("balance_mismatch").model_dump()["tolerance_minor_by_currency"] == {
        "EUR": 1
    }
    assert loaded.sources["currencies"] == "environment WALLETWATCH_CURRENCIES__POINTS"


def test_variables_of_others_are_left_alone() -> None:
    """Container platforms set WALLETWATCH_PORT for a service that is called walletwatch."""
    others = {"WALLETWATCH_PORT": "tcp://10.0.0.1:80", "WALLETWATCH_DEBUG": "1", "LOG__URL": "x"}
    assert set(load(**others).sources.values()) == {"default"}


def test_settings_are_frozen() -> None:
    """They cannot be changed after they were read."""
    with pytest.raises(ValidationError):
        load_settings(None, {}).settings.log.partitions = 5  # type: ignore[misc]


# What is refused


@pytest.mark.parametrize(
    ("toml", "unknown", "near"),
    [
        ("engine.max_bufferd = 1", "engine.max_bufferd", "engine.max_buffered"),
        ("engin.poll_records = 1", "engin", "engine"),
        ("log.dead_letter_limit = 1", "log.dead_letter_limit", "engine.dead_letter_limit"),
        ("inputs.login.lateness_ms = 1", "inputs.login", "inputs.logins"),
        ("rules.cannot_login.mode = 'off'", "rules.cannot_login", "rules.cannot_log_in"),
        ("rules.cannot_log_in.treshold = 3", "rules.cannot_log_in.treshold",
         "rules.cannot_log_in.threshold"),
        ("retention.'wallet.alert' = 3", "retention.wallet.alert", "retention.wallet.alerts"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_told_with_the_nearest(toml: str, unknown: str, near: str) -> None:
    """By file and full name."""
    expected = f"walletwatch.toml: {unknown} is not known; the nearest valid key is {near}."
    assert refusal(toml) == expected


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("log.partitions = 0", "log.partitions must be a whole number from 1 to 1024"),
        ("log.partitions = 1025", "log.partitions must be a whole number from 1 to 1024"),
        ("log.partitions = 4.0", "log.partitions must be a whole number from 1 to 1024"),
        ("log.partitions = '4'", "log.partitions must be a whole number from 1 to 1024"),
        ("engine.idle_advances = 1", "engine.idle_advances must be true or false"),
        (
            "rules.cannot_log_in.mode = 'on'",
            "rules.cannot_log_in.mode must be one of live, shadow, off",
        ),
        (
            "rules.cannot_log_in.threshold = 51",
            "rules.cannot_log_in.threshold must be a whole number from 2 to 50",
        ),
        (
            "rules.balance_mismatch.gap_error_ms = 9",
            "rules.balance_mismatch.gap_error_ms: must be more than gap_info_ms",
        ),
        (
            "currencies.POINTS = 19",
            "currencies.POINTS: currencies must be a table of whole numbers from 0 to 18",
        ),
        ("currencies = 3", "currencies must be a table of whole numbers from 0 to 18"),
        ("log = 3", "log must be a table"),
        ("inputs.logins = 3", "inputs.logins must be a table"),
        ("rules = 3", "rules must be a table"),
        (
            "retention.'wallet.late' = 604800001",
            "retention.wallet.late must be a whole number from 1 to 604800000",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_it_may_be(toml: str, problem: str) -> None:
    """By file and full name, without the value."""
    assert refusal(toml) == f"walletwatch.toml: {problem}."


def test_a_variable_is_named_as_such() -> None:
    """Not as a file."""
    variable = "WALLETWATCH_ENGINE__POLL_RECORDS"
    assert refusal(**{variable: "0"}).startswith(
        f"environment {variable}: engine.poll_records must"
    )
    assert refusal(**{variable: "many"}).startswith(f"environment {variable}: ")
    unknown = refusal(WALLETWATCH_LOG__URI="x")
    assert unknown == (
        "environment WALLETWATCH_LOG__URI: log.uri is not known; the nearest valid key is log.url."
    )


def test_a_forgotten_underscore_is_noticed() -> None:
    """It would otherwise be a setting without effect."""
    assert "WALLETWATCH_LOG__URL sets log.url" in refusal(WALLETWATCH_LOG_URL="sqlite:///x.db")


def test_every_problem_is_told_at_once() -> None:
    """One line each, whatever its source."""
    problem = refusal("log.partitions = 0\nengine.x = 1", WALLETWATCH_ENGINE__POLL_RECORDS="0")
    assert len(problem.splitlines()) == 3


@pytest.mark.parametrize(
    ("toml", "env"),
    [
        (f"tokens.key_id = '{SECRET} '", {}),
        (f"tokens.key = '{SECRET}'", {}),
        (f"tokens = '{SECRET}'", {}),
        (f"tokens.key_file = ['{SECRET}']", {}),
        (f"log.url = '{SECRET}'", {}),
        (f"log.partitions = '{SECRET}'", {}),
        (f"rules.cannot_log_in.mode = '{SECRET}'", {}),
        (f"currencies.POINTS = '{SECRET}'", {}),
        (f"rules.failed_payment_sufficient_balance.silent_families = ['{SECRET}']", {}),
        (f"tokens.key_id = {SECRET}", {}),
        (f"tokens.key_id = '{SECRET}", {}),
        ("", {"WALLETWATCH_TOKENS__KEY": SECRET}),
        ("", {"WALLETWATCH_LOG__URL": SECRET}),
        ("", {"WALLETWATCH_LOG__PARTITIONS": SECRET}),
        ("", {"WALLETWATCH_LOG_URL": SECRET}),
    ],
)
def test_a_message_never_repeats_a_value(toml: str, env: dict[str, str]) -> None:
    """It might be a secret in the wrong place."""
    assert "hunter2" not in refusal(toml, **env)


def test_what_is_no_toml_is_told_with_its_place() -> None:
    """And files that are no text."""
    problem = refusal("[log]\nurl = x")
    assert problem == "walletwatch.toml: is not valid TOML (at line 2, column 7)."
    Path("binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^binary\.toml: is not UTF-8 text\.$"):
        load_settings(Path("binary.toml"), {})


def test_a_rules_file_sets_only_what_it_is_for() -> None:
    """The log is no matter of rules."""
    problem = refusal("", "[log]\npartitions = 2")
    assert problem == "rules.toml: log cannot be set here, only rules, inputs, engine, currencies."
    assert load("", "[inputs.logins]\nlateness_ms = 1").settings.inputs.logins.lateness_ms == 1
    assert refusal("", "rules.cannot_log_in.threshold = 1").startswith("rules.toml: ")


@pytest.mark.parametrize("code", ["EUR", "points", "P", "A_B", "ABCDEFGHIJK"])
def test_currencies_are_new_codes_of_the_right_shape(code: str) -> None:
    """The exponents of ISO 4217 are not for changing."""
    assert refusal(f"currencies.{code} = 2").startswith("walletwatch.toml: currencies: ")
    assert load("currencies = { USDT = 6, PTS = 0 }").settings.currencies == {"USDT": 6, "PTS": 0}


def test_a_withdrawn_code_may_be_given_decimals() -> None:
    """Who did so before it was known goes on; `LUL` may be a token today."""
    loaded = load("currencies = { HRK = 2, LUL = 18 }")
    assert loaded.settings.currencies == {"HRK": 2, "LUL": 18}
    currencies = policy_of(loaded.settings).limits.currencies
    assert [currencies[code] for code in ("HRK", "LUL", "BGN", "EUR")] == [2, 18, 2, 2]


# What it makes


@pytest.mark.parametrize(
    "toml", ["key_id = 'k1'", "key_file = 'key'", "key_id = 'public'\nkey_file = 'key'"]
)
def test_a_key_and_its_id_come_together(toml: str) -> None:
    """Else private tokens would look public, or public ones private."""
    assert "key_file needs a key_id of its own" in refusal(f"[tokens]\n{toml}")


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("previous_key_id = 'k0'", "are set together"),
        ("previous_key_file = 'old'", "are set together"),
        ("previous_key_id = 'k1'\nprevious_key_file = 'old'", "must be another than key_id"),
    ],
)
def test_a_previous_key_has_an_id_of_its_own(toml: str, problem: str) -> None:
    """Else the tokens of the two could not be distinguished."""
    both = "[tokens]\nkey_id = 'k1'\nkey_file = 'key'\n"
    assert problem in refusal(both + toml)


def test_a_previous_key_needs_one_that_follows() -> None:
    """It is for the time of a rotation only."""
    problem = refusal("[tokens]\nprevious_key_id = 'k0'\nprevious_key_file = 'old'")
    assert "needs a key_id and a key_file that follow it" in problem


def names(rules: list[AnyRule]) -> list[str]:
    """Return the codes of rules as saved state has them."""
    return [rule.state_code for rule in rules]


CODES = [rule.code for rule in ALL]
SHADOWS = [f"{code}_shadow" for code in CODES]


def test_rules_are_made_with_their_parameters() -> None:
    """A rule that is off is known, not running; params are the rule's own and nothing else."""
    toml = "[rules.cannot_log_in]\nmode = 'off'\nthreshold = 7\n"
    running, known = build_rules(load(toml).settings)
    assert names(running) == [code for code in CODES if code != "A5"]
    assert names(known) == CODES + SHADOWS
    for rule in known:
        assert type(rule.params) is type(rule).Params
    (rule,) = (rule for rule in known if rule.state_code == "A5")
    assert rule.params == type(rule).Params(threshold=7)


def test_a_rule_in_shadow_runs_once() -> None:
    """With the parameters of the configuration; the others stay live."""
    running, known = build_rules(load("rules.cannot_log_in = { mode = 'shadow', threshold = 7 }"
                                      ).settings)  # fmt: skip
    assert names(running) == [*(code for code in CODES if code != "A5"), "A5_shadow"]
    assert names(known) == CODES + SHADOWS
    assert (running[-1].mode, running[-1].params.threshold) == ("shadow", 7)


# A candidate beside the live rules


def candidate(toml: str, config: str = "", **env: str) -> list[AnyRule]:
    """Return the rules that run in shadow with this candidate file."""
    Path("candidate.toml").write_text(toml)
    settings = load(f"shadow.rules_file = 'candidate.toml'\n{config}", **env).settings
    running, known = build_rules(settings)
    assert names(known) == CODES + SHADOWS
    return [rule for rule in running if rule.mode == "shadow"]


def test_a_candidate_runs_beside_the_live_rules() -> None:
    """Only the rules that its file names, its parameters laid over the configuration's."""
    config = "[rules.cannot_log_in]\nthreshold = 7\nwindow_ms = 1000\n"
    (rule,) = candidate("rules.cannot_log_in.threshold = 8", config)
    assert rule.state_code == "A5_shadow"
    assert (rule.params.threshold, rule.params.window_ms) == (8, 1000)
    running, _ = build_rules(load_settings(None, {}).settings)
    assert names(running) == [*CODES, "A5_shadow"]
    (live,) = (rule for rule in running if rule.state_code == "A5")
    assert (live.mode, live.params.threshold) == ("live", 7)


def test_a_candidate_is_laid_over_tables_too() -> None:
    """Key by key, as every other layer; an empty table of a rule runs it as it is."""
    config = "rules.balance_mismatch.tolerance_minor_by_currency = { EUR = 1, USD = 2 }"
    toml = "[rules.balance_mismatch.tolerance_minor_by_currency]\nUSD = 3\n[rules.cannot_log_in]"
    mismatch, login = candidate(toml, config)
    assert mismatch.params.tolerance_minor_by_currency == {"EUR": 1, "USD": 3}
    assert login.params == type(login).Params()


def test_a_rule_in_shadow_takes_the_parameters_of_the_candidate() -> None:
    """It runs once all the same; what the candidate switches off is no candidate."""
    (rule,) = candidate("rules.cannot_log_in.threshold = 8", "rules.cannot_log_in.mode = 'shadow'")
    assert rule.params.threshold == 8
    assert candidate("rules.cannot_log_in.mode = 'off'") == []
    assert candidate("rules.cannot_log_in.threshold = 8", "rules.cannot_log_in.mode = 'off'") == []
    assert candidate("") == []


def test_the_command_line_names_the_candidate_before_the_configuration() -> None:
    """The sources name it."""
    Path("walletwatch.toml").write_text("shadow.rules_file = 'other.toml'")
    loaded = load_settings(None, {}, shadow_file=Path("candidate.toml"))
    assert loaded.settings.shadow.rules_file == Path("candidate.toml")
    assert loaded.sources["shadow.rules_file"] == "--shadow"
    named = load_settings(None, {"WALLETWATCH_SHADOW__RULES_FILE": "mine.toml"})
    assert named.settings.shadow.rules_file == Path("mine.toml")


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("engine.max_open_ms = 1", "candidate.toml: engine cannot be set here, only rules."),
        ("rules.cannot_log_in.threshold = 1",
         "candidate.toml: rules.cannot_log_in.threshold must be a whole number from 2 to 50."),
        ("rules.cannot_login.threshold = 5", ("candidate.toml: rules.cannot_login is not known; "
         "the nearest valid key is rules.cannot_log_in.")),
        ("rules.cannot_log_in = 'hunter2'", "candidate.toml: rules.cannot_log_in must be a table."),
        ("rules = 'hunter2'", "candidate.toml: rules must be a table."),
        ("x = hunter2", "candidate.toml: is not valid TOML (at line 1, column 5)."),
    ],
)  # fmt: skip
def test_a_wrong_candidate_is_refused_by_file_and_key(toml: str, problem: str) -> None:
    """When the rules are made, before any of them runs."""
    with pytest.raises(ConfigError) as refused:
        candidate(toml)
    assert str(refused.value) == problem


def test_a_candidate_must_be_there() -> None:
    """A name that was mistyped would otherwise try nothing."""
    with pytest.raises(ConfigError, match=r"^gone\.toml: No such file"):
        build_rules(load("shadow.rules_file = 'gone.toml'").settings)


# What is documented


def test_every_key_says_what_it_means_and_may_be() -> None:
    """Numbers have bounds on both sides."""
    for key in KEYS.values():
        assert key.description, key.path
        assert key.kind != "integer" or re.search(r"from -?\d+ to \d+$", key.allowed), key.path


def test_the_page_lists_every_key() -> None:
    """docs/configuration.md has default, bounds and meaning of all but the rules' parameters."""
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    for key in KEYS.values():
        if key.path[0] == "rules" and len(key.path) > 2:
            continue
        name = ".".join(key.path[1:] or key.path)
        default = "none" if key.default is None else f"`{shown(key.default)}`"
        assert f"| `{name}` | {default} | {key.allowed} | {key.description} |" in page


def test_the_example_on_the_page_is_valid() -> None:
    """As are the variables that it names."""
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert load(example).settings.currencies == {"POINTS": 0}
    names = {".".join(path).upper().translate(str.maketrans(".-", "__")) for path in KEYS}
    for variable in re.findall(r"`WALLETWATCH_(\w+__\w+)", page):
        assert variable.replace("__", "_") in names
