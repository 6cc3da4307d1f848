"""Prometheus metrics of a generator process. No label names a reactor: a fleet has thousands."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TICKS = Counter("reactorsync_generator_ticks_total", "Ticks of shards that were made.")
TICK_OVERRUNS = Counter(
    "reactorsync_generator_tick_overrun_total",
    "Ticks of shards that came out late, or not at all, once for each sampling interval.",
)
TICK_DURATION = Histogram(
    "reactorsync_generator_tick_duration_seconds",
    "Time from the start of a tick of a shard until its frame is ready to be sent.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
REACTORS_ASSIGNED = Gauge(
    "reactorsync_generator_reactors_assigned", "Reactors of the shards that this process simulates."
)
SHARDS_ASSIGNED = Gauge(
    "reactorsync_generator_shards_assigned", "Shards that this process simulates."
)
CATCH_UP_SECONDS = Counter(
    "reactorsync_generator_catch_up_seconds_total",
    "Simulated time of shards that was made up for without telemetry.",
)
CLOCK_MOVES = Counter(
    "reactorsync_generator_clock_moves_total",
    "Reactors whose gap was too long to be simulated, so that their clock was moved.",
)
DESIRED_REJECTED = Counter(
    "reactorsync_generator_desired_rejected_total",
    "Desired-state records that could not be read.",
    ["reason"],
)
REBALANCES = Counter(
    "reactorsync_generator_rebalances_total", "Assignments received from the consumer group."
)
MEMBERSHIP_DOUBTS = Counter(
    "reactorsync_generator_membership_doubts_total",
    "Pauses of this process that were longer than the group's session timeout.",
)
FRAMES_PRODUCED = Counter(
    "reactorsync_frames_produced_total", "Telemetry frames that the broker acknowledged."
)
FRAMES_LOST = Counter(
    "reactorsync_frames_lost_total",
    "Telemetry frames that were made and never acknowledged.",
    ["reason"],
)
FRAME_BYTES = Histogram(
    "reactorsync_frame_bytes",
    "Size of a telemetry frame.",
    buckets=(1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7),
)
EVENTS_PRODUCED = Counter(
    "reactorsync_generator_events_produced_total", "Events that the broker acknowledged."
)
EVENTS_DROPPED = Counter(
    "reactorsync_generator_events_dropped_total",
    "Events given up because the broker was away for too long.",
)
EVENTS_REFUSED = Counter(
    "reactorsync_generator_events_refused_total", "Events that the broker does not accept at all."
)
CHECKPOINTS = Counter(
    "reactorsync_generator_checkpoints_total", "Checkpoints of shards, by outcome.", ["outcome"]
)
CHECKPOINT_BYTES = Counter(
    "reactorsync_generator_checkpoint_bytes_total", "Bytes of checkpoints acknowledged."
)
