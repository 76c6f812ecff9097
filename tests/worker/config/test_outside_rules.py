"""Rules from outside: how they are found, what is refused and in which words, what they become."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rules.alerts import SHADOW
from rules.registry import ALL
from worker.config.load import Loaded, known_keys, load_settings
from worker.config.outside_rules import OWN
from worker.config.rule_settings import build_rules
from worker.errors import ConfigError, Exit

Write = Callable[[str, str], None]

RULE = '''"""{code}: something happens."""

from typing import Annotated

from pydantic import Field
from rules.alerts import Verdict
from rules.contract import Params, Rule, State
from rules.facts import Facts, quoted


class TwiceParams(Params):
    """Thresholds."""

    times: int = Field(2, ge=2, le=9, description="times; our own guess")


class TwiceState(State):
    """A count."""

    count: int = 0


class TwiceFacts(Facts, kw_only=True):
    """A number."""

    count: Annotated[int, quoted(compared_with="times")]


class Twice(Rule[TwiceParams, TwiceState, TwiceFacts]):
    """See the module."""

    id = "{id}"
    code = "{code}"
    category = "security"
    Params = TwiceParams
    State = TwiceState
    Facts = TwiceFacts

    def judge(self, facts: TwiceFacts) -> Verdict | None:
        """Find nothing."""
        return None
'''
TWICE = RULE.format(id="twice", code="OWN1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory without any configuration, from which Python imports."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and Path(
            str(sys.modules[name].__file__)
        ).is_relative_to(tmp_path):
            del sys.modules[name]


def write(path: str, text: str) -> None:
    """Write a file, in folders that are made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def install(package: str, version: str, **rules: str) -> None:
    """Leave what pip leaves of a package with these entry points."""
    lines = [f"{name} = {value}" for name, value in rules.items()]
    entry_points = "\n".join(["[walletwatch.rules]", *lines])
    info = f"{package.replace('-', '_')}-{version}.dist-info"
    write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    write(f"{info}/entry_points.txt", entry_points)


def load(*modules: str, toml: str = "", **env: str) -> Loaded:
    """Load a configuration that names these modules."""
    named = ", ".join(f'"{name}"' for name in modules)
    write("walletwatch.toml", f"[rules]\nmodules = [{named}]\n{toml}")
    return load_settings(None, env)


def refusal(*modules: str, toml: str = "") -> str:
    """Return the message with which a configuration is refused."""
    with pytest.raises(ConfigError) as refused:
        load(*modules, toml=toml)
    assert refused.value.exit_code == Exit.CONFIG
    return str(refused.value)


def codes(loaded: Loaded) -> list[str]:
    """Return the codes of all rules that there are."""
    return [rule.code for rule in loaded.settings.rules.known]


SHIPPED = [rule.code for rule in ALL]


# How they are found


def test_without_any_there_are_walletwatchs_own() -> None:
    """And each says so."""
    loaded = load()
    assert codes(loaded) == SHIPPED
    assert set(loaded.origins.values()) == {OWN}


def test_a_module_brings_its_rules() -> None:
    """The public ones of its own: neither what it imports nor what begins with an underscore."""
    write("base.py", RULE.format(id="base", code="OWN9"))
    write("my_rules/__init__.py", "")
    twice = TWICE.replace(
        "class Twice(Rule[TwiceParams, TwiceState, TwiceFacts])", "class Twice(Base)"
    )
    write("my_rules/twice.py", f"{twice}\n\nclass _Hidden(Twice):\n    pass\n".replace(
        "from pydantic", "from base import Twice as Base\nfrom pydantic"
    ))  # fmt: skip
    loaded = load("my_rules.twice")
    assert codes(loaded) == [*SHIPPED, "OWN1"]
    assert loaded.origins["twice"] == "module my_rules.twice"


def test_a_package_may_bring_what_its_modules_define() -> None:
    """What its __init__ imports from inside it is its own."""
    write("my_rules/__init__.py", "from my_rules.one import Twice as One\nimport my_rules.two\n")
    write("my_rules/one.py", RULE.format(id="one", code="OWN1"))
    write("my_rules/two.py", RULE.format(id="two", code="OWN2"))
    assert codes(load("my_rules")) == [*SHIPPED, "OWN1"]
    assert codes(load("my_rules.two", "my_rules.one")) == [*SHIPPED, "OWN1", "OWN2"]


def test_an_installed_package_brings_its_entry_points() -> None:
    """In the order of codes, from any source; a rule that is named twice is one."""
    write("ten.py", RULE.format(id="ten", code="OWN10"))
    write("nine.py", RULE.format(id="nine", code="OWN9"))
    write("first.py", RULE.format(id="first", code="AB1"))
    install("my-rules", "1.2", ten="ten:Twice", nine="nine:Twice")
    loaded = load("first", "nine")
    assert codes(loaded) == [*SHIPPED, "AB1", "OWN9", "OWN10"]
    assert loaded.origins["nine"] == loaded.origins["ten"] == "package my-rules 1.2"


def test_the_environment_may_name_modules() -> None:
    """As a list of TOML; and set the parameters of their rules."""
    write("twice.py", TWICE)
    write("walletwatch.toml", "")
    variables = {
        "WALLETWATCH_RULES__MODULES": '["twice"]',
        "WALLETWATCH_RULES__TWICE__TIMES": "3",
        "WALLETWATCH_RULES__TWICE__MODE": "shadow",
    }
    loaded = load_settings(None, variables)
    running, known = build_rules(loaded.settings)
    assert next(rule.params for rule in known if rule.id == "twice").times == 3
    assert running[-1].state_code == f"OWN1{SHADOW}"
    assert loaded.sources["rules.modules"] == "environment WALLETWATCH_RULES__MODULES"


def test_a_rules_file_may_name_modules() -> None:
    """So that `rules diff` can say what a new rule would find."""
    write("twice.py", TWICE)
    write("b.toml", 'rules.modules = ["twice"]\nrules.twice.times = 4')
    loaded = load_settings(None, {}, Path("b.toml"))
    assert codes(loaded) == [*SHIPPED, "OWN1"]
    assert loaded.settings.rules.of("twice").model_dump() == {"times": 4, "mode": "live"}


def test_keys_of_their_tables_are_known() -> None:
    """An unknown one is refused with the nearest; values have their bounds."""
    write("twice.py", TWICE)
    keys = known_keys(type(load("twice").settings))
    assert keys["rules", "twice", "times"].allowed == "a whole number from 2 to 9"
    assert refusal("twice", toml="twice.tims = 3") == (
        "walletwatch.toml: rules.twice.tims is not known; the nearest valid key is "
        "rules.twice.times."
    )
    assert refusal("twice", toml="twice.times = 10") == (
        "walletwatch.toml: rules.twice.times must be a whole number from 2 to 9."
    )
    assert refusal(toml="twice.times = 3").startswith(
        "walletwatch.toml: rules.twice is not known; the nearest valid key is rules."
    )


def test_a_candidate_names_no_modules() -> None:
    """Its rules are those of the configuration."""
    write("twice.py", TWICE)
    write("b.toml", 'rules.modules = ["twice"]')
    settings = load(toml="[shadow]\nrules_file = 'b.toml'").settings
    with pytest.raises(ConfigError) as refused:
        build_rules(settings)
    assert str(refused.value) == ("b.toml: rules.modules cannot be set here, only tables of rules.")
    write("b.toml", "rules.twice.times = 5")
    running, _ = build_rules(load("twice", toml="[shadow]\nrules_file = 'b.toml'").settings)
    assert [rule.params.times for rule in running if rule.id == "twice"] == [2, 5]


# What is refused


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("gone", None,
         "cannot be imported: ModuleNotFoundError: No module named 'gone'"),
        ("broken", "from rules.contract import Rul",
         "cannot be imported: ImportError: cannot import name 'Rul' from 'rules.contract'"),
        ("raising", "raise RuntimeError('two\\nlines.')",
         "cannot be imported: RuntimeError: two"),
        ("empty", "from rules.cannot_log_in.rule import CannotLogIn",
         "defines no rule: it must have a class that extends rules.contract.Rule and whose name"),
    ],
)  # fmt: skip
def test_a_module_that_brings_no_rule_is_refused(name: str, text: str | None, wrong: str) -> None:
    """By its name and where that was set, with the reason."""
    if text is not None:
        write(f"{name}.py", text)
    assert refusal(name).startswith(f"walletwatch.toml: rules.modules: {name} {wrong}")
    assert len(refusal(name).splitlines()) == 1


@pytest.mark.parametrize("value", ["3", "'twice'", "[1]", "{ twice = 1 }"])
def test_modules_are_a_list_of_texts(value: str) -> None:
    """Said as of any other key."""
    write("walletwatch.toml", f"rules.modules = {value}")
    with pytest.raises(ConfigError) as refused:
        load_settings(None, {})
    assert str(refused.value) == "walletwatch.toml: rules.modules must be a list of texts."


@pytest.mark.parametrize("name", ["hunter2-hunter2", "my rules", "a..b", "", "./twice.py"])
def test_a_name_that_no_module_has_is_not_repeated(name: str) -> None:
    """It might be a secret in the wrong place."""
    assert refusal(name) == (
        "walletwatch.toml: rules.modules: must be names of Python modules, such as my_rules.twice."
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('id = "twice"', 'id = "Twice"', "id must be words of a-z and 0-9"),
        ('id = "twice"', "", "id must be words of a-z and 0-9"),
        ('id = "twice"', 'id = "modules"', "id modules is a name that walletwatch uses itself"),
        ('id = "twice"', 'id = "json"', "id json is a name that walletwatch uses itself"),
        ('id = "twice"', 'id = "pipeline_silent"', "id pipeline_silent is a name that"),
        ('code = "OWN1"', 'code = "A9"', "code must be two to eight capital letters and a number"),
        ('code = "OWN1"', 'code = "OWN1.5"', "code must be two to eight capital letters"),
        ('code = "OWN1"', 'code = "OWN1_shadow"', "code must be two to eight capital letters"),
        ('code = "OWN1"', 'code = "OWN2"', "its docstring, or that of its module, must begin with"),
        ('"""OWN1: something happens."""', "", "its docstring, or that of its module, must begin"),
        ('category = "security"', "", "category must be one of payment, balance, security, access"),
        ('category = "security"', 'version = "2"\n    category = "security"',
         "version must be a whole number from 1"),
        ("    Params = TwiceParams", "", "Params must be a class that extends"),
        ("    Params = TwiceParams", "    Params = dict", "Params must be a class that extends"),
        ("    State = TwiceState", "", "State must be a class that extends"),
        ("    State = TwiceState", "    State = TwiceParams", "State must be a class that extends"),
        ("count: int = 0", "count: int", "State must be made of defaults alone"),
        ("count: int = 0", "count: object = set", "State must be made of defaults alone"),
        ("    Facts = TwiceFacts", "", "Facts must be a class that extends rules.facts.Facts"),
        ('compared_with="times"', 'compared_with="tims"',
         "Facts compares a fact with the parameter tims, which Params must have"),
        ("def judge", "def judges", "has no `judge`"),
        ('description="times; our own guess"', "", "parameter times must have a description"),
        ("Field(2, ge=2", "Field(ge=2", "parameter times must have a default"),
        ("le=9, ", "", "parameter times must have bounds on both sides: ge and le"),
        ("times: int", "mode: int", "parameter mode must have another name"),
        ("times: int = Field(2, ge=2, le=9, ", "times: float = Field(2.5, ",
         "parameter times must be a whole number, a text, true or false"),
        ("times: int = Field(2, ge=2, le=9, ", "times: type = Field(int, ",
         "Params has a field of a type that no configuration file can hold"),
        ("times: int = Field(2, ge=2, le=9, ", "times: dict[str, int] = Field({}, ",
         "parameter times must have bounds on both sides"),
        ("State = TwiceState\n", "State = TwiceState\n    EXAMPLES = (3,)\n",
         "EXAMPLES must be a tuple of rules.contract.Example"),
        ("State = TwiceState\n", "State = TwiceState\n    reads = {7: {}}\n",
         "reads must name kinds of rules.events"),
        ("State = TwiceState\n", "State = TwiceState\n    reads = {1: {'reason': ['locked']}}\n",
         "reads names the field reason of a login, which must be action or outcome"),
        ("State = TwiceState\n", "State = TwiceState\n    reads = {0: {'type': ['payments']}}\n",
         "reads names the type payments, which must be one of payment, "),
    ],
)  # fmt: skip
def test_a_class_that_is_no_whole_rule_is_refused(old: str, new: str, fault: str) -> None:
    """When it is registered, by its place, with what it must be; never when it is called."""
    assert old in TWICE
    write("twice.py", TWICE.replace(old, new))
    refused = refusal("twice")
    assert f"module twice: twice.Twice: {fault}" in refused
    assert all(line.endswith(".") for line in refused.splitlines())


def test_every_fault_of_every_rule_is_told_at_once() -> None:
    """A line each."""
    write("one.py", RULE.format(id="One", code="1"))
    assert len(refusal("one", "gone").splitlines()) == 3


def test_the_names_of_rules_differ() -> None:
    """From those of walletwatch and from each other."""
    write("one.py", RULE.format(id="cannot_log_in", code="OWN1"))
    assert refusal("one") == (
        "module one: one.Twice: its id cannot_log_in is that of walletwatch: "
        "rules.cannot_log_in.rule.CannotLogIn too; it must be another."
    )
    write("two.py", RULE.format(id="twice", code="OWN2"))
    write("three.py", RULE.format(id="twice", code="OWN2"))
    install("my-rules", "1.0", three="three:Twice")
    assert refusal("two") == (
        "module two: two.Twice: its id twice is that of package my-rules 1.0: three.Twice too; "
        "it must be another.\n"
        "module two: two.Twice: its code OWN2 is that of package my-rules 1.0: three.Twice too; "
        "it must be another."
    )


def test_an_entry_point_must_name_a_rule() -> None:
    """The package that declares it is named, and the entry point."""
    write("twice.py", TWICE)
    install("my-rules", "1.0", a="twice:Twise", b="twice:TWICE_STATE", c="gone:Twice", d="twice")
    write("other.py", "")
    problems = refusal().splitlines()
    begin = "package my-rules 1.0: entry point"
    assert [line.partition(":")[0] for line in problems] == ["package my-rules 1.0"] * 4
    assert problems[0].startswith(f"{begin} a = twice:Twise cannot be loaded: AttributeError: ")
    assert problems[2].startswith(f"{begin} c = gone:Twice cannot be loaded: ModuleNotFoundError: ")
    assert problems[3] == f"{begin} d = twice must name a class that extends rules.contract.Rule."
