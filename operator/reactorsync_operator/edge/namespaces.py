"""Whether the namespaces that are to be served exist: to those who may not look, all look alike."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

from reactorsync.kube import ApiError, ApiUnavailable, KubeClient

log = logging.getLogger(__name__)

_NOT_FOUND: Final = 404


async def warn_of_missing(client: KubeClient, namespaces: Collection[str]) -> None:
    """Log which of these namespaces do not exist, as far as we may know; their lists are empty."""
    for namespace in sorted(namespaces):
        if await is_gone(client, namespace):
            log.warning("namespace %s, which is to be served, does not exist", namespace)


async def is_gone(client: KubeClient, namespace: str) -> bool:
    """Return whether it is certain that a namespace holds nothing: it is not there, or emptied.

    An API server that does not answer, or does not tell, makes nothing certain. With a namespace go
    the rights that were given in it, so who may look nowhere else is never told.
    """
    try:
        found = await client.get(f"/api/v1/namespaces/{namespace}")
    except ApiUnavailable:
        return False
    except ApiError as error:
        # A proxy that knows no such path answers 404 too, but not with a reason.
        return error.code == _NOT_FOUND and error.reason == "NotFound"
    return _is_emptied(found)


def _is_emptied(namespace: Mapping[str, Any]) -> bool:
    """Return whether a namespace that is being deleted waits only for whoever holds it back.

    All its conditions are of something that is in the way: content that is there, or cannot be
    deleted or even found.
    """
    status = namespace.get("status") or {}
    in_the_way = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    in_the_way.pop("NamespaceFinalizersRemaining", None)
    return (
        status.get("phase") == "Terminating"
        and "NamespaceContentRemaining" in in_the_way
        and set(in_the_way.values()) == {"False"}
    )
