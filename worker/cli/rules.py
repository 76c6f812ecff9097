"""`walletwatch rules`: what the rules find, and with which thresholds."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from rules.registry import RuleType
from worker.cli.diff import diff
from worker.cli.options import ConfigOption, JsonOption, environment
from worker.cli.printing.output import echo, emit, table
from worker.config.load import Loaded, known_keys, load_settings, value_at
from worker.config.registration import doc_of
from worker.config.report import dotted, shown
from worker.config.rule_settings import candidate_of
from worker.errors import CheckFailed, UsageError
from worker.evaluate.run_examples import run_example

app = typer.Typer(help="The rules that find anomalies.", no_args_is_help=True)
app.command()(diff)


@app.command("list")
def list_command(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the rules, their modes, whether a candidate is tried in shadow, and what each finds.

    Exit code 0, or 78 if the configuration is wrong.

    Example: walletwatch rules list
    """
    loaded = load_settings(config, environment())
    settings = loaded.settings
    candidate = candidate_of(settings)
    rows = [
        {
            "code": rule.code,
            "rule": rule.id,
            "mode": settings.rules.mode_of(rule.id),
            "candidate": settings.shadow.rules_file if rule.id in candidate else None,
            "category": rule.category,
            "from": loaded.origins[rule.id],
            "finds": doc_of(rule).partition("\n\n")[0].removeprefix(f"{rule.code}: "),
        }
        for rule in settings.rules.known
    ]
    if as_json:
        for row in rows:
            emit(row)
        return
    table(tuple(rows[0]), [[value or "" for value in row.values()] for row in rows])


@app.command()
def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Its name, or its code such as A1.")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a rule finds, what makes it wrong, and every parameter with its bounds.

    Exit code 0, 2 if there is no such rule, 78 if the configuration is wrong.

    Example: walletwatch rules explain A5
    """
    loaded = load_settings(config, environment())
    found = _find(rule, loaded.settings.rules.known)
    parameters = list(_parameters(found, loaded))
    head = {
        "rule": found.id,
        "code": found.code,
        "version": found.version,
        "mode": loaded.settings.rules.mode_of(found.id),
        "category": found.category,
        "from": loaded.origins[found.id],
    }
    examples = [example.name for example in found.EXAMPLES]
    if as_json:
        doc = {"doc": doc_of(found), "parameters": parameters, "examples": examples}
        emit(head | doc)
        return
    echo(", ".join(f"{name} {value}" for name, value in head.items()))
    echo("", *doc_of(found).splitlines())
    echo("", f"Parameters, in [rules.{found.id}] of the configuration:")
    for each in parameters:
        echo("", f"  {each['name']} = {shown(each['value'])}  ({each['source']})")
        echo(f"    {each['allowed']}; default {shown(each['default'])}")
        echo(f"    {each['description']}")
    echo("", "Examples, which `walletwatch rules test` runs:", "")
    for name in examples:
        echo(f"  {name}")


@app.command("test")
def run_examples(
    rule: Annotated[
        str | None,
        typer.Argument(metavar="[RULE]", help="Its name, or its code such as A1; else all rules."),
    ] = None,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the examples that rules bring along through the real engine.

    Every alert of an example is derived again from the records it cites, as explain does.

    Examples have their own parameters: the configuration only says which rules there are.

    Exit code 0 if all hold, 1 if one does not, 2 if there is no such rule, 78 if the configuration
    is wrong.

    Example: walletwatch rules test A5
    """
    known = load_settings(config, environment()).settings.rules.known
    chosen = known if rule is None else (_find(rule, known),)
    pairs = [(each, example) for each in chosen for example in each.EXAMPLES]
    failed = 0
    for each, example in pairs:
        differs = run_example(each, example)
        failed += differs is not None
        if as_json:
            emit({"rule": each.id, "example": example.name, "differs": differs})
        else:
            echo(f"{'ok  ' if differs is None else 'FAIL'}  {each.code}  {example.name}")
            if differs is not None:
                echo(f"          {differs}")
    if failed:
        raise CheckFailed(f"{failed} of {len(pairs)} examples do not hold.")


def _parameters(rule: RuleType, loaded: Loaded) -> Iterator[dict[str, Any]]:
    keys = known_keys(type(loaded.settings))
    for name in rule.Params.model_fields:
        key = keys["rules", rule.id, name]
        yield {
            "name": name,
            "value": value_at(loaded.settings, key.path),
            "source": loaded.sources[dotted(key.path)],
            "default": key.default,
            "allowed": key.allowed,
            "description": key.description,
        }


def _find(name: str, known: Sequence[RuleType]) -> RuleType:
    by_name = {rule.id: rule for rule in known} | {rule.code: rule for rule in known}
    rule = by_name.get(name) or by_name.get(name.upper())
    if rule is None:
        close = get_close_matches(name, by_name, n=1, cutoff=0)
        raise UsageError(f"There is no rule of that name; the nearest is {close[0]}.")
    return rule
