"""A real Apache Kafka for tests and developers: from jars, on this machine, until it is stopped.

`python -m scripts.broker` (make kafka) runs one until Ctrl-C. The jars come from Maven, once, into
the user's cache; each is checked against a checksum in broker_jars.txt. It needs a Java 17 runtime,
Maven for the first time, and a POSIX system.
"""

import ctypes
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

VERSION: Final = "4.4.0"
_LOGGING: Final = "2.25.1"
_JAVA: Final = 17
_CHECKSUMS: Final = Path(__file__).with_name("broker_jars.txt")
_STARTED: Final = "Kafka Server started"
_START_SECONDS: Final = 120
_CLUSTER_ID: Final = "5L6g3nShT-eMCtK--X86sw"
_POM: Final = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>walletwatch</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
      <exclusions><exclusion>
        <groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId>
      </exclusion></exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOGGING}</version>
    </dependency>
  </dependencies>
</project>
"""
_LOG4J: Final = """status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""
# Small and quick: one node has every role, and waits for no other.
_PROPERTIES: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.cleaner.io.buffer.size": "65536",
}


ALONE: Final = {
    "WALLETWATCH_KAFKA__REPLICATION": "1",
    "WALLETWATCH_KAFKA__MIN_INSYNC": "1",
    "WALLETWATCH_TOKENS__KEY_ID": "public",
}
"""The settings of walletwatch for a cluster of one node, which holds one replica."""
_ADVICE: Final = """
Apache Kafka {0} runs at {1} until Ctrl-C; nothing of it is kept.
One node holds one replica, so configure walletwatch in another terminal:

  export WALLETWATCH_KAFKA__REPLICATION=1 WALLETWATCH_KAFKA__MIN_INSYNC=1
  export WALLETWATCH_LOG__URL={1}
  export WALLETWATCH_TOKENS__KEY_ID=public    (to try it out: tokens then hide nothing)
  walletwatch topics create
  walletwatch simulate --accounts 100
  walletwatch run"""


class Unavailable(Exception):
    """This machine cannot run a broker; str() names what is missing."""


class BrokerFailed(Exception):
    """The broker did not start, or its jars are wrong; str() has the details."""


def jars() -> Path:
    """Return the folder of the broker's jars, fetched and checked if that has not been done.

    Raises:
        Unavailable: Java, or Maven where it is needed, is not there.
        BrokerFailed: Maven failed, or a jar has another checksum.
    """
    _check_java()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "walletwatch"
    folder = cache / f"kafka-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes want them at once
        if not folder.is_dir():
            _fetch(cache, folder)
    return folder


def _check_java() -> None:
    java = shutil.which("java")
    if java is None:
        raise Unavailable(f"needs a Java {_JAVA} runtime (java is not there)")
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = output.partition('version "')[2].partition(".")[0]
    if not version.isdecimal() or int(version) < _JAVA:
        raise Unavailable(f"needs a Java {_JAVA} runtime (java is of version {version or '?'})")


def _fetch(cache: Path, folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise Unavailable(f"needs Maven, once, to fetch Apache Kafka {VERSION} (mvn is not there)")
    with tempfile.TemporaryDirectory(dir=cache) as work:
        (Path(work) / "pom.xml").write_text(_POM, "utf-8")
        goal = ["dependency:copy-dependencies", "-DoutputDirectory=jars"]
        done = subprocess.run(
            ["mvn", "-q", "-B", *goal], cwd=work, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BrokerFailed(f"Maven could not fetch Apache Kafka: {done.stdout[-2000:]}")
        check(Path(work) / "jars", _CHECKSUMS)
        (Path(work) / "jars").rename(folder)


def check(folder: Path, checksums: Path) -> None:
    """Compare the jars of a folder with their checksums (SHA-256).

    Raises:
        BrokerFailed: one is missing, is another, or is not listed; names it.
    """
    lines = [line.split("  ", 1) for line in checksums.read_text("utf-8").splitlines()]
    wanted = {name: checksum for checksum, name in lines}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(name for name, _ in wanted.items() ^ found.items())
    if wrong:
        raise BrokerFailed(f"not the jars listed in {checksums.name}: {', '.join(set(wrong))}")


class Broker:
    """One node, its folder and its process; the process ends with this one."""

    def __init__(
        self,
        folder: Path,
        overrides: Mapping[str, str] | None = None,
        cluster_id: str = _CLUSTER_ID,
    ) -> None:
        """Choose ports and format the folder; start it with `start`."""
        self._cluster_id = cluster_id
        self._folder = folder
        self._jars = jars()
        self._process: subprocess.Popen[str] | None = None
        self._tail: deque[str] = deque(maxlen=40)
        self._started = Event()
        port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        folder.mkdir(parents=True, exist_ok=True)
        properties = _PROPERTIES | dict(overrides or {})
        properties |= {
            "controller.quorum.voters": f"{properties['node.id']}@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(folder / "data"),
        }
        self._properties = folder / "server.properties"
        self._settings: dict[str, str] = {}
        self.change(properties)
        (folder / "log4j2.properties").write_text(_LOG4J, "utf-8")
        self._format()

    def given(self, name: str) -> str:
        """Return one of its properties."""
        return self._settings[name]

    def change(self, overrides: Mapping[str, str]) -> None:
        """Set properties, from its next start on."""
        self._settings |= overrides
        lines = (f"{key}={value}\n" for key, value in self._settings.items())
        self._properties.write_text("".join(lines), "utf-8")

    def _format(self) -> None:
        tool = ["kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c"]
        done = subprocess.run(
            [*self._java(), *tool, str(self._properties)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokerFailed(f"the folder could not be formatted: {done.stdout[-2000:]}")

    def _java(self) -> list[str]:
        return [
            "java",
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            "-cp",
            f"{self._jars}/*",
        ]

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, on the same ports and folder as before, and wait until it serves.

        Raises:
            BrokerFailed: it ended, or did not serve in time; str() has its last output.
        """
        self.begin()
        self.await_start()

    def begin(self) -> None:
        """Start without waiting: of several nodes, none serves before most have been started.

        It dies with the thread that calls this.
        """
        self._process = subprocess.Popen(
            [*self._java(), "kafka.Kafka", str(self._properties)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads hold locks that it needs
        )
        self._started.clear()
        Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def await_start(self) -> None:
        """Wait until it serves.

        Raises:
            BrokerFailed: it ended, or did not serve in time; str() has its last output.
        """
        process = self._process
        if not self._started.wait(_START_SECONDS) or process is None or process.poll() is not None:
            self.kill()
            raise BrokerFailed("the broker did not start:\n" + "".join(self._tail))

    def stop(self) -> None:
        """Stop in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it (-9)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(how)
                self._process.send_signal(signal.SIGCONT)
            self._process.wait()
            self._process = None

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._tail.append(line)
                if _STARTED in line:
                    self._started.set()
        self._started.set()


def free_port() -> int:
    """Return a port that is free now, below those that systems give to connections by themselves.

    A broker that is started again must find its port free.
    """
    while True:
        port = secrets.randbelow(12_000) + 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the one that made it is gone; elsewhere do nothing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main(arguments: Sequence[str]) -> int:
    """Run a broker until Ctrl-C, with --demo the demo on it first; return the exit code.

    After the demo it goes on only on a terminal, where a person can press Ctrl-C.
    """
    code = 0
    try:
        with tempfile.TemporaryDirectory(prefix="walletwatch-kafka-") as folder:
            print("Starting Apache Kafka ...", file=sys.stderr)
            broker = Broker(Path(folder))
            broker.start()
            try:
                if "--demo" in arguments:
                    code = _demo(broker)
                    if code or not sys.stdin.isatty():
                        return code
                print(_ADVICE.format(VERSION, f"kafka://{broker.address}"), flush=True)
                signal.pause()
            finally:
                broker.stop()
    except KeyboardInterrupt:
        return code
    except (Unavailable, BrokerFailed) as error:
        print(f"No broker: {error}.", file=sys.stderr)
        return 1
    return code


def _demo(broker: Broker) -> int:
    """Run the demo on a broker and return its exit code."""
    walletwatch = str(Path(sys.executable).with_name("walletwatch"))
    command = [walletwatch, "demo", "--log", f"kafka://{broker.address}"]
    return subprocess.run(command, env={**os.environ, **ALONE}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
