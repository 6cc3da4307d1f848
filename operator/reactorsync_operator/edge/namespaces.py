"""Says which namespaces that are to be served do not exist: their lists are empty like others."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from reactorsync.kube import ApiError, ApiUnavailable, KubeClient

log = logging.getLogger(__name__)

_NOT_FOUND: Final = 404


async def warn_of_missing(client: KubeClient, namespaces: Collection[str]) -> None:
    """Log which of these namespaces do not exist, as far as we may know.

    Who has no right to read a namespace as such cannot tell, and is not told anything: where there
    are no roles for it, it does not let itself be listed either, and that is reported.
    """
    for namespace in sorted(namespaces):
        try:
            await client.get(f"/api/v1/namespaces/{namespace}")
        except ApiUnavailable:
            return
        except ApiError as error:
            if error.code == _NOT_FOUND:
                log.warning("namespace %s, which is to be served, does not exist", namespace)
