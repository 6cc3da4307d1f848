"""Reactors and scenarios over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import RunningApi

pytestmark = pytest.mark.asyncio(loop_scope="module")


REACTOR: dict[str, Any] = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "Reactor",
    "metadata": {"name": "cernavoda-1", "labels": {"site": "cernavoda"}},
    "spec": {"design": "Candu6"},
}
SCENARIO: dict[str, Any] = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "AnomalyScenario",
    "metadata": {"name": "pump-trip"},
    "spec": {
        "targets": {"names": ["cernavoda-1"]},
        "stages": [{"name": "pumps-lost", "fault": "PumpTrip"}],
    },
}
REACTORS = "/api/v1/reactors"
SCENARIOS = "/api/v1/scenarios"


def with_spec(document: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return document | {"spec": document["spec"] | spec}


async def test_a_created_reactor_is_in_the_next_list(api: RunningApi) -> None:
    created = await api.client.post(REACTORS, json=REACTOR)
    listed = await api.client.get(REACTORS)

    assert created.status_code == 201
    assert created.json()["metadata"]["generation"] == 1
    assert created.json()["spec"]["powerSetpointPermille"] == 1000, "defaults are written out"
    assert [item["metadata"]["name"] for item in listed.json()["items"]] == ["cernavoda-1"]


async def test_replacing_the_spec_bumps_the_generation(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    changed = await api.client.put(
        f"{REACTORS}/default/cernavoda-1", json=with_spec(REACTOR, powerSetpointPermille=800)
    )

    assert changed.status_code == 200
    assert changed.json()["metadata"]["generation"] == 2


async def test_a_stale_version_is_a_conflict(api: RunningApi) -> None:
    created = (await api.client.post(REACTORS, json=REACTOR)).json()
    await api.client.put(
        f"{REACTORS}/default/cernavoda-1", json=with_spec(created, powerSetpointPermille=900)
    )

    late = await api.client.put(
        f"{REACTORS}/default/cernavoda-1", json=with_spec(created, powerSetpointPermille=700)
    )

    assert late.status_code == 409
    assert late.json()["type"] == "urn:reactorsync:problem:conflict"


async def test_deleting_takes_it_out_of_the_list(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    deleted = await api.client.delete(f"{REACTORS}/default/cernavoda-1")

    assert deleted.status_code == 200
    assert (await api.client.get(REACTORS)).json()["total"] == 0
    assert (await api.client.get(f"{REACTORS}/default/cernavoda-1")).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        (with_spec(REACTOR, design="Rbmk"), "/spec/design", "Candu6"),
        (with_spec(REACTOR, powerSetpointPermille=1200), "/spec/powerSetpointPermille", "1000"),
        (with_spec(REACTOR, power=1), "/spec/power", "no field"),
        (REACTOR | {"metadata": {"name": "Not_A_Name"}}, "/metadata/name", "lower-case"),
        (REACTOR | {"kind": "AnomalyScenario"}, "/kind", "Reactor"),
    ],
    ids=["unknown design", "out of bounds", "unknown field", "bad name", "other kind"],
)
async def test_a_wrong_field_is_named_with_what_is_allowed(
    api: RunningApi, body: dict[str, Any], pointer: str, said: str
) -> None:
    answer = await api.client.post(REACTORS, json=body)

    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["errors"][0]["pointer"] == pointer
    assert said in problem["errors"][0]["detail"]


async def test_the_design_is_immutable(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    answer = await api.client.put(
        f"{REACTORS}/default/cernavoda-1", json=with_spec(REACTOR, design="Pwr3Loop")
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/spec/design"


async def test_the_path_and_the_body_must_agree(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    answer = await api.client.put(f"{REACTORS}/default/another", json=REACTOR)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/metadata/name"


async def test_creating_twice_is_a_conflict(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    assert (await api.client.post(REACTORS, json=REACTOR)).status_code == 409


@pytest.mark.parametrize(
    "query",
    [{"sort": "colour"}, {"cursor": "x"}, {"limit": 0}, {"labelSelector": "a=b=c"}],
)
async def test_bad_queries_are_refused(api: RunningApi, query: dict[str, Any]) -> None:
    answer = await api.client.get(REACTORS, params=query)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_abort_and_rerun_edit_the_spec(api: RunningApi) -> None:
    await api.client.post(SCENARIOS, json=SCENARIO)

    aborted = await api.client.post(f"{SCENARIOS}/default/pump-trip/abort")
    rerun = await api.client.post(f"{SCENARIOS}/default/pump-trip/rerun")

    assert aborted.json()["spec"]["state"] == "Aborted"
    assert rerun.json()["spec"]["state"] == "Active"
    assert rerun.json()["spec"]["runToken"]
    assert rerun.json()["metadata"]["generation"] == 3


async def test_an_unknown_route_is_a_problem_too(api: RunningApi) -> None:
    answer = await api.client.get("/api/v1/nothing")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_catalogue_names_every_signal_with_its_limits(api: RunningApi) -> None:
    signals = (await api.client.get("/api/v1/catalogue/signals")).json()

    by_name = {signal["name"]: signal for signal in signals}
    assert by_name["primary_pressure_mpa"]["limits"]["Candu6"]["normalLow"] > 0
    assert "Candu6" not in by_name["boron_concentration_ppm"]["limits"]
