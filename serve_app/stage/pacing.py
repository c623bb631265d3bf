"""When the next 20 ms are due: pure, counts ticks."""

TICK_S = 0.02
"""One packet of sound; a unit is two."""

MOST_LATE_S = 0.2
"""A process that was held up longer than this lets the time go: what was due then is not sent in a
burst afterwards, and the timestamps show the gap."""


class Pacing:
    """Counts ticks from a start time."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self.tick = 0
        """The next one to be released."""

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next tick is due; negative when it is late."""
        return self._start_s + self.tick * TICK_S - now_s

    def take(self, now_s: float) -> int:
        """The tick that is released now; ticks that are far too late are passed over."""
        late_s = -self.wait_s(now_s)
        if late_s > MOST_LATE_S:
            self.tick += int(late_s / TICK_S)
        self.tick += 1
        return self.tick - 1
