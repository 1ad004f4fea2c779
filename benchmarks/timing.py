"""The time of a call."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def median_seconds(work: Callable[[], Any], min_seconds: float = 0.3, max_calls: int = 50) -> float:
    """Return the median seconds of a call, over as many calls as fill `min_seconds`: from 3 to `max_calls`."""
    times: list[float] = []
    while len(times) < 3 or (sum(times) < min_seconds and len(times) < max_calls):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
