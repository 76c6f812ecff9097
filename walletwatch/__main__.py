"""The command `walletwatch`, and the same as `python -m walletwatch`."""

try:
    from walletwatch import start
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main() -> None:
    """Run the command line."""
    start.ready()
    from walletwatch.packages import refuse_others  # noqa: PLC0415 - a signal may end it now

    refuse_others()
    from worker.cli.app import main as run  # noqa: PLC0415 - it is known now to be walletwatch's

    run()


if __name__ == "__main__":
    main()
