"""What is documented exists, and what exists is documented."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.examples import EXAMPLES
from schemas.topics import INPUTS, KINDS, TOPICS
from schemas.wrong_fields import wrong_fields
from worker.errors import Exit

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("**/*.md"),
        *(ROOT / "examples").glob("**/*.md"),
        *(ROOT / "rules").glob("*.md"),
        *(ROOT / "bench").glob("*.md"),
    ]
)
SHELL_ENDS = {"|", ">", ">>", "<", "&&", ";", "&", "#"}

documents = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)


@pytest.fixture(scope="module")
def docs() -> Any:
    """The generator of the written pages."""
    from scripts import docs

    return docs


@pytest.fixture(scope="module")
def root_command() -> Any:
    """The command tree."""
    import typer.main

    from worker.cli.app import app

    return typer.main.get_command(app)


def section(text: str, heading: str) -> str:
    """Return the text under a heading, down to the next one of its level."""
    level = heading.partition(" ")[0]
    _, found, rest = f"\n{text}".partition(f"\n{heading}\n")
    assert found, f"no heading {heading}"
    return rest.partition(f"\n{level} ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in a text, without heads, backticks taken off."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    body = [
        line
        for above, line in zip(["", *table], table, strict=False)
        if not set(line) <= set("|- ") and above
    ]
    cells = (re.split(r"(?<!\\)\|", line)[1:-1] for line in body)
    return [[cell.strip().replace("\\|", "|").strip("`") for cell in line] for line in cells]


def usages(text: str) -> Iterator[str]:
    """Yield the walletwatch command lines in code: inline, indented or fenced."""
    text = re.sub(r"\\\n\s*", "", text)
    yield from re.findall(r"`(walletwatch(?: [^`\n]+)?)`", text)
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^ {4,}.*$", text, re.MULTILINE)
    line = r"^\s*(?:\$ )?(?:\S+=\S+ )*(?:\S*/)?(walletwatch .*)$"
    yield from re.findall(line, "\n".join(blocks), re.MULTILINE)


def wrong_usage(root: Any, usage: str) -> str | None:
    """Say what a command line names that does not exist."""
    command, options = root, {"--help"} | _options(root)
    words = iter(word.strip("[]") for word in shlex.split(usage)[1:])
    for word in words:
        if word in SHELL_ENDS:
            break
        if word.startswith("-") and word != "-":
            if word.partition("=")[0] not in options:
                return f"no option {word} in: {usage}"
            if "=" not in word and _takes_value(command, word):
                next(words, None)
        elif children := getattr(command, "commands", None):
            if word not in children:
                return f"no command {word} in: {usage}"
            command = children[word]
            options |= _options(command)
    return None


def _options(command: Any) -> set[str]:
    return {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def _takes_value(command: Any, option: str) -> bool:
    return any(option in it.opts and not getattr(it, "is_flag", False) for it in command.params)


def topics_named(text: str) -> set[str]:
    """Return what looks like a topic; wallet.db is a file."""
    return set(re.findall(r"\bwallet\.(?!db\b)[a-z]+(?:[.-][a-z]+)*", text))


def broken_links(path: Path, text: str) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    return [
        link
        for link in links
        if not link.startswith(("http:", "https:", "mailto:")) and not (path.parent / link).exists()
    ]


# Everything that exists is documented, and the other way round.


def test_exit_codes_are_those_of_the_code() -> None:
    """README lists every exit code once."""
    listed = [row[0] for row in rows(section(README.read_text("utf-8"), "## Exit codes"))]
    assert listed == [str(code.value) for code in Exit]


def test_topics_are_those_of_the_code() -> None:
    """docs/topics.md lists every topic, in order."""
    page = (ROOT / "docs" / "topics.md").read_text("utf-8")
    listed = [row[0] for row in rows(page) if row[0].startswith("wallet.")]
    assert listed == [topic.name for topic in TOPICS]


def test_one_complete_record_of_each_kind_is_on_the_first_screen() -> None:
    """docs/topics.md begins with the examples of the schemas, before everything else."""
    page = (ROOT / "docs" / "topics.md").read_text("utf-8")
    block, _, after = page.partition("```json\n")[2].partition("```")
    assert page.index("```json") < page.index("\n| ")
    assert page[: page.index(after)].count("\n") <= 40
    shown, rest = [], block
    while rest.strip():
        example, end = json.JSONDecoder().raw_decode(rest)
        shown.append(example)
        rest = rest[end:].lstrip()
    assert shown == [EXAMPLES[kind] for kind in KINDS]


def test_fields_of_events_are_those_of_the_code() -> None:
    """docs/topics.md has every field of every kind of event once, with what a wrong value does."""
    page = section((ROOT / "docs" / "topics.md").read_text("utf-8"), "## Fields of events")
    listed = [row for row in rows(page) if len(row) == 5]
    for each in INPUTS:
        own = {row[0]: row for row in listed if each.kind in row[1].split(", ")}
        assert sorted(own) == sorted(each.model.model_fields)
        for name, wrong in wrong_fields(each.model).items():
            assert own[name][4].partition(": ")[::2] == tuple(wrong)
            assert (own[name][2] == "yes") == each.model.model_fields[name].is_required()
            assert own[name][3]
    assert len(listed) == len({tuple(row) for row in listed})


@documents
def test_topics_that_are_named_exist(path: Path) -> None:
    """No page names a topic that is not there."""
    assert topics_named(path.read_text("utf-8")) <= {topic.name for topic in TOPICS}


def undocumented(page: str, rules: Sequence[Any]) -> list[str]:
    """Return what a page of rules lacks: sections in order, with all parameters."""
    headings = [f"{rule.code} {rule.id}" for rule in rules]
    if re.findall(r"^## (.*)$", page, re.MULTILINE) != headings:
        return headings
    listed = {heading: rows(section(page, f"## {heading}")) for heading in headings}
    return [
        f"{rule.code} {rule.id}"
        for rule, rows_of in zip(rules, listed.values(), strict=True)
        if [row[0] for row in rows_of] != list(rule.Params.model_fields)
        or not all(len(row) == 4 and row[3] for row in rows_of)
    ]


def unlisted(readme: str, rules: Sequence[Any]) -> list[str]:
    """Return the rules whose row in README lacks a parameter, all if one is missing."""
    listed = {row[1]: row[3] for row in rows(section(readme, "## Rules"))}
    if list(listed) != [rule.id for rule in rules]:
        return [rule.id for rule in rules]
    named = {name: re.findall(r"`(\w+)`", f"`{defaults}") for name, defaults in listed.items()}
    return [rule.id for rule in rules if named[rule.id] != list(rule.Params.model_fields)]


def test_rules_and_parameters_are_those_of_the_code() -> None:
    """docs/rules.md has a section per rule, with all its parameters."""
    from rules.registry import ALL

    assert undocumented((ROOT / "docs" / "rules.md").read_text("utf-8"), ALL) == []


def test_readme_lists_rules_with_their_defaults() -> None:
    """README names every rule and every parameter."""
    from rules.registry import ALL

    assert unlisted(README.read_text("utf-8"), ALL) == []


def test_a_rule_that_is_added_is_documented(docs: Any) -> None:
    """The rule of the guide is, once it is in the registry and `make docs` has run."""
    from tests.support.checked_rules import CHECKED

    assert undocumented(docs.rules_page(CHECKED), CHECKED) == []
    assert unlisted(docs.with_rules(README.read_text("utf-8"), CHECKED), CHECKED) == []


def test_commands_are_those_of_the_code(docs: Any, root_command: Any) -> None:
    """docs/commands.md has a section per command, README a line per command."""
    commands = [path for path, _ in docs.leaves("walletwatch", root_command)]
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == commands
    overview = rows(section(README.read_text("utf-8"), "## Commands"))
    assert sorted(f"walletwatch {row[0]}" for row in overview) == sorted(commands)


def test_every_command_has_help_with_an_example(docs: Any, root_command: Any) -> None:
    """And every argument and option has a help text."""
    for path, command in docs.leaves("walletwatch", root_command):
        assert path in " ".join((command.help or "").split()), path
        for parameter in command.params:
            assert parameter.help, f"{path} {parameter.name}"


@documents
def test_command_lines_in_pages_exist(path: Path, root_command: Any) -> None:
    """Commands and options that a page shows are there."""
    shown = usages(path.read_text("utf-8"))
    assert [wrong for usage in shown if (wrong := wrong_usage(root_command, usage))] == []


@documents
def test_links_lead_somewhere(path: Path) -> None:
    """Relative links name files of the project."""
    assert broken_links(path, path.read_text("utf-8")) == []


@documents
def test_make_targets_that_are_named_exist(path: Path) -> None:
    """`make x` in a page is a target of the Makefile."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    text = path.read_text("utf-8")
    named = re.findall(r"(?:`|^    )make (?:\w+=\S+ )*([a-z]+)", text, re.MULTILINE)
    assert set(named) <= set(targets)


def test_written_pages_are_up_to_date(docs: Any) -> None:
    """`make docs` would change nothing."""
    stale = [
        path.name
        for path, text in docs.pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == []


# The checks themselves can fail.


def test_rows_reads_tables() -> None:
    """Heads and rules are left out, escaped bars stay in their cell."""
    text = "| a | b |\n| --- | --- |\n| `x` | 1 \\| 2 |\n\nno row\n| y | 3 |\n"
    assert rows(text) == [["x", "1 | 2"], ["y", "3"]]


def test_usages_are_found_in_code_only() -> None:
    """Inline, indented with a continuation, and fenced; never in prose."""
    text = (
        "walletwatch run is prose, `walletwatch run` is not.\n\n"
        "    walletwatch replay a.ndjson \\\n        --as-is\n\n"
        "    .venv/bin/walletwatch demo\n\n"
        "```sh\n$ A=b walletwatch tail\n```\n"
    )
    found = ["run", "tail", "replay a.ndjson --as-is", "demo"]
    assert sorted(usages(text)) == sorted(f"walletwatch {rest}" for rest in found)


def fake_command(*options: str, **children: Any) -> Any:
    """Make something shaped like a command of typer."""
    params = [
        SimpleNamespace(opts=[option], secondary_opts=[], is_flag=option == "--json")
        for option in options
    ]
    return SimpleNamespace(params=params, commands=children)


@pytest.mark.parametrize(
    ("usage", "wrong"),
    [
        ("walletwatch", None),
        ("walletwatch replay FILE --out DIR --json | head --lines 3", None),
        ("walletwatch --config replay rules list --json", None),
        ("walletwatch replay [--out DIR] --help", None),
        ("walletwatch play", "no command play"),
        ("walletwatch rules show", "no command show"),
        ("walletwatch replay --fast", "no option --fast"),
        ("walletwatch replay --fast=1", "no option --fast=1"),
        ("walletwatch replay -f - --json", "no option -f"),
        ("walletwatch replay - --json", None),
        ("walletwatch rules list --out DIR", "no option --out"),
    ],
)
def test_wrong_usage_is_seen(usage: str, wrong: str | None) -> None:
    """An unknown command or option is named; what follows a pipe is not ours."""
    root = fake_command(
        "--config",
        replay=fake_command("--out", "--json"),
        rules=fake_command(list=fake_command("--json")),
    )
    found = wrong_usage(root, usage)
    assert found is None if wrong is None else found is not None and found.startswith(wrong)


def test_topics_are_seen() -> None:
    """Whole names, and no files."""
    text = "`wallet.alerts.shadow`, wallet.late. Then sqlite:///wallet.db, wallet.gone-bad/0:7-9"
    assert topics_named(text) == {"wallet.alerts.shadow", "wallet.late", "wallet.gone-bad"}


def test_broken_links_are_seen(tmp_path: Path) -> None:
    """A file that is not there is named, an address is not ours to check."""
    (tmp_path / "there.md").touch()
    text = "[a](there.md) [b](there.md#part) [c](gone.md) [d](https://example.org/x)"
    assert broken_links(tmp_path / "page.md", text) == ["gone.md"]
