"""The definitions on a real API server: taken without warnings, shown, selected and merged."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from reactorsync.kube import Cluster
from reactorsync.resources import Kind
from reactorsync.resources.crd import crd
from tests.cluster.asking import CUSTOM_RESOURCES, TABLE, Asker, Json, asking, collection
from tests.core.resources.cases import PROBE, REACTOR, SCENARIO, STAGE, with_spec

MOMENT = "2030-01-01T00:00:00Z"


@pytest.fixture
async def admin(kube_cluster: Cluster) -> AsyncIterator[Asker]:
    async with asking(kube_cluster) as asker:
        yield asker


async def make(admin: Asker, document: Json, namespace: str, *, status: Json = None) -> Json:
    answer = await admin.ask("POST", collection(document, namespace), document)
    assert answer.code == 201, answer.message
    if status is None:
        return answer.body
    place = f"{collection(document, namespace)}/{document['metadata']['name']}/status"
    answer = await admin.ask("PUT", place, answer.body | {"status": status})
    assert answer.code == 200, answer.message
    return answer.body


def named(document: Json, name: str) -> Json:
    return document | {"metadata": {"name": name}}


# Definitions


@pytest.mark.parametrize("kind", Kind)
async def test_a_definition_is_taken_without_warnings(kind: Kind, admin: Asker) -> None:
    """Among what this checks are structural schemas, paths of columns and the cost of all rules."""
    definition = crd(kind)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    answer = await admin.apply(
        f"{path}/{definition['metadata']['name']}",
        definition,
        manager="reactorsync-tests",
        dryRun="All",
        force="true",
        fieldValidation="Strict",
    )

    assert answer.code in (200, 201), answer.message
    assert answer.warnings == []


async def test_discovery_knows_short_names_categories_and_statuses(admin: Asker) -> None:
    resources = {
        resource["name"]: resource
        for resource in (await admin.ask("GET", CUSTOM_RESOURCES)).body["resources"]
    }

    assert resources["reactors"]["shortNames"] == ["rx"]
    assert resources["anomalyscenarios"]["shortNames"] == ["anom"]
    assert resources["reactors"]["categories"] == ["reactorsync"]
    assert resources["anomalyscenarios"]["categories"] == ["reactorsync"]
    assert {"reactors/status", "anomalyscenarios/status"} <= resources.keys()


async def test_fields_can_be_explained(admin: Asker) -> None:
    """Where ``kubectl explain`` reads."""
    async with asyncio.timeout(20):
        # The server serves a definition before it describes it.
        while (answer := await admin.ask("GET", f"/openapi/v3{CUSTOM_RESOURCES}")).code == 404:
            await asyncio.sleep(0.1)
    schema = answer.body["components"]["schemas"]["dev.reactorsync.v1alpha1.AnomalyScenario"]
    stage = schema["properties"]["spec"]["properties"]["stages"]["items"]["properties"]

    assert stage["durationSeconds"]["description"].startswith("How long the fault acts")


# Objects


async def test_what_is_left_out_is_there_to_be_read(admin: Asker, kube_namespace: str) -> None:
    scenario = await make(admin, SCENARIO, kube_namespace)
    reactor = await make(admin, REACTOR, kube_namespace)

    assert scenario["spec"]["state"] == "Active"
    assert scenario["spec"]["suspendPolicy"] == "RunClock"
    assert scenario["spec"]["stages"][0]["durationSeconds"] == 3600
    assert reactor["spec"]["telemetry"] == {"intervalMilliseconds": 1000, "noise": "Nominal"}
    assert scenario["status"]["observedGeneration"] == 0, "kstatus: nobody has looked at it yet"


async def test_who_writes_the_spec_cannot_write_the_status(
    admin: Asker, kube_namespace: str
) -> None:
    made = await make(admin, SCENARIO | {"status": {"summary": "all is well"}}, kube_namespace)

    assert made["status"]["summary"] == ""


async def test_a_status_write_is_no_new_generation(admin: Asker, kube_namespace: str) -> None:
    made = await make(admin, SCENARIO, kube_namespace, status={"summary": "waits"})

    assert made["metadata"]["generation"] == 1


CONDITION = {"status": "True", "lastTransitionTime": MOMENT, "reason": "Done", "message": ""}
SCENARIO_STATUS: Json = {
    "summary": "2 of 3 recovered",
    "targets": {"matched": 4, "selected": 3, "injected": 3, "recovered": 2},
    "run": {"number": 7, "phase": "Running", "startTime": MOMENT, "endTime": MOMENT},
    "conditions": [
        CONDITION | {"type": type_} for type_ in ("Ready", "Injected", "Verified", "Succeeded")
    ],
    "score": 93,
    "nextRunTime": MOMENT,
}
REACTOR_STATUS: Json = {
    "powerPermille": 998,
    "conditions": [CONDITION | {"type": "Ready"}, CONDITION | {"type": "Nominal"}],
    "activeFaults": [
        {"scenario": "small-leak", "stage": "leak", "fault": "PrimaryLeak", "startTime": MOMENT}
    ],
    "faultSummary": "PrimaryLeak +1",
    "health": {"state": "Degraded", "score": 61},
    "openAlarms": 2,
    "tripCause": "low-flow",
    "generator": {"name": "generator-0", "shard": 5},
}


async def row(admin: Asker, document: Json, namespace: str) -> tuple[Json, Json]:
    """Return what ``kubectl get`` shows without and with ``-o wide``, but for name and age."""
    answer = await admin.ask("GET", collection(document, namespace), accept=TABLE)
    cells = zip(answer.body["columnDefinitions"], answer.body["rows"][0]["cells"], strict=True)
    shown = [(column["name"], column["priority"], cell) for column, cell in cells]
    narrow = {name: cell for name, priority, cell in shown if priority == 0}
    del narrow["Name"], narrow["Age"]
    return narrow, {name: cell for name, priority, cell in shown if priority == 1}


async def test_a_scenario_is_seen_at_a_glance(admin: Asker, kube_namespace: str) -> None:
    await make(admin, SCENARIO, kube_namespace, status=SCENARIO_STATUS)

    narrow, wide = await row(admin, SCENARIO, kube_namespace)

    assert narrow == {
        "Fault": "PrimaryLeak",
        "Severity": 100,
        "State": "Active",
        "Targets": 3,
        "Ready": "True",
        "Status": "2 of 3 recovered",
    }
    assert wide == {
        "Mode": "Run",
        "Run": 7,
        "Injected": "True",
        "Verified": "True",
        "Succeeded": "True",
        "Score": 93,
        "Ends": MOMENT,
        "Next": MOMENT,
    }


async def test_a_reactor_is_seen_at_a_glance(admin: Asker, kube_namespace: str) -> None:
    reactor = with_spec(REACTOR, site={"name": "Bruce"})
    await make(admin, reactor, kube_namespace, status=REACTOR_STATUS)

    narrow, wide = await row(admin, reactor, kube_namespace)

    assert narrow == {
        "Design": "Candu6",
        "Power ‰": 998,
        "Ready": "True",
        "Nominal": "True",
        "Fault": "PrimaryLeak +1",
    }
    assert wide == {
        "Health": "Degraded",
        "Alarms": 2,
        "Trip": "low-flow",
        "Site": "Bruce",
        "Generator": "generator-0",
    }


PLANT = with_spec(REACTOR, state="Suspended", site={"name": "Bruce", "country": "CA"})
DRILL = with_spec(SCENARIO, state="Suspended", mode="DryRun", environment="staging")


SELECTORS = {
    "reactors": [
        "spec.design=Candu6",
        "spec.state=Suspended",
        "spec.site.country=CA",
        "status.health.state=Degraded",
    ],
    "anomalyscenarios": [
        "spec.state=Suspended",
        "spec.mode=DryRun",
        "spec.environment=staging",
        "status.run.phase=Running",
    ],
}


@pytest.mark.parametrize("selector", SELECTORS["reactors"])
async def test_reactors_are_selected_by_field(
    selector: str, admin: Asker, kube_namespace: str
) -> None:
    await make(admin, named(PLANT, "wanted"), kube_namespace, status=REACTOR_STATUS)
    await make(admin, with_spec(named(REACTOR, "other"), design="Pwr3Loop"), kube_namespace)

    assert await selected(admin, REACTOR, selector, kube_namespace) == ["wanted"]


@pytest.mark.parametrize("selector", SELECTORS["anomalyscenarios"])
async def test_scenarios_are_selected_by_field(
    selector: str, admin: Asker, kube_namespace: str
) -> None:
    await make(admin, named(DRILL, "wanted"), kube_namespace, status=SCENARIO_STATUS)
    await make(admin, named(SCENARIO, "other"), kube_namespace)

    assert await selected(admin, SCENARIO, selector, kube_namespace) == ["wanted"]


async def selected(admin: Asker, document: Json, selector: str, namespace: str) -> list[str]:
    answer = await admin.ask("GET", collection(document, namespace), fieldSelector=selector)
    return [item["metadata"]["name"] for item in answer.body["items"]]


@pytest.mark.parametrize("kind", Kind)
def test_every_selectable_field_is_tried(kind: Kind) -> None:
    definition = crd(kind)["spec"]
    tried = [selector.split("=")[0] for selector in SELECTORS[definition["names"]["plural"]]]

    fields = definition["versions"][0]["selectableFields"]
    assert tried == [field["jsonPath"].removeprefix(".") for field in fields]


# Two managers of one object


async def apply(admin: Asker, document: Json, namespace: str, *, manager: str) -> Json:
    place = f"{collection(document, namespace)}/{document['metadata']['name']}"
    return (await admin.apply(place, document, manager=manager)).body


async def test_stages_and_probes_of_two_managers_are_merged_by_name(
    admin: Asker, kube_namespace: str
) -> None:
    other_stage = {"name": "pumps", "fault": "PumpTrip"}
    other_probe = PROBE | {"name": "felt"}
    await apply(
        admin, with_spec(SCENARIO, probes=[PROBE]), kube_namespace, manager="the-plant-team"
    )

    both = await apply(
        admin,
        SCENARIO | {"spec": {**SCENARIO["spec"], "stages": [other_stage], "probes": [other_probe]}},
        kube_namespace,
        manager="the-alarm-team",
    )
    assert [stage["name"] for stage in both["spec"]["stages"]] == ["leak", "pumps"]
    assert [probe["name"] for probe in both["spec"]["probes"]] == ["seen", "felt"]

    one = await apply(
        admin, with_spec(SCENARIO, probes=[PROBE]), kube_namespace, manager="the-alarm-team"
    )
    assert [stage["name"] for stage in one["spec"]["stages"]] == ["leak"]


async def test_two_managers_of_one_value_are_told_of_each_other(
    admin: Asker, kube_namespace: str
) -> None:
    await apply(admin, SCENARIO, kube_namespace, manager="git")

    refused = await apply(
        admin,
        with_spec(SCENARIO, stages=[STAGE | {"fault": "PumpTrip"}]),
        kube_namespace,
        manager="someone",
    )

    assert refused["code"] == 409
    assert 'conflict with "git"' in refused["message"]
    assert '.spec.stages[name="leak"].fault' in refused["message"]


async def test_the_operators_status_leaves_the_spec_to_its_owner(
    admin: Asker, kube_namespace: str
) -> None:
    await apply(admin, SCENARIO, kube_namespace, manager="git")
    place = f"{collection(SCENARIO, kube_namespace)}/{SCENARIO['metadata']['name']}"
    identity = {"apiVersion": SCENARIO["apiVersion"], "kind": SCENARIO["kind"]}
    status = {"status": {"observedGeneration": 1, "summary": "waits"}}

    await admin.apply(f"{place}/status", identity | status, manager="reactorsync-operator")
    again = await admin.apply(place, SCENARIO, manager="git")

    assert again.code == 200
    assert again.body["metadata"]["generation"] == 1
    owned = {
        entry["manager"]: {*entry["fieldsV1"]} for entry in again.body["metadata"]["managedFields"]
    }
    assert owned == {"git": {"f:spec"}, "reactorsync-operator": {"f:status"}}
