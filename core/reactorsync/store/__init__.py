"""Where resources live: one port, with one contract for every adapter."""

from reactorsync.store.port import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ResourceList,
    ResourceStore,
    StoreUnavailable,
    Unreadable,
    WatchEvent,
    WatchEventType,
    WatchExpired,
    WrittenInPart,
)

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Forbidden",
    "Invalid",
    "NotFound",
    "ResourceList",
    "ResourceStore",
    "StoreUnavailable",
    "Unreadable",
    "WatchEvent",
    "WatchEventType",
    "WatchExpired",
    "WrittenInPart",
]
