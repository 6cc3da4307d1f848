"""What a new operator takes over from the statuses its predecessor wrote."""

from reactorsync.resources import (
    AnomalyScenarioStatus,
    Condition,
    ConditionStatus,
    Reactor,
    ReactorStatus,
)
from reactorsync.resources.reactor import GeneratorRef
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync_operator.recall import recalled_report, relevant_since
from reactorsync_operator.reconcile.observed import Publication, ReactorReport
from tests.core.planning.build import NOON, after, reactor, scenario

HELD = Publication("held by the broker", 5)


def condition(type_: str, status: ConditionStatus) -> Condition:
    return Condition(type=type_, status=status, last_transition_time=NOON, reason="Test")


def known(ready: ConditionStatus) -> Reactor:
    status = ReactorStatus(
        observed_generation=3,
        conditions=[condition("Ready", ready)],
        generator=GeneratorRef(name="generator-1", shard=2),
        power_permille=990,
        last_telemetry_time=NOON,
        trip_cause="LowPrimaryFlow",
    )
    return reactor(generation=3).model_copy(update={"status": status})


def test_a_ready_reactor_has_acknowledged_what_the_broker_holds() -> None:
    report = recalled_report(known(ConditionStatus.TRUE), HELD)
    assert (report.revision, report.generation) == ("held by the broker", 3)
    assert (report.generator, report.shard) == ("generator-1", 2)
    assert (report.power_permille, report.trip_cause) == (990, "LowPrimaryFlow")


def test_one_that_was_not_ready_has_not() -> None:
    report = recalled_report(known(ConditionStatus.FALSE), HELD)
    assert (report.revision, report.generation) == (None, None)
    assert report.power_permille == 990


def test_nobody_has_acknowledged_what_the_broker_forgot() -> None:
    assert recalled_report(known(ConditionStatus.TRUE), None).revision is None


def test_of_a_new_reactor_nothing_is_known() -> None:
    assert recalled_report(reactor(), HELD) == ReactorReport()


def test_events_matter_since_the_first_run_without_a_verdict_began() -> None:
    def begun(seconds: float, verdict: ConditionStatus) -> AnomalyScenarioStatus:
        run = Run(
            number=1,
            phase=RunPhase.RUNNING,
            start_time=after(seconds),
            end_time=after(seconds + 600),
        )
        return AnomalyScenarioStatus(run=run, conditions=[condition("Succeeded", verdict)])

    over = scenario("over", status=begun(0, ConditionStatus.TRUE))
    open_ = scenario("open", status=begun(100, ConditionStatus.UNKNOWN))
    ahead = scenario("ahead", status=begun(900, ConditionStatus.UNKNOWN))
    assert relevant_since([over, open_, ahead], after(300)) == after(100 - 60)
    assert relevant_since([over, ahead], after(300)) == after(300 - 60)
    assert relevant_since([], after(300)) == after(300 - 60)
