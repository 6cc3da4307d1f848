"""Writing statuses to an API server: server-side apply, many at once, each with preconditions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from reactorsync.kube import KubeClient
from reactorsync.store.kubernetes_documents import (
    object_path,
    read_document,
    status_document,
    title_of,
    version_of,
)
from reactorsync.store.kubernetes_errors import OutdatedDefinition, in_words_of_the_store
from reactorsync.store.port import (
    Conflict,
    Invalid,
    NotFound,
    R,
    StoreUnavailable,
    Unreadable,
    WrittenInPart,
)
from reactorsync.store.rules import check_precondition

log = logging.getLogger(__name__)

_ATTEMPTS: Final = 100
"""Of a status that names no version: each that fails, failed because another write succeeded."""


async def write_status(client: KubeClient, resource: R, *, is_as_read: bool = False) -> R:
    """Apply the status of ``resource``, as :meth:`ResourceStore.replace_status` says.

    ``is_as_read``: but for its status it is as it was read, so the answer need not be parsed.

    The object must still have the UID and the version that ``resource`` names, if it names them.
    Applying what is there already changes nothing, not even the version.
    """
    if resource.metadata.resource_version and resource.status != type(resource.status)():
        return await _apply(client, resource, is_as_read=is_as_read)
    for _ in range(_ATTEMPTS):
        stored = await _stored(client, resource)
        if stored.status == resource.status:
            # Before the first status there is nothing to become the owner of.
            return stored
        try:
            # A server takes the version as a precondition, but not the UID alone.
            return await _apply(client, _at_version(resource, stored.metadata.resource_version))
        except Conflict:
            if resource.metadata.resource_version:
                raise
    raise Conflict(f"{title_of(resource)} was changed {_ATTEMPTS} times in between")


async def _stored(client: KubeClient, resource: R) -> R:
    """Return the object as it is, if it is still the one that ``resource`` names."""
    kind, metadata = type(resource), resource.metadata
    with in_words_of_the_store(title_of(resource)):
        document = await client.get(object_path(kind, metadata.namespace, metadata.name))
    stored = read_document(kind, document)
    check_precondition(stored, resource)
    return stored


async def _apply(client: KubeClient, resource: R, *, is_as_read: bool = False) -> R:
    kind, metadata = type(resource), resource.metadata
    path = f"{object_path(kind, metadata.namespace, metadata.name)}/status"
    applied = status_document(resource)
    with in_words_of_the_store(title_of(resource), part="status"):
        document = await client.apply(path, applied)
    if is_as_read and document.get("status") == applied["status"]:
        # At that version only the status can have changed.
        return _at_version(resource, version_of(document))
    return read_document(kind, document)


def _at_version(resource: R, version: str) -> R:
    if resource.metadata.resource_version == version:
        return resource
    metadata = resource.metadata.model_copy(update={"resource_version": version})
    return resource.model_copy(update={"metadata": metadata})


async def write_statuses(
    client: KubeClient,
    resources: Sequence[R],
    *,
    outdated: Callable[[OutdatedDefinition], None],
) -> Sequence[R]:
    """Apply statuses, as :meth:`ResourceStore.replace_statuses` says.

    ``outdated`` is called for each status that the CRD in the cluster has no room for.
    When the server goes away, what is under way is awaited and nothing more is begun.
    """
    if len({title_of(resource) for resource in resources}) < len(resources):
        raise ValueError("the statuses to replace name an object twice")
    written: dict[int, R] = {}
    outages: list[StoreUnavailable] = []
    turns = iter(enumerate(resources))

    async def work() -> None:
        for number, resource in turns:
            if outages:
                return
            try:
                written[number] = await write_status(client, resource, is_as_read=True)
            except (NotFound, Conflict):
                continue
            except (Invalid, Unreadable) as error:
                log.error("the status of %s was not taken: %s", title_of(resource), error)
                if isinstance(error, OutdatedDefinition):
                    outdated(error)
            except StoreUnavailable as error:
                outages.append(error)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(client.connections, len(resources))):
            tasks.create_task(work())
    answer = [written[number] for number in sorted(written)]
    if outages and answer:
        raise WrittenInPart(str(outages[0]), answer) from outages[0]
    if outages:
        raise outages[0]
    return answer
