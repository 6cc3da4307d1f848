"""How requests to the API server are counted."""

import pytest
from yarl import URL

from reactorsync.kube import ApiError, ApiUnavailable, Cluster, KubeClient
from reactorsync_local.supervisor import free_port
from reactorsync_operator.api_requests import counting, kind_of, verb_of
from reactorsync_operator.metrics import API_REQUESTS, API_SECONDS

GROUP = "http://server/apis/reactorsync.dev/v1alpha1"


@pytest.mark.parametrize(
    ("path", "kind", "verb"),
    [
        (f"{GROUP}/reactors", "reactors", "list"),
        (f"{GROUP}/reactors?watch=true", "reactors", "watch"),
        (f"{GROUP}/namespaces/plants/reactors", "reactors", "list"),
        (f"{GROUP}/namespaces/plants/reactors/bruce-1", "reactors", "get"),
        (f"{GROUP}/namespaces/plants/reactors/bruce-1/status", "reactors/status", "get"),
        ("http://server/api/v1/namespaces/plants", "namespaces", "get"),
        ("http://server/api/v1/namespaces", "namespaces", "list"),
        (GROUP, "discovery", "get"),
        ("http://server/api/v1", "discovery", "get"),
        ("http://server/version", "version", "get"),
    ],
)
def test_a_path_tells_what_is_asked_for(path: str, kind: str, verb: str) -> None:
    assert kind_of(URL(path)) == kind
    assert verb_of("GET", URL(path)) == verb


def test_server_side_apply_is_no_patch() -> None:
    url = URL(f"{GROUP}/namespaces/plants/reactors/bruce-1/status")
    assert verb_of("PATCH", url, "application/apply-patch+yaml") == "apply"
    assert verb_of("PATCH", url, "application/merge-patch+json") == "patch"


def count(verb: str, kind: str, code: str) -> float:
    return float(API_REQUESTS.labels(verb, kind, code)._value.get())


async def test_each_answer_is_counted_by_its_code_and_timed(
    kube_cluster: Cluster, kube_namespace: str
) -> None:
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{kube_namespace}/leases"
    before = count("list", "leases", "200"), count("get", "leases", "404")
    seconds = API_SECONDS.labels("list")._sum.get()
    async with KubeClient(kube_cluster, field_manager="tests", traces=[counting()]) as client:
        await client.get(leases)
        with pytest.raises(ApiError):
            await client.get(f"{leases}/nobody")
    assert (count("list", "leases", "200"), count("get", "leases", "404")) == (
        before[0] + 1,
        before[1] + 1,
    )
    assert API_SECONDS.labels("list")._sum.get() > seconds


async def test_no_answer_is_counted_too() -> None:
    before = count("get", "version", "none")
    nobody = Cluster(server=f"http://127.0.0.1:{free_port()}")
    async with KubeClient(nobody, field_manager="tests", traces=[counting()]) as client:
        with pytest.raises(ApiUnavailable):
            await client.get("/version")
    assert count("get", "version", "none") == before + 1
