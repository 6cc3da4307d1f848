"""What the operator counts, under ``reactorsync_operator_*``."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

PLANS = Counter("reactorsync_operator_plans_total", "Plans made.", ["kind"])
PLAN_ERRORS = Counter("reactorsync_operator_plan_errors_total", "Plans that failed.", ["kind"])
PLAN_SECONDS = Histogram(
    "reactorsync_operator_plan_duration_seconds",
    "Time to make one plan.",
    ["kind"],
    buckets=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
)
QUEUE_DEPTH = Gauge("reactorsync_operator_queue_depth", "Objects waiting for a plan.")
RESOURCES = Gauge("reactorsync_operator_resources", "Resources known.", ["kind"])
WATCH_EVENTS = Counter(
    "reactorsync_operator_watch_events_total",
    "Resources taken in or dropped, as the store told.",
    ["kind"],
)
RELISTS = Counter("reactorsync_operator_relists_total", "Full lists of all resources.", ["kind"])
STATUS_WRITES = Counter(
    "reactorsync_operator_status_writes_total",
    "Statuses written, or refused because the object had changed.",
    ["kind", "outcome"],
)
STATUS_PENDING = Gauge("reactorsync_operator_status_pending", "Statuses waiting to be written.")
PUBLISHED = Counter(
    "reactorsync_operator_published_total",
    "Records of desired state that the broker acknowledged.",
    ["record"],
)
PUBLISH_PENDING = Gauge(
    "reactorsync_operator_publish_pending", "Reactors whose desired state waits for the broker."
)
EVENTS = Counter("reactorsync_operator_events_total", "Events read.", ["type"])
UNDECODABLE_EVENTS = Counter(
    "reactorsync_operator_undecodable_events_total", "Events that could not be read.", ["reason"]
)
INCARNATIONS = Counter(
    "reactorsync_operator_broker_incarnations_total", "Brokers met that had forgotten everything."
)
SILENT_SHARDS = Gauge("reactorsync_operator_silent_shards", "Shards no generator speaks for.")
UNREAD_SLOTS_DELETED = Counter(
    "reactorsync_operator_unread_slots_deleted_total",
    "Telemetry slots of the embedded broker that were deleted before they were stored.",
)
GENERATORS = Gauge("reactorsync_operator_generators_wanted", "Generators the fleet needs.")
