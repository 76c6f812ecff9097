"""Breaks the rules on purpose, one condition or threshold at a time, and sees whether tests fail.

`python -m scripts.mutate [--every N] [MODULE ...]` makes the mutants of the modules of `rules/`
(every Nth of each module, from number `--start` on), runs the tests of the rules against each in a
process of its own, prints each that no test has noticed as a JSON line, and at the end how many of
each module were killed. `--again FILE` tries only the mutants of such lines.
"""

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

import hypothesis.strategies  # noqa: F401  (loaded here once, not in every process)
import pytest

import schemas.alert
import schemas.incident  # noqa: F401
from scripts.mutants import RULES, Mutant, Mutated, mutants_of

ROOT: Final = Path(__file__).parents[1]
WORKERS: Final = 2
NICENESS: Final = 10
CPU_SECONDS: Final = 60
MEMORY_BYTES: Final = 2 << 30
NOT_LOADED: Final = 99
"""Exit code of a process whose tests never used the mutant."""
SKIPPED: Final = ("__init__", "examples", "scenes", "story")
"""Ends of the names of modules that decide nothing."""
USED_BY: Final = {
    "failed_payment": {"A1"},
    "failure_codes": {"A1"},
    "spendable": {"A1"},
    "balance_mismatch": {"A2"},
    "ledger": {"A2"},
    "unauthorized_transaction": {"A3"},
    "travel": {"A3"},
    "seen": {"A3"},
    "habits": {"A3", "A4"},
    "marks": {"A3", "A5"},
    "account_lockout": {"A4"},
    "cannot_log_in": {"A5"},
    "incidents": {"triage"},
}
"""By the beginning of the name of a module or test the rules it has to do with; else all."""


def start(mutant: Mutant) -> int:
    """Fork a process that runs the tests against a mutant; return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))  # some never end
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        mutated = Mutated(mutant)
        sys.meta_path.insert(0, mutated)
        code = _tested(mutant.module)
        if code == 0 and not mutated.loaded:
            code = NOT_LOADED
    finally:
        os._exit(code)


def _tested(module: str) -> int:
    """Run the tests until one fails: first the module's own, which are likely to notice."""
    options = ["-x", "-q", "--assert=plain", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
    for paths in tests_for(module):
        if paths and (code := int(pytest.main([*options, *map(str, paths)]))):
            return code
    return 0


def tests_for(module: str) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return the test files of a module of that name, and all others, the nearest names first.

    Tests of rules that do not use the module are left out.
    """
    rules = _rules_of(module)
    found = []
    for path in (ROOT / "tests" / "rules").glob("test_*.py"):
        name = path.stem.removeprefix("test_").removeprefix("mutants_")
        pairs = zip(module, name, strict=False)
        near = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if rules & _rules_of(name):
            found.append((-near, path))
    every = [path for _, path in sorted(found)]
    own = sum(-near >= min(len(module), 8) for near, _ in found)
    return every[:own], every[own:]


def _rules_of(name: str) -> set[str]:
    known = (rules for prefix, rules in USED_BY.items() if name.startswith(prefix))
    return next(known, set().union(*USED_BY.values()))


def survivors(mutants: Iterable[Mutant]) -> Iterator[Mutant]:
    """Yield the mutants that pass all tests, as they are found."""
    running: dict[int, Mutant] = {}
    waiting = iter(mutants)
    while True:
        while len(running) < WORKERS and (mutant := next(waiting, None)) is not None:
            running[start(mutant)] = mutant
        if not running:
            return
        child, status = os.wait()
        mutant = running.pop(child)
        code = os.waitstatus_to_exitcode(status)
        if code == NOT_LOADED:
            sys.exit(f"No test has used the changed rules/{mutant.module}.py.")
        if code == 0:
            yield mutant


def _key(mutant: Mutant) -> tuple[str, int, str, str]:
    """Return what is the same when other lines of the module have changed."""
    return mutant.module, mutant.number, mutant.was, mutant.now


def _read(path: Path) -> set[tuple[str, int, str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {_key(Mutant(**json.loads(line))) for line in lines if line.startswith("{")}


def main() -> None:
    """Run the mutants; print the survivors as JSON lines, then a summary."""
    parser = argparse.ArgumentParser(description="Mutate rules/ and run its tests.")
    parser.add_argument("--every", type=int, default=1, help="of each module every Nth mutant")
    parser.add_argument("--start", type=int, default=0, help="beginning with this one")
    parser.add_argument("--again", type=Path, help="a file of survivors: only these")
    parser.add_argument("modules", nargs="*", help="of rules/; default: all that decide")
    given = parser.parse_args()
    again = _read(given.again) if given.again else None
    chosen = given.modules or [
        path.stem for path in sorted(RULES.glob("*.py")) if not path.stem.endswith(SKIPPED)
    ]
    os.chdir(ROOT)
    os.nice(NICENESS)
    os.environ["CI"] = "1"  # a mutant's fate must not be chance: tests/conftest.py
    if not list(survivors([Mutant(chosen[0], -1, 0, "", "")])):
        sys.exit("The tests fail without any change: nothing can be learned.")
    killed = total = 0
    for module in chosen:
        mutants = list(islice(mutants_of(module), given.start, None, given.every))
        if again is not None:
            mutants = [mutant for mutant in mutants_of(module) if _key(mutant) in again]
        survived = 0
        for mutant in survivors(mutants):
            survived += 1
            print(json.dumps(asdict(mutant)), flush=True)
        killed, total = killed + len(mutants) - survived, total + len(mutants)
        print(f"{module}: {len(mutants) - survived} of {len(mutants)} killed", flush=True)
    print(f"all: {killed} of {total} killed ({killed * 100 / max(1, total):.1f} %)")


if __name__ == "__main__":
    main()
