"""What the shipped roles allow on a real API server: what each needs, and nothing else."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from anyio.from_thread import BlockingPortal

from reactorsync.kube import Cluster
from tests.cluster.asking import Asker, Json, asking, collection, place_of
from tests.cluster_installation import ClusterInstallation
from tests.core.resources.cases import REACTOR, SCENARIO

DEPLOY = Path(__file__).parents[2] / "operator" / "deploy"
PEOPLE = ("view", "edit", "admin", "inject", "override")
REACTORS = "reactors.reactorsync.dev"
SCENARIOS = "anomalyscenarios.reactorsync.dev"
LEASES = "leases.coordination.k8s.io"
EVENTS = "events.events.k8s.io"
SCALE = "statefulsets/scale.apps"


def documents(*paths: str) -> list[Json]:
    return [doc for path in paths for doc in yaml.safe_load_all((DEPLOY / path).read_text())]


def adapted(document: Json, namespace: str) -> Json:
    """Return the manifest as it would be for ``namespace``, under a name of its own."""
    text = yaml.safe_dump(document).replace("reactorsync-system", namespace)
    document = yaml.safe_load(text)
    if "namespace" not in document["metadata"]:
        document["metadata"]["name"] += f".{namespace}"
        if "roleRef" in document:
            document["roleRef"]["name"] += f".{namespace}"
    return document


def binding(role: str, user: str, namespace: str) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": user, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


def generator(namespace: str) -> Json:
    labels = {"app": "generator"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "reactorsync-generator", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "serviceName": "generator",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "generator", "image": "generator"}]},
            },
        },
    }


@asynccontextmanager
async def roles_given(cluster: Cluster, namespace: str) -> AsyncIterator[None]:
    """Install the operator's account and roles, and each role for people with one who has it."""
    shipped = documents("base/service_account.yaml", "base/cluster_role.yaml", "base/role.yaml")
    shipped += documents(*(f"people/{name}.yaml" for name in PEOPLE))
    manifests = [adapted(document, namespace) for document in shipped]
    manifests += [
        binding(f"reactorsync-{name}.{namespace}", f"{name}-user", namespace) for name in PEOPLE
    ]
    manifests.append(generator(namespace))
    async with asking(cluster) as admin:
        try:
            for document in manifests:
                answer = await admin.apply(
                    place_of(document), document, manager="reactorsync-tests", force="true"
                )
                assert answer.code in (200, 201), answer.message
            yield
        finally:
            for document in manifests:
                await admin.ask("DELETE", place_of(document))


@pytest.fixture(scope="module")
def home(
    kube_cluster: Cluster, module_namespace: str, servers_portal: BlockingPortal
) -> Iterator[str]:
    """The namespace the operator is installed in; it serves all of them."""
    given = roles_given(kube_cluster, module_namespace)
    with servers_portal.wrap_async_context_manager(given):
        yield module_namespace


@pytest.fixture
async def admin(kube_cluster: Cluster) -> AsyncIterator[Asker]:
    async with asking(kube_cluster) as asker:
        yield asker


@pytest.fixture
async def token(admin: Asker, home: str) -> str:
    """A token of the operator's service account, as its pods get one."""
    answer = await admin.ask(
        "POST",
        f"/api/v1/namespaces/{home}/serviceaccounts/reactorsync-operator/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    assert answer.code == 201, answer.message
    return str(answer.body["status"]["token"])


@pytest.fixture
async def operator(kube_cluster: Cluster, token: str) -> AsyncIterator[Asker]:
    """Whoever has the operator's token."""
    async with asking(kube_cluster, token=token) as asker:
        yield asker


# The operator

NEEDED = [
    *((verb, kind) for kind in (REACTORS, SCENARIOS) for verb in ("get", "list", "watch")),
    ("patch", "reactors/status.reactorsync.dev"),
    ("patch", "anomalyscenarios/status.reactorsync.dev"),
    ("delete", SCENARIOS),
    ("create", EVENTS),
    ("patch", EVENTS),
]
AT_HOME = [
    ("create", LEASES, ""),
    ("get", LEASES, "reactorsync-operator"),
    ("update", LEASES, "reactorsync-operator"),
    ("get", SCALE, "reactorsync-generator"),
    ("patch", SCALE, "reactorsync-generator"),
]
DENIED = [
    *((verb, REACTORS) for verb in ("create", "update", "patch", "delete", "deletecollection")),
    *((verb, SCENARIOS) for verb in ("create", "update", "patch", "deletecollection")),
    ("inject", REACTORS),
    ("override", SCENARIOS),
    ("update", "reactors/status.reactorsync.dev"),
    *((verb, "secrets") for verb in ("get", "list", "create")),
    *((verb, "configmaps") for verb in ("get", "list", "create")),
    *((verb, "pods") for verb in ("get", "list", "create", "delete")),
    ("create", "pods/exec"),
    ("create", "serviceaccounts/token"),
    ("get", EVENTS),
    ("delete", EVENTS),
    ("create", "events"),
    ("get", "statefulsets.apps"),
    ("patch", "statefulsets.apps"),
    ("patch", "deployments/scale.apps"),
    ("list", "namespaces"),
    ("list", "nodes"),
    ("list", "customresourcedefinitions.apiextensions.k8s.io"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
]
DENIED_AT_HOME = [
    ("get", LEASES, "another"),
    ("update", LEASES, "another"),
    ("delete", LEASES, "reactorsync-operator"),
    ("list", LEASES, ""),
    ("patch", SCALE, "another"),
]


@pytest.mark.parametrize(("verb", "resource"), NEEDED)
async def test_the_operator_may_do_its_work_in_every_namespace(
    verb: str, resource: str, operator: Asker
) -> None:
    assert await operator.may(verb, resource, namespace="anywhere", name="any")


@pytest.mark.parametrize(("verb", "resource", "name"), AT_HOME)
async def test_the_operator_leads_and_scales_at_home_alone(
    verb: str, resource: str, name: str, operator: Asker, home: str
) -> None:
    assert await operator.may(verb, resource, namespace=home, name=name)
    assert not await operator.may(verb, resource, namespace="anywhere", name=name)


@pytest.mark.parametrize(("verb", "resource"), DENIED)
async def test_the_operator_may_do_nothing_else(
    verb: str, resource: str, operator: Asker, home: str
) -> None:
    assert not await operator.may(verb, resource, namespace=home, name="any")


@pytest.mark.parametrize(("verb", "resource", "name"), DENIED_AT_HOME)
async def test_the_operator_may_touch_nothing_else_at_home(
    verb: str, resource: str, name: str, operator: Asker, home: str
) -> None:
    assert not await operator.may(verb, resource, namespace=home, name=name)


async def test_the_server_counts_no_other_rights(operator: Asker, home: str) -> None:
    """Not those that nobody here has thought of either."""
    answer = await operator.ask(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": home},
        },
    )
    everybody = {"authorization.k8s.io", "authentication.k8s.io"}
    counted = {
        (verb, f"{resource}.{group}")
        for rule in answer.body["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if group not in everybody
    }

    assert counted == {*NEEDED, *((verb, resource) for verb, resource, _ in AT_HOME)}


async def test_the_operator_does_its_work_with_its_own_token(
    operator: Asker, admin: Asker, home: str
) -> None:
    for document in (REACTOR, SCENARIO):
        await admin.ask("POST", collection(document, home), document)
    scenario = f"{collection(SCENARIO, home)}/{SCENARIO['metadata']['name']}"
    identity = {"apiVersion": SCENARIO["apiVersion"], "kind": SCENARIO["kind"]}
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{home}/leases"
    named = {"metadata": {"name": "reactorsync-operator", "namespace": home}}
    lease_body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **named, "spec": {}}
    scale = f"/apis/apps/v1/namespaces/{home}/statefulsets/reactorsync-generator/scale"

    done = [
        await operator.ask("GET", "/apis/reactorsync.dev/v1alpha1/reactors"),
        await operator.apply(
            f"{scenario}/status",
            identity | {"status": {"summary": "waits"}},
            manager="reactorsync-operator",
            force="true",
        ),
        made := await operator.ask("POST", lease, lease_body),
        await operator.ask("PUT", f"{lease}/reactorsync-operator", made.body),
        await operator.ask(
            "PATCH", scale, {"spec": {"replicas": 3}}, content_type="application/merge-patch+json"
        ),
        await operator.ask("DELETE", scenario),
    ]

    assert [answer.code for answer in done] == [200, 200, 201, 200, 200, 200]


async def test_the_operator_cannot_write_a_spec(operator: Asker, admin: Asker, home: str) -> None:
    await admin.ask("POST", collection(REACTOR, home), REACTOR)
    place = f"{collection(REACTOR, home)}/{REACTOR['metadata']['name']}"
    suspended = {"spec": {"state": "Suspended"}}
    merge = "application/merge-patch+json"

    refused = await operator.ask("PATCH", place, suspended, content_type=merge)
    ignored = await operator.ask("PATCH", f"{place}/status", suspended, content_type=merge)

    assert refused.code == 403
    assert ignored.code == 200
    assert ignored.body["spec"]["state"] == "Running"


def kubeconfig(cluster: Cluster, token: str) -> Json:
    authority = base64.b64encode((cluster.certificate_authority or "").encode()).decode()
    trust: Json = {"certificate-authority-data": authority} if authority else {}
    if cluster.is_insecure:
        trust = {"insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": cluster.server, **trust}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "operator"}}],
        "current-context": "it",
    }


async def test_the_operator_lives_on_these_rights(
    installation: ClusterInstallation,
    kube_cluster: Cluster,
    token: str,
    home: str,
    tmp_path: Path,
) -> None:
    """It leads, writes statuses and events, and scales; nothing in its log says it may not."""
    mine = tmp_path / "operators-kubeconfig"
    mine.write_text(yaml.safe_dump(kubeconfig(kube_cluster, token)))
    await installation.apply("Reactor", "unit-1", {"design": "Candu6"})

    operator = installation.operator(
        kubeconfig=mine, generator_workload="statefulset/reactorsync-generator"
    )
    await installation.until_it_says("Reactor", "unit-1", "Ready", seconds=40)
    await installation.apply(
        "AnomalyScenario",
        "short",
        {
            "targets": {"names": ["unit-1"]},
            "stages": [{"name": "trip", "fault": "PumpTrip", "durationSeconds": 2}],
        },
    )
    await installation.until_it_says("AnomalyScenario", "short", "Injected", seconds=40)

    events = f"/apis/events.k8s.io/v1/namespaces/{home}/events"
    async with asyncio.timeout(20):
        while not (await installation.kube.get(events))["items"]:
            await asyncio.sleep(0.1)
    assert "forbidden" not in operator.log.lower()
    assert "no right" not in operator.log


# One namespace alone


def rules(path: str) -> Json:
    return [doc["rules"] for doc in documents(path) if "rules" in doc]


def test_the_rights_in_one_namespace_are_those_in_all() -> None:
    assert rules("namespaced/access/role.yaml") == rules("base/cluster_role.yaml")


# People

READS = [(verb, kind) for kind in (REACTORS, SCENARIOS) for verb in ("get", "list", "watch")]
WRITES = ("create", "update", "patch", "delete", "deletecollection")
ALL_RIGHTS = {
    *READS,
    *((verb, kind) for kind in (REACTORS, SCENARIOS) for verb in WRITES),
    ("inject", REACTORS),
    ("override", SCENARIOS),
    ("patch", "reactors/status.reactorsync.dev"),
    ("patch", "anomalyscenarios/status.reactorsync.dev"),
}
RIGHTS = {
    "view": {*READS},
    "edit": {(verb, SCENARIOS) for verb in WRITES},
    "admin": {(verb, REACTORS) for verb in WRITES},
    "inject": {("inject", REACTORS)},
    "override": {("override", SCENARIOS)},
}


@pytest.mark.parametrize("role", PEOPLE)
async def test_a_role_for_people_gives_this_and_no_more(role: str, admin: Asker, home: str) -> None:
    person = admin.as_user(f"{role}-user")

    allowed = {
        (verb, resource)
        for verb, resource in ALL_RIGHTS
        if await person.may(verb, resource, namespace=home, name="any")
    }

    assert allowed == RIGHTS[role]
    assert not await person.may("list", REACTORS, namespace="elsewhere")


@pytest.mark.parametrize(
    ("role", "into"),
    [
        ("view", ["view", "edit", "admin"]),
        ("edit", ["edit", "admin"]),
        ("admin", ["admin"]),
        ("inject", []),
        ("override", []),
    ],
)
def test_the_roles_of_kubernetes_take_in_all_but_the_dangerous_ones(
    role: str, into: list[str]
) -> None:
    labels = documents(f"people/{role}.yaml")[0]["metadata"].get("labels", {})

    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    assert [label.removeprefix(prefix) for label in labels if label.startswith(prefix)] == into


async def test_who_may_not_inject_cannot_let_others_inject(admin: Asker, home: str) -> None:
    """Whoever gives roles away may give only what they have."""
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    giver = {
        "metadata": {"name": f"giver.{home}"},
        "rules": [
            {
                "apiGroups": ["rbac.authorization.k8s.io"],
                "resources": ["roles"],
                "verbs": ["create"],
            }
        ],
    }
    bound = binding(f"giver.{home}", "giver", home)
    sneaky = {
        "metadata": {"name": "sneaky"},
        "rules": [
            {"apiGroups": ["reactorsync.dev"], "resources": ["reactors"], "verbs": ["inject"]}
        ],
    }
    for document in (api | giver, bound):
        await admin.apply(place_of(document), document, manager="reactorsync-tests")
    person = admin.as_user("giver")
    async with asyncio.timeout(20):
        while not await person.may("create", "roles.rbac.authorization.k8s.io", namespace=home):
            await asyncio.sleep(0.1)

    refused = await person.ask(
        "POST",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{home}/roles",
        api | {"kind": "Role"} | sneaky,
    )
    await admin.ask("DELETE", place_of(api | giver))

    assert refused.code == 403
    assert "attempting to grant RBAC permissions not currently held" in refused.message
