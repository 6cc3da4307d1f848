"""What the API server was asked to write, by its own count."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Final

from tests.control_plane import ControlPlane

Writes = Counter[str]
"""Writing requests by resource, with the subresource as in ``reactors/status``."""

_WRITING: Final = frozenset(
    {"APPLY", "CREATE", "DELETE", "DELETECOLLECTION", "PATCH", "POST", "PUT"}
)
_SERIES: Final = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_OF_AN_OPERATOR: Final = frozenset({"reactorsync.dev", "events.k8s.io", "coordination.k8s.io"})


async def writes(plane: ControlPlane) -> Writes:
    """Return how often each resource was written since the API server started."""
    text = await asyncio.to_thread(plane.read, "/metrics")
    counted: Writes = Counter()
    for listed, count in _SERIES.findall(text.decode()):
        labels = dict(_LABEL.findall(listed))
        if labels["verb"] in _WRITING and labels["group"] in _OF_AN_OPERATOR:
            subresource = labels["subresource"]
            name = labels["resource"]
            counted[f"{name}/{subresource}" if subresource else name] += int(float(count))
    return counted
