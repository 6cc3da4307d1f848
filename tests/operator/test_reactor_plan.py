"""The plan of one reactor: what its generator is told, and what its status says."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reactorsync.resources import AnomalyScenario, AnomalyScenarioStatus, Reactor, condition_of
from reactorsync.resources.reactor import HealthState
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync.wire.desired import default_seed
from reactorsync.wire.envelope import to_micros
from reactorsync_operator.reconcile.observed import (
    FaultReport,
    ObservedReactor,
    Publication,
    ReactorReport,
)
from reactorsync_operator.reconcile.reactor import ReactorPlan, plan_reactor
from tests.core.planning.build import NOON, after, reactor, scenario, uid_of

FAULT_ID = f"{uid_of('leak-drill')}/1/leak"


def leaking(start: datetime = NOON) -> AnomalyScenario:
    run = Run(
        number=1,
        phase=RunPhase.RUNNING,
        start_time=start,
        end_time=start + timedelta(seconds=600),
    )
    return scenario(status=AnomalyScenarioStatus(observed_generation=1, run=run))


def acting(injected: float = 0, recovered: float | None = None) -> Mapping[str, FaultReport]:
    moment = to_micros(after(injected))
    gone = to_micros(after(recovered)) if recovered is not None else None
    return {FAULT_ID: FaultReport("leak-drill", "leak", "PrimaryLeak", moment, moment, gone)}


def streaming(
    stored: Reactor | None = None,
    *scenarios: AnomalyScenario,
    at: float = 0,
    heard: float | None = 0,
    **report: Any,
) -> ObservedReactor:
    """A reactor whose generator has acknowledged what is wanted at ``at``."""
    stored = stored or reactor()
    bare = ObservedReactor(reactor=stored, scenarios=scenarios)
    revision = plan_reactor(bare, after(at)).desired.revision
    known: dict[str, Any] = {
        "revision": revision,
        "generation": stored.metadata.generation,
        "generator": "generator-1",
        "shard": 3,
        "power_permille": 1000,
        "observed_us": to_micros(NOON),
    }
    return replace(
        bare,
        report=ReactorReport(**{**known, **report}),
        heartbeat_us=to_micros(after(heard)) if heard is not None else None,
        publication=Publication(revision, to_micros(after(at))),
    )


def says(plan: ReactorPlan, type_: str) -> tuple[str, str] | None:
    found = condition_of(plan.status.conditions, type_)
    return (found.status.value, found.reason) if found is not None else None


def written(observed: ObservedReactor, plan: ReactorPlan) -> ObservedReactor:
    return replace(observed, reactor=observed.reactor.model_copy(update={"status": plan.status}))


class TestDesiredState:
    """All that a generator must know."""

    def test_it_follows_the_spec(self) -> None:
        stored = reactor(
            powerSetpointPermille=900,
            telemetry={"intervalMilliseconds": 500, "noise": "High"},
            seed=7,
            site={"name": "Bruce"},
            generation=4,
        )
        desired = plan_reactor(ObservedReactor(reactor=stored), NOON).desired
        assert (desired.namespace, desired.name) == ("default", "bruce-1")
        assert (desired.uid, desired.generation) == (uid_of("bruce-1"), 4)
        assert (desired.power_setpoint_permille, desired.interval_milliseconds) == (900, 500)
        assert (desired.seed, desired.noise, desired.faults) == (7, "High", [])
        assert desired.site == stored.spec.site

    def test_without_a_seed_one_follows_from_the_name(self) -> None:
        desired = plan_reactor(ObservedReactor(reactor=reactor()), NOON).desired
        assert desired.seed == default_seed("default", "bruce-1")

    def test_it_does_not_depend_on_what_was_observed(self) -> None:
        bare = ObservedReactor(reactor=reactor(), scenarios=(leaking(),))
        seen = streaming(None, leaking(), trip_cause="LowPrimaryFlow", faults=acting())
        assert plan_reactor(bare, NOON).desired == plan_reactor(seen, NOON).desired

    def test_the_next_wakeup_is_when_the_faults_change(self) -> None:
        plan = plan_reactor(streaming(None, leaking(after(60))), NOON)
        assert plan.next_wakeup == after(60)

    def test_a_reactor_that_was_never_stored_cannot_be_planned(self) -> None:
        metadata = reactor().metadata.model_copy(update={"uid": None})
        unknown = reactor().model_copy(update={"metadata": metadata})
        with pytest.raises(ValueError, match="not stored"):
            plan_reactor(ObservedReactor(reactor=unknown), NOON)


class TestReady:
    """Did the operator do what the spec asks?"""

    def test_at_first_it_waits_for_a_generator(self) -> None:
        plan = plan_reactor(ObservedReactor(reactor=reactor()), NOON)
        assert says(plan, "Ready") == ("False", "AwaitingGenerator")
        assert says(plan, "Reconciling") == ("True", "AwaitingGenerator")
        assert says(plan, "Nominal") == ("Unknown", "NoTelemetry")
        assert plan.status.observed_generation == 1

    def test_acknowledged_and_heard_of_it_is_ready(self) -> None:
        plan = plan_reactor(streaming(), NOON)
        assert says(plan, "Ready") == ("True", "Streaming")
        assert says(plan, "Reconciling") is None
        assert says(plan, "Stalled") is None
        assert plan.status.generator is not None
        assert (plan.status.generator.name, plan.status.generator.shard) == ("generator-1", 3)

    @pytest.mark.parametrize(
        ("age", "ready"),
        [
            (14.999, ("True", "Streaming")),
            (15, ("False", "GeneratorSilent")),
        ],
    )
    def test_a_heartbeat_counts_for_fifteen_seconds(
        self, age: float, ready: tuple[str, str]
    ) -> None:
        plan = plan_reactor(streaming(), after(age))
        assert says(plan, "Ready") == ready

    def test_without_any_heartbeat_no_generator_is_there(self) -> None:
        plan = plan_reactor(streaming(heard=None), NOON)
        assert says(plan, "Ready") == ("False", "AwaitingGenerator")

    def test_a_change_of_the_spec_must_be_acknowledged_at_once(self) -> None:
        observed = streaming()
        ready = written(observed, plan_reactor(observed, NOON))
        edited = reactor(generation=2, powerSetpointPermille=900)
        stored = edited.model_copy(update={"status": ready.reactor.status})
        plan = plan_reactor(replace(ready, reactor=stored), after(1))
        assert says(plan, "Ready") == ("False", "AwaitingGenerator")
        assert plan.status.observed_generation == 2

    def test_a_change_of_faults_has_ten_seconds_to_be_acknowledged(self) -> None:
        quiet = streaming()
        ready = written(quiet, plan_reactor(quiet, NOON))
        faulty = replace(ready, scenarios=(leaking(),), heartbeat_us=to_micros(after(5)))
        plan = plan_reactor(faulty, NOON)
        assert says(plan, "Ready") == ("True", "Streaming")
        assert plan.next_wakeup == after(10)
        published = Publication(plan.desired.revision, to_micros(after(1)))
        waiting = replace(faulty, publication=published)
        assert says(plan_reactor(waiting, after(10.9)), "Ready") == ("True", "Streaming")
        assert says(plan_reactor(waiting, after(11)), "Ready") == ("False", "AwaitingGenerator")

    def test_until_it_is_published_they_count_from_when_it_was_first_offered(self) -> None:
        quiet = streaming()
        ready = written(quiet, plan_reactor(quiet, NOON))
        faulty = replace(ready, scenarios=(leaking(),), heartbeat_us=to_micros(after(5)))
        wanted = plan_reactor(faulty, NOON).desired.revision
        waiting = replace(faulty, offered=Publication(wanted, to_micros(NOON)))
        plan = plan_reactor(waiting, after(9))
        assert (says(plan, "Ready"), plan.next_wakeup) == (("True", "Streaming"), after(10))
        assert says(plan_reactor(waiting, after(10)), "Ready") == ("False", "AwaitingGenerator")

    def test_after_a_minute_of_waiting_it_is_stalled(self) -> None:
        observed = ObservedReactor(reactor=reactor())
        plan = plan_reactor(observed, NOON)
        assert plan.next_wakeup == after(60)
        later = plan_reactor(written(observed, plan), after(60))
        assert says(later, "Stalled") == ("True", "AwaitingGenerator")
        assert says(later, "Reconciling") is None
        assert later.next_wakeup is None

    def test_a_suspended_reactor_is_ready_when_that_is_acknowledged(self) -> None:
        plan = plan_reactor(streaming(reactor(state="Suspended")), NOON)
        assert says(plan, "Ready") == ("True", "Suspended")

    def test_with_the_broker_away_it_says_so(self) -> None:
        observed = streaming(revision="another", generation=0)
        plan = plan_reactor(replace(observed, delivery_problem="cannot reach it"), NOON)
        assert says(plan, "Ready") == ("False", "DeliveryUnavailable")

    def test_without_the_broker_nobody_blames_the_generator(self) -> None:
        observed = replace(streaming(), delivery_problem="cannot reach it")
        plan = plan_reactor(observed, after(3600))
        assert says(plan, "Ready") == ("False", "DeliveryUnavailable")

    def test_an_injected_trip_does_not_make_it_unready(self) -> None:
        plan = plan_reactor(
            streaming(None, leaking(), trip_cause="LowPrimaryFlow", faults=acting()), NOON
        )
        assert says(plan, "Ready") == ("True", "Streaming")
        assert says(plan, "Nominal") == ("False", "Tripped")
        assert plan.status.health is not None
        assert (plan.status.health.state, plan.status.health.score) == (HealthState.TRIPPED, 0)
        assert plan.status.trip_cause == "LowPrimaryFlow"


class TestActiveFaults:
    """What acts, by the reports of the generators."""

    def shown(self, plan: ReactorPlan) -> list[str]:
        return [fault.stage for fault in plan.status.active_faults]

    def test_a_fault_that_is_planned_but_not_reported_is_not_shown(self) -> None:
        plan = plan_reactor(streaming(None, leaking()), NOON)
        assert self.shown(plan) == []
        assert says(plan, "Nominal") == ("True", "WithinLimits")

    def test_a_reported_one_is_shown_with_its_times(self) -> None:
        plan = plan_reactor(streaming(None, leaking(), faults=acting(0.4)), after(1))
        (fault,) = plan.status.active_faults
        assert (fault.scenario, fault.stage, fault.fault) == ("leak-drill", "leak", "PrimaryLeak")
        assert (fault.start_time, fault.end_time) == (after(0.4), after(600))
        assert says(plan, "Nominal") == ("False", "FaultActive")
        assert plan.status.health is not None
        assert (plan.status.health.state, plan.status.health.score) == (HealthState.DEGRADED, 80)

    def test_one_that_is_reported_again_keeps_its_beginning(self) -> None:
        again = acting(0.4)[FAULT_ID]
        again = replace(again, last_injected_us=to_micros(after(30)))
        plan = plan_reactor(streaming(None, leaking(), faults={FAULT_ID: again}), after(31))
        assert [fault.start_time for fault in plan.status.active_faults] == [after(0.4)]

    def test_a_recovered_one_is_not(self) -> None:
        plan = plan_reactor(streaming(None, leaking(), faults=acting(0, 5)), after(6))
        assert self.shown(plan) == []

    def test_one_that_was_lifted_is_shown_until_the_lifting_is_acknowledged(self) -> None:
        before = streaming(None, leaking(), faults=acting())
        lifted = replace(written(before, plan_reactor(before, after(1))), scenarios=())
        assert self.shown(plan_reactor(lifted, after(2))) == ["leak"]
        acknowledged = replace(lifted, report=streaming(faults=acting()).report)
        assert self.shown(plan_reactor(acknowledged, after(2))) == []

    def test_one_that_was_over_is_not_shown_again(self) -> None:
        before = streaming(None, leaking(), faults=acting())
        lost = replace(written(before, plan_reactor(before, after(1))), scenarios=())
        over = written(lost, plan_reactor(lost, after(601)))
        assert self.shown(plan_reactor(over, after(602))) == []

    def test_expiry_wins_even_if_nobody_reports_it(self) -> None:
        observed = streaming(None, leaking(), faults=acting())
        shown = written(observed, plan_reactor(observed, after(1)))
        lost = replace(shown, scenarios=())
        plan = plan_reactor(lost, after(1))
        assert self.shown(plan) == ["leak"]
        assert plan.next_wakeup is not None
        assert self.shown(plan_reactor(lost, after(600))) == []

    def test_at_most_thirty_two_are_listed(self) -> None:
        stages = [
            {"name": f"leak-{number}", "fault": "PrimaryLeak", "durationSeconds": 60}
            for number in range(16)
        ]
        drills = []
        reports = {}
        for name in ("one", "two", "three"):
            run = Run(number=1, phase=RunPhase.RUNNING, start_time=NOON, end_time=after(60))
            status = AnomalyScenarioStatus(observed_generation=1, run=run)
            drills.append(scenario(name, stages=stages, status=status))
            for stage in stages:
                moment = to_micros(NOON)
                reports[f"{uid_of(name)}/1/{stage['name']}"] = FaultReport(
                    name, str(stage["name"]), "PrimaryLeak", moment, moment
                )
        plan = plan_reactor(streaming(None, *drills, faults=reports), after(1))
        assert len(plan.status.active_faults) == 32


def test_a_plan_that_was_carried_out_asks_for_nothing_more() -> None:
    observed = streaming(None, leaking(), faults=acting())
    plan = plan_reactor(observed, after(1))
    again = plan_reactor(written(observed, plan), after(1))
    assert again == plan


def test_what_others_own_in_the_status_stays() -> None:
    stored = reactor()
    alarmed = stored.model_copy(
        update={"status": stored.status.model_copy(update={"open_alarms": 4})}
    )
    assert plan_reactor(streaming(alarmed), NOON).status.open_alarms == 4


def test_times_of_conditions_change_only_with_their_status() -> None:
    observed = streaming()
    first = written(observed, plan_reactor(observed, NOON))
    moved = replace(first, report=replace(streaming().report, generator="generator-2"))  # type: ignore[type-var]
    plan = plan_reactor(moved, after(5))
    ready = condition_of(plan.status.conditions, "Ready")
    assert ready is not None
    assert ready.last_transition_time == NOON
    assert "generator-2" in ready.message
