"""docker-compose.yml: valid, and every service's command does its work, run here without Docker."""

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import ALERTS, INCIDENTS, LATE, TRANSACTIONS
from scripts.broker import VERSION, Broker, Unavailable, free_port
from tests.support.commands import ROOT
from tests.support.compose_file import FILE, OURS, SERVICES, image, read
from tests.support.crashing_worker import DEADLINE_SECONDS, wait_until
from tests.support.dockerfile import environment, exec_form
from tests.support.prometheus_programs import program
from tests.support.scraping import Pages
from worker.config.load import load_settings
from worker.engine.log import Log
from worker.run.open_log import open_log

KAFKA, CONTROLLER = "kafka:9092", "kafka:9093"
KEPT = "/var/lib/walletwatch"


def errors(path: Path) -> int:
    """Return the exit code of the check against the schema of compose files."""
    check = Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([check, *schema, path], stdout=subprocess.DEVNULL, check=False)
    return done.returncode


def test_it_is_valid(tmp_path: Path) -> None:
    """And the check is one: it finds a mistake."""
    assert errors(FILE) == 0
    wrong = tmp_path / FILE.name
    text = FILE.read_text("utf-8")
    assert "restart: unless-stopped" in text
    wrong.write_text(text.replace("restart: unless-stopped", "restart: [always]"), "utf-8")
    assert errors(wrong) == 1


def test_images_are_pinned_and_kafka_is_the_one_of_the_tests() -> None:
    """By a whole version; where its digest is known, by that too."""
    kafka, prometheus = image("kafka", {}), image("prometheus", {})
    assert kafka.partition("@")[0] == f"apache/kafka:{VERSION}"
    assert re.fullmatch(r"apache/kafka:\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", kafka)
    assert re.fullmatch(r"prom/prometheus:v\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", prometheus)


def test_other_images_can_take_their_place() -> None:
    """A variable each, and for the image that ours begins with the argument of its build."""
    given = {name: f"mirror/{name.lower()}" for name in ("KAFKA_IMAGE", "PROMETHEUS_IMAGE")}
    assert image("kafka", given) == given["KAFKA_IMAGE"]
    assert image("prometheus", given) == given["PROMETHEUS_IMAGE"]
    for name in OURS:
        assert SERVICES[name]["build"] == {"context": ".", "args": {"PYTHON_IMAGE": None}}


def test_our_services_can_do_little() -> None:
    """Only /tmp can be written, and by one the key; no capability is left; slots are not shared."""
    assert set(OURS) == {"key", "topics", "detect", "triage", "simulator", "cli"}
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["volumes"] == [f"key:{KEPT}" if name == "key" else f"key:{KEPT}:ro"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["init"] is True
        assert "ports" not in service
    slots = [SERVICES[name]["environment"].get("WALLETWATCH_KAFKA__SLOT") for name in OURS]
    own = [slot for slot in slots if slot]
    assert len(own) == len(set(own)) == 2


def test_each_worker_has_the_key_that_is_made_first() -> None:
    """One key for both stages and for commands, in a volume; none is in the image."""
    (made,) = [word for word in SERVICES["key"]["command"] if word.startswith("/")]
    assert made.startswith(f"{KEPT}/")
    for name in ("detect", "triage", "cli"):
        set_ = SERVICES[name]["environment"]
        assert set_["WALLETWATCH_TOKENS__KEY_FILE"] == made
        assert set_["WALLETWATCH_TOKENS__KEY_ID"] not in ("", "public")
        needed = SERVICES[name]["depends_on"]["key"]
        assert needed == {"condition": "service_completed_successfully"}
    assert "key" in read(FILE)["volumes"]


def test_no_service_can_take_the_whole_machine() -> None:
    """Processors, memory and processes are limited."""
    for name, service in SERVICES.items():
        assert {"cpus", "mem_limit", "pids_limit"} <= set(service), name


def test_ports_are_open_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:9090:9090"]


def test_prometheus_is_configured_as_elsewhere() -> None:
    """But for its targets, which are the two workers at the port of the image."""
    folder = ROOT / "deploy" / "prometheus"
    ours, shipped = read(folder / "compose.yml"), read(folder / "prometheus.yml")
    (job,), (there,) = ours["scrape_configs"], shipped["scrape_configs"]
    port = environment()["WALLETWATCH_METRICS__PORT"]
    targets = job["static_configs"][0].pop("targets")
    assert targets == [f"detect:{port}", f"triage:{port}"]
    there["static_configs"][0].pop("targets")
    assert ours == shipped
    assert "--config.file=/etc/prometheus/compose.yml" in SERVICES["prometheus"]["command"]
    assert "./deploy/prometheus:/etc/prometheus:ro" in SERVICES["prometheus"]["volumes"]
    check = [program("promtool"), "check", "config", str(folder / "compose.yml")]
    subprocess.run(check, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker with the properties of the kafka service, on other ports."""
    folder = tmp_path_factory.mktemp("compose") / "kafka"
    try:
        broker = Broker(folder)
    except Unavailable as missing:
        pytest.skip(f"a Kafka broker: {missing}")
    port = broker.address.rpartition(":")[2]
    controller = str(free_port())
    moved = {
        KAFKA: broker.address, CONTROLLER: f"127.0.0.1:{controller}",
        "PLAINTEXT://:9092": f"PLAINTEXT://127.0.0.1:{port}",
        "CONTROLLER://:9093": f"CONTROLLER://127.0.0.1:{controller}",
        "/var/lib/kafka/data": broker.given("log.dirs"),
    }  # fmt: skip
    broker.change(
        {
            name.removeprefix("KAFKA_").lower().replace("_", "."): _replaced(value, moved)
            for name, value in SERVICES["kafka"]["environment"].items()
            if name != "KAFKA_HEAP_OPTS"  # of the virtual machine, no property
        }
    )
    broker.start()
    yield broker
    broker.kill()


def _replaced(text: str, moved: dict[str, str]) -> str:
    for old, new in moved.items():
        text = text.replace(old, new)
    return text


class Stack:
    """The services, run as processes of this machine."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._moved = {KAFKA: broker.address, KEPT: str(folder)}
        self._folder = folder

    def errors(self, name: str) -> Path:
        """Return the file with the output of a service."""
        return self._folder / f"{name}.stderr"

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service; it is dead afterwards."""
        service = SERVICES[name]
        set_ = {**environment(), **service["environment"]}
        set_ |= {"WALLETWATCH_METRICS__HOST": "127.0.0.1", "WALLETWATCH_METRICS__PORT": "0"}
        (entry,) = exec_form("ENTRYPOINT")
        words = [_replaced(word, self._moved) for word in service["command"]]
        with (
            self.errors(name).open("wb") as errors,
            subprocess.Popen(
                [Path(sys.executable).with_name(entry), *words],
                cwd=self._folder,
                env={"PATH": os.environ["PATH"]}
                | {k: _replaced(v, self._moved) for k, v in set_.items()},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def settings(self) -> Any:
        """Return the settings of a service."""
        url = _replaced(SERVICES["topics"]["environment"]["WALLETWATCH_LOG__URL"], self._moved)
        return load_settings(None, {}, log_url=url).settings


def test_the_services_do_their_work(broker: Broker, tmp_path: Path) -> None:
    """In the order of their dependencies: topics are made, traffic comes in, incidents come out.

    At any hour, and not as what came too late: the day that is simulated is over.
    """
    stack = Stack(broker, tmp_path)
    made = tmp_path / "token.key"
    secrets = []
    for _ in range(2):  # at the second start the key is there
        with stack.running("key") as key:
            assert key.wait(DEADLINE_SECONDS) == 0, stack.errors("key").read_text()
        secrets.append(made.read_bytes())
    assert secrets[0] == secrets[1]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    with stack.running("topics") as topics:
        assert topics.wait(DEADLINE_SECONDS) == 0, stack.errors("topics").read_text()
    with ExitStack() as running:
        workers = {
            name: running.enter_context(stack.running(name)) for name in ("detect", "triage")
        }
        pages = {name: Pages(stack.errors(name)) for name in workers}
        for name, each in pages.items():
            wait_until(partial(_is_ready, each), f"{name} to be ready")
            assert _health(each.address) == 0
        simulator = running.enter_context(stack.running("simulator"))
        settings = stack.settings()
        with closing(open_log(settings.log.url, kafka=settings.kafka)) as log:
            for topic in (ALERTS, INCIDENTS):
                wait_until(partial(_holds, log, topic), topic)
            assert _records(log, LATE) < _records(log, TRANSACTIONS) / 10
        assert simulator.poll() in (None, 0)
        simulator.send_signal(signal.SIGINT)
        simulator.wait(DEADLINE_SECONDS)
        for name, worker in workers.items():
            worker.terminate()
            assert worker.wait(DEADLINE_SECONDS) == 0, stack.errors(name).read_text()
            assert _health(pages[name].address) != 0
    with stack.running("cli") as cli:
        assert cli.wait(DEADLINE_SECONDS) == 0


def _is_ready(pages: Pages) -> bool:
    return bool(pages.get("/readyz")[0] == 200)


def _holds(log: Log, topic: str) -> bool:
    return _records(log, topic) > 0


def _records(log: Log, topic: str) -> int:
    """Return how many records were appended, what transactions take included."""
    return sum(end for _, end in log.offsets(topic))


def _health(address: str) -> int:
    """Return the exit code of the image's health check, asked at another address."""
    _, *words = exec_form("HEALTHCHECK")
    here = f"127.0.0.1:{environment()['WALLETWATCH_METRICS__PORT']}"
    assert any(here in word for word in words)
    moved = [word.replace(here, address) for word in words]
    return subprocess.run(
        [sys.executable, *moved], stderr=subprocess.DEVNULL, check=False
    ).returncode
