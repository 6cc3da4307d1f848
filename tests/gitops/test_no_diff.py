"""What the operator writes never shows as a difference to git."""

from typing import Any

from reactorsync.kube import Cluster, KubeClient
from reactorsync.resources import Condition, ConditionStatus, Reactor, ReactorStatus
from reactorsync.store.kubernetes import KubernetesStore
from tests.core.planning.build import NOON

MANIFEST: dict[str, Any] = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "Reactor",
    "metadata": {"name": "bruce-1", "labels": {"reactorsync.dev/site": "bruce"}},
    "spec": {"design": "Candu6"},
}


def without_status(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "status"}


async def test_a_status_leaves_all_else_as_it_was_applied(
    kube: KubeClient, kube_cluster: Cluster, kube_namespace: str
) -> None:
    path = f"/apis/reactorsync.dev/v1alpha1/namespaces/{kube_namespace}/reactors/bruce-1"
    applied: Any = await kube.apply(path, MANIFEST)
    async with KubeClient(kube_cluster, field_manager="reactorsync-operator") as client:
        store = KubernetesStore(client, namespaces=[kube_namespace])
        stored = await store.get(Reactor, kube_namespace, "bruce-1")
        ready = Condition(
            type="Ready",
            status=ConditionStatus.TRUE,
            last_transition_time=NOON,
            reason="Streaming",
        )
        status = ReactorStatus(observed_generation=1, conditions=[ready])
        [_] = await store.replace_statuses([stored.model_copy(update={"status": status})])

    live: Any = await kube.get(path)
    assert live["status"]["conditions"][0]["reason"] == "Streaming"
    for own in ("resourceVersion", "managedFields"):
        del live["metadata"][own], applied["metadata"][own]
    assert without_status(live) == without_status(applied)

    again: Any = await kube.apply(path, MANIFEST, force=False)
    managers = {
        (one["manager"], one.get("subresource", "")) for one in again["metadata"]["managedFields"]
    }
    assert managers == {("reactorsync-tests", ""), ("reactorsync-operator", "status")}
    assert again["metadata"]["generation"] == applied["metadata"]["generation"]
