"""Breaks the rules on purpose, one condition or threshold at a time, and checks whether tests fail.

`python -m scripts.mutate [--every N] [MODULE ...]` makes the mutants of the modules of `rules/`
(every Nth of each module, from number `--start` on), runs the tests of the rules against each in a
process of its own, prints each survivor as a JSON line, and at the end how many of
each module were killed. `--again FILE` tries only the mutants of such lines.
"""

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
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
SKIPPED: Final = frozenset({"__init__", "builders", "registry", "scenes", "reasons"})
"""Modules that decide nothing, as do those whose names end in `examples`."""
USED_BY: Final = {"seen": ["unauthorized_transaction"]} | {
    name: ["account_lockout", "unauthorized_transaction"]
    for name in ("habits", "login_habits", "marks")
}
"""Of the modules that all rules share, those that only some rules use."""


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
    """Return the test files of a module's own rule, and those of all rules."""
    folder = ROOT / "tests" / "rules"
    package, _, name = module.rpartition(".")
    owners = [package.partition(".")[0]] if package else USED_BY.get(name, [])
    own = [path for owner in owners for path in sorted((folder / owner).glob("test_*.py"))]
    if not package:
        own = [*sorted(folder.glob(f"test_{name}*.py")), *own]
    others = folder.glob("test_*.py") if owners else folder.rglob("test_*.py")
    return own, [path for path in sorted(others) if path not in own]


def decide(path: Path) -> bool:
    """Return whether a module of `rules/` decides anything."""
    return path.stem not in SKIPPED and not path.stem.endswith("examples")


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
            sys.exit(f"No test has used the changed module rules.{mutant.module}.")
        if code == 0:
            yield mutant


def _key(mutant: Mutant) -> tuple[str, int, str, str]:
    """Return what identifies the mutant when other lines of the module have changed."""
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
        ".".join(path.relative_to(RULES).with_suffix("").parts)
        for path in sorted(RULES.rglob("*.py"))
        if decide(path)
    ]
    os.chdir(ROOT)
    os.nice(NICENESS)
    os.environ["CI"] = "1"  # the result must not depend on chance: tests/conftest.py
    if not list(survivors([Mutant(chosen[0], -1, 0, "", "")])):
        sys.exit("The tests fail without any change: a mutation run is of no use.")
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
