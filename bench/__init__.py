"""Benchmarks: ratios to a baseline of the same run, because machines differ and are busy."""
