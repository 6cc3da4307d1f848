"""What is told of an object: each change once, and a handful however many reactors there are."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioStatus,
    Condition,
    ConditionStatus,
    Reactor,
    ReactorStatus,
)
from reactorsync.resources.reactor import ActiveFault
from reactorsync.resources.scenario_status import ProbeResult, Run, RunPhase, TargetCounts
from reactorsync_operator.reconcile.announcements import announce, announce_expiry
from reactorsync_operator.reconcile.event_kinds import (
    EXPIRED,
    REACTOR_EVENTS,
    SCENARIO_EVENTS,
    Becomes,
    EventKind,
    EventType,
)
from reactorsync_operator.reconcile.event_page import to_markdown
from tests.core.planning.build import NOON, after, reactor, scenario
from tests.operator.world import World

PAGE = Path(__file__).parents[2] / "docs" / "events.md"


def condition(type_: str, status: str, reason: str, message: str = "") -> Condition:
    return Condition(
        type=type_,
        status=ConditionStatus(status),
        last_transition_time=NOON,
        reason=reason,
        message=message,
    )


def plant(*conditions: Condition, **status: Any) -> Reactor:
    known = ReactorStatus(conditions=list(conditions), **status)
    return reactor().model_copy(update={"status": known})


def drill(*conditions: Condition, spec: dict[str, Any] | None = None, **status: Any) -> Any:
    return scenario(
        status=AnomalyScenarioStatus(conditions=list(conditions), **status), **(spec or {})
    )


def run(phase: RunPhase, number: int = 1, end: datetime | None = None) -> Run:
    return Run(number=number, phase=phase, start_time=NOON, end_time=end or after(600))


def acting(scenario_name: str, stage: str = "leak") -> ActiveFault:
    return ActiveFault(scenario=scenario_name, stage=stage, fault="PrimaryLeak", start_time=NOON)


def told(before: Reactor | AnomalyScenario, now: Reactor | AnomalyScenario) -> list[str]:
    return [f"{one.kind.reason}: {one.note}" for one in announce(before, now)]


class TestReactor:
    def test_it_streams(self) -> None:
        ready = condition("Ready", "True", "Streaming", "simulated by generator-1 on shard 3")
        assert told(plant(), plant(ready)) == ["Streaming: simulated by generator-1 on shard 3"]

    def test_a_wait_for_a_generator_is_told_only_when_it_takes_too_long(self) -> None:
        waits = condition("Ready", "False", "AwaitingGenerator", "no generator")
        stalled = condition("Stalled", "True", "AwaitingGenerator", "no generator")
        assert told(plant(), plant(waits)) == []
        assert told(plant(waits), plant(waits, stalled)) == ["AwaitingGenerator: no generator"]

    @pytest.mark.parametrize("reason", ["GeneratorSilent", "DeliveryUnavailable"])
    def test_what_is_lost_is_told_at_once_and_once(self, reason: str) -> None:
        ready = condition("Ready", "True", "Streaming")
        lost = condition("Ready", "False", reason, "for 15 s")
        stalled = condition("Stalled", "True", reason, "for 15 s")
        assert told(plant(ready), plant(lost)) == [f"{reason}: for 15 s"]
        assert told(plant(lost), plant(lost, stalled)) == []

    def test_faults_begin_and_end(self) -> None:
        before = plant(active_faults=[acting("old"), acting("kept")])
        now = plant(active_faults=[acting("kept"), acting("new")])
        assert told(before, now) == [
            "FaultActive: acts on the plant: PrimaryLeak of new",
            "FaultEnded: no longer acts on the plant: PrimaryLeak of old",
        ]

    def test_many_faults_are_one_announcement_that_names_three(self) -> None:
        faults = [acting("drill", f"stage-{number}") for number in range(16)]
        [text] = told(plant(), plant(active_faults=faults))
        assert text.count("PrimaryLeak") == 3
        assert text.endswith("and 13 more")

    def test_a_trip_and_its_reset(self) -> None:
        tripped = plant(trip_cause="LowFlow")
        assert told(plant(), tripped) == [
            "Tripped: the protection system shut the plant down: LowFlow"
        ]
        assert told(tripped, plant()) == [
            "TripReset: the protection system was reset; it had tripped by LowFlow"
        ]

    def test_a_spec_that_is_valid_again_is_told_once(self) -> None:
        invalid = condition("Stalled", "True", "InvalidSpec", "spec.seed: must be a number")
        ready = condition("Ready", "True", "Streaming", "simulated")
        failing = condition("Stalled", "True", "PlanFailed", "no plan")
        assert told(plant(invalid), plant(ready)) == [
            "Streaming: simulated",
            "SpecRepaired: the spec is valid again",
        ]
        assert told(plant(invalid), plant(failing)) == [
            "PlanFailed: no plan",
            "SpecRepaired: the spec is valid again",
        ]
        assert told(plant(invalid), plant(invalid)) == []
        assert told(plant(failing), plant()) == []


class TestScenario:
    def test_a_run_is_held_back_begins_and_is_aborted(self) -> None:
        targets = TargetCounts(matched=4, selected=2)
        probing = drill(run=run(RunPhase.PROBING))
        running = drill(run=run(RunPhase.RUNNING), targets=targets)
        aborted = drill(run=run(RunPhase.ABORTED, end=after(60)), targets=targets)
        assert told(drill(), probing) == [
            "Probing: run 1 is due and waits until every Before probe has passed"
        ]
        assert told(probing, running) == [
            "RunBegan: run 1 began with 2 reactors chosen, until 2026-06-01T12:10:00Z"
        ]
        assert told(running, aborted) == ["Aborted: run 1 was ended before its time"]

    def test_a_new_run_that_begins_at_once_is_told_though_the_last_one_ran_too(self) -> None:
        before, now = drill(run=run(RunPhase.RUNNING, 1)), drill(run=run(RunPhase.RUNNING, 2))
        assert [text.split(":")[0] for text in told(before, now)] == ["RunBegan"]

    def test_a_completed_run_comes_with_its_score(self) -> None:
        ended: dict[str, Any] = {
            "run": run(RunPhase.COMPLETED),
            "targets": TargetCounts(injected=9, recovered=9),
        }
        open_ = condition("Succeeded", "Unknown", "RunInProgress")
        done = condition("Succeeded", "True", "Completed")
        assert told(drill(open_, **ended), drill(done, score=87, **ended)) == [
            "Completed: run 1 completed: 9 injected, 9 recovered, score 87"
        ]

    def test_suspending_and_resuming(self) -> None:
        off = condition("Suspended", "False", "NotSuspended")
        on = condition("Suspended", "True", "Suspended")
        assert told(drill(), drill(off)) == []
        assert told(drill(off), drill(on, summary="Suspended")) == ["Suspended: Suspended"]
        assert told(drill(on), drill(off)) == ["Resumed: the scenario is active again"]

    @pytest.mark.parametrize(
        ("phase", "spec", "outcome"),
        [
            (
                RunPhase.RUNNING,
                {},
                ": run 1 goes on, and its faults act again, until 2026-06-01T12:10:00Z",
            ),
            (RunPhase.RUNNING, {"state": "Suspended"}, ""),
            (RunPhase.RUNNING, {"mode": "DryRun"}, ""),
            (RunPhase.PENDING, {}, ""),
            (RunPhase.PROBING, {}, ""),
            (RunPhase.COMPLETED, {}, ""),
        ],
    )
    def test_a_spec_that_is_valid_again_lets_faults_act_again_that_were_lifted(
        self, phase: RunPhase, spec: dict[str, Any], outcome: str
    ) -> None:
        invalid = condition("Stalled", "True", "InvalidSpec", "spec.schedule.cron: must be")
        before = drill(invalid, spec=spec, run=run(phase), observed_generation=1)
        now = drill(spec=spec, run=run(phase), observed_generation=1)
        assert told(before, now) == [f"SpecRepaired: the spec is valid again{outcome}"]
        assert told(now, now) == []

    def test_aborting_what_is_suspended_is_no_resuming(self) -> None:
        off = condition("Suspended", "False", "NotSuspended")
        on = condition("Suspended", "True", "Suspended")
        suspended = drill(on, run=run(RunPhase.RUNNING))
        aborted = drill(off, spec={"state": "Aborted"}, run=run(RunPhase.ABORTED))
        assert told(suspended, aborted) == ["Aborted: run 1 was ended before its time"]

    def test_probes_that_did_not_pass_are_named_together(self) -> None:
        probes = [
            {"name": name, "http": {"url": "http://watcher.example/alarms"}}
            for name in ("seen", "named", "late")
        ]
        spec = {"probes": probes, "abortWhen": [{**probes[0], "name": "brake"}]}
        results = [
            ProbeResult(name="seen", passed=True),
            ProbeResult(name="named", passed=False),
            ProbeResult(name="late", passed=False),
            ProbeResult(name="brake", passed=False),
        ]
        before = drill(spec=spec, run=run(RunPhase.RUNNING), probes=results[:1])
        now = drill(spec=spec, run=run(RunPhase.RUNNING), probes=results)
        assert told(before, now) == ["ProbesNotPassed: did not pass in run 1: named, late"]
        assert told(now, now) == []

    def test_expiry_says_after_how_long(self) -> None:
        announcement = announce_expiry(scenario(ttlSecondsAfterFinished=600))
        assert announcement.kind is EXPIRED
        assert "600 s" in announcement.note

    def test_kinds_do_not_change(self) -> None:
        with pytest.raises(TypeError, match="does not become"):
            announce(plant(), drill())


def _of_condition(kinds: tuple[EventKind, ...]) -> list[EventKind]:
    return [kind for kind in kinds if isinstance(kind.trigger, Becomes)]


@pytest.mark.parametrize(
    ("kind", "make"),
    [(kind, plant) for kind in _of_condition(REACTOR_EVENTS)]
    + [(kind, drill) for kind in _of_condition(SCENARIO_EVENTS)],
)
def test_a_condition_is_told_when_it_comes_to_say_so_and_not_while_it_does(
    kind: EventKind, make: Any
) -> None:
    trigger = kind.trigger
    assert isinstance(trigger, Becomes)
    says = make(condition(trigger.condition, trigger.status, kind.reason, "why"))
    reworded = make(condition(trigger.condition, trigger.status, kind.reason, "why else"))

    assert [one.kind for one in announce(make(), says)] == [kind]
    assert announce(says, reworded) == ()


STATUSES = st.lists(
    st.sampled_from(_of_condition(SCENARIO_EVENTS)), max_size=4, unique_by=lambda kind: kind.trigger
)


@given(STATUSES, STATUSES)
def test_nothing_is_told_twice_and_nothing_when_nothing_changed(
    before: list[EventKind], now: list[EventKind]
) -> None:
    def saying(kinds: list[EventKind]) -> AnomalyScenario:
        triggers = [(kind.trigger, kind.reason) for kind in kinds]
        conditions = {
            trigger.condition: condition(trigger.condition, trigger.status, reason)
            for trigger, reason in triggers
            if isinstance(trigger, Becomes)
        }
        made: AnomalyScenario = drill(*conditions.values())
        return made

    announced = [one.kind for one in announce(saying(before), saying(now))]
    assert len(announced) == len(set(announced))
    assert announce(saying(now), saying(now)) == ()


class Listened(World):
    """A world in which somebody notes what is announced of each scenario's written status."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        super().__init__()

    def _store(self, resource: Reactor | AnomalyScenario, *, own_write: bool = False) -> None:
        known = self.scenarios.get(resource.metadata.name)
        if own_write and known is not None:
            self.reasons += [one.kind.reason for one in announce(known, resource)]
        super()._store(resource, own_write=own_write)


def test_a_run_over_many_reactors_makes_a_handful_of_announcements() -> None:
    world = Listened()
    for number in range(100):
        world.add_reactor(f"bruce-{number}")
    world.until(30)
    world.apply("leak-drill")
    world.until(750)

    assert world.reasons == ["RunBegan", "AllInjected", "AllRecovered", "Completed"]


def test_warnings_are_what_somebody_should_look_at() -> None:
    normal = {kind.reason for kind in SCENARIO_EVENTS if kind.type is EventType.NORMAL}
    assert {"RunBegan", "AllInjected", "Aborted", "Completed"} <= normal
    assert not {"GuardTripped", "EnvironmentMismatch", "Mismatch", "NoTargets"} & normal


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == to_markdown()
