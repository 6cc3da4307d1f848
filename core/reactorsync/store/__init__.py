"""Where resources live: one port, with one contract for every adapter."""

from reactorsync.store.port import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    ResourceList,
    ResourceStore,
    StoreUnavailable,
    Unreadable,
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
    "Unreadable",
    "WatchEvent",
    "WatchEventType",
    "WatchExpired",
]
