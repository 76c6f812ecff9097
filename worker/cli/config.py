"""`walletwatch config`: check, show and describe the configuration."""

import typer

from worker.cli.options import ConfigOption, JsonOption, LogOption, environment
from worker.cli.printing.output import echo, emit, table
from worker.config.load import known_keys, load_settings, model_of, value_at
from worker.config.report import dotted, shown
from worker.config.rule_settings import build_rules
from worker.config.token_keys import described, tokens_for
from worker.errors import ConfigError

app = typer.Typer(help="The configuration: check it, show it.", no_args_is_help=True)


@app.command()
def check(
    *, config: ConfigOption = None, log: LogOption = None, as_json: JsonOption = False
) -> None:
    """Check the configuration: file, environment, key files, the candidate's file.

    Exit code 0 if it is good, 78 if not, with a line per problem.

    Example: walletwatch config check --config walletwatch.toml
    """
    try:
        loaded = load_settings(config, environment(), log_url=log)
        build_rules(loaded.settings)
        tokens_for(loaded.settings, loaded.settings.log.url)
    except ConfigError as error:
        if as_json:
            emit({"ok": False, "problems": error.lines})
        raise
    sources = sorted(set(loaded.sources.values()) - {"default"})
    if as_json:
        emit({"ok": True, "sources": sources})
        return
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
