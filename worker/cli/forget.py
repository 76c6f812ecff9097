"""`walletwatch forget`: remove what is kept of one account."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Final

import typer

from rules.counts import counted
from schemas.privacy import LEFT_BY_FORGET, STATE, DataPlace, forms_of
from schemas.time import format_span, format_time
from schemas.topics import COMPACTION_LAG_MS, SEGMENT_MS, topic
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import ask, echo, emit, table
from worker.config.load import load_settings
from worker.config.settings import Settings
from worker.config.token_keys import tokens_for
from worker.errors import CheckFailed, TaskTaken, UsageError
from worker.logs.sqlite.log import wall_clock
from worker.run.forget import Forgotten, forget
from worker.run.open_log import is_on_kafka
from worker.run.runner import policy_of

_OTHERS: Final = "Payments of other accounts may name it: they are of these accounts, and stay."
_AGAIN: Final = "What is written of it from now on makes new state: stop writing it first."
_UNHANDLED: Final = (
    "The stages have not handled all that was written of it: let walletwatch run read on, then "
    "forget it again."
)
_FORMS: Final = {"raw": "as it is", "token": "as a token"}
_CHANGELOGS: Final = "changelogs"


def forget_command(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its account_id.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what detect and triage keep of an account, and end its alerts and incidents.

    Its open alerts expire, its open incidents are resolved. From an SQLite log its records go too;
    brokers keep records until their retention has passed. The command lists what stays where, and
    until when. No worker of triage may run meanwhile, nor one on the account's task. After a crash
    the same command does the rest. It asks first; where stdin is no terminal it needs --yes.

    Exit code 0, 1 if nothing is kept of that account or the answer is no, 2 if there is no log or
    --yes is missing, 70 if such a worker runs or the log cannot be used, 78 if the configuration is
    wrong.

    Example: walletwatch forget acc-17 --log sqlite:///wallet.db

    Example: walletwatch forget acc-17 --yes --json
    """
    if not (yes or _asks()):
        raise UsageError("Forgetting cannot be undone, and stdin is no terminal: add --yes.")
    if not _is_utf_8(account):
        raise UsageError("ACCOUNT is no UTF-8, and so no account_id.")
    loaded = load_settings(config, environment(), log_url=log)
    settings = loaded.settings
    with readable_log(loaded) as opened:
        tokens = tokens_for(settings, settings.log.url)
        token, now = tokens.of(account), wall_clock()
        if not yes:
            ask(f"Forget account {token} in {settings.log.url}?")
        try:
            found = forget(opened, policy_of(settings, tokens=tokens), account, now)
        except TaskTaken as error:
            raise TaskTaken(f"{error} Stop it, forget the account, and start it again.") from None
    remains = list(_remains(settings, now))
    if found is None:
        raise CheckFailed("Nothing is kept of that account, but for what brokers keep on topics.")
    if as_json:
        removed = asdict(found)
        unhandled = removed.pop("unhandled")
        emit({"account": token, "removed": removed, "unhandled": unhandled, "remains": remains})
        return
    _print(token, found, remains)


def _is_utf_8(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _asks() -> bool:
    """Return whether a person can answer: stdin is a terminal."""
    return sys.stdin.isatty()


def _remains(settings: Settings, now: int) -> Iterator[dict[str, str]]:
    """Yield where the account may still be named: what stays there, in which form, until when."""
    forms, on_kafka = forms_of("account_id"), is_on_kafka(settings.log.url)
    for left in LEFT_BY_FORGET:
        what = left.on_kafka if on_kafka else left.on_sqlite
        for name in _topics(left.place) if what else ():
            until = _until(name, settings, now, on_kafka=on_kafka)
            yield {"topic": name, "what": what, "account": forms[left.place], "until": until}


def _topics(place: DataPlace) -> list[str]:
    if place is STATE:
        return [_CHANGELOGS]
    written = (topic(name) for name in place.topics)
    return [
        each.name
        for each in written
        if each.role != "input" or "account_id" in each.model.model_fields
    ]


def _until(name: str, settings: Settings, now: int, *, on_kafka: bool) -> str:
    """Return when what stays on a topic is gone at the latest."""
    if name == _CHANGELOGS:
        return format_time(now + COMPACTION_LAG_MS)
    if topic(name).cleanup == "compact":
        more = COMPACTION_LAG_MS if on_kafka else 0
        span = format_span(settings.engine.resolved_retention_ms + more)
        return f"{span} after it is resolved"
    return format_time(now + settings.retention[name] + (SEGMENT_MS if on_kafka else 0))


def _print(token: str, found: Forgotten, remains: list[dict[str, str]]) -> None:
    profile = found.balances + found.holds + found.habits
    echo(
        f"Forgot account {token}: {counted(found.open_alerts, 'open alert')}, expired now, "
        f"{counted(found.incidents, 'incident')}, {counted(found.event_ids, 'event id')}, "
        f"{profile:,} balances, holds and habits, {counted(found.timers, 'timer')}, "
        f"{counted(found.records, 'record')} on topics."
    )
    echo("", "What stays, at the latest until:")
    rows = [(r["topic"], r["what"], _FORMS[r["account"]], r["until"]) for r in remains]
    table(("topic", "what", "the account", "until"), rows)
    echo("", _OTHERS, _AGAIN)
    if found.unhandled:
        echo(_UNHANDLED)
