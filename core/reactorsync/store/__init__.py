"""Where resources live: one port, with adapters for Postgres (and, by the same contract, the Kubernetes API)."""

from reactorsync.store.port import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    ResourceList,
    ResourceStore,
    StoreUnavailable,
    WatchEvent,
    WatchEventType,
    WatchExpired,
)

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Invalid",
    "NotFound",
    "ResourceList",
    "ResourceStore",
    "StoreUnavailable",
    "WatchEvent",
    "WatchEventType",
    "WatchExpired",
]
