"""Scenarios: create, list, get, replace, delete, abort, re-run."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reactorsync.resources import AnomalyScenario, Kind
from reactorsync.resources.scenario import ScenarioState
from reactorsync.store import Conflict
from reactorsync_api.bodies import strict
from reactorsync_api.context import Context, InContext
from reactorsync_api.listing import SCENARIO_SORTS, page_of
from reactorsync_api.openapi import answers, as_stored, problems_of
from reactorsync_api.routes.parameters import ListingQuery
from reactorsync_api.writing import create, delete, replace, seen

router = APIRouter(prefix="/scenarios", tags=["scenarios"], responses=problems_of(401, 500, 503))

EXAMPLE = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "AnomalyScenario",
    "metadata": {"name": "pump-trip"},
    "spec": {
        "targets": {"names": ["ringhals-3"]},
        "stages": [{"name": "pumps-lost", "fault": "PumpTrip", "durationSeconds": 120}],
    },
}

_STORED = as_stored(AnomalyScenario.model_validate(EXAMPLE))

ScenarioBody = Annotated[
    AnomalyScenario,
    strict(Kind.ANOMALY_SCENARIO),
    Body(openapi_examples={"all pumps trip": {"value": EXAMPLE}}),
]

_ATTEMPTS = 5


def _changed(**spec: Any) -> dict[str, Any]:
    return _STORED | {
        "metadata": _STORED["metadata"] | {"generation": 2, "resourceVersion": "9"},
        "spec": _STORED["spec"] | spec,
    }


class ScenarioPage(BaseModel):
    """A page of scenarios."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    items: list[AnomalyScenario]
    total: int = Field(description="Matches on all pages.")
    next_cursor: str = Field(description="Empty on the last page.")
    resource_version: str = Field(description="Version that the page shows.")


@router.get(
    "",
    operation_id="listScenarios",
    response_model_exclude_none=True,
    responses=answers({"items": [_STORED], "total": 1, "nextCursor": "", "resourceVersion": "7"})
    | problems_of(422),
)
async def list_scenarios(context: InContext, query: ListingQuery) -> ScenarioPage:
    """List scenarios: filtered, sorted, a page at a time."""
    page = page_of(context.scenarios.objects.values(), query, SCENARIO_SORTS)
    return ScenarioPage(
        items=page.items,
        total=page.total,
        next_cursor=page.next_cursor,
        resource_version=context.scenarios.resource_version,
    )


@router.get(
    "/{namespace}/{name}",
    operation_id="getScenario",
    response_model_exclude_none=True,
    responses=answers(_STORED) | problems_of(404),
)
async def get_scenario(context: InContext, namespace: str, name: str) -> AnomalyScenario:
    """Get one scenario with its status."""
    return await context.store.get(AnomalyScenario, namespace, name)


@router.post(
    "",
    operation_id="createScenario",
    status_code=HTTPStatus.CREATED,
    response_model_exclude_none=True,
    responses=answers(_STORED, status=HTTPStatus.CREATED) | problems_of(409, 422),
)
async def create_scenario(context: InContext, scenario: ScenarioBody) -> AnomalyScenario:
    """Declare a scenario; it runs as its spec says. A status in the body is ignored."""
    return await create(context.store, context.scenarios, scenario)


@router.put(
    "/{namespace}/{name}",
    operation_id="replaceScenario",
    response_model_exclude_none=True,
    responses=answers(_STORED) | problems_of(404, 409, 422),
)
async def replace_scenario(
    context: InContext, namespace: str, name: str, scenario: ScenarioBody
) -> AnomalyScenario:
    """Replace the spec. Stages and targets are frozen once faults were injected."""
    return await replace(context.store, context.scenarios, scenario, namespace=namespace, name=name)


@router.delete(
    "/{namespace}/{name}",
    operation_id="deleteScenario",
    response_model_exclude_none=True,
    responses=answers(_STORED) | problems_of(404),
)
async def delete_scenario(context: InContext, namespace: str, name: str) -> AnomalyScenario:
    """Delete a scenario; its faults are lifted."""
    return await delete(
        context.store, context.scenarios, AnomalyScenario, namespace=namespace, name=name
    )


@router.post(
    "/{namespace}/{name}/abort",
    operation_id="abortScenario",
    response_model_exclude_none=True,
    responses=answers(_changed(state="Aborted")) | problems_of(404, 409),
)
async def abort_scenario(context: InContext, namespace: str, name: str) -> AnomalyScenario:
    """Lift the faults now and end the run for good: sets `spec.state: Aborted`."""
    return await _edit_spec(context, namespace, name, {"state": ScenarioState.ABORTED})


@router.post(
    "/{namespace}/{name}/rerun",
    operation_id="rerunScenario",
    response_model_exclude_none=True,
    responses=answers(_changed(runToken="9f3c1a5be204")) | problems_of(404, 409),
)
async def rerun_scenario(context: InContext, namespace: str, name: str) -> AnomalyScenario:
    """Start a new run: sets a new `spec.runToken` and `spec.state: Active`."""
    token = secrets.token_hex(6)
    return await _edit_spec(
        context, namespace, name, {"run_token": token, "state": ScenarioState.ACTIVE}
    )


async def _edit_spec(
    context: Context, namespace: str, name: str, changes: dict[str, Any]
) -> AnomalyScenario:
    """Change fields of the stored spec; again from the start when somebody was faster."""
    for attempt in range(_ATTEMPTS):
        stored = await context.store.get(AnomalyScenario, namespace, name)
        edited = stored.model_copy(update={"spec": stored.spec.model_copy(update=changes)})
        try:
            return await seen(context.scenarios, await context.store.replace(edited))
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")
