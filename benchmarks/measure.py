"""How a figure is taken and printed."""

import json
import os
import statistics
from collections.abc import Sequence

SETTLE_S = 6.0
"""Between the first answer and the first measurement: for some seconds HAProxy still sends
connections through Serve's own proxy, which is ten times slower, and they stay there."""


def report(  # one keyword for each field of the line
    name: str,
    value: float,
    unit: str,
    *,
    control: float,
    goal: str,
) -> None:
    """Print one JSON line; `ratio` is value ÷ control, `load` the machine's load average."""
    line = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "control": round(control, 3),
        "ratio": round(value / control, 3) if control else None,
        "goal": goal,
        "load": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(line), flush=True)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` % of the values do not exceed."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
