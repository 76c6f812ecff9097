"""Imports run one way: a layer loads layers before it only, and no modules import each other."""

import ast
import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
LAYERS: Final = (
    "walletwatch.start",
    "walletwatch.packages",
    "schemas",
    "worker.errors",
    "worker.terminal",
    "worker.private_files",
    "worker.outputs",
    "worker.simulate",
    "rules.<words>",
    "worker.engine",
    "rules.<rule>",
    "rules.registry",
    "worker.tokens",
    "worker.codec",
    "worker.detect",
    "rules.testing",
    "worker.triage",
    "worker.convert",
    "worker.config",
    "worker.logs",
    "worker.observe",
    "worker.run",
    "worker.explain",
    "worker.evaluate",
    "worker.cli",
    "walletwatch.__main__",
)
"""A layer may not know a later one. In rules/ the packages are rules, the modules their words."""
PACKAGES: Final = ("rules", "worker", "walletwatch")
"""They hold layers and no code of their own: importing them loads nothing."""
LOAD: Final = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
own = ("schemas", "rules", "worker", "walletwatch")
print(json.dumps([name for name in sys.modules if name.split(".")[0] in own]))
"""


def modules() -> dict[str, Path]:
    """Return the path of every module by its name."""
    paths = (path for top in ("schemas", *PACKAGES) for path in (ROOT / top).rglob("*.py"))
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}
    return {name.removesuffix(".__init__"): path for name, path in sorted(named.items())}


MODULES: Final = modules()


def layer_of(module: str) -> int | None:
    """Return the place of a module's layer; None for a package that holds layers."""
    if module in PACKAGES:
        return None
    package, _, rest = module.partition(".")
    top = f"{package}.{rest.partition('.')[0]}" if package in PACKAGES else package
    if package == "rules" and top not in LAYERS:
        top = "rules.<rule>" if (ROOT / top.replace(".", "/")).is_dir() else "rules.<words>"
    return LAYERS.index(top)


def imports(source: str, known: Collection[str]) -> Iterator[str]:
    """Yield the modules that a source imports anywhere, for types and within functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module or ""


@pytest.mark.parametrize("place", range(len(LAYERS)), ids=LAYERS.__getitem__)
def test_a_layer_loads_no_later_one(place: int) -> None:
    """In a process of its own, where nothing else has been loaded."""
    own = [name for name in MODULES if layer_of(name) == place]
    assert own
    command = [sys.executable, "-c", LOAD, *own]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert set(own) <= set(loaded)
    assert [name for name in loaded if (layer_of(name) or 0) > place] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_no_later_layer(name: str) -> None:
    """Nor where an import is for types only, or made within a function."""
    own = layer_of(name)
    found = set(imports(MODULES[name].read_text("utf-8"), MODULES))
    later = [other for other in found if own is not None and (layer_of(other) or 0) > own]
    assert later == []


def test_no_modules_import_each_other() -> None:
    """Wherever the import is."""
    graph = {
        name: set(imports(path.read_text("utf-8"), MODULES)) - {name}
        for name, path in MODULES.items()
    }
    assert graph["worker.run.open_log"] > {"worker.errors", "worker.engine.log"}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_a_circle_is_found_where_it_is_for_types_only() -> None:
    """The check can fail."""
    hidden = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rules.b import B\n"
    known = ("rules.a", "rules.b")
    graph = {
        "rules.a": set(imports(hidden, known)),
        "rules.b": set(imports("def f():\n    import rules.a\n", known)),
    }
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_of_layers_is_empty(package: str) -> None:
    """Or importing one layer would load others."""
    body = ast.parse(MODULES[package].read_text("utf-8")).body
    assert all(isinstance(node, ast.Expr) for node in body)
