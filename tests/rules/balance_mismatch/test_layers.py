"""The modules of A2 import one way."""

import ast
from pathlib import Path

import pytest

from rules.balance_mismatch import rule

PACKAGE = "rules.balance_mismatch."
LAYERS = (
    *(
        "ledger.chain",
        "ledger.history",
        "ledger.reports",
        "ledger.joints",
        "ledger.layout",
        "ledger.trail",
    ),
    *("ledger.row", "ledger.group"),
    *("ledger.book", "params", "state", "facts", "reasons", "closing", "verdict"),
    *("alerts", "idle", "checks.books", "checks.rows", "checks.numbers", "checks.groups"),
    *(
        "checks.snapshots",
        "group_examples",
        "dispute_examples",
        "jump_examples",
        "snapshot_examples",
        "examples",
        "rule",
    ),
)
"""A module imports only from those before it."""
ROOT = Path(rule.__file__).parent


def test_every_module_has_a_place_in_the_order() -> None:
    """Once."""
    paths = [path for path in ROOT.rglob("*.py") if path.name != "__init__.py"]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    assert sorted(names) == sorted(LAYERS)


@pytest.mark.parametrize("module", LAYERS)
def test_a_module_imports_only_from_those_before_it(module: str) -> None:
    """Also where only a type checker would look."""
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    known = LAYERS[: LAYERS.index(module)]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(PACKAGE):
            names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            assert {f"{PACKAGE}{each}" for each in known} & names, ast.unparse(node)
