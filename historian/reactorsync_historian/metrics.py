"""What the historian shows to Prometheus. No reactor is ever a label."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

ROWS: Final = Counter("reactorsync_historian_rows", "Rows of telemetry committed.")
FRAMES: Final = Counter("reactorsync_historian_frames", "Frames whose rows were committed.")
COMMIT_SECONDS: Final = Histogram(
    "reactorsync_historian_commit_duration_seconds",
    "Time from the first row of a batch sent to Postgres to its commit.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
DUPLICATES: Final = Counter(
    "reactorsync_historian_duplicate_rows",
    "Rows that were there already and so were not stored again.",
)
FENCED: Final = Counter(
    "reactorsync_historian_fenced", "Partitions found to have another owner; nothing was stored."
)
DEAD_LETTERS: Final = Counter(
    "reactorsync_historian_dlq_records", "Records that could not be processed.", ["reason"]
)
UNMIRRORED: Final = Gauge(
    "reactorsync_historian_dlq_unmirrored_records",
    "Dead letters that the dead-letter topic does not have yet.",
)
LOST_FRAMES: Final = Counter(
    "reactorsync_historian_lost_frames", "Frames that were made and never came.", ["cause"]
)
RETRIES: Final = Counter(
    "reactorsync_historian_retries", "Batches given up and read again, by reason.", ["reason"]
)
LAG: Final = Gauge(
    "reactorsync_historian_lag_records", "Frames in the broker and not in Postgres.", ["shard"]
)
SKIPPED: Final = Counter(
    "reactorsync_historian_skipped_records",
    "Records below the stored offset, which a broker that was cut back shows again.",
)
FRESHNESS: Final = Gauge(
    "reactorsync_historian_freshness_seconds",
    "Age of the newest tick committed by this process; NaN before the first.",
)
JUDGE_SECONDS: Final = Histogram(
    "reactorsync_historian_alarm_judge_duration_seconds",
    "Time taken to judge the limits of a batch, before it is sent to Postgres.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
ALARMS_RAISED: Final = Counter(
    "reactorsync_historian_alarms_raised", "Alarms raised and committed, by limit.", ["limit"]
)
ALARMS_CLEARED: Final = Counter(
    "reactorsync_historian_alarms_cleared", "Alarms cleared and committed."
)
ALARMS_OPEN: Final = Gauge(
    "reactorsync_historian_alarms_open", "Open alarms of the shards that this process reads."
)
ALARMS_UNANNOUNCED: Final = Gauge(
    "reactorsync_historian_alarms_unannounced",
    "Alarms of which the events topic does not know yet that they were raised or cleared.",
)
EVENTS_SENT: Final = Counter(
    "reactorsync_historian_events_sent", "Events that the broker acknowledged.", ["type"]
)
FAULTS_FOLLOWED: Final = Gauge(
    "reactorsync_historian_faults_followed", "Acting faults not yet shown by the telemetry."
)
FAULTS_JUDGED: Final = Counter(
    "reactorsync_historian_faults_judged",
    "Faults told to be shown, not to be shown, or unknown.",
    ["confirmed"],
)
VERIFY_SECONDS: Final = Histogram(
    "reactorsync_historian_verify_duration_seconds",
    "Time taken to look at the newest readings of all faults that are followed.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)


class _NewestTick:
    """The newest committed tick, in seconds since 1970."""

    def __init__(self) -> None:
        self.seconds = float("nan")


_newest = _NewestTick()
FRESHNESS.set_function(lambda: time.time() - _newest.seconds)


def note_tick(tick_us: int) -> None:
    """Say that a tick was committed, for the freshness."""
    seconds = tick_us / 1e6
    if not _newest.seconds >= seconds:
        _newest.seconds = seconds


def report_lag(positions: Iterable[tuple[int, int | None, int]]) -> None:
    """Show the lag, summed up over the topics of a shard.

    Args:
        positions: shard, end of the partition if it is known, and next offset to be stored.
    """
    lags: Tally[int] = Tally()
    for shard, end, next_offset in positions:
        lags[shard] += 0 if end is None else max(end - next_offset, 0)
    LAG.clear()
    for shard, lag in lags.items():
        LAG.labels(str(shard)).set(lag)
