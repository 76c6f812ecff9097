"""Imports point one way, schemas <- rules <- worker, and the core stays free of clock and I/O.

A module is pure unless EDGE lists it.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("schemas", "rules", "worker", "walletwatch")
    for path in (ROOT / package).rglob("*.py")
)

THIRD_PARTY = {
    "schemas": {"pydantic", "pydantic_core"},
    "rules": {"pydantic", "msgspec"},
    "worker": {
        "crc32c",
        "kafka",
        "msgspec",
        "prometheus_client",
        "pydantic",
        "pydantic_core",
        "pydantic_settings",
        "rich",
        "typer",
    },
    "walletwatch": set(),
}
OWN = {
    "schemas": {"schemas"},
    "rules": {"schemas", "rules"},
    "worker": {"schemas", "rules", "worker", "walletwatch"},
    "walletwatch": {"walletwatch", "worker"},
}
TESTING = "rules/testing.py"
"""Runs a rule in the real engine: the one module of rules that is above worker.detect."""
ONLY_IN = {
    "crc32c": ["worker/logs/kafka/kafka_python/*"],
    "http": ["worker/observe/serving.py"],
    "kafka": ["worker/logs/kafka/kafka_python/*"],
    "prometheus_client": ["worker/observe/metrics.py"],
    "rich": ["worker/cli/*"],
    "sqlite3": ["worker/logs/sqlite/*"],
    "typer": ["worker/cli/*"],
    "walletwatch": ["walletwatch/*", "worker/cli/app.py"],
}
MODULE_OF = {"kafka_python": "kafka"}
"""What a distribution is imported as, where that is not its name."""
OF_THE_CLIENT = {"lz4", "python_snappy", "zstandard"}
"""Distributions that only kafka-python imports, if they are there."""
PURE_STDLIB = {
    "abc",
    "bisect",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "string",
    "struct",
    "types",
    "typing",
    "unicodedata",
    "zlib",
}
EDGE = [
    "schemas/export.py",
    "worker/cli/*",
    "worker/codec/files.py",
    "worker/codec/lines.py",
    "worker/config/*",
    "worker/convert/*",
    "worker/engine/loop.py",
    "worker/logs/*",
    "worker/observe/health.py",
    "worker/observe/metrics.py",
    "worker/observe/serving.py",
    "worker/run/gc_pause.py",
    "worker/run/open_log.py",
    "worker/run/replay.py",
    "worker/run/runner.py",
    "worker/run/spool.py",
    "worker/outputs.py",
    "worker/private_files.py",
    "worker/simulate/*",
    "worker/terminal.py",
    "walletwatch/*",
]
"""May use the clock, files, randomness. Everything else may not."""
IMPURE_CALLS = {"breakpoint", "eval", "exec", "hash", "id", "input", "open", "print", "__import__"}
"""hash and id differ from process to process."""
CLOCK_CALLS = {"now", "today", "utcnow"}


def violations(path: str, source: str) -> Iterator[str]:
    """Say what a module at this path may not do, a line number in front."""
    pure = not any(fnmatch(path, pattern) for pattern in EDGE)
    for line, module in _imports(source):
        reason = _import_error(path, module, pure)
        if reason:
            yield f"{line}: {reason}"
    for node in ast.walk(ast.parse(source)):
        if pure and isinstance(node, ast.Call) and (called := _impure_call(node.func)):
            yield f"{node.lineno}: {called}() is not pure"


def _imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and top-level name of all that is imported; a dot is a relative import."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield node.lineno, alias.name.partition(".")[0]
            case ast.ImportFrom(module=module, level=level):
                yield node.lineno, "." if level else (module or "").partition(".")[0]


def _import_error(path: str, module: str, pure: bool) -> str | None:
    package = path.partition("/")[0]
    own = OWN["worker" if path == TESTING else package]
    if module == ".":
        return "relative import"
    if module in ONLY_IN and not any(fnmatch(path, pattern) for pattern in ONLY_IN[module]):
        return f"{module} is imported in {' and '.join(ONLY_IN[module])} only"
    if module in own | THIRD_PARTY[package]:
        return None
    if module not in sys.stdlib_module_names:
        return f"{package} may not import {module}"
    if pure and module not in PURE_STDLIB:
        return f"{module} is not for a pure module"
    return None


def _impure_call(function: ast.expr) -> str | None:
    match function:
        case ast.Name(id=name) if name in IMPURE_CALLS:
            return name
        case ast.Attribute(value=ast.Name(id="date" | "datetime" as owner), attr=name) | (
            ast.Attribute(value=ast.Attribute(attr="date" | "datetime" as owner), attr=name)
        ) if name in CLOCK_CALLS:
            return f"{owner}.{name}"
    return None


def test_there_is_something_to_check() -> None:
    """All three packages are found, and what EDGE names is there."""
    assert {path.partition("/")[0] for path in MODULES} == set(OWN)
    assert all(any(fnmatch(path, pattern) for path in MODULES) for pattern in EDGE)


@pytest.mark.parametrize("path", MODULES)
def test_a_module_imports_only_what_its_place_allows(path: str) -> None:
    """Directions, third parties, and purity."""
    assert list(violations(path, (ROOT / path).read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("schemas/base.py", "import msgspec", "schemas may not import msgspec"),
        ("schemas/base.py", "from rules.events import Ref", "schemas may not import rules"),
        ("schemas/base.py", "import worker.codec.codec", "schemas may not import worker"),
        ("schemas/money.py", "from pathlib import Path", "pathlib is not for a pure module"),
        (
            "rules/profile.py",
            "from worker.codec.codec import decode",
            "rules may not import worker",
        ),
        ("rules/registry.py", "import worker.detect.stage", "rules may not import worker"),
        ("rules/failed_payment/testing.py", "import worker", "rules may not import worker"),
        ("rules/testing.py", "import kafka", "kafka is imported in"),
        ("rules/profile.py", "import numpy as np", "rules may not import numpy"),
        ("rules/profile.py", "from . import events", "relative import"),
        ("rules/profile.py", "import time", "time is not for a pure module"),
        ("rules/profile.py", "from random import random", "random is not for a pure module"),
        ("rules/profile.py", "import logging", "logging is not for a pure module"),
        ("rules/profile.py", "import socket", "socket is not for a pure module"),
        ("rules/profile.py", "import os.path", "os is not for a pure module"),
        ("rules/profile.py", "import sys", "sys is not for a pure module"),
        ("rules/profile.py", "import threading", "threading is not for a pure module"),
        ("rules/profile.py", "import asyncio", "asyncio is not for a pure module"),
        ("rules/profile.py", "def f():\n    import uuid", "2: uuid is not for a pure module"),
        ("rules/profile.py", "from datetime import datetime\ndatetime.now()", "datetime.now()"),
        ("rules/profile.py", "import datetime as d\nd.datetime.utcnow()", "datetime.utcnow()"),
        ("rules/profile.py", "from datetime import date\ndate.today()", "date.today()"),
        ("rules/profile.py", "hash('text')", "hash() is not pure"),
        ("rules/profile.py", "open('file')", "open() is not pure"),
        ("worker/codec/codec.py", "import time", "time is not for a pure module"),
        ("worker/engine/event_time.py", "import random", "random is not for a pure module"),
        ("worker/engine/task.py", "import logging", "logging is not for a pure module"),
        ("worker/detect/handler.py", "import socket", "socket is not for a pure module"),
        ("worker/detect/alerts.py", "import os", "os is not for a pure module"),
        ("worker/triage/handler.py", "from secrets import token_hex", "secrets is not for a pure"),
        (
            "worker/engine/keyed_state.py",
            "import sqlite3",
            "sqlite3 is imported in worker/logs/sqlite/* only",
        ),
        ("worker/anything_new.py", "import time", "time is not for a pure module"),
        ("worker/logs/memory.py", "import kafka", "kafka is imported in"),
        (
            "worker/logs/kafka/cluster.py",
            "from kafka.errors import KafkaError",
            "kafka is imported in worker/logs/kafka/kafka_python/* only",
        ),
        ("worker/logs/kafka/client.py", "import kafka", "kafka is imported in"),
        ("worker/engine/loop.py", "from kafka import KafkaConsumer", "kafka is imported in"),
        ("worker/engine/loop.py", "import prometheus_client", "prometheus_client is imported in"),
        ("worker/engine/loop.py", "import rich.console", "rich is imported in worker/cli/* only"),
        ("worker/engine/loop.py", "import requests", "worker may not import requests"),
    ],
)
def test_the_check_sees(path: str, source: str, complaint: str) -> None:
    """Each kind of violation is found, once."""
    found = list(violations(path, source))
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("schemas/base.py", "from pydantic_core import PydanticCustomError\nimport re"),
        ("rules/profile.py", "import msgspec\nfrom schemas.base import Severity"),
        ("rules/profile.py", "def f(fx: Effects) -> int:\n    return fx.now"),
        ("rules/testing.py", "from worker.detect.stage import detect"),
        ("worker/engine/loop.py", "import time, signal, os\nprint(time.time())"),
        ("worker/logs/kafka/kafka_python/consumer.py", "from kafka import KafkaConsumer"),
        ("worker/logs/sqlite/file.py", "import sqlite3"),
        ("worker/observe/metrics.py", "import prometheus_client"),
        ("worker/cli/app.py", "import typer, rich"),
    ],
)
def test_the_check_allows(path: str, source: str) -> None:
    """What is in its place is no violation."""
    assert list(violations(path, source)) == []


def test_every_third_party_is_declared() -> None:
    """What the code imports is installed with it, and nothing is installed for no use."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {text.partition(">=")[0].replace("-", "_") for text in project["dependencies"]}
    declared = {MODULE_OF.get(name, name) for name in declared}
    imported = {
        module
        for path in MODULES
        for _, module in _imports((ROOT / path).read_text("utf-8"))
        if module not in sys.stdlib_module_names and module not in OWN["worker"]
    }
    assert imported - {"pydantic_core"} | OF_THE_CLIENT == declared
