"""What the Kubernetes store does beyond the contract: pages, preconditions, others' metadata."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import kmock as kmock_
import pytest

from reactorsync.designs import Design
from reactorsync.kube import Cluster, JsonObject, KubeClient
from reactorsync.resources import Reactor
from reactorsync.resources.selector import parse_field_selector, parse_label_selector
from reactorsync.store import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ResourceStore,
    StoreUnavailable,
    Unreadable,
    WrittenInPart,
    kubernetes,
)
from reactorsync.store.kubernetes import PAGE, KubernetesStore
from reactorsync.store.kubernetes_errors import OutdatedDefinition, in_words_of_the_store
from tests.core.store.samples import reactor, scenario, with_metadata, with_power, with_setpoint

Server = kmock_.RawHandler
pytestmark = pytest.mark.kmock(cls=kmock_.RawHandler)

GROUP = "/apis/reactorsync.dev/v1alpha1"
REACTORS = f"{GROUP}/namespaces/default/reactors"


def stored(name: str = "bruce-1", *, version: int = 1, **spec: object) -> JsonObject:
    body = reactor("default", name).to_json()
    body["metadata"] = {
        "name": name,
        "namespace": "default",
        "uid": "7a0bbd5c-22a2-4d0e-92f3-6f9fb3b3d0a1",
        "resourceVersion": str(version),
    }
    if spec:
        body["spec"] = dict(spec)  # type: ignore[arg-type]
    return body


def page(*items: JsonObject, version: int = 9, following: str = "") -> JsonObject:
    metadata: JsonObject = {"resourceVersion": str(version)}
    if following:
        metadata["continue"] = following
    return {"kind": "ReactorList", "metadata": metadata, "items": list(items)}


def refusal(code: int, reason: str, **details: object) -> JsonObject:
    status = {"kind": "Status", "code": code, "reason": reason, "message": f"it is {reason}"}
    return {**status, "details": details}  # type: ignore[dict-item]


@pytest.fixture
async def mocked(kmock: Server) -> AsyncIterator[KubernetesStore]:
    cluster = Cluster(str(kmock.url).rstrip("/"))
    async with KubeClient(cluster, field_manager="tests", timeout_seconds=2.0) as client:
        yield KubernetesStore(client)


class TestList:
    async def test_comes_in_pages_of_one_moment(
        self, kmock: Server, mocked: KubernetesStore
    ) -> None:
        kmock[:1] << page(stored("b"), following="more")
        kmock[1:] << page(stored("a"))

        found = await mocked.list(Reactor)

        assert [item.metadata.name for item in found.items] == ["a", "b"]
        assert found.resource_version == "9"
        assert [request.params for request in kmock] == [
            {"limit": str(PAGE)},
            {"limit": str(PAGE), "continue": "more"},
        ]

    async def test_begins_again_when_the_server_forgot_the_moment(
        self, kmock: Server, mocked: KubernetesStore
    ) -> None:
        kmock[:1] << page(stored("old"), following="more")
        kmock[1:2] << 410 << refusal(410, "Expired")
        kmock[2:] << page(stored("new"))

        found = await mocked.list(Reactor)

        assert [item.metadata.name for item in found.items] == ["new"]

    async def test_names_what_cannot_be_read(self, kmock: Server, mocked: KubernetesStore) -> None:
        kmock << page(stored("a"), stored("b", design="Perpetuum"))

        found = await mocked.list(Reactor)

        assert [item.metadata.name for item in found.items] == ["a"]
        assert found.unreadable == {"default/b"}

    async def test_leaves_to_the_server_what_it_can_select(
        self, kmock: Server, mocked: KubernetesStore
    ) -> None:
        kmock << page()

        await mocked.list(
            Reactor,
            labels=parse_label_selector("site=Bruce,unit in (1,2),!retired,age notin (old)"),
            fields=parse_field_selector("spec.design=Candu6,spec.powerSetpointPermille=1000"),
        )

        (request,) = kmock
        assert request.params["labelSelector"] == (
            "site=Bruce,unit in (1,2),!retired,age notin (old)"
        )
        assert request.params["fieldSelector"] == "spec.design=Candu6"

    async def test_without_the_definitions_is_an_outage(
        self, kmock: Server, mocked: KubernetesStore
    ) -> None:
        kmock << 404 << b"404 page not found"

        with pytest.raises(StoreUnavailable, match="are the CRDs installed"):
            await mocked.list(Reactor)

    async def test_of_more_than_a_page(self, kube: KubeClient, kube_namespace: str) -> None:
        store = KubernetesStore(kube)
        names = [f"r-{number:03}" for number in range(PAGE + 20)]
        for start in range(0, len(names), 40):
            await asyncio.gather(
                *(store.create(reactor(kube_namespace, name)) for name in names[start : start + 40])
            )

        found = await store.list(Reactor, namespace=kube_namespace)

        assert [item.metadata.name for item in found.items] == names


class TestReplace:
    async def test_keeps_what_others_wrote(self, kube: KubeClient, kube_namespace: str) -> None:
        store = KubernetesStore(kube)
        created = await store.create(reactor(kube_namespace))
        path = f"{GROUP}/namespaces/{kube_namespace}/reactors/bruce-1"
        owner: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1-2"}
        theirs: JsonObject = {"finalizers": ["example.org/keep"], "ownerReferences": [owner]}
        await kube.merge_patch(path, {"metadata": theirs})

        await store.replace(with_metadata(with_setpoint(created, 700), resource_version=""))

        metadata = (await kube.get(path))["metadata"]
        assert isinstance(metadata, dict)
        assert metadata["finalizers"] == ["example.org/keep"]
        assert metadata["ownerReferences"] == [owner]
        await kube.merge_patch(path, {"metadata": {"finalizers": None}})

    async def test_of_a_spec_that_is_not_valid_names_the_field(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        store = KubernetesStore(kube)
        created = await store.create(reactor(kube_namespace))

        with pytest.raises(Invalid) as refused:
            await store.replace(with_setpoint(created, 99_999))

        assert refused.value.field == "spec.powerSetpointPermille"
        assert "99999" in refused.value.message

    async def test_of_the_design_is_refused_in_our_words(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        store = KubernetesStore(kube)
        await store.create(reactor(kube_namespace, design=Design.CANDU6))

        with pytest.raises(Invalid, match="delete the reactor") as refused:
            await store.replace(reactor(kube_namespace, design=Design.PWR_3_LOOP))

        assert refused.value.field == "spec.design"
        assert not refused.value.message.startswith(("Invalid value", "Forbidden"))


class TestStatus:
    async def test_is_owned_by_the_field_manager_and_nothing_else_is(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        operator = KubeClient(kube.cluster, field_manager="reactorsync-operator")
        created = await KubernetesStore(kube).create(reactor(kube_namespace))

        async with operator:
            await KubernetesStore(operator).replace_status(with_power(created, 900))

        path = f"{GROUP}/namespaces/{kube_namespace}/reactors/bruce-1"
        metadata = (await kube.get(path))["metadata"]
        assert isinstance(metadata, dict)
        managed = metadata["managedFields"]
        assert isinstance(managed, list)
        (ours,) = [
            entry
            for entry in managed
            if isinstance(entry, dict) and entry["manager"] == "reactorsync-operator"
        ]
        assert ours["operation"] == "Apply"
        assert ours["subresource"] == "status"
        assert isinstance(ours["fieldsV1"], dict)
        assert set(ours["fieldsV1"]) == {"f:status"}

    async def test_many_are_written_at_once_but_not_too_many(
        self, kmock: Server, mocked: KubernetesStore
    ) -> None:
        at_once, most = 0, 0

        async def answer(request: kmock_.Request) -> JsonObject:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            return stored(request.url.path.split("/")[-2], version=2)

        kmock["patch"] << answer
        fleet = [Reactor.model_validate(stored(f"r-{number}")) for number in range(100)]

        written = await mocked.replace_statuses([with_power(each, 900) for each in fleet])

        assert [each.metadata.name for each in written] == [each.metadata.name for each in fleet]
        assert 16 <= most <= 32

    async def test_what_was_written_before_an_outage_is_told(
        self, kmock: Server, mocked: KubernetesStore
    ) -> None:
        kmock[f"patch {REACTORS}/r-0/status"] << stored("r-0", version=2)
        kmock << 503
        fleet = [Reactor.model_validate(stored(f"r-{number}")) for number in range(100)]

        with pytest.raises(WrittenInPart, match="503") as outage:
            await mocked.replace_statuses([with_power(each, 900) for each in fleet])

        assert [each.metadata.name for each in outage.value.written] == ["r-0"]
        assert len(kmock) <= 33, "nothing more is begun"

    async def test_one_that_the_definition_refuses_spares_the_others(
        self, kmock: Server, mocked: KubernetesStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        cause = {"field": "status.powerPermille", "message": "Forbidden: must be more"}
        kmock[f"patch {REACTORS}/bad/status"] << 422 << refusal(422, "Invalid", causes=[cause])
        kmock["patch"] << stored("good", version=2)
        fleet = [Reactor.model_validate(stored(name)) for name in ("bad", "good")]

        written = await mocked.replace_statuses([with_power(each, 900) for each in fleet])

        assert [each.metadata.name for each in written] == ["good"]
        assert "status.powerPermille: must be more" in caplog.text

    async def test_an_older_definition_is_told_by_whoever_asks_for_the_store(
        self, kmock: Server, mocked: KubernetesStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unknown = {**refusal(500, ""), "message": ".status.newField: field not declared in schema"}
        kmock["get /version"] << {"major": "1"}
        kmock["patch"] << 500 << unknown
        await mocked.ping()

        written = await mocked.replace_statuses([with_power(Reactor.model_validate(stored()), 900)])

        assert written == [], "left out like any other that was refused: no outage, no backing off"
        with pytest.raises(StoreUnavailable, match=r"status\.newField: .* apply --server-side"):
            await mocked.ping()
        monkeypatch.setattr(kubernetes, "_OUTDATED_SECONDS", 0.0)
        await mocked.replace_statuses([with_power(Reactor.model_validate(stored()), 900)])
        await mocked.ping()

    async def test_a_field_that_the_definition_lacks_is_a_matter_of_the_definition(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        await KubernetesStore(kube).create(reactor(kube_namespace))
        path = f"{GROUP}/namespaces/{kube_namespace}/reactors/bruce-1/status"
        body: JsonObject = {
            "apiVersion": "reactorsync.dev/v1alpha1",
            "kind": "Reactor",
            "metadata": {"name": "bruce-1", "namespace": kube_namespace},
            "status": {"ofALaterRelease": 1},
        }

        with (
            pytest.raises(OutdatedDefinition, match="kubectl apply") as refused,
            in_words_of_the_store("Reactor bruce-1"),
        ):
            await kube.apply(path, body)

        assert refused.value.field == "status.ofALaterRelease"

    async def test_of_an_object_named_twice(self, mocked: KubernetesStore) -> None:
        with pytest.raises(ValueError, match="twice"):
            await mocked.replace_statuses([reactor("default"), reactor("default")])


class TestDelete:
    async def test_of_an_object_with_finalizers_marks_it(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        store = KubernetesStore(kube)
        await store.create(reactor(kube_namespace))
        path = f"{GROUP}/namespaces/{kube_namespace}/reactors/bruce-1"
        await kube.merge_patch(path, {"metadata": {"finalizers": ["example.org/keep"]}})

        deleted = await store.delete(Reactor, kube_namespace, "bruce-1")

        assert deleted.metadata.deletion_timestamp is not None
        assert await store.get(Reactor, kube_namespace, "bruce-1") == deleted
        await kube.merge_patch(path, {"metadata": {"finalizers": None}})

    async def test_of_what_cannot_be_read_deletes_it(
        self, kmock: Server, mocked: KubernetesStore
    ) -> None:
        kmock["get"][{"watch": "true"}] << 500
        kmock["get"] << page(stored(design="Perpetuum"))
        kmock["delete"] << {"kind": "Status", "status": "Success"}

        with pytest.raises(Unreadable, match=r"spec\.design"):
            await mocked.delete(Reactor, "default", "bruce-1")

        assert len(kmock["delete"]) == 1


class TestRefusals:
    async def test_creation_without_the_namespace(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        with pytest.raises(NotFound, match="namespaces"):
            await KubernetesStore(kube).create(scenario(f"{kube_namespace}-none"))

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (refusal(401, "Unauthorized"), Forbidden),
            (refusal(403, "Forbidden"), Forbidden),
            (refusal(404, "NotFound", name="bruce-1"), NotFound),
            (refusal(409, "Conflict"), Conflict),
            (refusal(413, "RequestEntityTooLarge"), Invalid),
            (refusal(422, "Invalid"), Invalid),
            (refusal(500, "InternalError"), StoreUnavailable),
            (refusal(504, "Timeout"), StoreUnavailable),
        ],
    )
    async def test_are_in_the_words_of_the_port(
        self,
        kmock: Server,
        mocked: KubernetesStore,
        answer: JsonObject,
        expected: type[Exception],
    ) -> None:
        code = answer["code"]
        assert isinstance(code, int)
        kmock << code << answer
        meant = with_power(with_metadata(reactor("default"), resource_version="1"), 900)

        with pytest.raises(expected, match=r"it is|is another|there is no"):
            await mocked.replace_status(meant)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda store: store.ping(),
            lambda store: store.list(Reactor),
            lambda store: store.get(Reactor, "default", "a"),
            lambda store: store.create(reactor("default")),
            lambda store: store.replace(reactor("default")),
            lambda store: store.replace_status(reactor("default")),
            lambda store: store.replace_statuses([reactor("default")]),
            lambda store: store.delete(Reactor, "default", "a"),
        ],
        ids=[
            "ping",
            "list",
            "get",
            "create",
            "replace",
            "replace_status",
            "replace_statuses",
            "delete",
        ],
    )
    async def test_nothing_works_without_a_server(
        self, ask: Callable[[ResourceStore], Awaitable[object]]
    ) -> None:
        async with KubeClient(Cluster("http://127.0.0.1:9"), field_manager="tests") as client:
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                await ask(KubernetesStore(client))


def test_a_store_of_no_namespaces_is_a_mistake() -> None:
    client = KubeClient(Cluster("http://127.0.0.1:9"), field_manager="tests")

    with pytest.raises(ValueError, match="None stands for all"):
        KubernetesStore(client, namespaces=[])
