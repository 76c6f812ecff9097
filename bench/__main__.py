"""`make bench`: every benchmark, one after the other; exits 1 if one misses its mark."""

from bench import bad_input, chains, changelog, cluster, speed


def main() -> int:
    """Run them all."""
    return max(module.main() for module in (speed, chains, bad_input, changelog, cluster))


if __name__ == "__main__":
    raise SystemExit(main())
