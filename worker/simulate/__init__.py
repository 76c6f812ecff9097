"""Seeded, believable wallet traffic with planted anomalies whose truth is known.

It shares no code with the rules: what must alert is written down at the moment it is planted.
"""

from worker.simulate.simulation import simulate
from worker.simulate.world.config import SimulateConfig

__all__ = ["SimulateConfig", "simulate"]
