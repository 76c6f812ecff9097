"""The installed kafka-python: its version, and whether it checks record batches in C."""

import crc32c
import kafka
from kafka.record import util


def version() -> str:
    """Return the version of the library."""
    return str(kafka.__version__)


def checksum_in_c() -> bool:
    """Return whether the C extension checks record batches; Python is a hundred times slower."""
    return util.crc32c_c is crc32c.crc32c
