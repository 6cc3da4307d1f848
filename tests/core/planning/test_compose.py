"""The complete fault set of one reactor."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.planning.compose import Composition, LeftOut, compose
from reactorsync.planning.timeline import Window
from reactorsync.resources import AnomalyScenario, AnomalyScenarioStatus
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync.wire.envelope import to_micros
from tests.core.planning.build import LEAK, NOON, after, reactor, scenario, uid_of


def running(
    name: str, begin: float = 0, length: int = 600, *, age: float = 0, **spec: Any
) -> AnomalyScenario:
    """A scenario whose run began at noon, with one stage from ``begin`` on for ``length``."""
    stage = {**LEAK, "offsetSeconds": int(begin), "durationSeconds": length}
    run = Run(number=1, phase=RunPhase.RUNNING, start_time=NOON, end_time=after(begin + length))
    return scenario(
        name,
        created=after(-age),
        status=AnomalyScenarioStatus(observed_generation=1, run=run),
        **{"stages": [stage], **spec},
    )


def at(seconds: float, *scenarios: AnomalyScenario) -> Composition:
    return compose(reactor(), scenarios, after(seconds))


def acting(composition: Composition) -> set[str]:
    return {fault.scenario for fault in composition.faults}


def test_without_scenarios_the_set_is_empty() -> None:
    assert at(0) == Composition(faults=(), left_out=(), changes_us=None)


def test_a_fault_carries_absolute_times_and_its_strength() -> None:
    (fault,) = at(0, running("leak")).faults
    assert fault.id == f"{uid_of('leak')}/1/leak"
    assert (fault.start_us, fault.end_us) == (to_micros(NOON), to_micros(after(600)))
    assert fault.severity_permille == 400


def test_a_fault_ahead_belongs_to_the_set_and_one_that_has_ended_does_not() -> None:
    later = running("later", 300, 300)
    assert acting(at(0, later)) == {"later"}
    assert acting(at(599, later)) == {"later"}
    assert acting(at(600, later)) == set()


def test_the_set_says_when_it_will_change_by_itself() -> None:
    later = running("later", 300, 300)
    changes = [at(seconds, later).changes_us for seconds in (0, 299, 300, 600)]
    assert changes == [to_micros(after(300))] * 2 + [to_micros(after(600)), None]


def test_stages_without_a_mechanism_in_the_design_are_left_out() -> None:
    mixed = running("mixed", stages=[LEAK, {"name": "dilution", "fault": "BoronDilution"}])
    assert [fault.stage for fault in at(0, mixed).faults] == ["leak"]


def test_compose_adds_faults() -> None:
    assert acting(at(0, running("one"), running("two"))) == {"one", "two"}


class TestPrioritize:
    """The one that comes first acts."""

    high = running("high", 100, 100, priority=10)
    low = running("low", 0, 300, conflictPolicy="Prioritize")

    def test_until_the_first_begins_the_other_acts_and_is_cut_short_there(self) -> None:
        found = at(50, self.high, self.low)
        ends = {fault.scenario: fault.end_us for fault in found.faults}
        assert ends == {"low": to_micros(after(100)), "high": to_micros(after(200))}
        assert found.left_out == ()

    def test_while_the_first_acts_the_other_gives_way(self) -> None:
        found = at(150, self.high, self.low)
        assert acting(found) == {"high"}
        assert found.left_out == (LeftOut(uid_of("low"), "high"),)

    def test_afterwards_the_other_acts_again_for_what_is_left(self) -> None:
        (fault,) = at(200, self.high, self.low).faults
        assert (fault.scenario, fault.start_us) == ("low", to_micros(NOON))
        assert fault.end_us == to_micros(after(300))

    def test_it_holds_on_whichever_side_the_policy_is(self) -> None:
        high = running("high", 100, 100, priority=10, conflictPolicy="Prioritize")
        low = running("low", 0, 300)
        assert acting(at(150, high, low)) == {"high"}

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({"priority": 1}, {"priority": 0}),
            ({"age": 60}, {"age": 0}),
            ({"priority": 1, "age": 0}, {"priority": 0, "age": 60}),
        ],
    )
    def test_first_is_who_has_the_higher_priority_then_who_is_older(
        self, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        one = running("one", **first, conflictPolicy="Prioritize")
        two = running("two", **second, conflictPolicy="Prioritize")
        assert acting(at(0, two, one)) == {"one"}

    def test_the_name_decides_between_twins(self) -> None:
        twins = [running(name, conflictPolicy="Prioritize") for name in "abcdef"]
        assert acting(at(0, *reversed(twins))) == {"a"}


class TestReject:
    """The scenario leaves out reactors on which one that comes before it acts."""

    old = running("old", 100, 100, age=60)
    new = running("new", 0, 300, conflictPolicy="Reject")

    def test_all_its_faults_are_left_out_even_before_they_would_meet(self) -> None:
        found = at(0, self.old, self.new)
        assert acting(found) == {"old"}
        assert found.left_out == (LeftOut(uid_of("new"), "old"),)

    def test_it_acts_when_the_other_is_over(self) -> None:
        assert acting(at(200, self.old, self.new)) == {"new"}

    def test_it_does_not_mind_those_that_come_after_it(self) -> None:
        younger = running("younger", 0, 300, age=-60)
        assert acting(at(0, self.new, younger)) == {"new", "younger"}

    def test_it_does_not_mind_faults_at_other_times(self) -> None:
        early = running("early", 0, 100, age=60)
        late = running("late", 100, 100, conflictPolicy="Reject")
        assert acting(at(0, early, late)) == {"early", "late"}


def over(ended: AnomalyScenario) -> AnomalyScenario:
    """The scenario once its status says that its run has ended."""
    run = ended.status.run
    assert run is not None
    run = run.model_copy(update={"phase": RunPhase.COMPLETED})
    return ended.model_copy(update={"status": ended.status.model_copy(update={"run": run})})


class TestTheLastMoment:
    """A fault that gave way does not begin when there is hardly anything left of its window."""

    old = running("old", 0, 100, age=60)

    @pytest.mark.parametrize("policy", ["Reject", "Prioritize"])
    @pytest.mark.parametrize("is_over", [False, True])
    def test_it_is_left_out_until_its_own_end(self, policy: str, is_over: bool) -> None:
        start = after(0.025)
        waited = running("waited", 0, 100, conflictPolicy=policy)
        run = Run(number=1, phase=RunPhase.RUNNING, start_time=start, end_time=after(100.025))
        status = waited.status.model_copy(update={"run": run})
        waited = waited.model_copy(update={"status": status})
        old = over(self.old) if is_over else self.old
        found = at(100.01, old, waited)
        assert found.faults == ()
        assert found.left_out == (LeftOut(uid_of("waited"), "old"),)
        assert at(100.025, old, waited).left_out == ()

    @pytest.mark.parametrize("policy", ["Reject", "Prioritize"])
    def test_with_a_second_left_it_acts(self, policy: str) -> None:
        waited = running("waited", 0, 101, conflictPolicy=policy)
        assert acting(at(100, over(self.old), waited)) == {"waited"}

    @pytest.mark.parametrize("policy", ["Compose", "Reject", "Prioritize"])
    def test_one_that_acted_all_along_goes_on_to_its_end(self, policy: str) -> None:
        younger = running("younger", 0, 100, age=-60)
        mine = running("mine", 0, 101, conflictPolicy=policy)
        assert acting(at(100.5, mine, over(younger))) == {"mine"}


scenarios = st.lists(
    st.builds(
        lambda name, begin, length, age, priority, policy, state: running(
            name, begin, length, age=age, priority=priority, conflictPolicy=policy, state=state
        ),
        name=st.sampled_from(["a", "b", "c", "d", "e", "f"]),
        begin=st.integers(0, 50),
        length=st.integers(1, 50),
        age=st.integers(0, 3),
        priority=st.integers(0, 2),
        policy=st.sampled_from(["Compose", "Prioritize", "Reject"]),
        state=st.sampled_from(["Active", "Active", "Active", "Suspended", "Aborted"]),
    ),
    max_size=4,
    unique_by=lambda one: one.metadata.name,
)


@given(scenarios, st.integers(0, 110))
def test_the_order_in_which_scenarios_come_makes_no_difference(
    some: list[AnomalyScenario], now: int
) -> None:
    found = {str(at(now, *order)) for order in permutations(some)}
    assert len(found) == 1


@given(scenarios, st.integers(0, 110))
def test_no_fault_acts_beyond_the_window_its_stage_declares(
    some: list[AnomalyScenario], now: int
) -> None:
    windows = {
        one.metadata.name: (
            one.spec.stages[0].offset_seconds,
            one.spec.stages[0].offset_seconds + one.spec.stages[0].duration_seconds,
        )
        for one in some
    }
    for fault in at(now, *some).faults:
        begin, end = windows[fault.scenario]
        assert fault.start_us == to_micros(after(begin))
        assert max(to_micros(after(now)), fault.start_us) < fault.end_us <= to_micros(after(end))


@given(scenarios, st.integers(0, 110))
def test_between_the_moments_it_names_the_set_stays_the_same(
    some: list[AnomalyScenario], now: int
) -> None:
    found = at(now, *some)
    if found.changes_us is None:
        assert at(now + 1000, *some).faults == found.faults == ()
    elif found.changes_us > to_micros(after(now + 1)):
        assert at(now + 1, *some).faults == found.faults


@given(scenarios, st.integers(0, 110))
def test_the_one_that_comes_first_is_never_hindered(some: list[AnomalyScenario], now: int) -> None:
    live = [one for one in some if one.spec.state == "Active"]
    if live:
        first = min(
            live,
            key=lambda one: (
                -one.spec.priority,
                one.metadata.creation_timestamp,
                one.metadata.name,
            ),
        )
        assert [
            fault for fault in at(now, *some).faults if fault.scenario == first.metadata.name
        ] == list(at(now, first).faults)


def test_hundreds_that_add_their_faults_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Window] = []

    def overlaps(window: Window, _: Window) -> bool:
        compared.append(window)
        return True

    monkeypatch.setattr(Window, "overlaps", overlaps)
    assert len(at(0, *(running(f"leak-{number}") for number in range(300))).faults) == 300
    assert compared == []
