"""Which reactors a scenario acts on."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.planning.targets import (
    INAPPLICABLE,
    NOBODY,
    NOT_FOUND,
    SUSPENDED,
    Selection,
    quota,
    rank,
    resolve,
)
from reactorsync.resources import AnomalyScenario, Reactor, Targets
from reactorsync.resources.scenario_status import Run, RunPhase
from tests.core.planning.build import NOON, after, fleet_of, reactor, scenario, uid_of


def chosen(selection: Selection) -> set[str]:
    return {one.reactor for one in selection.chosen}


def started(cutoff: str | None, start: datetime = NOON) -> Run:
    return Run(
        number=1,
        phase=RunPhase.RUNNING,
        start_time=start,
        end_time=after(600),
        selection_cutoff=cutoff,
    )


def choosing(count: int | str, *, seed: int = 0, **targets: Any) -> AnomalyScenario:
    return scenario(targets={"selector": {}, "count": count, "seed": seed, **targets})


@pytest.mark.parametrize(
    ("count", "limit", "matched", "wanted"),
    [
        ("100%", 100_000, 7, 7),
        ("50%", 100_000, 7, 4),  # rounded up
        ("1%", 100_000, 7, 1),
        ("33%", 100_000, 100, 33),
        ("50%", 2, 7, 2),
        (3, 100_000, 7, 3),
        (30, 100_000, 7, 7),
        (3, 2, 7, 2),
        ("100%", 100_000, 0, 0),
    ],
)
def test_shares_are_rounded_up_and_capped(
    count: int | str, limit: int, matched: int, wanted: int
) -> None:
    targets = Targets.model_validate({"selector": {}, "count": count, "maxTargets": limit})
    assert quota(targets, matched) == wanted


def test_the_same_seed_chooses_the_same_reactors_in_whatever_order_they_come() -> None:
    fleet = fleet_of(40)
    one = resolve(choosing(5, seed=7), fleet)
    assert resolve(choosing(5, seed=7), reversed(fleet)) == one
    assert len(chosen(one)) == 5
    assert chosen(resolve(choosing(5, seed=8), fleet)) != chosen(one)


def test_the_rank_is_fixed_for_ever() -> None:
    # Stored cutoffs of Static runs, and every published choice, depend on it.
    assert rank(7, uid_of("bruce-1")) == "a896d16f63d221184ddf9231b2b2aea7"


@given(seed=st.integers(0, 2**31 - 1), size=st.integers(1, 60), count=st.integers(1, 60))
def test_a_reactor_that_joins_replaces_at_most_the_last_one(
    seed: int, size: int, count: int
) -> None:
    fleet = fleet_of(size)
    before = chosen(resolve(choosing(count, seed=seed), fleet))
    joined = chosen(resolve(choosing(count, seed=seed), [*fleet, reactor("newcomer")]))
    assert len(before - joined) <= 1
    assert joined - before <= {"newcomer"}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({}, {"a", "b", "c"}),
        ({"matchLabels": {"site": "bruce"}}, {"a", "b"}),
        ({"matchExpressions": [{"key": "unit", "operator": "In", "values": ["2"]}]}, {"b", "c"}),
        ({"matchExpressions": [{"key": "site", "operator": "DoesNotExist"}]}, {"c"}),
        ({"matchLabels": {"site": "pickering"}}, set()),
    ],
)
def test_selectors_mean_what_they_mean_in_kubernetes(
    selector: dict[str, Any], names: set[str]
) -> None:
    fleet = [
        reactor("a", labels={"site": "bruce", "unit": "1"}),
        reactor("b", labels={"site": "bruce", "unit": "2"}),
        reactor("c", labels={"unit": "2"}),
    ]
    assert chosen(resolve(scenario(targets={"selector": selector}), fleet)) == names


def test_other_namespaces_are_out_of_reach() -> None:
    metadata = reactor().metadata.model_copy(update={"namespace": "elsewhere"})
    stranger = reactor().model_copy(update={"metadata": metadata})
    assert resolve(scenario(), [stranger]).matched == 0


def test_a_name_that_does_not_exist_is_a_failure_of_its_own() -> None:
    selection = resolve(scenario(targets={"names": ["bruce-1", "bruce-99"]}), fleet_of(3))
    assert chosen(selection) == {"bruce-1"}
    assert [(one.reactor, one.reason) for one in selection.failures] == [("bruce-99", NOT_FOUND)]


@pytest.mark.parametrize(
    ("stage", "design", "says"),
    [
        ({"fault": "BoronDilution"}, "Candu6", "BoronDilution has no mechanism in a Candu6"),
        ({"fault": "LossOfRegulation"}, "Pwr3Loop", "no mechanism in a Pwr3Loop"),
        (
            {"fault": "SensorBias", "sensor": {"signal": "boron_concentration_ppm"}},
            "Candu6",
            "a Candu6 has no boron_concentration_ppm",
        ),
    ],
)
def test_a_fault_without_a_mechanism_in_the_design_is_a_failure(
    stage: dict[str, Any], design: str, says: str
) -> None:
    selection = resolve(
        scenario(stages=[{"name": "it", **stage}]), [reactor("bruce-1", design=design)]
    )
    (failure,) = selection.failures
    assert (failure.reactor, failure.reason) == ("bruce-1", INAPPLICABLE)
    assert says in failure.message


def test_a_suspended_reactor_cannot_be_acted_on() -> None:
    (failure,) = resolve(scenario(), [reactor(state="Suspended")]).failures
    assert failure.reason == SUSPENDED


class TestStatic:
    """Policy Static closes the choice as the run begins."""

    def choice(self, fleet: list[Reactor], run: Run | None, count: int | str = 3) -> set[str]:
        return chosen(resolve(choosing(count, policy="Static"), fleet, run=run))

    def test_before_the_run_the_choice_is_open(self) -> None:
        assert len(self.choice(fleet_of(10), None)) == 3
        assert len(self.choice(fleet_of(10), started(None))) == 3

    def test_reactors_that_appear_later_stay_out(self) -> None:
        fleet = fleet_of(10)
        cutoff = resolve(choosing(3, policy="Static"), fleet).cutoff
        before = self.choice(fleet, started(cutoff))
        later = [reactor(f"late-{number}", created=after(1)) for number in range(50)]
        assert self.choice([*fleet, *later], started(cutoff)) == before

    def test_nobody_takes_the_place_of_a_reactor_that_is_gone(self) -> None:
        fleet = fleet_of(10)
        cutoff = resolve(choosing(3, policy="Static"), fleet).cutoff
        gone = min(self.choice(fleet, started(cutoff)))
        left = [one for one in fleet if one.metadata.name != gone]
        assert self.choice(left, started(cutoff)) == self.choice(fleet, started(cutoff)) - {gone}

    def test_a_run_that_began_with_nobody_goes_on_with_nobody(self) -> None:
        assert self.choice(fleet_of(10), started(NOBODY)) == set()


def test_dynamic_lets_later_reactors_join() -> None:
    later = reactor("late", created=after(1))
    run = started(None)
    assert chosen(resolve(scenario(), [*fleet_of(2), later], run=run)) == {
        "bruce-1",
        "bruce-2",
        "late",
    }


def test_a_reactor_that_was_never_stored_cannot_be_ranked() -> None:
    metadata = reactor().metadata.model_copy(update={"uid": None})
    with pytest.raises(ValueError, match="not stored"):
        resolve(scenario(), [reactor().model_copy(update={"metadata": metadata})])
