"""Settings of Kafka: what goes together, and how secrets reach the client."""

from pathlib import Path

import pytest

from tests.support.commands import kafka_variables
from worker.config.kafka_settings import KafkaSettings
from worker.config.load import load_settings
from worker.errors import ConfigError
from worker.logs.kafka.connect import cluster_of

LOGIN = {"security_protocol": "SASL_SSL", "username": "worker"}


def load(**settings: str) -> KafkaSettings:
    environment = kafka_variables(settings)
    return load_settings(None, environment, log_url="kafka://a:1").settings.kafka


def secret(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "password"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (LOGIN, "password_file"),
        ({"username": "worker"}, "password_file"),
        ({"cert_file": "c.pem"}, "cert_file and key_file"),
        ({"delivery_timeout_ms": "20000"}, "below transaction_timeout_ms"),
        ({"request_timeout_ms": "9000"}, "request_timeout_ms"),
        ({"replication": "1", "min_insync": "2"}, "min_insync"),
        ({"slot": "a b"}, "letters"),
        ({"slot": ""}, "slot"),
        (
            {"security_protocol": "SASL_PLAINTEXT", "username": "w", "password_file": "p"},
            "allow_insecure_password",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, str], says: str) -> None:
    """With the names of the settings."""
    with pytest.raises(ConfigError, match=says):
        load(**settings)


@pytest.mark.parametrize("url", ["kafka://", "kafka://host", "kafka://a:1,b", "kafka://a:1/x"])
def test_a_url_needs_hosts_and_ports(url: str) -> None:
    """Each of them."""
    with pytest.raises(ConfigError, match="kafka://host:port"):
        load_settings(None, {}, log_url=url)


def test_a_password_comes_from_its_file(tmp_path: Path) -> None:
    """Without the end of its line."""
    cluster = cluster_of(["a:1"], load(**LOGIN, password_file=secret(tmp_path, "pass word\n")))
    assert cluster.options["sasl_plain_password"] == "pass word"
    assert cluster.options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert cluster.options["security_protocol"] == "SASL_SSL"


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [("secret", 0o644, "chmod 600"), ("  \n", 0o600, "empty")],
)
def test_an_unsafe_password_file_is_refused(
    text: str, mode: int, says: str, tmp_path: Path
) -> None:
    """By its name, and never with what is in it."""
    settings = load(**LOGIN, password_file=secret(tmp_path, text, mode))
    with pytest.raises(ConfigError, match=says) as caught:
        cluster_of(["a:1"], settings)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Before anything is connected."""
    settings = load(**LOGIN, password_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"kafka\.password_file: .*none"):
        cluster_of(["a:1"], settings)


def test_certificates_are_handed_on(tmp_path: Path) -> None:
    """With the protocol that uses them."""
    pem = secret(tmp_path, "pem")
    files = {"ca_file": pem, "cert_file": pem, "key_file": pem}
    cluster = cluster_of(["a:1", "b:2"], load(security_protocol="SSL", **files))
    assert cluster.servers == ("a:1", "b:2")
    assert cluster.options == {
        "security_protocol": "SSL",
        "ssl_cafile": pem,
        "ssl_certfile": pem,
        "ssl_keyfile": pem,
    }
