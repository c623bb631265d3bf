"""When to leave a failing server alone, and for how long. Pure: moments in seconds of any clock."""

from dataclasses import dataclass, replace

FAILURES = 3
"""One failure may be the network's, three in a row are the server's."""

FIRST_REST_S = 5.0
LONGEST_REST_S = 30.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is remembered of a server's last answers."""

    failures: int = 0
    """In a row."""
    rests: int = 0
    """How often in a row it has been left alone."""
    rests_until_s: float = float("-inf")

    def allows(self, now_s: float) -> bool:
        return now_s >= self.rests_until_s

    def failed(self, now_s: float) -> "Breaker":
        """From the third failure on each one brings a rest, twice as long as the one before. One
        that comes during a rest was begun before it, and does not count."""
        if not self.allows(now_s):
            return self
        failures = self.failures + 1
        if failures < FAILURES:
            return replace(self, failures=failures)
        rest_s = min(FIRST_REST_S * 2.0 ** min(self.rests, 10), LONGEST_REST_S)
        return Breaker(failures, self.rests + 1, now_s + rest_s)

    def succeeded(self) -> "Breaker":
        return Breaker()
