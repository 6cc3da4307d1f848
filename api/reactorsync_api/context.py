"""What every route may use, made once at start-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Readiness
from reactorsync.store import ResourceStore
from reactorsync.store.informer import Informer
from reactorsync_api.live import LiveHub
from reactorsync_api.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class Context:
    """The parts behind the routes."""

    settings: ApiSettings
    store: ResourceStore
    reactors: Informer[Reactor]
    scenarios: Informer[AnomalyScenario]
    engine: AsyncEngine
    live: LiveHub
    readiness: Readiness


def _context(request: Request) -> Context:
    return cast("Context", request.app.state.context)


InContext = Annotated[Context, Depends(_context)]
"""Parameter type by which a route asks for the :class:`Context`."""
