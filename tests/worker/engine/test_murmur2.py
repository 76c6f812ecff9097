"""The partitioner agrees with Kafka's."""

import pytest

from worker.engine.murmur2 import murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_equals_the_vectors_of_kafkas_own_tests(data: bytes, expected: int) -> None:
    """Every tail length (0 to 3 bytes) is among them."""
    assert murmur2(data) == expected


@pytest.mark.parametrize("key", [b"", b"21", b"foobar", b"abc"])
def test_partition_masks_the_sign_instead_of_negating(key: bytes) -> None:
    """toPositive of Kafka is & 0x7fffffff: also for negative hashes a valid partition."""
    assert partition_of(key, 4) == (murmur2(key) & 0x7FFFFFFF) % 4
    assert partition_of(b"foobar", 1000) == (-790332482 + (1 << 31)) % 1000


def test_keys_spread_over_the_partitions() -> None:
    """No partition of four gets less than a fifth of ten thousand keys."""
    counts = [0, 0, 0, 0]
    for number in range(10_000):
        counts[partition_of(b"account-%d" % number, 4)] += 1
    assert min(counts) > 2_000


def test_the_cache_is_bounded() -> None:
    """A stream of ever new keys cannot fill memory."""
    assert partition_of.cache_info().maxsize == 1 << 16
