"""Damaged mappings and files end in sentences: never in a traceback, and never with a value."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.mapping_mutants import MARK, mutant, sentences

UNWANTED = re.compile(r"Traceback|object at 0x|<class|Error\b|\bNone\b|validation error")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "mutants", [3_000, pytest.param(20_000, id="large", marks=pytest.mark.bench)]
)
def test_what_mutants_end_in(tmp_path: Path, mutants: int) -> None:
    """One line of printable text each, as long as a sentence is; half of the mutants are cells."""
    said: Counter[str] = Counter()
    for seed in range(mutants):
        for sentence in sentences(mutant(seed), tmp_path):
            said[sentence] += 1
            assert MARK.lower() not in sentence.lower(), seed
            assert sentence.isprintable(), seed
            assert 10 < len(sentence.replace(str(tmp_path), "")) < 700, (seed, sentence)
            assert not UNWANTED.search(sentence), (seed, sentence)
    assert len(said) > mutants // 30
