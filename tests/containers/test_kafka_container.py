"""The broker of the tests in a container, and when it is not taken."""

import pytest
from testcontainers.core.config import testcontainers_config

from tests.support.compose import docker
from tests.support.kafka_container import kafka_container, lacking

NOWHERE = "127.0.0.1:1"
"""No registry and no engine is there."""


@pytest.mark.containers
def test_it_is_reached_from_this_machine_only_and_leaves_nothing(engine: None) -> None:
    """Its port is published on one address of this machine, the one that clients get."""
    with kafka_container() as (address, container):
        published = container.get_wrapped_container()
        published.reload()
        (port,) = published.attrs["NetworkSettings"]["Ports"].values()
        assert [f"{at['HostIp']}:{at['HostPort']}" for at in port] == [address]
        name = published.id
    assert name not in docker("ps", "--all", "--quiet", "--no-trunc")


@pytest.mark.containers
@pytest.mark.parametrize("which", ["broker", "reaper"])
def test_an_image_that_cannot_be_had_is_named(
    which: str, engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the broker, or of what removes it: the tests go on with jars."""
    missing = f"{NOWHERE}/{which}:1"
    if which == "broker":
        monkeypatch.setenv("KAFKA_IMAGE", missing)
    else:
        monkeypatch.setattr(testcontainers_config, "ryuk_disabled", False)
        monkeypatch.setattr(testcontainers_config, "ryuk_image", missing)
    assert missing in str(lacking())


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", f"tcp://{NOWHERE}"])
def test_without_an_engine_nothing_is_started(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where no engine is, nor on one of another machine, whose ports are not here."""
    monkeypatch.setenv("DOCKER_HOST", host)
    assert "Docker engine" in str(lacking())
