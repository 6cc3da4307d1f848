"""The life of a scenario, from manifest to verdict: what acts where, and what the status says."""

from typing import Any

import pytest

from reactorsync.resources.scenario_status import RunPhase
from reactorsync.wire.events import FaultInjected
from tests.core.planning.build import LEAK, NOON, after
from tests.operator.world import World

LATER = {"name": "later", "fault": "PumpTrip", "offsetSeconds": 300, "durationSeconds": 100}


@pytest.fixture
def world() -> World:
    """Three reactors that stream."""
    world = World()
    for number in (1, 2, 3):
        world.add_reactor(f"bruce-{number}", labels={"unit": str(number)})
    world.settle()
    world.report()
    world.settle()
    return world


class TestOneRun:
    """A scenario without a start of its own begins at once and ends by itself."""

    def test_it_begins_injects_recovers_and_succeeds(self, world: World) -> None:
        world.apply()
        world.settle()
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3"}
        assert world.says("Ready") == ("False", "Injecting")
        assert world.says("Reconciling") == ("True", "Injecting")
        assert world.says("TargetsResolved") == ("True", "Resolved")

        world.pass_time(1)
        assert world.says("Injected") == ("True", "AllInjected")
        assert world.says("Ready") == ("True", "Active")
        assert world.says("Reconciling") is None
        assert world.says("Recovered") == ("False", "FaultsActive")
        assert world.says("Succeeded") == ("Unknown", "RunInProgress")
        assert world.status().summary == "Run 1 until 2026-06-01T12:10:00Z: 3 of 3 injected"

        world.until(600)
        assert world.faulty() == set()
        assert world.says("Recovered") == ("True", "AllRecovered")
        assert world.says("Succeeded") == ("True", "Completed")
        assert world.says("Ready") == ("True", "Completed")
        run = world.status().run
        assert run is not None
        assert (run.number, run.phase) == (1, RunPhase.COMPLETED)
        assert (run.start_time, run.end_time) == (NOON, after(600))
        assert (run.injected_time, run.recovered_time) == (after(1), after(600))
        counts = world.status().targets
        assert (counts.matched, counts.selected) == (3, 3)
        assert (counts.injected, counts.recovered, counts.failed) == (3, 3, 0)

    def test_the_start_stands_in_the_status_before_any_fault_is_published(
        self, world: World
    ) -> None:
        world.apply()
        world.reconciler.work(seconds=60)
        assert world.faulty() == set()
        world.settle()
        run = world.status().run
        assert run is not None
        assert {fault.start_us for fault in world.topic.held["default/bruce-1"].faults} == {
            int(run.start_time.timestamp() * 1e6)
        }

    def test_a_finished_run_stays_completed_whatever_the_fleet_does(self, world: World) -> None:
        world.apply()
        world.until(700)
        before = world.status()
        world.add_reactor("bruce-4")
        world.remove_reactor("bruce-1")
        world.label("bruce-2", {})
        world.until(2000)
        world.start_operator(replay=[])
        world.settle()
        assert world.status() == before

    def test_a_run_waits_for_the_first_reactor_that_matches(self) -> None:
        world = World()
        world.apply()
        world.pass_time(30)
        assert world.says("Ready") == ("False", "NoTargets")
        assert world.says("TargetsResolved") == ("False", "NoTargets")
        assert world.status().run is None
        world.add_reactor("bruce-1")
        world.settle()
        assert world.faulty() == {"bruce-1"}
        run = world.status().run
        assert run is not None
        assert run.start_time == after(30)

    def test_later_reactors_join_and_gone_ones_are_not_missed(self, world: World) -> None:
        world.apply()
        world.pass_time(5)
        world.add_reactor("bruce-4")
        world.remove_reactor("bruce-1")
        world.pass_time(5)
        assert world.faulty() == {"bruce-2", "bruce-3", "bruce-4"}
        world.until(650)
        assert world.says("Succeeded") == ("True", "Completed")

    def test_a_static_choice_is_closed_as_the_run_begins(self, world: World) -> None:
        world.apply(targets={"selector": {}, "policy": "Static"})
        world.pass_time(5)
        world.add_reactor("bruce-4")
        world.pass_time(5)
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3"}
        world.start_operator()
        world.settle()
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3"}

    def test_stages_act_one_after_the_other(self, world: World) -> None:
        world.apply(stages=[{**LEAK, "durationSeconds": 200}, LATER])
        world.pass_time(1)
        assert world.faults() == [("leak-drill", 1, "later"), ("leak-drill", 1, "leak")]
        world.until(250)
        assert world.faults() == [("leak-drill", 1, "later")]
        assert world.says("Recovered") == ("False", "RunInProgress")
        world.until(405)
        assert world.faults() == []
        assert world.says("Succeeded") == ("True", "Completed")


class TestThatDoesNotGoAsDeclared:
    """The verdict, and what it is based on."""

    def test_a_name_that_does_not_exist(self, world: World) -> None:
        world.apply(targets={"names": ["bruce-1", "bruce-9"]})
        world.pass_time(1)
        assert world.says("Ready") == ("True", "Active")
        (failure,) = world.status().failures
        assert (failure.reactor, failure.reason) == ("bruce-9", "NotFound")
        assert world.says("TargetsResolved") == ("False", "TargetsMissing")
        resolved = world.condition("TargetsResolved")
        assert resolved is not None
        assert resolved.message == "1 reactor chosen, but there is none named bruce-9"
        world.until(700)
        assert world.says("Succeeded") == ("False", "TargetsFailed")

    def test_a_fault_without_a_mechanism(self, world: World) -> None:
        world.apply(stages=[{"name": "dilution", "fault": "BoronDilution"}])
        world.pass_time(1)
        assert world.faulty() == set()
        assert world.says("Ready") == ("False", "TargetsFailed")
        ready = world.condition("Ready")
        assert ready is not None
        assert ready.message.startswith(
            "acts on none of 3 reactors: a stage cannot act on 3 (bruce-1: stage dilution: "
        )
        resolved = world.condition("TargetsResolved")
        assert resolved is not None
        assert resolved.message == "3 of 3 matching reactors chosen; a stage cannot act on 3"
        assert {failure.reason for failure in world.status().failures} == {"Inapplicable"}
        assert world.status().targets.failed == 3

    def test_where_another_comes_first(self, world: World) -> None:
        world.apply("first", targets={"names": ["bruce-1", "bruce-2"]})
        world.pass_time(1)
        world.apply(conflictPolicy="Reject", targets={"names": ["bruce-1", "bruce-2"]})
        world.pass_time(1)
        assert world.says("Ready") == ("False", "Conflict")
        assert world.says("Injected") == ("False", "Conflict")
        assert world.says("TargetsResolved") == ("True", "Resolved")
        ready = world.condition("Ready")
        assert ready is not None
        assert ready.message == (
            "acts on none of 2 reactors: another scenario comes first on 2 (bruce-1: gives way "
            "to scenario first)"
        )
        world.delete("first")
        world.pass_time(1)
        assert world.says("Ready") == ("True", "Active")

    def test_whatever_goes_wrong_is_told_by_its_cause(self, world: World) -> None:
        world.change_reactor("bruce-2", state="Suspended")
        world.apply("first", targets={"names": ["bruce-1"]})
        world.pass_time(1)
        world.apply(conflictPolicy="Reject", targets={"selector": {}})
        world.pass_time(1)
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3"}
        resolved = world.condition("TargetsResolved")
        assert resolved is not None
        assert resolved.message == (
            "3 of 3 matching reactors chosen; another scenario comes first on 1; 1 suspended"
        )

    def test_a_target_that_is_made_anew_is_counted_twice_of_two(self, world: World) -> None:
        world.apply(targets={"names": ["bruce-1"]})
        world.pass_time(1)
        world.remove_reactor("bruce-1")
        world.pass_time(1)
        assert world.status().summary.endswith("1 of 1 injected, 1 since left out")
        world.add_reactor("bruce-1")
        world.pass_time(1)
        assert world.status().summary.endswith("2 of 2 injected, 1 since left out")
        assert world.status().targets.injected == 2

    def test_at_most_twenty_failures_are_listed(self, world: World) -> None:
        names = [f"gone-{number}" for number in range(10, 50)]
        world.apply(targets={"names": names})
        world.settle()
        assert len(world.status().failures) == 20
        assert world.status().targets.failed == 40

    def test_one_target_is_no_plural(self) -> None:
        world = World()
        world.add_reactor("bruce-1")
        world.apply(startDelaySeconds=60)
        world.settle()
        assert world.status().summary.endswith(" on 1 reactor")
        world.until(70)
        injected = world.condition("Injected")
        assert injected is not None
        assert injected.message == "1 of 1 target reported the fault acting"

    def test_targets_that_do_not_report_stall_it(self, world: World) -> None:
        world.apply()
        world.pass_time(29, report=False)
        assert world.says("Stalled") is None
        world.pass_time(1, report=False)
        assert world.says("Stalled") == ("True", "InjectionOverdue")
        assert world.says("Reconciling") is None
        world.report()
        world.settle()
        assert world.says("Stalled") is None
        assert world.says("Ready") == ("True", "Active")

    def test_nobody_reported_it_at_all(self, world: World) -> None:
        world.apply()
        world.pass_time(600, report=False)
        assert world.says("Succeeded") == ("Unknown", "RunInProgress")
        world.pass_time(60, report=False)
        assert world.says("Injected") == ("False", "NotInjected")
        assert world.says("Recovered") == ("True", "NothingInjected")
        assert world.says("Succeeded") == ("False", "NotInjected")

    def test_the_end_was_never_reported(self, world: World) -> None:
        world.apply()
        world.pass_time(1)
        world.pass_time(600, report=False)
        assert world.says("Recovered") == ("False", "Recovering")
        world.pass_time(60, report=False)
        assert world.says("Recovered") == ("Unknown", "NotReported")
        assert world.says("Succeeded") == ("False", "NotRecovered")

    def test_a_start_time_whose_run_is_wholly_past(self, world: World) -> None:
        world.apply(startTime="2026-05-01T00:00:00Z")
        world.settle()
        world.pass_time(1)
        assert world.faulty() == set()
        run = world.status().run
        assert run is not None
        assert run.phase is RunPhase.COMPLETED
        assert world.says("Succeeded") == ("False", "Missed")

    def test_while_the_broker_is_away(self, world: World) -> None:
        world.apply()
        world.pass_time(1)
        world.reconciler.set_delivery_problem("cannot reach the broker")
        world.settle()
        assert world.says("Ready") == ("False", "DeliveryUnavailable")
        assert world.says("Stalled") == ("True", "DeliveryUnavailable")
        world.reconciler.set_delivery_problem(None)
        world.settle()
        assert world.says("Ready") == ("True", "Active")


class TestStarts:
    """Later, by the clock, by cron."""

    def test_a_start_ahead_is_published_ahead(self, world: World) -> None:
        world.apply(startDelaySeconds=60)
        world.settle()
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3"}
        assert world.says("Ready") == ("True", "WaitingForStart")
        assert world.says("Injected") == ("False", "WaitingForStart")
        assert world.status().summary == "Run 1 starts 2026-06-01T12:01:00Z on 3 reactors"
        world.until(65)
        assert world.says("Ready") == ("True", "Active")

    def test_a_pending_start_can_be_moved(self, world: World) -> None:
        world.apply(startDelaySeconds=60)
        world.until(30)
        world.apply(startDelaySeconds=300)
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.number, run.start_time) == (1, after(300))

    def test_a_schedule_runs_by_the_clock(self, world: World) -> None:
        world.apply(schedule={"cron": "*/15 * * * *"})
        world.settle()
        assert world.says("Ready") == ("True", "WaitingForSchedule")
        assert world.status().next_run_time == after(900)
        assert world.status().summary == "Next run 2026-06-01T12:15:00Z on 3 reactors"
        world.until(905)
        run = world.status().run
        assert run is not None
        assert (run.number, run.start_time) == (1, after(900))
        world.until(3 * 900 + 5)
        run = world.status().run
        assert run is not None
        assert (run.number, run.start_time) == (3, after(2700))
        assert [past.number for past in world.status().history] == [2, 1]
        assert {past.targets for past in world.status().history} == {3}

    def test_the_history_has_a_limit(self, world: World) -> None:
        world.apply(schedule={"cron": "*/15 * * * *", "historyLimit": 1})
        world.until(3 * 900 + 5)
        assert [past.number for past in world.status().history] == [2]

    def test_forbid_skips_and_replace_replaces(self, world: World) -> None:
        every_five = {"cron": "*/5 * * * *"}
        world.apply("forbid", schedule=every_five)
        world.apply("replace", schedule={**every_five, "concurrencyPolicy": "Replace"})
        world.until(910)
        forbid, replaced = world.status("forbid"), world.status("replace")
        assert forbid.run is not None
        assert replaced.run is not None
        assert (forbid.run.number, forbid.run.start_time) == (2, after(900))
        assert (replaced.run.number, replaced.run.start_time) == (3, after(900))
        assert [past.phase for past in forbid.history] == [RunPhase.COMPLETED]
        assert [past.phase for past in replaced.history] == [RunPhase.ABORTED] * 2

    def test_a_missed_run_catches_up_once(self, world: World) -> None:
        world.apply(schedule={"cron": "*/5 * * * *"})
        world.settle()
        world.pass_time(3 * 300 + 60)
        run = world.status().run
        assert run is not None
        assert (run.number, run.start_time) == (1, after(960))

    def test_a_suspended_schedule_starts_nothing_and_catches_nothing_up(self, world: World) -> None:
        world.apply(schedule={"cron": "*/5 * * * *"}, state="Suspended")
        world.until(610)
        assert world.status().run is None
        assert world.says("Ready") == ("True", "Suspended")
        world.apply(state="Active")
        world.settle()
        assert world.status().run is None
        assert world.status().next_run_time == after(900)


class TestInterventions:
    """Suspend, abort, run again, dry run, delete."""

    def test_suspension_lifts_the_faults_while_the_timeline_goes_on(self, world: World) -> None:
        world.apply()
        world.until(100)
        world.apply(state="Suspended")
        world.settle()
        assert world.faulty() == set()
        assert world.says("Ready") == ("False", "Lifting")
        world.pass_time(5)
        assert world.says("Suspended") == ("True", "Suspended")
        assert world.says("Ready") == ("True", "Suspended")
        world.until(200)
        world.apply(state="Active")
        world.pass_time(5)
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3"}
        run = world.status().run
        assert run is not None
        assert (run.number, run.start_time, run.end_time) == (1, NOON, after(600))
        world.until(605)
        assert world.says("Succeeded") == ("True", "Completed")

    def test_suspended_before_it_began_it_waits(self, world: World) -> None:
        world.apply(state="Suspended")
        world.until(100)
        assert world.status().run is None
        world.apply(state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert run.start_time == after(100)

    def test_abort_is_at_once_and_final(self, world: World) -> None:
        world.apply()
        world.until(100)
        world.apply(state="Aborted")
        world.settle()
        assert world.faulty() == set()
        world.pass_time(1)
        run = world.status().run
        assert run is not None
        assert (run.phase, run.end_time) == (RunPhase.ABORTED, after(100))
        assert world.says("Recovered") == ("True", "AllRecovered")
        assert world.says("Succeeded") == ("False", "Aborted")
        assert world.says("Ready") == ("True", "Aborted")
        world.apply(state="Active")
        world.until(300)
        assert world.faulty() == set()
        assert world.says("Succeeded") == ("False", "Aborted")

    def test_aborted_before_anything_was_heard_of_it_waits_a_little_for_reports(
        self, world: World
    ) -> None:
        world.apply()
        world.settle()
        world.pass_time(1, report=False)
        world.apply(state="Aborted")
        world.settle()
        assert world.says("Succeeded") == ("Unknown", "RunInProgress")
        world.pass_time(5, report=False)
        assert world.says("Recovered") == ("True", "NothingInjected")
        assert world.says("Succeeded") == ("False", "Aborted")

    def test_aborted_before_its_start_it_is_over_at_once(self, world: World) -> None:
        world.apply(startDelaySeconds=60)
        world.settle()
        world.apply(state="Aborted")
        world.settle()
        assert world.faulty() == set()
        assert world.says("Injected") == ("False", "NotInjected")
        assert world.says("Succeeded") == ("False", "Aborted")

    @pytest.mark.parametrize("ended", ["Completed", "Aborted", "still going on"])
    def test_another_token_starts_another_run(self, world: World, ended: str) -> None:
        world.apply()
        world.until({"Completed": 700, "Aborted": 100, "still going on": 100}[ended])
        if ended == "Aborted":
            world.apply(state="Aborted")
            world.pass_time(1)
        at = world.now
        world.apply(runToken="again", state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.number, run.token, run.start_time) == (2, "again", at)
        assert world.faults() == [("leak-drill", 2, "leak")]
        (past,) = world.status().history
        expected = RunPhase.COMPLETED if ended == "Completed" else RunPhase.ABORTED
        assert (past.number, past.phase, past.targets) == (1, expected, 3)
        world.pass_time(1)
        assert world.says("Injected") == ("True", "AllInjected")
        world.until(1500)
        assert world.says("Succeeded") == ("True", "Completed")

    def test_a_static_choice_is_made_anew_for_another_run(self, world: World) -> None:
        world.apply(targets={"selector": {}, "policy": "Static"})
        world.until(100)
        world.add_reactor("bruce-4")
        world.apply(runToken="again")
        world.pass_time(1)
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3", "bruce-4"}
        world.add_reactor("bruce-5")
        world.pass_time(1)
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3", "bruce-4"}

    def test_a_dry_run_resolves_and_injects_nothing(self, world: World) -> None:
        world.apply(mode="DryRun", targets={"selector": {}, "count": 2})
        world.pass_time(10)
        assert world.faulty() == set()
        assert world.status().run is None
        assert world.says("Ready") == ("True", "DryRun")
        assert world.says("Injected") == ("False", "DryRun")
        assert world.status().summary == "Dry run: would act on 2 of 3 reactors"
        world.apply(mode="Run")
        world.settle()
        assert len(world.faulty()) == 2

    def test_a_dry_run_after_a_run_tells_of_the_fleet_as_it_is_now(self, world: World) -> None:
        world.apply()
        world.until(700)
        world.add_reactor("bruce-4")
        world.apply(mode="DryRun")
        world.settle()
        assert world.status().summary == "Dry run: would act on 4 of 4 reactors"
        assert world.says("Succeeded") == ("True", "Completed")

    def test_deleting_it_lifts_its_faults(self, world: World) -> None:
        world.apply()
        world.pass_time(1)
        world.delete()
        world.settle()
        assert world.faulty() == set()
        world.pass_time(1)
        assert world.reactors["bruce-1"].status.active_faults == []

    def test_recreated_under_the_same_name_it_is_another_one(self, world: World) -> None:
        world.apply()
        world.until(700)
        world.delete()
        world.apply()
        world.pass_time(1)
        run = world.status().run
        assert run is not None
        assert run.number == 1
        assert world.says("Injected") == ("True", "AllInjected")


class TestTwoScenarios:
    """Where they meet on a reactor."""

    def test_a_rejected_one_says_where_and_why(self, world: World) -> None:
        world.apply("first", targets={"names": ["bruce-1"]})
        world.pass_time(1)
        world.apply("second", conflictPolicy="Reject")
        world.pass_time(1)
        assert world.faults("bruce-1") == [("first", 1, "leak")]
        assert world.faults("bruce-2") == [("second", 1, "leak")]
        (failure,) = world.status("second").failures
        assert (failure.reactor, failure.reason) == ("bruce-1", "Conflict")
        assert "first" in failure.message
        assert world.says("Ready", "second") == ("True", "Active")
        world.delete("first")
        world.pass_time(1)
        assert world.status("second").failures == []
        assert world.faults("bruce-1") == [("second", 1, "leak")]

    @pytest.mark.parametrize("policy", ["Compose", "Prioritize", "Reject"])
    def test_when_all_are_over_nothing_is_left(self, world: World, policy: str) -> None:
        for number in range(4):
            world.apply(f"drill-{number}", conflictPolicy=policy, priority=number % 2)
            world.pass_time(50)
        world.until(1000)
        assert world.faulty() == set()


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"startDelaySeconds": 60},
        {"schedule": {"cron": "*/5 * * * *", "concurrencyPolicy": "Replace"}},
        {"targets": {"selector": {}, "policy": "Static", "count": 2}},
        {"targets": {"names": ["bruce-1", "bruce-9"]}},
        {"mode": "DryRun"},
    ],
)
@pytest.mark.parametrize("everything_forgotten", [False, True])
def test_killed_at_any_moment_the_operator_goes_on_with_the_same_run(
    world: World, spec: dict[str, Any], everything_forgotten: bool
) -> None:
    steady = World()
    for number in (1, 2, 3):
        steady.add_reactor(f"bruce-{number}", labels={"unit": str(number)})
    steady.settle()
    steady.report()
    steady.settle()
    for one in (steady, world):
        one.apply(**spec)
    for second in range(0, 900, 15):
        for one in (steady, world):
            one.until(second)
        assert world.topic.held == steady.topic.held
        assert world.status().run == steady.status().run
        world.start_operator(replay=[] if everything_forgotten else None)
    assert verdict(world) == verdict(steady)


def verdict(world: World) -> dict[str, object]:
    """All that a scenario's status says of its run."""
    status = world.status()
    said = {one.type: (one.status, one.reason) for one in status.conditions}
    return {**said, "targets": status.targets, "history": status.history}


class TestTheBrokerForgotWhatWasReported:
    """The embedded broker is volatile: after a restart its events are gone."""

    @pytest.fixture
    def injected(self, world: World) -> World:
        world.apply()
        world.until(300)
        assert world.says("Injected") == ("True", "AllInjected")
        return world

    def down(self, world: World, *, until: float) -> None:
        """Let time pass while operator, generators and broker are all down, then start them."""
        world.now = world.topic.now = after(until)
        world.start_operator(replay=[])
        world.settle()

    def test_after_the_end_nobody_can_tell_how_it_ended(self, injected: World) -> None:
        self.down(injected, until=700)
        run, targets = injected.status().run, injected.status().targets
        assert run is not None
        assert (run.phase, run.injected_time is not None) == ("Completed", True)
        assert (targets.injected, targets.recovered) == (3, 0)
        assert injected.says("Injected") == ("True", "AllInjected")
        assert injected.says("Recovered") == ("Unknown", "NotReported")
        assert injected.says("Succeeded") == ("Unknown", "NotReported")

    def test_that_is_the_last_word(self, injected: World) -> None:
        self.down(injected, until=700)
        before = injected.status()
        self.down(injected, until=2000)
        assert injected.status() == before

    def test_before_the_end_the_plants_say_it_again(self, injected: World) -> None:
        self.down(injected, until=400)
        assert injected.says("Injected") == ("True", "AllInjected")
        assert injected.says("Ready") == ("True", "Active")
        injected.restart_plants()
        injected.until(700)
        targets = injected.status().targets
        assert (targets.injected, targets.recovered) == (3, 3)
        assert injected.says("Succeeded") == ("True", "Completed")

    def test_some_had_not_reported_and_some_reports_are_lost(self, world: World) -> None:
        world.apply()
        world.settle()
        world.now = world.topic.now = after(10)
        first = next(event for event in world.happenings() if isinstance(event, FaultInjected))
        world.tell(first)
        world.settle()
        assert world.status().targets.injected == 1
        self.down(world, until=700)
        assert world.status().targets.injected == 1
        assert world.says("Injected") == ("Unknown", "NotReported")
        assert world.says("Succeeded") == ("Unknown", "NotReported")

    def test_a_run_that_was_aborted_stays_aborted(self, injected: World) -> None:
        injected.apply(state="Aborted")
        injected.settle()
        self.down(injected, until=700)
        assert injected.says("Recovered") == ("Unknown", "NotReported")
        assert injected.says("Succeeded") == ("False", "Aborted")


def test_the_time_of_a_condition_changes_only_with_its_status(world: World) -> None:
    world.apply()
    world.until(100)
    ready = world.condition("Ready")
    assert ready is not None
    world.add_reactor("bruce-4")
    world.until(101)
    world.until(300)
    injected = world.condition("Injected")
    assert injected is not None
    assert "4 of 4" in injected.message
    since = {one.type: one.last_transition_time for one in world.status().conditions}
    assert since["TargetsResolved"] == NOON
    assert since["Suspended"] == NOON
    assert since["Ready"] > ready.last_transition_time


class TestAMistakenStart:
    """A run that lay in the past injected nothing: whoever corrects its start gets one."""

    @pytest.fixture
    def missed(self, world: World) -> World:
        world.apply(startTime=after(-100_000).isoformat())
        world.pass_time(1)
        assert world.says("Succeeded") == ("False", "Missed")
        return world

    def test_the_summary_says_that_it_was_missed(self, missed: World) -> None:
        missed.pass_time(400)
        assert missed.says("Ready") == ("True", "Missed")
        assert missed.status().summary == "Run 1 missed: it would have ended 2026-05-31T08:23:20Z"

    def test_another_time_starts_another_run(self, missed: World) -> None:
        missed.apply(startTime=after(100).isoformat())
        missed.settle()
        run = missed.status().run
        assert run is not None
        assert (run.number, run.phase, run.start_time) == (2, RunPhase.PENDING, after(100))
        missed.until(705)
        assert missed.says("Succeeded") == ("True", "Completed")
        assert [one.number for one in missed.status().history] == [1]

    def test_no_time_at_all_starts_it_at_once(self, missed: World) -> None:
        missed.apply(startTime=None)
        missed.pass_time(1)
        assert missed.says("Ready") == ("True", "Active")

    def test_another_mistake_is_missed_again(self, missed: World) -> None:
        missed.apply(startTime=after(-50_000).isoformat())
        missed.pass_time(1)
        run = missed.status().run
        assert run is not None
        assert (run.number, run.start_time) == (2, after(-50_000))
        assert missed.says("Succeeded") == ("False", "Missed")
        assert missed.faulty() == set()

    def test_any_other_edit_starts_nothing(self, missed: World) -> None:
        missed.apply(priority=3)
        missed.until(100)
        run = missed.status().run
        assert run is not None
        assert run.number == 1

    def test_one_that_injected_is_not_run_again_by_its_start(self, world: World) -> None:
        world.apply(startTime=after(10).isoformat())
        world.until(700)
        world.apply(startTime=after(900).isoformat())
        world.until(1000)
        run = world.status().run
        assert run is not None
        assert run.number == 1
