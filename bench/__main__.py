"""`make bench`: every benchmark, one after the other; exits 1 if one misses its mark."""

from bench import (
    accounts,
    bad_input,
    chains,
    changelog,
    cluster,
    commands,
    lag,
    latency,
    restore,
    scale,
    speed,
    takeover,
)


def main() -> int:
    """Run them all."""
    alone = (speed, accounts, chains, bad_input, commands, changelog)
    on_kafka = (cluster, scale, latency, restore, takeover, lag)
    codes: list[int] = [module.main() for module in (*alone, *on_kafka)]
    return max(codes)


if __name__ == "__main__":
    raise SystemExit(main())
