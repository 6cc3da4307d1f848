"""The machine's clock, in the unit in which times are stored and sent."""

from __future__ import annotations

import time


def now_us() -> int:
    """Return the wall-clock time: microseconds since 1970, UTC."""
    return time.time_ns() // 1000
