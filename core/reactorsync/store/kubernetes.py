"""Resources as custom resources of a Kubernetes cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import Final
from uuid import UUID

from reactorsync.kube import ApiError, ApiUnavailable, JsonObject, KubeClient
from reactorsync.kube.client import INACTIVITY_SECONDS
from reactorsync.resources import FieldSelector, LabelSelector
from reactorsync.store.kubernetes_documents import (
    changed_document,
    collection_path,
    document_name,
    items_of,
    metadata_of,
    new_document,
    object_path,
    read_document,
    title_of,
    version_of,
)
from reactorsync.store.kubernetes_errors import OutdatedDefinition, in_words_of_the_store
from reactorsync.store.kubernetes_query import Query, query
from reactorsync.store.kubernetes_statuses import write_status, write_statuses
from reactorsync.store.kubernetes_watch import watch
from reactorsync.store.port import (
    Conflict,
    NotFound,
    R,
    ResourceList,
    StoreUnavailable,
    WatchEvent,
    WatchExpired,
)
from reactorsync.store.reading import kind_name, read_all
from reactorsync.store.rules import check_precondition

log = logging.getLogger(__name__)

PAGE: Final = 500
"""Objects in one answer to a list: a larger fleet comes in several."""

_ATTEMPTS: Final = 100
"""Of a replacement that names no version: each that fails, failed because another succeeded."""

_LIST_ATTEMPTS: Final = 3
"""Of a list in pages: the server forgets the moment it is of after some minutes."""

_OUTDATED_SECONDS: Final = 60.0
"""How long a status that the CRDs had no room for counts: it is tried again sooner than that."""

_DELETION_SECONDS: Final = 5.0
"""How long to wait for the watch to tell in which state an object was deleted."""


class KubernetesStore:
    """A :class:`ResourceStore` of custom resources.

    ``namespaces`` are those that lists and watches without a namespace are of; ``None`` stands for
    all, which takes rights in the whole cluster. Several have a list and a watch each: then the
    version of a list is one that each of them has reached, and a watch that goes on from it may
    tell again what was listed.

    The rules for changes are the CRDs' own: what they refuse comes as :class:`Invalid`. Statuses
    are applied by the client's field manager, which owns them; nothing else is ever touched by
    that. The client stays the caller's to close.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespaces: Collection[str] | None = None,
        inactivity_seconds: float = INACTIVITY_SECONDS,
        outage_seconds: float = 15.0,
    ) -> None:
        self._client = client
        self._namespaces: tuple[str | None, ...] = (
            (None,) if namespaces is None else tuple(sorted(set(namespaces)))
        )
        if not self._namespaces:
            raise ValueError("a store of no namespaces holds nothing; None stands for all")
        self._inactivity_seconds = inactivity_seconds
        self._outage_seconds = outage_seconds
        self._outdated: tuple[OutdatedDefinition, float] | None = None

    async def ping(self) -> None:
        """See :meth:`ResourceStore.ping`.

        An API server whose CRDs lack fields of a status is there, but is not one to work with: it
        takes no status.
        """
        with in_words_of_the_store("version"):
            await self._client.get("/version")
        if self._outdated is not None:
            error, until = self._outdated
            if asyncio.get_running_loop().time() < until:
                raise StoreUnavailable(str(error)) from error

    async def list(
        self,
        kind: type[R],
        *,
        namespace: str | None = None,
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
    ) -> ResourceList[R]:
        """See :meth:`ResourceStore.list`."""
        wanted = query(kind, labels, fields)
        lists = [await self._list(kind, each, wanted) for each in self._within(namespace)]
        items = [item for each in lists for item in each.items]
        items.sort(key=lambda item: (item.metadata.namespace, item.metadata.name))
        return ResourceList(
            items=items,
            resource_version=min((each.resource_version for each in lists), key=int),
            unreadable=frozenset().union(*(each.unreadable for each in lists)),
        )

    async def get(self, kind: type[R], namespace: str, name: str) -> R:
        """See :meth:`ResourceStore.get`."""
        return read_document(kind, await self._get(kind, namespace, name))

    async def create(self, resource: R) -> R:
        """See :meth:`ResourceStore.create`. Raises :class:`NotFound` without the namespace."""
        kind = type(resource)
        with in_words_of_the_store(title_of(resource)):
            created = await self._client.post(
                collection_path(kind, resource.metadata.namespace), new_document(resource)
            )
        return read_document(kind, created)

    async def replace(self, resource: R) -> R:
        """See :meth:`ResourceStore.replace`."""
        kind, metadata = type(resource), resource.metadata
        for _ in range(_ATTEMPTS):
            document = await self._get(kind, metadata.namespace, metadata.name)
            old = read_document(kind, document)
            check_precondition(old, resource)
            if resource.spec == old.spec and _labelling(resource) == _labelling(old):
                return old
            try:
                with in_words_of_the_store(title_of(resource)):
                    replaced = await self._client.put(
                        object_path(kind, metadata.namespace, metadata.name),
                        changed_document(document, resource),
                    )
            except Conflict:
                if metadata.resource_version:
                    raise
                continue
            return read_document(kind, replaced)
        raise Conflict(f"{title_of(resource)} was changed {_ATTEMPTS} times in between")

    async def replace_status(self, resource: R) -> R:
        """See :meth:`ResourceStore.replace_status`."""
        return await write_status(self._client, resource)

    async def replace_statuses(self, resources: Sequence[R]) -> Sequence[R]:
        """See :meth:`ResourceStore.replace_statuses`: as many at once as the client connects.

        Each is a write of its own. A status that the CRD refuses is logged and left out.
        """
        return await write_statuses(self._client, resources, outdated=self._note_outdated)

    def _note_outdated(self, error: OutdatedDefinition) -> None:
        self._outdated = error, asyncio.get_running_loop().time() + _OUTDATED_SECONDS

    async def delete(
        self,
        kind: type[R],
        namespace: str,
        name: str,
        *,
        uid: UUID | None = None,
        resource_version: str | None = None,
    ) -> R:
        """See :meth:`ResourceStore.delete`.

        An object with finalizers is still there afterwards, with a ``deletionTimestamp``.
        """
        title = f"{kind_name(kind)} {namespace}/{name}"
        with in_words_of_the_store(title):
            # A list of one, since its version is of now: a watch can go on from it.
            found = await self._client.get(
                collection_path(kind, namespace), params={"fieldSelector": f"metadata.name={name}"}
            )
            if not (items := items_of(found)):
                raise NotFound(f"there is no {title}")
            stored = UUID(str(metadata_of(items[0])["uid"]))
            if uid not in (None, stored):
                raise Conflict(f"{title} is another one by now")
            path = object_path(kind, namespace, name)
            await self._client.delete(path, uid=stored, resource_version=resource_version)
        last = await self._last_state(kind, namespace, name, since=version_of(found), uid=stored)
        return read_document(kind, last or items[0])

    def watch(
        self, kind: type[R], *, since: str, namespace: str | None = None
    ) -> AsyncGenerator[WatchEvent[R]]:
        """See :meth:`ResourceStore.watch`; close it, or cancel its task, to give up its connection.

        A lost or silent connection is made anew and the watch goes on without a gap. Only when that
        fails for ``outage_seconds`` it raises :class:`StoreUnavailable`.
        """
        return watch(
            self._client,
            kind,
            since=since,
            namespaces=self._within(namespace),
            inactivity_seconds=self._inactivity_seconds,
            outage_seconds=self._outage_seconds,
        )

    def _within(self, namespace: str | None) -> Sequence[str | None]:
        return (namespace,) if namespace is not None else self._namespaces

    async def _get(self, kind: type[R], namespace: str, name: str) -> JsonObject:
        with in_words_of_the_store(f"{kind_name(kind)} {namespace}/{name}"):
            return await self._client.get(object_path(kind, namespace, name))

    async def _list(self, kind: type[R], namespace: str | None, wanted: Query) -> ResourceList[R]:
        title = f"list of {kind_name(kind)}" + (f" in {namespace}" if namespace else "")
        for _ in range(_LIST_ATTEMPTS):
            try:
                with in_words_of_the_store(title):
                    return await self._list_in_pages(kind, namespace, wanted)
            except WatchExpired as error:
                log.info("%s: beginning again: %s", title, error)
        raise StoreUnavailable(f"{title}: it takes longer than the API server remembers")

    async def _list_in_pages(
        self, kind: type[R], namespace: str | None, wanted: Query
    ) -> ResourceList[R]:
        items: list[R] = []
        unreadable: set[str] = set()
        parameters = {**wanted.parameters, "limit": str(PAGE)}
        while True:
            page = await self._client.get(collection_path(kind, namespace), params=parameters)
            documents = items_of(page)
            for document, item in zip(
                documents, read_all(kind, documents, read_document), strict=True
            ):
                if item is None:
                    unreadable.add(document_name(document))
                elif wanted.leaves(item):
                    items.append(item)
            following = metadata_of(page).get("continue")
            if not following:
                return ResourceList(items, version_of(page), frozenset(unreadable))
            parameters["continue"] = str(following)

    async def _last_state(
        self, kind: type[R], namespace: str, name: str, *, since: str, uid: UUID
    ) -> JsonObject | None:
        """Return how an object was deleted, with the version of that; ``None`` if nobody says."""
        documents = self._client.stream(
            collection_path(kind, namespace),
            params={
                "watch": "true",
                "resourceVersion": since,
                "fieldSelector": f"metadata.name={name}",
            },
        )
        try:
            async with asyncio.timeout(_DELETION_SECONDS), aclosing(documents):
                async for document in documents:
                    seen = document.get("object")
                    if not isinstance(seen, dict) or metadata_of(seen).get("uid") != str(uid):
                        continue
                    if document["type"] == "DELETED" or "deletionTimestamp" in metadata_of(seen):
                        return seen
        except (ApiError, ApiUnavailable, TimeoutError) as error:
            log.info("%s/%s was deleted; its last state is not known: %s", namespace, name, error)
        return None


def _labelling(resource: R) -> tuple[dict[str, str], dict[str, str]]:
    return resource.metadata.labels, resource.metadata.annotations
