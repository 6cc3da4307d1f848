"""Writes through the store, visible in the informer before they are answered."""

from __future__ import annotations

from reactorsync.store import ResourceStore
from reactorsync.store.informer import Informer
from reactorsync.store.port import R
from reactorsync_api.problems import invalid

_VISIBLE_SECONDS = 1.0


async def seen(informer: Informer[R], written: R) -> R:
    """Wait a moment for the informer, so that a caller's next list holds what it wrote."""
    await informer.wait_for(written.metadata.resource_version, timeout_seconds=_VISIBLE_SECONDS)
    return written


async def create(store: ResourceStore, informer: Informer[R], resource: R) -> R:
    """Create and wait until lists show it."""
    return await seen(informer, await store.create(resource))


async def replace(
    store: ResourceStore, informer: Informer[R], resource: R, *, namespace: str, name: str
) -> R:
    """Replace the object that the path names and wait until lists show it."""
    for pointer, said, meant in (
        ("/metadata/name", resource.metadata.name, name),
        ("/metadata/namespace", resource.metadata.namespace, namespace),
    ):
        if said != meant:
            raise invalid(pointer, f"must be '{meant}', as in the path")
    return await seen(informer, await store.replace(resource))


async def delete(
    store: ResourceStore, informer: Informer[R], kind: type[R], *, namespace: str, name: str
) -> R:
    """Delete and wait until lists no longer show it."""
    return await seen(informer, await store.delete(kind, namespace, name))
