"""Findings about the client as it is installed; no cluster is asked."""

from collections.abc import Iterator

from worker.logs.finding import Finding, Verdict
from worker.logs.kafka.kafka_python import library
from worker.logs.kafka.kafka_python.codecs import CODECS, broken_codecs
from worker.logs.kafka.kafka_python.decode import VERSIONS, decode_lean


def installed(lean_decode: bool) -> Iterator[Finding]:
    """Yield what is found; `lean_decode` is whether lean decoding is wanted."""
    yield _checksum()
    yield _decoding(lean_decode)
    yield from _codecs()


def _checksum() -> Finding:
    if library.checksum_in_c():
        return Finding("crc32c", Verdict.OK, "record batches are checked in C")
    return Finding(
        "crc32c",
        Verdict.FAIL,
        "record batches are checked in Python, a hundred times slower",
        "install crc32c for this Python: python -m pip install --force-reinstall crc32c",
    )


def _decoding(wanted: bool) -> Finding:
    if decode_lean(wanted):
        return Finding("client", Verdict.OK, f"kafka-python {library.version()}, lean decoding")
    advice = f"install kafka-python {' or '.join(VERSIONS)}" if wanted else ""
    return Finding(
        "client",
        Verdict.WARN if wanted else Verdict.OK,
        f"kafka-python {library.version()}, which decodes records itself: slower",
        advice,
    )


def _codecs() -> Iterator[Finding]:
    """Try each codec with which a producer may compress."""
    broken = broken_codecs()
    for name, why in broken.items():
        text = f"records compressed with {name} cannot be read: {why}"
        advice = f"install {CODECS[name].package} beside walletwatch"
        yield Finding("codecs", Verdict.FAIL, text, advice)
    if not broken:
        *names, last = CODECS
        yield Finding("codecs", Verdict.OK, f"{', '.join(names)} and {last} can be read")
