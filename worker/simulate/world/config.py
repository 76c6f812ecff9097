"""How much traffic, over which time, and how badly it is delivered."""

from dataclasses import dataclass

from schemas.time import parse_time

DAY_MS = 86_400_000
DEFAULT_START = "2026-01-05T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateConfig:
    """Options of one simulation.

    Raises:
        ValueError: an option is outside its range; the message names it.
    """

    accounts: int = 200
    days: int = 2
    start_ms: int = parse_time(DEFAULT_START)
    lateness_ms: int = 5_000
    """Every delivery that is no straggler takes less than this."""
    redelivered_percent: int = 5
    stragglers_per_10_000: int = 10
    """Deliveries that take longer than lateness_ms; only of accounts without a story."""
    straggler_max_ms: int = 40_000
    """Below the minute after which a missing ledger entry is reported."""
    heartbeats: bool = True
    """Every two hours each input has a heartbeat."""
    stories_per_variant: int | None = None
    """None: one for every 1,000 accounts, at least one. An account has at most one story."""

    def __post_init__(self) -> None:
        self._check("accounts", 1, 999_999)
        self._check("days", 1, 3_650)
        self._check("lateness_ms", 1, DAY_MS)
        self._check("redelivered_percent", 0, 100)
        self._check("stragglers_per_10_000", 0, 10_000)
        self._check("straggler_max_ms", self.lateness_ms, DAY_MS)
        if self.stories_per_variant is not None:
            self._check("stories_per_variant", 0, self.accounts)

    def _check(self, name: str, low: int, high: int) -> None:
        if not low <= getattr(self, name) <= high:
            raise ValueError(f"{name} must be from {low} to {high}")

    @property
    def end_ms(self) -> int:
        """Nothing occurs at or after this moment."""
        return self.start_ms + self.days * DAY_MS

    @property
    def variant_count(self) -> int:
        """How many stories of each variant are planted, accounts permitting."""
        if self.stories_per_variant is not None:
            return self.stories_per_variant
        return max(1, self.accounts // 1_000)
