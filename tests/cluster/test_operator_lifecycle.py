"""Resources on a real API server, reconciled by the operator's own process for a real generator."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from reactorsync.kube import ApiError
from reactorsync.wire.events import FaultInjected, FaultRecovered
from tests.cluster_installation import ClusterInstallation, condition_of
from tests.clusters import JsonObject
from tests.part_process import until

CANDU: JsonObject = {"design": "Candu6"}


def leak(*, seconds: int, **more: object) -> JsonObject:
    """A leak on every reactor there is."""
    return {
        "targets": {"selector": {}},
        "stages": [{"name": "leak", "fault": "PrimaryLeak", "durationSeconds": seconds}],
        **more,
    }


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def fleet(installation: ClusterInstallation, *names: str) -> None:
    """Declare reactors and wait until they are ready."""
    for name in names:
        await installation.apply("Reactor", name, CANDU)
    for name in names:
        await installation.until_it_says("Reactor", name, "Ready")


async def test_an_applied_reactor_becomes_ready(installation: ClusterInstallation) -> None:
    installation.operator()

    await installation.apply("Reactor", "unit-1", CANDU)

    reactor = await installation.until_it_says("Reactor", "unit-1", "Ready", seconds=40)
    assert reactor["status"]["generator"]["name"] == "generator-0"
    reactor = await installation.until_it_says("Reactor", "unit-1", "Nominal")
    assert reactor["status"]["health"]["state"] == "Nominal"


async def test_an_edit_is_ready_once_the_generator_has_taken_it_over(
    installation: ClusterInstallation,
) -> None:
    installation.operator()
    await fleet(installation, "unit-1")

    await installation.apply("Reactor", "unit-1", {**CANDU, "powerSetpointPermille": 900})

    reactor = await installation.until_it_says("Reactor", "unit-1", "Ready")
    assert reactor["status"]["observedGeneration"] == 2


async def test_a_scenario_is_injected_and_recovered(installation: ClusterInstallation) -> None:
    installation.operator()
    await fleet(installation, "unit-1", "unit-2")

    async with installation.tapped() as tap:
        await installation.apply("AnomalyScenario", "short", leak(seconds=4))
        scenario = await installation.until_it_says("AnomalyScenario", "short", "Injected")
        assert scenario["status"]["targets"]["injected"] == 2
        unit = await installation.until_it_says("Reactor", "unit-1", "Nominal", "False")
        assert [fault["scenario"] for fault in unit["status"]["activeFaults"]] == ["short"]
        assert condition_of(unit, "Ready")["status"] == "True"

        await installation.until_it_says("AnomalyScenario", "short", "Recovered")
        assert len(tap.of(FaultInjected, scenario)) == 2
        assert len(tap.of(FaultRecovered, scenario)) == 2
    assert (await installation.get("Reactor", "unit-1"))["status"]["activeFaults"] == []


async def test_an_aborted_scenario_is_lifted_at_once(installation: ClusterInstallation) -> None:
    installation.operator()
    await fleet(installation, "unit-1")
    await installation.apply("AnomalyScenario", "long", leak(seconds=600))
    await installation.until_it_says("AnomalyScenario", "long", "Injected")

    await installation.apply("AnomalyScenario", "long", leak(seconds=600, state="Aborted"))

    scenario = await installation.until_it_says("AnomalyScenario", "long", "Recovered", seconds=5)
    assert scenario["status"]["run"]["phase"] == "Aborted"


async def test_deletion_waits_for_nobody_and_the_faults_end_by_themselves(
    installation: ClusterInstallation,
) -> None:
    operator = installation.operator()
    await fleet(installation, "unit-1")
    await installation.apply("AnomalyScenario", "leak", leak(seconds=5))
    scenario = await installation.until_it_says("AnomalyScenario", "leak", "Injected")
    end = moment(scenario["status"]["run"]["endTime"])
    await installation.kill(operator)

    async with installation.tapped() as tap:
        for kind, name in (("AnomalyScenario", "leak"), ("Reactor", "unit-1")):
            await installation.kube.delete(installation.path(kind, name))
            assert await installation.is_gone(kind, name)

        async def recovered_is_told() -> bool:
            return bool(tap.of(FaultRecovered, scenario))

        await until(recovered_is_told)
        (recovered,) = tap.of(FaultRecovered, scenario)
        late = recovered.tick_us / 1e6 - end.timestamp()
        assert 0 <= late <= 1


async def test_a_reactor_deleted_meanwhile_is_gone_from_the_desired_state_after_a_restart(
    installation: ClusterInstallation,
) -> None:
    operator = installation.operator()
    await fleet(installation, "unit-1", "unit-2")
    await installation.kill(operator)

    await installation.kube.delete(installation.path("Reactor", "unit-1"))
    installation.operator()

    async def only_the_other_is_desired() -> bool:
        return await installation.desired() == {f"{installation.namespace}/unit-2"}

    await until(only_the_other_is_desired)


async def test_only_status_is_written_and_by_one_manager(
    installation: ClusterInstallation,
) -> None:
    installation.operator()
    await fleet(installation, "unit-1")
    await installation.apply("AnomalyScenario", "leak", leak(seconds=2))
    await installation.until_it_says("AnomalyScenario", "leak", "Recovered")

    for kind, name in (("Reactor", "unit-1"), ("AnomalyScenario", "leak")):
        metadata = (await installation.get(kind, name))["metadata"]
        entries = metadata["managedFields"]
        by_operator = [one for one in entries if one["manager"] == "reactorsync-operator"]
        assert [one.get("subresource") for one in by_operator] == ["status"]
        assert [one["operation"] for one in by_operator] == ["Apply"]
        assert set(by_operator[0]["fieldsV1"]) == {"f:status"}
        assert {one["manager"] for one in entries} == {"reactorsync-operator", "reactorsync-tests"}
        assert not {"finalizers", "annotations", "labels"} & set(metadata)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"targets": {"selector": {}, "names": ["a"]}}, "exactly one"),
        ({"targets": {"selector": {}}, "stages": []}, "stages"),
    ],
    ids=["both-ways-to-choose", "no-stage"],
)
async def test_an_invalid_scenario_is_refused_by_the_api_server(
    installation: ClusterInstallation, spec: JsonObject, message: str
) -> None:
    with pytest.raises(ApiError, match=message) as refusal:
        await installation.apply("AnomalyScenario", "wrong", {**leak(seconds=1), **spec})

    assert refusal.value.code == 422


async def test_a_scenario_that_finds_nothing_says_so_and_writes_no_more(
    installation: ClusterInstallation,
) -> None:
    operator = installation.operator()
    await fleet(installation, "unit-1")
    nobody = leak(seconds=5) | {"targets": {"names": ["no-such-unit"]}}

    await installation.apply("AnomalyScenario", "nobody", nobody)

    scenario = await installation.until_it_says(
        "AnomalyScenario", "nobody", "TargetsResolved", "False"
    )
    await asyncio.sleep(3)
    again = await installation.get("AnomalyScenario", "nobody")
    assert again["metadata"]["resourceVersion"] == scenario["metadata"]["resourceVersion"]
    assert operator.is_running


async def test_a_run_goes_on_across_a_kill_of_the_operator(
    installation: ClusterInstallation,
) -> None:
    operator = installation.operator()
    await fleet(installation, "unit-1")
    await installation.apply("AnomalyScenario", "leak", leak(seconds=30))
    before = await installation.until_it_says("AnomalyScenario", "leak", "Injected")
    await installation.kill(operator)

    began = time.monotonic()
    installation.operator()
    await installation.apply("Reactor", "unit-2", CANDU)
    await installation.until_it_says("Reactor", "unit-2", "Ready", seconds=30)
    assert time.monotonic() - began < 30

    after = await installation.get("AnomalyScenario", "leak")
    assert after["status"]["run"]["number"] == 1
    assert after["status"]["run"]["startTime"] == before["status"]["run"]["startTime"]
    assert moment(after["status"]["run"]["endTime"]) > datetime.now(UTC) - timedelta(seconds=30)
