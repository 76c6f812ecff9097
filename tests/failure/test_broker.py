"""The broker of the tests is the one it should be, survives kills, and leaves nothing behind."""

import hashlib
import os
from pathlib import Path

import pytest

from scripts import broker as module
from scripts.broker import Broker, BrokerFailed, Unavailable
from tests.support.kafka_clients import library_client
from worker.logs.kafka.cluster import Cluster


@pytest.mark.parametrize("change", ["other bytes", "missing", "unlisted"])
def test_other_jars_are_refused_by_name(change: str, tmp_path: Path) -> None:
    """One that differs, is missing, or is not listed."""
    (tmp_path / "a.jar").write_bytes(b"a")
    listed = {"a.jar": hashlib.sha256(b"a").hexdigest()}
    if change == "other bytes":
        (tmp_path / "a.jar").write_bytes(b"b")
    elif change == "missing":
        listed["b.jar"] = listed["a.jar"]
    else:
        (tmp_path / "b.jar").write_bytes(b"b")
    checksums = tmp_path / "sums.txt"
    checksums.write_text("".join(f"{value}  {name}\n" for name, value in listed.items()), "utf-8")
    with pytest.raises(BrokerFailed, match=r"a\.jar" if change == "other bytes" else r"b\.jar"):
        module.check(tmp_path, checksums)


def test_without_java_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that the tests can be skipped for that reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="Java 17"):
        module.jars()


def test_without_maven_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unless the jars are there already."""
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n", "utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr("shutil.which", lambda name: str(java) if name == "java" else None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(Unavailable, match="Maven"):
        module.jars()


def test_an_older_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its version."""
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", "utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(Unavailable, match="11"):
        module.jars()


def test_what_was_there_is_there_after_a_kill(own_broker: Broker) -> None:
    """Same address, same topics; and no process is left when it ends."""
    cluster = Cluster(servers=(own_broker.address,))
    admin = library_client(cluster.admin())
    admin.create_topics({"kept": {"num_partitions": 2}}, wait_for_metadata=True)
    admin.close()
    first = own_broker.pid
    own_broker.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    own_broker.start()
    again = cluster.admin()
    assert [topic.name for topic in again.describe_topics(["kept"])] == ["kept"]
    again.close()
