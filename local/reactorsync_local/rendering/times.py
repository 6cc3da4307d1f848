"""Times and durations as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def short_duration(seconds: float) -> str:
    """Return a duration as kubectl shows ages: ``42s``, ``5m10s``, ``3h``, ``2d4h``.

    Two units at most, the second only while the first is small.
    """
    left = max(0, int(seconds))
    for index, (unit, size) in enumerate(_UNITS):
        count, rest = divmod(left, size)
        if count == 0 and unit != "s":
            continue
        if unit == "s" or count >= 10:
            return f"{count}{unit}"
        smaller, smaller_size = _UNITS[index + 1]
        minor = rest // smaller_size
        return f"{count}{unit}{minor}{smaller}" if minor else f"{count}{unit}"
    return "0s"


def clock(seconds: float) -> str:
    """Return a duration as a clock shows it: ``0:07``, ``12:05``, ``1:02:03``."""
    left = max(0, int(seconds))
    minutes, second = divmod(left, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def age(moment: datetime | None, now: datetime) -> str:
    """Return how long ago something was, ``<none>`` when it never was."""
    return "<none>" if moment is None else short_duration((now - moment).total_seconds())


def timestamp(moment: datetime | None) -> str:
    """Return a moment in UTC to the second, ``<none>`` for none."""
    if moment is None:
        return "<none>"
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def parse_duration(text: str) -> timedelta:
    """Read ``90s``, ``10m``, ``1h30m`` or ``2d``.

    Raises:
        ValueError: the text is no duration, or none at all.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"cannot read {text!r}: write a duration as 90s, 10m, 1h30m or 2d")
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
