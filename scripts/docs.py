"""Writes the documentation that the code dictates: topics, privacy, incidents, rules, commands,
operations, README.

Run as `make docs`. A test fails when a written page and the code differ.
"""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer.main

from rules.contract import AnyRule
from rules.registry import ALL
from schemas.time import format_span
from schemas.topics import TOPICS
from scripts import explained, operations, privacy, topics
from scripts.exit_codes import CODES, exit_codes
from scripts.tables import table
from worker.cli.app import app
from worker.config.registration import doc_of
from worker.logs.kafka.names import Names
from worker.logs.kafka.ops.acls import ROLES, Acl, Role, acls

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- rules: written by make docs -->\n", "<!-- end of rules -->\n"
ACLS_BEGIN, ACLS_END = "<!-- ACLs: written by make docs -->\n", "<!-- end of ACLs -->\n"
METRICS_BEGIN, METRICS_END = "<!-- metrics: written by make docs -->\n", "<!-- end of metrics -->\n"
OUTCOMES_BEGIN = "<!-- outcomes: written by make docs -->\n"
OUTCOMES_END = "<!-- end of outcomes -->\n"
HIDDEN_OPTIONS = {"--help", "--install-completion", "--show-completion"}


def pages() -> dict[Path, str]:
    """Return every written page by its path."""
    readme, kafka = ROOT / "README.md", ROOT / "docs" / "kafka.md"
    operating = ROOT / "docs" / "operations.md"
    return {
        ROOT / "docs" / "topics.md": topics.page(TOPICS),
        ROOT / "docs" / "privacy.md": privacy.page(),
        ROOT / "docs" / "explained.md": explained.page(),
        ROOT / "docs" / "rules.md": rules_page(ALL),
        ROOT / "docs" / "commands.md": commands_page("walletwatch", typer.main.get_command(app)),
        kafka: with_acls(kafka.read_text("utf-8")),
        operating: with_counts(operating.read_text("utf-8")),
        readme: with_rules(readme.read_text("utf-8"), ALL),
    }


def rules_page(all_rules: Sequence[type[AnyRule]]) -> str:
    """Return the page about rules: what each module says of itself, and its parameters."""
    sections = "\n".join(_rule_section(rule) for rule in all_rules)
    return f"""# Rules

What each rule finds, why it matters, what makes it wrong, and the thresholds that you may change.
Times are in milliseconds, money in minor units (cents of EUR, yen of JPY).

These are walletwatch's own. `walletwatch rules explain RULE` says the same of rules from outside
([rules/README.md](../rules/README.md)).

{sections}"""


def with_rules(readme: str, all_rules: Sequence[type[AnyRule]]) -> str:
    """Return README with the table of rules renewed between its two marks.

    Raises:
        ValueError: the marks are not there.
    """
    rows = (
        (
            rule.code,
            f"`{rule.id}`",
            _module_doc(rule)[0],
            ", ".join(
                f"`{name}` {_value(name, field)}" for name, field in _parameters(rule).items()
            ),
        )
        for rule in all_rules
    )
    return _between(readme, BEGIN, END, table(("code", "rule", "finds", "defaults"), rows))


def _between(page: str, begin: str, end: str, new: str) -> str:
    """Return the page with other text between two marks."""
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"The page lacks {begin.strip()} or {end.strip()}")
    return before + begin + new + end + after


def with_acls(text: str) -> str:
    """Return a page with the table of what each role must be allowed in its place.

    Raises:
        ValueError: its marks are not there.
    """
    rows = [
        (
            f"{role}: {ROLES[role]}",
            f"{acl.operation} on {acl.kind} `{acl.name}`{_rest(acl)}",
            acl.why,
        )
        for role in Role
        for acl in acls(Names(), role)
    ]
    listed = table(("role", "is allowed", "because it"), _once_each(rows))
    return _between(text, ACLS_BEGIN, ACLS_END, listed)


def with_counts(text: str) -> str:
    """Return a page with the tables of metrics and of what is counted in their places.

    Raises:
        ValueError: their marks are not there.
    """
    metrics = table(operations.METRICS_HEAD, operations.metrics())
    outcomes = table(operations.OUTCOMES_HEAD, operations.outcomes())
    text = _between(text, METRICS_BEGIN, METRICS_END, metrics)
    return _between(text, OUTCOMES_BEGIN, OUTCOMES_END, outcomes)


def _rest(acl: Acl) -> str:
    return "..." if acl.prefixed else ""


def _once_each(rows: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield the rows, the first cell only where it differs from the one above."""
    for above, row in zip([("",), *rows], rows, strict=False):
        yield row if row[0] != above[0] else ("", *row[1:])


def commands_page(name: str, command: Any) -> str:
    """Return the page about all commands, from the help of each."""
    sections = "\n".join(_command_section(path, leaf) for path, leaf in leaves(name, command))
    codes = (
        (f"`{path}`", *("x" if code in exit_codes(leaf) else "" for code in CODES))
        for path, leaf in leaves(name, command)
    )
    return f"""# Commands

Every command explains itself with `--help`. What exit codes mean is in the
[README](../README.md#exit-codes); here is which of them each command has. Beside these, wrong
options end every command with 2, an error that was not foreseen with 70, Ctrl-C with 130 (`run`
with 0), and a closed output with 141.

{table(("command", *map(str, CODES)), codes)}
{sections}"""


def leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield every command that can be run, with the words that run it."""
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        if not child.hidden:
            yield from leaves(f"{path} {name}", child)


def _rule_section(rule: type[AnyRule]) -> str:
    first, rest = _module_doc(rule)
    rows = (
        (f"`{name}`", _value(name, field), _range(field), field["description"])
        for name, field in _parameters(rule).items()
    )
    return f"""## {rule.code} {rule.id}

{first[0].upper()}{first[1:]}

{rest}

{table(("parameter", "default", "allowed", "meaning"), rows)}"""


def _module_doc(rule: type[AnyRule]) -> tuple[str, str]:
    """First sentence of the rule's module, without the rule's code, and the rest."""
    first, _, rest = doc_of(rule).partition("\n\n")
    return " ".join(first.removeprefix(f"{rule.code}: ").split()), _spaced(rest)


def _spaced(text: str) -> str:
    """With an empty line above lists, which some Markdown renderers need."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("- ") and lines and not lines[-1].startswith(("- ", "  ")):
            lines.append("")
        lines.append(line)
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _parameters(rule: type[AnyRule]) -> Mapping[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = rule.Params.model_json_schema()["properties"]
    return properties


def _value(name: str, field: Mapping[str, Any]) -> str:
    text = json.dumps(field["default"])
    if name.endswith("_ms"):
        return f"{text} ({format_span(field['default'])})"
    return text if text != "{}" else "none"


def _range(field: Mapping[str, Any]) -> str:
    inner = field.get("items") or field.get("additionalProperties") or field
    if "enum" in inner:
        return ", ".join(inner["enum"])
    if "minimum" in inner:
        return f"{inner['minimum']} to {inner['maximum']}"
    return "true, false" if inner["type"] == "boolean" else str(inner["type"])


def _command_section(path: str, command: Any) -> str:
    parameters = [
        parameter for parameter in command.params if not HIDDEN_OPTIONS & {*parameter.opts}
    ]
    rows = [(_parameter_name(it), _default(it), _help(it)) for it in parameters]
    listed = "\n" + table(("argument or option", "default", "meaning"), rows) if rows else ""
    text = inspect.cleandoc(command.help or "").replace("\b\n", "").partition("\f")[0].strip()
    return f"## {path}\n\n{text}\n{listed}"


def _parameter_name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in names)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or default is False or default in ((), []) or callable(default):
        return ""
    return f"`{default}`" if default is not True else "on"


def _help(parameter: Any) -> str:
    return " ".join((parameter.help or "").split())


def main() -> None:
    """Write the pages that differ, and name them."""
    for path, text in pages().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8", newline="\n")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
