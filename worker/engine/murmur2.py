"""Kafka's default partitioner, so that a key lives in the same partition on every log."""

from functools import lru_cache
from struct import unpack_from

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 of the bytes with Kafka's seed, signed as Java has it."""
    words = len(data) // 4
    h = _SEED ^ len(data)
    for word in unpack_from(f"<{words}I", data):
        k = word * _M & _MASK
        h = h * _M & _MASK ^ (k ^ k >> 24) * _M & _MASK
    if tail := data[words * 4 :]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    h ^= h >> 15
    return h - (1 << 32) if h >> 31 else h


# A hash costs microseconds in pure Python, a hit here a tenth; keys come back often.
@lru_cache(maxsize=1 << 16)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's DefaultPartitioner gives a keyed record."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
