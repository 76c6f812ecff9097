"""`walletwatch config`: check, show and describe the configuration; make a key for tokens."""

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import ConfigOption, JsonOption, LogOption, environment
from worker.cli.printing.output import Mark, echo, emit, say, table
from worker.config.exposure import exposures
from worker.config.load import known_keys, load_settings, model_of, value_at
from worker.config.report import dotted, shown
from worker.config.rule_settings import build_rules
from worker.config.token_keys import described, make_key, read_key, tokens_for
from worker.errors import ConfigError

app = typer.Typer(help="The configuration: check it, show it.", no_args_is_help=True)


@app.command()
def check(
    *, config: ConfigOption = None, log: LogOption = None, as_json: JsonOption = False
) -> None:
    """Check the configuration: file, environment, key files, the candidate's file.

    Warns of account tokens by the public key, and of connections to other machines that are not
    encrypted.

    Exit code 0 if it is good, with a line per warning, 78 if not, with a line per problem.

    Example: walletwatch config check --config walletwatch.toml
    """
    try:
        loaded = load_settings(config, environment(), log_url=log)
        settings = loaded.settings
        build_rules(settings)
        tokens_for(settings, settings.log.url)
    except ConfigError as error:
        if as_json:
            emit({"ok": False, "problems": error.lines})
        raise
    sources = sorted(set(loaded.sources.values()) - {"default"})
    warnings = [f"{each.what}: {each.advice}." for each in exposures(settings)]
    if as_json:
        emit({"ok": True, "sources": sources, "warnings": warnings})
        return
    for warning in warnings:
        say(f" {warning}", mark=Mark("warning:", "yellow"))
    echo(f"ok: {', '.join(sources) or 'nothing but defaults'}")


@app.command()
def show(
    *, config: ConfigOption = None, log: LogOption = None, as_json: JsonOption = False
) -> None:
    """Show every setting, its value and the source of that.

    Secrets are never shown: the configuration holds only the paths of their files.

    Exit code 0, or 78 if the configuration is wrong.

    Example: walletwatch config show --json
    """
    loaded = load_settings(config, environment(), log_url=log)
    settings = {
        dotted(path): (value_at(loaded.settings, path), loaded.sources[dotted(path)])
        for path in known_keys(type(loaded.settings))
    } | described(loaded.settings)
    rows = [(key, value, source) for key, (value, source) in settings.items()]
    if as_json:
        for key, value, source in rows:
            emit({"key": key, "value": value, "source": source})
        return
    table(("key", "value", "from"), [(key, shown(value), source) for key, value, source in rows])


@app.command()
def schema(*, config: ConfigOption = None) -> None:
    """Print the JSON Schema of the configuration file, for editors and checks.

    Of the configuration only rules.modules plays a part: each rule that it adds has a table.

    Exit code 0, or 78 if the file cannot be read or a rule cannot be used.

    Example: walletwatch config schema > walletwatch.schema.json
    """
    model = model_of(config, environment())
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    emit(dialect | model.model_json_schema(), indent=2)


@app.command("make-key")
def make_key_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key is kept.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a key for account tokens, in a file that only its owner may read.

    A key that is there stays as it is. Set tokens.key_file to the file, and tokens.key_id to a name
    for the key.

    Exit code 0, or 78 if it cannot be made, or what is there is no key.

    Example: walletwatch config make-key token.key
    """
    made = make_key(file, "FILE")
    read_key(file, "FILE")
    if as_json:
        emit({"file": file, "made": made})
    elif made:
        echo(f"Made a key for account tokens: {file}; keep it secret, and keep it.")
    else:
        echo(f"{file} has a key: it stays as it is.")
