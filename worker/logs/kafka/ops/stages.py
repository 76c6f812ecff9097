"""The stages that run on a cluster, and the inputs of each."""

from collections.abc import Mapping
from typing import Final

from schemas.topics import DETECT_INPUTS, SIGNALS
from worker.detect.stage import DETECT
from worker.triage.stage import TRIAGE

INPUTS_OF: Final[Mapping[str, tuple[str, ...]]] = {DETECT: DETECT_INPUTS, TRIAGE: (SIGNALS,)}
READ: Final = (*DETECT_INPUTS, SIGNALS)
"""The inputs of all stages."""
