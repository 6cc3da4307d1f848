"""The admission policies on a real API server: who may inject what, and how hard for how long."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from anyio.from_thread import BlockingPortal

from reactorsync.kube import Cluster
from tests.cluster.asking import Answer, Asker, Json, asking, collection, place_of
from tests.core.resources.cases import REACTOR, SCENARIO, STAGE, with_run, with_spec

FOLDER = Path(__file__).parents[2] / "operator" / "deploy" / "policies"

SEVERE = "severe-needs-duration.reactorsync.dev"
INJECT = "inject-permission.reactorsync.dev"
OVERRIDE = "override-permission.reactorsync.dev"
TARGETS = "max-targets.reactorsync.dev"


def documents() -> list[Json]:
    files = [path for path in sorted(FOLDER.glob("*.yaml")) if path.stem != "kustomization"]
    return [document for path in files for document in yaml.safe_load_all(path.read_text())]


POLICIES = {
    document["metadata"]["name"]: document
    for document in documents()
    if document["kind"] == "ValidatingAdmissionPolicy"
}

# Cases

SHORT = STAGE | {"durationSeconds": 1800}
MILD = STAGE | {"severityPercent": 79}


def scenario(**spec: Json) -> Json:
    """A scenario that every policy lets pass for whoever may inject into `bruce-1`."""
    return with_spec(SCENARIO, **{"stages": [SHORT]} | spec)


def at(targets: Json) -> Json:
    return scenario(targets=targets)


def names(count: int) -> list[str]:
    return [f"plant-{number}" for number in range(count)]


INJECT_ANY = ("inject reactors",)
INJECT_ONE = ("inject reactors/bruce-1",)
OVERRIDDEN = {"guards": ["BlastRadius"], "reason": "yearly drill of the fleet"}
MAY_OVERRIDE = (*INJECT_ANY, "override anomalyscenarios")
INJECT_16 = tuple(f"inject reactors/{name}" for name in names(16))


@dataclass(frozen=True)
class Case:
    """What an engineer with ``grants`` asks for, in place of ``old`` if that stands, and the
    number of the validation of ``policy`` that refuses it with ``words``.

    ``THIS`` in a grant is the name of the scenario.
    """

    policy: str
    new: Json
    grants: Sequence[str] = INJECT_ANY
    old: Json | None = None
    validation: int | None = None
    words: str = ""


CASES = {
    # Severe needs a duration.
    "severe and short": Case(SEVERE, scenario()),
    "mild and long": Case(SEVERE, scenario(stages=[MILD])),
    "severe without a duration": Case(
        SEVERE,
        scenario(stages=[STAGE]),
        validation=0,
        words="`spec.stages[].durationSeconds` must be set, to at most 1800, where "
        "`severityPercent` is 80 or more: stage 'leak' has 3600",
    ),
    "severe and a second too long": Case(
        SEVERE,
        scenario(
            stages=[
                SHORT | {"name": "first"},
                SHORT | {"name": "second", "severityPercent": 80, "durationSeconds": 1801},
            ]
        ),
        validation=0,
        words="stage 'second' has 1801",
    ),
    "an edit that makes a stage severe": Case(
        SEVERE,
        scenario(stages=[STAGE]),
        old=scenario(stages=[MILD]),
        validation=0,
        words="stage 'leak' has 3600",
    ),
    "a severe one from before the policy, aborted": Case(
        SEVERE, scenario(stages=[STAGE], state="Aborted"), old=scenario(stages=[STAGE])
    ),
    # Inject.
    "a selector by who may inject anywhere": Case(INJECT, at({"selector": {}, "maxTargets": 9})),
    "a selector by who may inject into one": Case(
        INJECT,
        at({"selector": {}, "maxTargets": 9}),
        grants=INJECT_ONE,
        validation=0,
        words="`spec.targets.selector` may choose any reactor: needs the verb 'inject' on all",
    ),
    "a name by who may inject into it": Case(INJECT, scenario(), grants=INJECT_ONE),
    "a name by who may inject into another": Case(
        INJECT,
        at({"names": ["bruce-1", "bruce-2"]}),
        grants=INJECT_ONE,
        validation=2,
        words="`spec.targets.names` must hold only reactors on which you have the verb 'inject'",
    ),
    "a name by who may only write scenarios": Case(
        INJECT, scenario(), grants=(), validation=2, words="you have the verb 'inject'"
    ),
    "16 names by who may inject into each": Case(
        INJECT, at({"names": names(16)}), grants=INJECT_16
    ),
    "16 names by who may inject into all but the last": Case(
        INJECT,
        at({"names": names(16)}),
        grants=INJECT_16[:-1],
        validation=2,
        words="you have the verb 'inject'",
    ),
    "17 names by who may inject into 16": Case(
        INJECT,
        at({"names": names(17)}),
        grants=INJECT_16,
        validation=1,
        words="`spec.targets.names` must hold at most 16 names, or needs the verb 'inject' on all",
    ),
    "17 names by who may inject anywhere": Case(INJECT, at({"names": names(17)})),
    "a dry run by who may only write scenarios": Case(INJECT, scenario(mode="DryRun"), grants=()),
    "a suspended one by who may only write scenarios": Case(
        INJECT, scenario(state="Suspended"), grants=()
    ),
    "resumed by who may only write scenarios": Case(
        INJECT,
        scenario(),
        grants=(),
        old=scenario(state="Suspended"),
        validation=2,
        words="you have the verb 'inject'",
    ),
    "a dry run made a run by who may only write scenarios": Case(
        INJECT,
        scenario(),
        grants=(),
        old=scenario(mode="DryRun"),
        validation=2,
        words="you have the verb 'inject'",
    ),
    "other targets by who may inject into the old ones": Case(
        INJECT,
        at({"names": ["bruce-2"]}),
        grants=INJECT_ONE,
        old=scenario(),
        validation=2,
        words="you have the verb 'inject'",
    ),
    "other targets of a suspended one by who may only write scenarios": Case(
        INJECT,
        scenario(state="Suspended", targets={"names": ["bruce-2"]}),
        grants=(),
        old=scenario(state="Suspended"),
        validation=2,
        words="you have the verb 'inject'",
    ),
    "a selector of a suspended one by who may inject into one": Case(
        INJECT,
        scenario(state="Suspended", targets={"selector": {}, "maxTargets": 9}),
        grants=INJECT_ONE,
        old=scenario(state="Suspended"),
        validation=0,
        words="`spec.targets.selector` may choose any reactor",
    ),
    "harder stages of a suspended one by who may only write scenarios": Case(
        INJECT,
        scenario(state="Suspended"),
        grants=(),
        old=scenario(state="Suspended", stages=[MILD]),
        validation=2,
        words="you have the verb 'inject'",
    ),
    "harder stages of an aborted one by who may only write scenarios": Case(
        INJECT,
        scenario(state="Aborted"),
        grants=(),
        old=scenario(state="Aborted", stages=[MILD]),
        validation=2,
        words="you have the verb 'inject'",
    ),
    "harder stages in the same edit that suspends it, by who may only write scenarios": Case(
        INJECT,
        scenario(state="Suspended"),
        grants=(),
        old=scenario(stages=[MILD]),
        validation=2,
        words="you have the verb 'inject'",
    ),
    "harder stages of a suspended one by who may inject into its target": Case(
        INJECT,
        scenario(state="Suspended"),
        grants=INJECT_ONE,
        old=scenario(state="Suspended", stages=[MILD]),
    ),
    "another time of a suspended one by who may only write scenarios": Case(
        INJECT,
        scenario(state="Suspended", startDelaySeconds=60),
        grants=(),
        old=scenario(state="Suspended"),
    ),
    "harder stages of a suspended dry run by who may only write scenarios": Case(
        INJECT,
        scenario(state="Suspended", mode="DryRun"),
        grants=(),
        old=scenario(state="Suspended", mode="DryRun", stages=[MILD]),
    ),
    "aborted by who may only write scenarios": Case(
        INJECT, scenario(state="Aborted"), grants=(), old=scenario()
    ),
    "labelled by who may only write scenarios": Case(
        INJECT,
        scenario() | {"metadata": SCENARIO["metadata"] | {"labels": {"team": "alarms"}}},
        grants=(),
        old=scenario(),
    ),
    # Override.
    "an override by who may": Case(
        OVERRIDE, scenario(guardOverride=OVERRIDDEN), grants=MAY_OVERRIDE
    ),
    "an override of one scenario by who may": Case(
        OVERRIDE,
        scenario(guardOverride=OVERRIDDEN),
        grants=(*INJECT_ANY, "override anomalyscenarios/THIS"),
    ),
    "an override by who may not": Case(
        OVERRIDE,
        scenario(guardOverride=OVERRIDDEN),
        validation=0,
        words="`spec.guardOverride` must be set only by whoever has the verb 'override'",
    ),
    "an overriding scenario changed by who may not": Case(
        OVERRIDE,
        scenario(guardOverride=OVERRIDDEN, runToken="again"),
        old=scenario(guardOverride=OVERRIDDEN),
        validation=0,
        words="`spec.guardOverride` must be set only by whoever has the verb 'override'",
    ),
    "an overriding scenario suspended by who may not": Case(
        OVERRIDE,
        scenario(guardOverride=OVERRIDDEN, state="Suspended"),
        old=scenario(guardOverride=OVERRIDDEN),
    ),
    # Targets.
    "a bounded selector": Case(TARGETS, at({"selector": {}, "maxTargets": 100})),
    "few names without a bound": Case(TARGETS, at({"names": ["bruce-1"]})),
    "an unbounded selector": Case(
        TARGETS,
        at({"selector": {}}),
        validation=0,
        words="`spec.targets.maxTargets` must be set, to at most 100",
    ),
    "101 names": Case(
        TARGETS,
        at({"names": names(101)}),
        validation=0,
        words="`spec.targets.maxTargets` must be set, to at most 100",
    ),
}
"""Tried with all policies in force; what passes passes all of them."""


@pytest.mark.parametrize("policy", POLICIES)
def test_every_validation_refuses_and_every_policy_lets_pass(policy: str) -> None:
    cases = [case for case in CASES.values() if case.policy == policy]

    refusing = {case.validation for case in cases} - {None}
    assert refusing == set(range(len(POLICIES[policy]["spec"]["validations"])))
    assert any(case.validation is None for case in cases)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.words])
def test_every_refusal_names_field_and_rule(name: str) -> None:
    policy = POLICIES[CASES[name].policy]
    validation = policy["spec"]["validations"][CASES[name].validation or 0]

    assert "`spec." in validation["message"]
    assert validation["reason"] == "Forbidden"


# In force


def in_namespace(namespace: str) -> list[Json]:
    """Return the policies, made to count in one namespace alone, and with a limit to try."""
    adapted = documents()
    for document in adapted:
        metadata, spec = document["metadata"], document.get("spec", {})
        metadata["name"] += f".{namespace}"
        if document["kind"] == "ValidatingAdmissionPolicyBinding":
            spec["policyName"] += f".{namespace}"
            here = {"kubernetes.io/metadata.name": namespace}
            spec["matchResources"] = {"namespaceSelector": {"matchLabels": here}}
        for variable in spec.get("variables", ()):
            if variable["name"] == "most":
                variable["expression"] = "100"
    return adapted


def user_of(name: str) -> str:
    return f"engineer-{[*CASES].index(name)}"


def object_of(name: str) -> str:
    return f"case-{[*CASES].index(name)}"


def called(document: Json, name: str) -> Json:
    return document | {"metadata": document["metadata"] | {"name": object_of(name)}}


def role_of(name: str, namespace: str) -> list[Json]:
    """Return what lets the engineer of a case write scenarios, and do what was granted."""
    rules: list[Json] = [
        {"resources": ["anomalyscenarios"], "verbs": ["create", "update", "get"]},
        {"resources": ["anomalyscenarios/status"], "verbs": ["update"]},
    ]
    for grant in CASES[name].grants:
        verb, _, resource = grant.partition(" ")
        plural, _, resource_name = resource.replace("THIS", object_of(name)).partition("/")
        rule: Json = {"resources": [plural], "verbs": [verb]}
        rules.append(rule | ({"resourceNames": [resource_name]} if resource_name else {}))
    metadata = {"name": user_of(name), "namespace": namespace}
    version = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    api_group = "rbac.authorization.k8s.io"
    return [
        version
        | {"kind": "Role", "rules": [rule | {"apiGroups": ["reactorsync.dev"]} for rule in rules]},
        version
        | {
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": api_group, "kind": "Role", "name": user_of(name)},
            "subjects": [{"apiGroup": api_group, "kind": "User", "name": user_of(name)}],
        },
    ]


async def ask_as_engineer(asker: Asker, name: str, namespace: str) -> Answer:
    case = CASES[name]
    path = collection(case.new, namespace)
    engineer = asker.as_user(user_of(name))
    if case.old is None:
        return await engineer.ask("POST", path, called(case.new, name), dryRun="All")
    place = f"{path}/{object_of(name)}"
    standing = (await engineer.ask("GET", place)).body
    new = called(case.new, name)
    new["metadata"] = standing["metadata"] | new["metadata"]
    return await engineer.ask("PUT", place, new, dryRun="All")


@asynccontextmanager
async def policies_in_force(cluster: Cluster, namespace: str) -> AsyncIterator[None]:
    """Make what stood before there was any policy, then put all of them in force."""
    async with asking(cluster) as admin:
        for name, case in CASES.items():
            if case.old is not None:
                path = collection(case.old, namespace)
                answer = await admin.ask("POST", path, called(case.old, name))
                assert answer.code == 201, answer.message
        roles = [document for name in CASES for document in role_of(name, namespace)]
        policies = in_namespace(namespace)
        try:
            for document in [*roles, *policies]:
                answer = await admin.apply(
                    place_of(document), document, manager="reactorsync-tests", force="true"
                )
                assert answer.code in (200, 201), answer.message
                assert answer.warnings == []
            await all_refuse(admin, namespace)
            yield
        finally:
            for document in policies:
                await admin.ask("DELETE", place_of(document))


async def all_refuse(admin: Asker, namespace: str) -> None:
    """Wait for the server to take notice of its policies."""
    refusing = {case.policy: name for name, case in CASES.items() if case.words}
    async with asyncio.timeout(30):
        for name in refusing.values():
            while not _is_denied(await ask_as_engineer(admin, name, namespace)):
                await asyncio.sleep(0.1)


def _is_denied(answer: Answer) -> bool:
    return answer.code == 403 and "ValidatingAdmissionPolicy" in answer.message


@pytest.fixture(scope="module")
def guarded(
    kube_cluster: Cluster, module_namespace: str, servers_portal: BlockingPortal
) -> Iterator[str]:
    """The namespace in which the policies are in force."""
    in_force = policies_in_force(kube_cluster, module_namespace)
    with servers_portal.wrap_async_context_manager(in_force):
        yield module_namespace


@pytest.fixture
async def admin(kube_cluster: Cluster) -> AsyncIterator[Asker]:
    async with asking(kube_cluster) as asker:
        yield asker


@pytest.mark.parametrize("name", CASES)
async def test_a_request_passes_or_is_refused_by_field_and_rule(
    name: str, admin: Asker, guarded: str
) -> None:
    case = CASES[name]

    answer = await ask_as_engineer(admin, name, guarded)

    if case.validation is None:
        assert answer.code in (200, 201), answer.message
    else:
        assert answer.code == 403, answer.message
        assert f"'{case.policy}.{guarded}'" in answer.message
        assert case.words in answer.message


async def test_what_happened_is_reported_whatever_the_policies_say(
    admin: Asker, guarded: str
) -> None:
    """The operator has no right to inject, and writes the status of what it would not let pass."""
    name = "a severe one from before the policy, aborted"
    operator = admin.as_user(user_of("a name by who may only write scenarios"))
    place = f"{collection(SCENARIO, guarded)}/{object_of(name)}"
    standing = (await operator.ask("GET", place)).body
    status = with_run(SCENARIO)["status"]

    answer = await operator.ask("PUT", f"{place}/status", standing | {"status": status})

    assert answer.code == 200, answer.message


async def test_reactors_are_no_matter_of_these_policies(admin: Asker, guarded: str) -> None:
    answer = await admin.ask("POST", collection(REACTOR, guarded), REACTOR, dryRun="All")

    assert answer.code == 201, answer.message


async def test_the_server_finds_no_fault_with_the_expressions(admin: Asker, guarded: str) -> None:
    """It checks the types of all expressions against the definitions."""
    for policy in POLICIES:
        path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
        standing = (await admin.ask("GET", f"{path}/{policy}.{guarded}")).body
        warnings = standing["status"].get("typeChecking", {}).get("expressionWarnings", [])
        assert warnings == []
