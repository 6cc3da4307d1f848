"""Reactors: list, get, create, replace, delete, and the newest reading."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reactorsync.resources import Kind, Reactor
from reactorsync.store import NotFound
from reactorsync.trips import trip_label
from reactorsync.wire.keys import reactor_key
from reactorsync_api.bodies import strict
from reactorsync_api.context import InContext
from reactorsync_api.listing import REACTOR_SORTS, page_of
from reactorsync_api.openapi import answers, as_stored, problems_of
from reactorsync_api.routes.parameters import ListingQuery
from reactorsync_api.telemetry_query import read_latest
from reactorsync_api.writing import create, delete, replace

router = APIRouter(prefix="/reactors", tags=["reactors"], responses=problems_of(401, 500, 503))

EXAMPLE = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "Reactor",
    "metadata": {"name": "cernavoda-1", "labels": {"reactorsync.dev/site": "cernavoda"}},
    "spec": {"design": "Candu6", "powerSetpointPermille": 1000},
}

_STORED = as_stored(Reactor.model_validate(EXAMPLE))
_READING = {
    "reactor": "default/cernavoda-1",
    "time": "2026-01-31T12:00:00Z",
    "tripCause": "LowPrimaryFlow",
    "values": {"neutron_power_percent": 1.52},
}

ReactorBody = Annotated[
    Reactor,
    strict(Kind.REACTOR),
    Body(openapi_examples={"a CANDU 6": {"value": EXAMPLE}}),
]


class ReactorPage(BaseModel):
    """A page of reactors."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    items: list[Reactor]
    total: int = Field(description="Matches on all pages.")
    next_cursor: str = Field(description="Empty on the last page.")
    resource_version: str = Field(description="Version of the fleet that the page shows.")


class LatestReading(BaseModel):
    """The newest reading of a reactor."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    reactor: str = Field(examples=["default/cernavoda-1"])
    time: datetime
    trip_cause: str | None = Field(description="First-out cause, null while not tripped.")
    values: dict[str, float] = Field(
        description="By signal; a signal without a reading is absent.",
        examples=[{"neutron_power_percent": 100.02}],
    )


@router.get(
    "",
    operation_id="listReactors",
    response_model_exclude_none=True,
    responses=answers({"items": [_STORED], "total": 1, "nextCursor": "", "resourceVersion": "7"})
    | problems_of(422),
)
async def list_reactors(context: InContext, query: ListingQuery) -> ReactorPage:
    """List reactors: filtered, sorted, a page at a time."""
    page = page_of(context.reactors.objects.values(), query, REACTOR_SORTS)
    return ReactorPage(
        items=page.items,
        total=page.total,
        next_cursor=page.next_cursor,
        resource_version=context.reactors.resource_version,
    )


@router.get(
    "/{namespace}/{name}",
    operation_id="getReactor",
    response_model_exclude_none=True,
    responses=answers(_STORED) | problems_of(404),
)
async def get_reactor(context: InContext, namespace: str, name: str) -> Reactor:
    """Get one reactor with its status."""
    return await context.store.get(Reactor, namespace, name)


@router.post(
    "",
    operation_id="createReactor",
    status_code=HTTPStatus.CREATED,
    response_model_exclude_none=True,
    responses=answers(_STORED, status=HTTPStatus.CREATED) | problems_of(409, 422),
)
async def create_reactor(context: InContext, reactor: ReactorBody) -> Reactor:
    """Declare a reactor. A status in the body is ignored."""
    return await create(context.store, context.reactors, reactor)


@router.put(
    "/{namespace}/{name}",
    operation_id="replaceReactor",
    response_model_exclude_none=True,
    responses=answers(_STORED) | problems_of(404, 409, 422),
)
async def replace_reactor(
    context: InContext, namespace: str, name: str, reactor: ReactorBody
) -> Reactor:
    """Replace spec, labels and annotations.

    With `metadata.resourceVersion` in the body, it must be the stored one.
    """
    return await replace(context.store, context.reactors, reactor, namespace=namespace, name=name)


@router.delete(
    "/{namespace}/{name}",
    operation_id="deleteReactor",
    response_model_exclude_none=True,
    responses=answers(_STORED) | problems_of(404),
)
async def delete_reactor(context: InContext, namespace: str, name: str) -> Reactor:
    """Delete a reactor; its history stays."""
    return await delete(context.store, context.reactors, Reactor, namespace=namespace, name=name)


@router.get(
    "/{namespace}/{name}/latest",
    operation_id="getLatestReading",
    responses=answers(_READING) | problems_of(404),
)
async def latest_reading(
    context: InContext,
    namespace: Annotated[str, Path()],
    name: Annotated[str, Path()],
) -> LatestReading:
    """Get the newest reading that the historian has stored."""
    latest = await read_latest(context.engine, namespace=namespace, name=name)
    if latest is None:
        raise NotFound(f"no reading of {reactor_key(namespace, name)} yet")
    return LatestReading(
        reactor=latest.key,
        time=latest.time,
        trip_cause=trip_label(latest.trip_cause),
        values=latest.values,
    )
