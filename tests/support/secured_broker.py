"""A broker that lets in nobody it does not know: TLS, SCRAM, PLAIN, mTLS, and ACLs."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialUpsertion,
)

from scripts.broker import Broker, Unavailable, free_port
from tests.support.crashing_worker import wait_until
from worker.logs.kafka.ops.acls import Acl

_JAAS: Final = "org.apache.kafka.common.security"
_OPERATIONS: Final = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Create": ACLOperation.CREATE,
    "Describe": ACLOperation.DESCRIBE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}
_RESOURCES: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
}


class SecuredBroker:
    """One node. Whoever reaches its plain port, which only tests know, may do everything."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))
        self.password = secrets.token_hex(16)
        self.scram, self.mtls, self.plain = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self._broker = Broker(folder / "node")
        self.open = self._broker.address
        self._broker.change(self._properties())
        self._users = 0

    def start(self) -> None:
        """Start it."""
        self._broker.start()

    def kill(self) -> None:
        """Kill it."""
        self._broker.kill()

    def admin(self) -> KafkaAdminClient:
        """Return a client that may do everything."""
        return KafkaAdminClient(bootstrap_servers=[self._broker.address])

    def user(self, allowed: Sequence[Acl], name: str = "") -> dict[str, str]:
        """Make a SCRAM user who is allowed just that; return the settings to log in by."""
        self._users += 1
        name = name or f"user-{self._users}"
        with closing(self.admin()) as admin:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, "SCRAM-SHA-512", self.password, 4096)]
            )
        self.allow(name, allowed)
        return self._settings("SASL_SSL") | self._login(name, "SCRAM-SHA-512")

    def allow(self, name: str, allowed: Sequence[Acl]) -> None:
        """Allow a user things."""
        with closing(self.admin()) as admin:
            admin.create_acls([_entry(f"User:{name}", acl) for acl in allowed])
            wait_until(
                lambda: self._known(admin, name) >= len({acl[:3] for acl in allowed}), "ACLs"
            )

    def _known(self, admin: KafkaAdminClient, name: str) -> int:
        """Return how many things the node lets a user do by now."""
        every = ACLFilter(
            f"User:{name}",
            "*",
            ACLOperation.ANY,
            ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
        )
        found, _ = admin.describe_acls(every)
        return len(found)

    def plain_user(self) -> dict[str, str]:
        """Return the settings of a PLAIN user, who is called `plain`."""
        return self._settings("SASL_SSL") | self._login("plain", "PLAIN")

    def certified(self, name: str) -> dict[str, str]:
        """Return the settings of a client that shows a certificate with that name."""
        certificate = self._authority.issue_cert(f"{name}.example", common_name=name)
        cert_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.cert_chain_pems[0].write_to_path(str(cert_file))
        certificate.private_key_pem.write_to_path(str(key_file))
        key_file.chmod(0o600)
        return self._settings("SSL") | {
            "WALLETWATCH_KAFKA__CERT_FILE": str(cert_file),
            "WALLETWATCH_KAFKA__KEY_FILE": str(key_file),
        }

    def _settings(self, protocol: str) -> dict[str, str]:
        return {
            "WALLETWATCH_KAFKA__SECURITY_PROTOCOL": protocol,
            "WALLETWATCH_KAFKA__CA_FILE": str(self.ca_file),
        }

    def _login(self, name: str, mechanism: str) -> dict[str, str]:
        secret = self._folder / f"{name}.password"
        secret.write_text(self.password, "utf-8")
        secret.chmod(0o600)
        return {
            "WALLETWATCH_KAFKA__SASL_MECHANISM": mechanism,
            "WALLETWATCH_KAFKA__USERNAME": name,
            "WALLETWATCH_KAFKA__PASSWORD_FILE": str(secret),
        }

    def _properties(self) -> dict[str, str]:
        """Return what makes the node a secured one; the listener of its own stays plain."""
        doors = f"SCRAM://{self.scram},MTLS://{self.mtls},PLAIN://{self.plain}"
        own = f"PLAINTEXT://{self._broker.address}"
        controller = self._broker.given("listeners").rpartition(",")[2]
        protocols = self._broker.given("listener.security.protocol.map")
        protocols += ",SCRAM:SASL_SSL,MTLS:SSL,PLAIN:SASL_SSL"
        known = f'username="none" password="none" user_plain="{self.password}"'
        return {
            "listeners": f"{own},{controller},{doors}",
            "advertised.listeners": f"{own},{doors}",
            "listener.security.protocol.map": protocols,
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": (
                f"{_JAAS}.scram.ScramLoginModule required;"
            ),
            "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.plain.plain.sasl.jaas.config": (
                f"{_JAAS}.plain.PlainLoginModule required {known};"
            ),
            "listener.name.mtls.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._keystore()),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def _keystore(self) -> Path:
        """Write key and certificate as Kafka reads them: the key as PKCS 8."""
        issued = self._authority.issue_cert("127.0.0.1")
        certificate = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
        self.expires_at = int(certificate.not_valid_after_utc.timestamp() * 1000)
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        store = self._folder / "server.pem"
        store.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        )
        store.chmod(0o600)
        return store


def _entry(principal: str, acl: Acl) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if acl.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        principal,
        "*",
        _OPERATIONS[acl.operation],
        ACLPermissionType.ALLOW,
        ResourcePattern(_RESOURCES[acl.kind], acl.name, pattern),
    )


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """The secured broker of all tests."""
    try:
        broker = SecuredBroker(tmp_path_factory.mktemp("secured") / "broker")
    except Unavailable as missing:
        pytest.skip(f"a secured Kafka broker: {missing}")
    broker.start()
    yield broker
    broker.kill()
