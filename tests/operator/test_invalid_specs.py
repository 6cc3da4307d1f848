"""Objects that the API server takes and the operator refuses: their status says why."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from reactorsync.kube import KubeClient
from reactorsync.planning.schedule import is_planned
from reactorsync.resources import AnomalyScenario
from reactorsync.store.kubernetes import KubernetesStore
from reactorsync.store.kubernetes_documents import read_document
from reactorsync_operator.edge.invalid_specs import InvalidSpecs
from reactorsync_operator.edge.mirror import Mirror
from reactorsync_operator.event_body import Subject
from reactorsync_operator.leadership import NotLeading
from reactorsync_operator.watcher import View

JsonObject = dict[str, Any]

BACKWARDS = "0 5-1 * * *"
RULE = "spec.schedule.cron: must be a five-field cron expression (Bad hour)"
LEAK: JsonObject = {"name": "leak", "fault": "PrimaryLeak", "durationSeconds": 60}


class Followed:
    """The scenarios of a namespace as one operator sees them."""

    def __init__(self, kube: KubeClient, namespace: str) -> None:
        self.kube = kube
        self.collection = f"/apis/reactorsync.dev/v1alpha1/namespaces/{namespace}/anomalyscenarios"
        self.leads = True
        self.told: list[tuple[str, str]] = []
        self.known: dict[str, AnomalyScenario] = {}
        self.invalid = InvalidSpecs(kube, may_write=lambda: self.leads, told=self._tell)
        view: View[AnomalyScenario] = View(
            names=lambda: set(self.known),
            get=self.known.get,
            put=lambda one: self.known.update(
                {f"{one.metadata.namespace}/{one.metadata.name}": one}
            ),
            remove=self.known.__delitem__,
        )
        self.mirror = Mirror(
            AnomalyScenario,
            view,
            clock=time.monotonic,
            drops_unreadable=True,
            refused=self.invalid.refuse,
            accepted=self.invalid.accept,
        )

    def _tell(self, subject: Subject, problem: str) -> None:
        self.told.append((subject.name, problem))

    async def schedule(self, cron: str) -> JsonObject:
        """Apply the scenario as its author does; it is not read before :meth:`read`."""
        return await self.apply(schedule={"cron": cron})

    async def apply(self, **spec: Any) -> JsonObject:
        """Apply it with another start."""
        return await self.kube.apply(
            f"{self.collection}/leak",
            {
                "apiVersion": "reactorsync.dev/v1alpha1",
                "kind": "AnomalyScenario",
                "metadata": {"name": "leak"},
                "spec": {
                    "targets": {"selector": {}},
                    "stages": [LEAK],
                    **spec,
                },
            },
        )

    async def read(self) -> JsonObject:
        """Let the operator see the scenario as it is, as a watch or a sweep does."""
        document: JsonObject = await self.kube.get(f"{self.collection}/leak")
        self.mirror.told("MODIFIED", document)
        return document

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.invalid.run())
        try:
            yield
            await asyncio.sleep(0.3)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def followed(kube: KubeClient, kube_namespace: str) -> Followed:
    return Followed(kube, kube_namespace)


def conditions(document: JsonObject) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in document["status"]["conditions"]}


async def test_the_status_names_field_and_rule(followed: Followed) -> None:
    async with followed.writing():
        await followed.schedule(BACKWARDS)
        await followed.read()
    found = await followed.read()
    assert conditions(found) == {
        "Ready": ("False", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    }
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"] == 1
    for one in found["status"]["conditions"]:
        assert one["message"].startswith(RULE)
        assert one["observedGeneration"] == 1
    assert found["status"]["summary"].startswith(f"Invalid, acts on nothing: {RULE}")
    assert [name for name, _ in followed.told] == ["leak"]
    assert followed.told[0][1].startswith(RULE)
    assert {
        (owner["manager"], owner.get("subresource")) for owner in found["metadata"]["managedFields"]
    } == {("reactorsync-tests", None), ("reactorsync-tests", "status")}


async def test_it_is_written_once_for_each_generation_by_whichever_operator(
    followed: Followed, kube: KubeClient, kube_namespace: str
) -> None:
    async with followed.writing():
        await followed.schedule(BACKWARDS)
        await followed.read()
    written = await followed.read()
    another = Followed(kube, kube_namespace)
    for operator in (followed, another):
        async with operator.writing():
            await operator.read()
    assert await followed.read() == written
    assert len(followed.told) == 1
    assert another.told == [], "one that starts says nothing of what stands there already"
    async with followed.writing():
        await followed.schedule("0 6-1 * * *")
        await followed.read()
    assert (await followed.read())["status"]["observedGeneration"] == 2
    assert len(followed.told) == 2


async def test_what_was_known_of_its_run_stays_and_so_do_its_other_conditions(
    followed: Followed, kube: KubeClient, kube_namespace: str
) -> None:
    store = KubernetesStore(kube, namespaces=[kube_namespace])
    await followed.schedule("0 1-5 * * *")
    valid = await store.get(AnomalyScenario, kube_namespace, "leak")
    moment = "2026-01-31T12:00:00Z"
    run = {"number": 3, "phase": "Running", "startTime": moment, "endTime": moment}
    injected = {
        "type": "Injected",
        "status": "True",
        "reason": "AllInjected",
        "lastTransitionTime": moment,
    }
    status = {"observedGeneration": 1, "run": run, "conditions": [injected]}
    document = {**valid.to_json(), "status": status}
    await store.replace_status(AnomalyScenario.model_validate(document))
    before = await followed.read()
    async with followed.writing():
        await followed.schedule(BACKWARDS)
        await followed.read()
    found = await followed.read()
    assert found["status"]["run"] == before["status"]["run"]
    assert conditions(found)["Injected"] == ("True", "AllInjected")
    assert conditions(found)["Stalled"] == ("True", "InvalidSpec")
    assert followed.known == {}, "what cannot be read acts on nothing"
    async with followed.writing():
        await followed.schedule("0 2-5 * * *")
        await followed.read()
    again = followed.known[f"{kube_namespace}/leak"]
    assert again.spec.schedule is not None
    assert again.spec.schedule.cron == "0 2-5 * * *"
    assert again.status.run is not None


async def test_to_whoever_can_read_it_the_spec_is_yet_to_be_planned(followed: Followed) -> None:
    async with followed.writing():
        await followed.schedule(BACKWARDS)
        await followed.read()
    found = await followed.read()
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    found["spec"]["schedule"]["cron"] = "0 1-5 * * *"
    assert not is_planned(read_document(AnomalyScenario, found))


async def test_nothing_is_written_of_what_is_valid_again_by_then(followed: Followed) -> None:
    await followed.schedule(BACKWARDS)
    await followed.read()
    await followed.schedule("0 1-5 * * *")
    valid = await followed.read()
    async with followed.writing():
        pass
    assert await followed.read() == valid
    assert followed.told == []


async def test_an_object_that_changed_meanwhile_is_left_to_its_next_version(
    followed: Followed,
) -> None:
    await followed.schedule(BACKWARDS)
    await followed.read()
    await followed.schedule("0 1-5 * * *")
    async with followed.writing():
        pass
    assert "conditions" not in (await followed.read()).get("status", {})
    assert followed.told == []


async def test_who_does_not_lead_writes_nothing(followed: Followed) -> None:
    followed.leads = False
    await followed.schedule(BACKWARDS)
    before = await followed.read()
    with pytest.raises(NotLeading):
        await asyncio.wait_for(followed.invalid.run(), 5)
    assert await followed.read() == before


async def test_a_day_that_is_in_no_calendar_is_told(followed: Followed) -> None:
    async with followed.writing():
        await followed.schedule("0 0 30 2 *")
        await followed.read()
    (stalled,) = [
        one for one in (await followed.read())["status"]["conditions"] if one["type"] == "Stalled"
    ]
    assert stalled["message"].startswith("spec.schedule.cron: ")


def unread(uid: str, version: int, *, cron: str, namespace: str = "default") -> JsonObject:
    """The scenario as a list or a watch has it, at one of its versions."""
    return {
        "apiVersion": "reactorsync.dev/v1alpha1",
        "kind": "AnomalyScenario",
        "metadata": {
            "name": "leak",
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
        },
        "spec": {"targets": {"selector": {}}, "stages": [LEAK], "schedule": {"cron": cron}},
    }


class Remembered:
    """A mirror of scenarios without an API server, and what it says of those it cannot read."""

    def __init__(self) -> None:
        self.known: dict[str, AnomalyScenario] = {}
        self.accepted: list[str] = []
        view: View[AnomalyScenario] = View(
            names=lambda: set(self.known),
            get=self.known.get,
            put=lambda one: self.known.update({"default/leak": one}),
            remove=self.known.__delitem__,
        )
        self.mirror = Mirror(
            AnomalyScenario,
            view,
            clock=time.monotonic,
            drops_unreadable=True,
            accepted=self.accepted.append,
        )


UID = "3f0e8a2c-6f61-4f6e-9a83-0d4c1b7e5a10"


def test_an_older_list_does_not_bring_back_what_cannot_be_read() -> None:
    one = Remembered()
    one.mirror.told("ADDED", unread(UID, 7, cron="0 1-5 * * *"))
    one.mirror.told("MODIFIED", unread(UID, 9, cron=BACKWARDS))
    sweep = one.mirror.begin_sweep()
    one.mirror.take_page(sweep, [unread(UID, 8, cron="0 2-5 * * *")])
    one.mirror.finish_list(sweep)
    assert one.known == {}
    one.mirror.told("MODIFIED", unread(UID, 10, cron="0 3-5 * * *"))
    assert list(one.known) == ["default/leak"]
    assert one.accepted == [UID]


def test_a_list_tells_that_what_could_not_be_read_is_gone() -> None:
    one = Remembered()
    one.mirror.told("ADDED", unread(UID, 7, cron=BACKWARDS))
    sweep = one.mirror.begin_sweep()
    one.mirror.finish_list(sweep)
    assert one.accepted == [UID]
    assert sweep.untold_deletions == set(), "no watch has missed what nobody acted on"
