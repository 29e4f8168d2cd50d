"""What a fleet has done so far, as counted by its own devices."""

import math
from collections import Counter
from dataclasses import dataclass, field

FINENESS = 1.05  # a bucket's width: quantiles are exact to five in a hundred
SHORTEST_SECONDS = 1e-5


class Latencies:
    """Any number of durations in a few hundred counters."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0

    def add(self, seconds: float) -> None:
        self._buckets[max(0, math.ceil(math.log(max(seconds, SHORTEST_SECONDS) / SHORTEST_SECONDS, FINENESS)))] += 1
        self.count += 1

    def quantile(self, share: float) -> float | None:
        """The duration within which that share ended; None when nothing has."""
        seen, wanted = 0, share * self.count
        for bucket, count in sorted(self._buckets.items()):
            seen += count
            if seen >= wanted:
                return SHORTEST_SECONDS * FINENESS**bucket
        return None


@dataclass(slots=True)
class Tally:
    """`sent` counts readings, `retried` what was sent again after a lost answer; `late` are readings that were given up
    because the one before took longer than their period.
    """

    devices: int
    by_mqtt: int = 0
    online: int = 0
    sent: int = 0
    acknowledged: int = 0
    values: int = 0
    refused: int = 0
    retried: int = 0
    late: int = 0
    last_fault: str = ""
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def unanswered(self) -> int:
        return self.sent - self.acknowledged - self.refused
