"""What a real API server says to objects and changes: each rule of the CRDs is held and broken."""

from collections.abc import AsyncIterator

import pytest

from reactorsync.kube import Cluster
from tests.cluster.asking import Answer, Asker, Json, asking, collection
from tests.core.resources.cases import (
    ACCEPTED,
    CHANGES,
    REACTOR,
    REFUSED,
    SCENARIO,
    Change,
    Refusal,
    Refused,
    with_spec,
    with_stage,
)


@pytest.fixture
async def admin(kube_cluster: Cluster) -> AsyncIterator[Asker]:
    async with asking(kube_cluster) as asker:
        yield asker


async def create(admin: Asker, document: Json, namespace: str) -> Answer:
    """Ask what would happen, as kubectl does: unknown fields are errors."""
    path = collection(document, namespace)
    return await admin.ask("POST", path, document, dryRun="All", fieldValidation="Strict")


def says(answer: Answer, refusal: Refusal) -> bool:
    return any(
        field == refusal.field and refusal.words in message for field, message in answer.causes
    )


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_is_right_is_taken(document: Json, admin: Asker, module_namespace: str) -> None:
    answer = await create(admin, document, module_namespace)

    assert answer.code == 201, answer.message
    assert answer.warnings == []


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_is_refused_by_field_and_rule(
    case: Refused, admin: Asker, module_namespace: str
) -> None:
    answer = await create(admin, case.document, module_namespace)

    assert answer.code == 422
    assert says(answer, case.refusal), answer.causes
    assert f"evaluating rule: {case.refusal.words}" not in answer.message, "a rule failed"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_is_taken_or_refused_by_field_and_rule(
    change: Change, admin: Asker, module_namespace: str
) -> None:
    path = collection(change.old, module_namespace)
    place = f"{path}/{change.old['metadata']['name']}"
    made = (await admin.ask("POST", path, change.old)).body
    try:
        if "status" in change.old:
            status = {"status": change.old["status"]}
            made = (await admin.ask("PUT", f"{place}/status", made | status)).body
        answer = await replace(admin, place, made, change.new)
    finally:
        await admin.ask("DELETE", place)

    if change.refusal is None:
        assert answer.code == 200, answer.message
    else:
        assert answer.code == 422
        assert says(answer, change.refusal), answer.causes


async def replace(admin: Asker, place: str, made: Json, new: Json) -> Answer:
    """Put ``new`` in the place of what was made: its spec, and then its status if that differs."""
    answer = await admin.ask("PUT", place, new | {"metadata": made["metadata"]})
    if answer.code == 200 and "status" in new and new["status"] != made.get("status"):
        made = answer.body
        answer = await admin.ask("PUT", f"{place}/status", made | {"status": new["status"]})
    return answer


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (with_spec(SCENARIO, runTokn="2"), 'unknown field "spec.runTokn"'),
        (with_stage(severity=50), 'unknown field "spec.stages[0].severity"'),
        (with_spec(REACTOR, power=600), 'unknown field "spec.power"'),
    ],
    ids=["of the spec", "of a stage", "of a reactor"],
)
async def test_a_field_nobody_knows_is_named(
    document: Json, field: str, admin: Asker, module_namespace: str
) -> None:
    answer = await create(admin, document, module_namespace)

    assert answer.code == 400
    assert field in answer.message
