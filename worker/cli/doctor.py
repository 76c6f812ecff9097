"""`walletwatch doctor`: what keeps a worker from running, and what to do about each."""

from typing import Final

import typer

from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import Mark, echo, emit
from worker.config.load import load_settings
from worker.errors import Exit
from worker.logs.finding import Finding, Verdict
from worker.run.open_log import examine

_COLORS: Final = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


def doctor(
    *,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check everything that a worker needs of its log, and print what to do where it fails.

    The key of account tokens. On Kafka: whether connections to other machines are encrypted, the
    codecs that producers may use, each broker's address and certificate, login, version, whether
    all are of one cluster, the addresses that this advertises, topics, rights, the partitions of
    producers' keys, open transactions that hold an input, a transaction that commits, and the
    difference of the clocks. It commits a position of a consumer group of its own, and changes
    nothing else.

    Exit code 0 if nothing failed, 1 if something did, 2 if there is no log, 70 if the SQLite file
    cannot be used, 78 if the configuration is wrong.

    Example: walletwatch doctor --log kafka://broker1:9092 --json
    """
    loaded = load_settings(config, environment(), log_url=log)
    failed = False
    with readable_log(loaded) as opened:
        for finding in examine(opened, loaded.settings):
            failed |= finding.verdict is Verdict.FAIL
            if as_json:
                emit(finding._asdict())
            else:
                _show(finding)
    if failed:
        raise typer.Exit(Exit.FOUND)


def _show(finding: Finding) -> None:
    mark = Mark(f"{finding.verdict:<4}", _COLORS.get(finding.verdict))
    echo(f"  {finding.check}: {finding.found}", mark=mark)
    if finding.advice:
        echo(f"      -> {finding.advice}")
