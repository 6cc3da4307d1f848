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
QUEUE_AGE = Gauge(
    "reactorsync_operator_queue_oldest_seconds",
    "How long the object has been waiting for a plan that waits longest.",
)
QUEUE_DEPTH = Gauge("reactorsync_operator_queue_depth", "Objects waiting for a plan.")
RESOURCES = Gauge("reactorsync_operator_resources", "Resources known.", ["kind"])
WATCH_EVENTS = Counter(
    "reactorsync_operator_watch_events_total",
    "Resources taken in or dropped, as the store told.",
    ["kind"],
)
RELISTS = Counter("reactorsync_operator_relists_total", "Full lists of all resources.", ["kind"])
WATCH_AGE = Gauge(
    "reactorsync_operator_watch_age_seconds",
    "Time since the API server last said anything on the watch of a kind.",
    ["kind"],
)
MISSED_EVENTS = Counter(
    "reactorsync_operator_missed_events_total",
    "Changes and deletions that a sweep found although a watch should have told of them.",
    ["kind", "change"],
)
CLOSED_NAMESPACES = Gauge(
    "reactorsync_operator_closed_namespaces",
    "Namespaces to be served that this operator has no right to list.",
)
UNREADABLE = Counter(
    "reactorsync_operator_unreadable_objects_total",
    "Objects met that are not valid by this release's rules.",
    ["kind"],
)
STATUS_WRITES = Counter(
    "reactorsync_operator_status_writes_total",
    "Statuses written, or refused because the object had changed; the reason is that of Ready.",
    ["kind", "outcome", "reason"],
)
STATUS_SECONDS = Histogram(
    "reactorsync_operator_status_write_duration_seconds",
    "Time to write one batch of statuses; on Kubernetes a batch is one object.",
    ["kind"],
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
)
DELETIONS = Counter(
    "reactorsync_operator_deletions_total", "Objects deleted since their time was over.", ["kind"]
)
STATUS_OLDEST = Gauge(
    "reactorsync_operator_status_oldest_seconds",
    "How long the status has been waiting to be written that waits longest.",
)
STATUSES_REPLACED = Counter(
    "reactorsync_operator_statuses_replaced_total",
    "Statuses of this operator that somebody else replaced; many, where two operators serve one "
    "namespace.",
    ["kind"],
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
OVERRULED = Counter(
    "reactorsync_operator_overruled_records_total",
    "Records of desired state that somebody else wrote while this process led, and not as wanted: "
    "each is followed by one that puts it right.",
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
GENERATOR_CAPACITY = Gauge(
    "reactorsync_operator_generator_capacity",
    "Readings per second that one generator is reckoned to make, as measured.",
)
POOL_ERRORS = Counter(
    "reactorsync_operator_pool_errors_total",
    "Times that the size of the generator pool could not be set.",
    ["reason"],
)
API_REQUESTS = Counter(
    "reactorsync_operator_api_requests_total",
    "Requests to the API server; the code is `none` where no answer came.",
    ["verb", "kind", "code"],
)
API_SECONDS = Histogram(
    "reactorsync_operator_api_request_duration_seconds",
    "From a request to the API server until its answer began.",
    ["verb"],
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
)
OPEN_PROBES = Gauge(
    "reactorsync_operator_probes_open", "Probes of runs whose windows are open or yet to come."
)
HTTP_ASKS = Counter(
    "reactorsync_operator_http_asks_total",
    "Addresses asked for probes: as expected, otherwise (or no answer), or refused by the fence.",
    ["outcome"],
)
FOREIGN_REACTORS = Gauge(
    "reactorsync_operator_foreign_reactors",
    "Reactors of namespaces not served here that the topic of desired state held when last read.",
)
LEADING = Gauge("reactorsync_operator_leading", "Whether this process holds the lease.")
LEASE_TRANSITIONS = Counter(
    "reactorsync_operator_lease_transitions_total",
    "Times this process began or ceased to lead: each at most once, for it ends when it ceases.",
    ["to"],
)
_LIFE_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)
INJECT_SECONDS = Histogram(
    "reactorsync_operator_inject_duration_seconds",
    "From the start of a run to the first fault that a generator reports.",
    buckets=_LIFE_BUCKETS,
)
RECOVER_SECONDS = Histogram(
    "reactorsync_operator_recover_duration_seconds",
    "From the end of a run to the last fault that is reported gone.",
    buckets=_LIFE_BUCKETS,
)
VERIFY_SECONDS = Histogram(
    "reactorsync_operator_verify_duration_seconds",
    "From the injection of a run to its verdict from the telemetry.",
    buckets=_LIFE_BUCKETS,
)
DETECT_SECONDS = Histogram(
    "reactorsync_operator_detect_duration_seconds",
    "From the injection of a target until an alarm or a diagnosis notices it: the median over "
    "the targets of a run that are noticed when the first of them is.",
    buckets=_LIFE_BUCKETS,
)
