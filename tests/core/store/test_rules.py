"""What may not change once it is set."""

from __future__ import annotations

import pytest

from reactorsync.designs import Design
from reactorsync.resources import AnomalyScenario, Resource
from reactorsync.resources.scenario import ScenarioState
from reactorsync.store import Invalid
from reactorsync.store.rules import check_update
from tests.core.store.samples import injected, reactor, scenario, with_metadata, with_setpoint

CANDU = reactor("default", design=Design.CANDU6)
IDLE = scenario("default", severity=100)
INJECTED = injected(IDLE)


def changed(resource: AnomalyScenario, **fields: object) -> AnomalyScenario:
    return resource.model_copy(update={"spec": resource.spec.model_copy(update=fields)})


OTHER_STAGES = scenario("default", severity=50).spec.stages
OTHER_TARGETS = IDLE.spec.targets.model_copy(update={"seed": 7})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(CANDU, with_setpoint(CANDU, 500), id="setpoint"),
        pytest.param(CANDU, with_metadata(CANDU, labels={"unit": "2"}), id="labels"),
        pytest.param(IDLE, changed(IDLE, stages=OTHER_STAGES), id="stages-before-injection"),
        pytest.param(IDLE, changed(IDLE, targets=OTHER_TARGETS), id="targets-before-injection"),
        pytest.param(INJECTED, INJECTED, id="nothing"),
        pytest.param(INJECTED, changed(INJECTED, state=ScenarioState.ABORTED), id="abort"),
        pytest.param(
            INJECTED,
            changed(INJECTED, run_token="again", stages=OTHER_STAGES, targets=OTHER_TARGETS),
            id="another-run",
        ),
    ],
)
def test_allowed(old: Resource, new: Resource) -> None:
    check_update(old, new)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        pytest.param(
            CANDU, reactor("default", design=Design.PWR_3_LOOP), "spec.design", id="design"
        ),
        pytest.param(INJECTED, changed(INJECTED, stages=OTHER_STAGES), "spec.stages", id="stages"),
        pytest.param(
            INJECTED, changed(INJECTED, targets=OTHER_TARGETS), "spec.targets", id="targets"
        ),
    ],
)
def test_refused(old: Resource, new: Resource, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_update(old, new)

    assert refused.value.field == field
    assert "anew" in refused.value.message or "runToken" in refused.value.message


def test_what_a_new_object_claims_of_its_status_does_not_thaw_it() -> None:
    with pytest.raises(Invalid):
        check_update(INJECTED, changed(IDLE, stages=OTHER_STAGES))
