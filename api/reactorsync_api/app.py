"""The application: routes, errors, and the background readers that live as long as it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.bus.port import Bus
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Readiness
from reactorsync.store import ResourceStore
from reactorsync.store.informer import Informer
from reactorsync_api import openapi, problems
from reactorsync_api.authentication import require_token
from reactorsync_api.background import Background, watch_database
from reactorsync_api.body_limit import BodyLimit
from reactorsync_api.context import Context
from reactorsync_api.hosts import LoopbackHosts
from reactorsync_api.live import LiveHub
from reactorsync_api.live_socket import serve_socket
from reactorsync_api.routes import catalogue, reactors, scenarios, system, telemetry
from reactorsync_api.settings import ApiSettings

_DESCRIPTION = """
Fleets of simulated nuclear reactors: resources, telemetry and live frames.

Nothing here controls a real plant. Errors are RFC 9457 problems (`application/problem+json`).
"""


_LEAVE_SECONDS = 2.0
"""Time for the live hub to leave the broker in good order."""


def create_app(
    settings: ApiSettings,
    *,
    store: ResourceStore,
    engine: AsyncEngine,
    bus: Bus,
    on_failure: Callable[[], None],
) -> FastAPI:
    """Return the application over its adapters, which the caller owns and closes.

    ``on_failure`` is called when a background task has ended by a mistake: end the process then.
    """
    readiness = Readiness()
    context = Context(
        settings=settings,
        store=store,
        reactors=Informer(store, Reactor, readiness),
        scenarios=Informer(store, AnomalyScenario, readiness),
        engine=engine,
        live=LiveHub(bus, settings.topics, readiness),
        readiness=readiness,
    )

    database_watch = watch_database(engine, readiness)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background = Background(readiness, on_failure=on_failure)
        background.start("reactors", context.reactors.run)
        background.start("scenarios", context.scenarios.run)
        background.start("live", context.live.run, leave_seconds=_LEAVE_SECONDS)
        background.start("postgres", database_watch)
        try:
            yield
        finally:
            await background.stop()

    app = FastAPI(
        title="ReactorSync",
        summary="Fleets of simulated nuclear reactors.",
        description=_DESCRIPTION,
        version=version("reactorsync"),
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    problems.install(app)
    openapi.install(app)
    app.add_middleware(BodyLimit)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    if settings.api_token is None:
        app.add_middleware(LoopbackHosts, allowed_origins=settings.cors_origins)
    app.include_router(system.router)
    for module in (reactors, telemetry, scenarios, catalogue):
        app.include_router(module.router, prefix="/api/v1", dependencies=[Depends(require_token)])

    @app.websocket("/ws", dependencies=[Depends(require_token)])
    async def live(websocket: WebSocket) -> None:
        await serve_socket(websocket, context.live)

    return app
