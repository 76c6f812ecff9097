"""`walletwatch topics`: make the topics of a Kafka cluster, and check them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import ConfigOption, JsonOption, LogOption, environment
from worker.cli.printing.output import echo, emit, table
from worker.config.load import load_settings
from worker.errors import Exit, UsageError
from worker.logs.kafka.names import Names
from worker.logs.kafka.ops.acls import Role, acls
from worker.run.open_log import cluster_at

if TYPE_CHECKING:
    from worker.logs.kafka.ops.topics import Difference, Topics

app = typer.Typer(help="Topics of a Kafka cluster: make them, check them.", no_args_is_help=True)

PartitionsOption = Annotated[
    int | None, typer.Option("--partitions", min=1, help="Instead of log.partitions.")
]


@app.command()
def create(
    *,
    log: LogOption = None,
    config: ConfigOption = None,
    partitions: PartitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the topics that are missing; those that exist stay as they are.

    The number of partitions is final: task i of a stage owns partition i of all its inputs.

    Exit code 0 if all topics are right afterwards, 1 if one that existed differs, 70 if the
    cluster refuses, 78 if the configuration is wrong or the log is not on Kafka.

    Example: walletwatch topics create --log kafka://127.0.0.1:9092 --partitions 8
    """
    topics = _topics(config, log, partitions)
    made = topics.create()
    if not as_json:
        for name in made:
            echo(f"made {name}")
    _report(topics.differences(), as_json, made)


@app.command()
def check(
    *,
    log: LogOption = None,
    config: ConfigOption = None,
    partitions: PartitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List where the topics differ from what walletwatch needs.

    Exit code 0 if they do not, 1 if they do, 70 if the cluster does not answer, 78 if the
    configuration is wrong or the log is not on Kafka.

    Example: walletwatch topics check --log kafka://127.0.0.1:9092 --json
    """
    _report(_topics(config, log, partitions).differences(), as_json)


@app.command()
def accept(
    topic: Annotated[
        str,
        typer.Argument(
            metavar="TOPIC[/PARTITION]", help="An input, or a changelog: all inputs of its stage."
        ),
    ],
    *,
    start: Annotated[
        str,
        typer.Option("--from", metavar="WHERE", help="oldest: all that is stored; newest: none."),
    ],
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide where workers go on, after topics were deleted and made again, or records were lost.

    A worker refuses such topics with code 78, and names the command. It sets the offsets of the
    stage's consumer group, while no worker runs. With oldest, events that were read before are
    recognised by their ids and counted as redelivered; with newest, what is stored now is never
    read. A changelog means all inputs of its stage, which then begins with empty state.

    Exit code 0, 2 if no worker reads that topic, 70 if workers still run or the cluster does not
    answer, 78 if the configuration is wrong.

    Example: walletwatch topics accept wallet.transactions --from oldest

    Example: walletwatch topics accept walletwatch.detect.changelog --from oldest
    """
    from worker.logs.kafka.ops.accept import Start, accept  # noqa: PLC0415 - as below

    if start not in list(Start):
        raise UsageError(f"--from: {start} is none of {', '.join(Start)}.")
    settings = load_settings(config, environment(), log_url=log).settings
    offsets = accept(cluster_at(settings.log.url, settings.kafka), topic, Start(start))
    if as_json:
        emit(offsets)
        return
    for at, offset in offsets.items():
        echo(f"{at} goes on at offset {offset:,}")


@app.command("acls")
def list_acls(
    *,
    role: Annotated[
        Role, typer.Option(metavar="ROLE", help=f"Who uses the cluster: {', '.join(Role)}.")
    ] = Role.WORKER,
    principal: Annotated[
        str | None,
        typer.Option(
            metavar="USER",
            help="Print them as arguments of kafka-acls that allow this, such as User:walletwatch.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the rights that a role needs on a secured cluster, and why.

    It connects to no cluster; kafka.prefix is part of the names.

    Exit code 0, 78 if the configuration is wrong.

    Example: walletwatch topics acls --role producer --principal User:platform
    """
    prefix = load_settings(config, environment()).settings.kafka.prefix
    needed = acls(Names(prefix), role)
    if as_json:
        for acl in needed:
            emit(acl._asdict())
    elif principal is not None:
        for acl in needed:
            echo(acl.arguments(principal))
    else:
        rows = [(acl.kind, acl.name, acl.pattern, acl.operation, acl.why) for acl in needed]
        table(("resource", "name", "pattern", "operation", "why"), rows)


def _topics(config: Path | None, log: str | None, partitions: int | None) -> "Topics":
    # Imported here: the client takes longer to load than most commands to run.
    from worker.logs.kafka.ops.topics import Topics  # noqa: PLC0415

    settings = load_settings(config, environment(), log_url=log).settings
    cluster = cluster_at(settings.log.url, settings.kafka)
    return Topics(cluster, settings, partitions)


def _report(found: "Sequence[Difference]", as_json: bool, made: Sequence[str] = ()) -> None:
    if as_json:
        emit(
            {
                "made": made,
                "differences": [
                    {"topic": d.topic, "what": d.what, "expected": d.expected, "found": d.found}
                    for d in found
                ],
            }
        )
    else:
        for difference in found:
            echo(str(difference))
        if not found:
            echo("ok: every topic is as it should be")
    if found:
        raise typer.Exit(Exit.FOUND)
