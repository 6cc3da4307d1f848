"""Held clocks, environments, guards and the age at which a finished scenario goes."""

from datetime import timedelta
from typing import Any

import pytest

from reactorsync.planning.targets import rank
from reactorsync.resources.scenario_status import RunPhase
from reactorsync.wire.desired import DesiredReactor
from reactorsync_operator.reconcile.guards import Guards
from tests.core.planning.build import LEAK, NOON, after
from tests.operator.world import World

HOLD = {"state": "Suspended", "suspendPolicy": "HoldClock"}
SEVERE = [{**LEAK, "severityPercent": 80}]
WHY = "a drill that was agreed upon"
ONE, TWO = {"names": ["bruce-1"]}, {"names": ["bruce-2"]}


def fleet_of(count: int, *, guards: Guards | None = None) -> World:
    """A world of that many reactors that stream."""
    world = World(guards=guards or Guards())
    for number in range(1, count + 1):
        world.add_reactor(f"bruce-{number}")
    world.settle()
    world.report()
    world.settle()
    return world


@pytest.fixture
def world() -> World:
    """Three reactors that stream."""
    return fleet_of(3)


class TestHeldClock:
    """As much of the run follows a suspension as was left before it."""

    def test_the_rest_of_the_run_follows(self, world: World) -> None:
        world.apply()
        world.until(100)
        world.apply(**HOLD)
        world.settle()
        assert world.faulty() == set()
        run = world.status().run
        assert run is not None
        assert (run.held_since, run.start_time, run.end_time) == (after(100), NOON, after(600))
        world.until(5000)
        assert world.says("Ready") == ("True", "Suspended")
        assert world.says("Succeeded") == ("Unknown", "RunInProgress")
        assert world.status().summary == "Run 1 held since 2026-06-01T12:01:40Z: 3 of 3 injected"
        world.apply(state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.number, run.held_since) == (1, None)
        assert (run.start_time, run.end_time) == (after(4900), after(5500))
        world.pass_time(1)
        assert len(world.faulty()) == 3
        world.until(5600)
        assert world.says("Succeeded") == ("True", "Completed")

    def test_it_may_be_held_more_than_once(self, world: World) -> None:
        world.apply()
        for begin in (100, 300, 500):
            world.until(begin)
            world.apply(**HOLD)
            world.until(begin + 50)
            world.apply(state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert run.end_time == after(750)

    def test_held_before_its_start_it_starts_that_much_later(self, world: World) -> None:
        world.apply(startDelaySeconds=100)
        world.until(40)
        world.apply(**HOLD)
        world.until(1000)
        run = world.status().run
        assert run is not None
        assert run.phase is RunPhase.PENDING
        world.apply(state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.start_time, run.end_time) == (after(1060), after(1660))

    def test_a_start_named_while_it_is_held_counts_from_then(self, world: World) -> None:
        world.apply(startTime=after(100).isoformat())
        world.until(40)
        world.apply(**HOLD)
        world.until(60)
        world.apply(startTime=after(500).isoformat())
        world.until(80)
        world.apply(priority=3)
        world.until(90)
        run = world.status().run
        assert run is not None
        assert (run.phase, run.start_time, run.held_since) == (
            RunPhase.PENDING,
            after(500),
            after(60),
        )
        world.apply(state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.start_time, run.end_time) == (after(530), after(1130))

    @pytest.mark.parametrize("born", [50, 150], ids=["while it ran", "while it was held"])
    def test_a_static_choice_stays_closed_however_far_the_start_moves(
        self, world: World, born: float
    ) -> None:
        world.apply(targets={"selector": {}, "policy": "Static"})
        world.settle()
        chosen = {f"bruce-{number}" for number in (1, 2, 3)}
        world.until(min(born, 100))
        newcomers = [f"darlington-{number}" for number in range(8)]
        for name in newcomers if born <= 100 else ():
            world.add_reactor(name)
        world.until(100)
        world.apply(**HOLD)
        world.until(150)
        for name in newcomers if born > 100 else ():
            world.add_reactor(name)
        world.until(200)
        world.apply(state="Active")
        world.pass_time(1)
        run = world.status().run
        assert run is not None
        assert run.start_time == after(100)
        cutoff = run.selection_cutoff or ""
        ranks = [rank(0, one.metadata.uid) for one in world.reactors.values() if one.metadata.uid]
        assert sum(one <= cutoff for one in ranks) > 3, "a newcomer of lower rank"
        assert world.faulty() == chosen
        assert run.selection_time == NOON

    def test_an_operator_that_is_killed_keeps_it_held(self, world: World) -> None:
        world.apply()
        world.until(100)
        world.apply(**HOLD)
        world.settle()
        world.now = world.topic.now = after(5000)
        world.start_operator()
        world.settle()
        assert world.faulty() == set()
        world.apply(state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert run.end_time == after(5500)

    def test_what_had_expired_before_anybody_saw_the_suspension_is_over(self, world: World) -> None:
        world.apply()
        world.until(100)
        world.now = world.topic.now = after(1000)
        world.apply(**HOLD)
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.phase, run.end_time) == (RunPhase.COMPLETED, after(600))

    def test_aborted_while_held_it_is_over(self, world: World) -> None:
        world.apply()
        world.until(100)
        world.apply(**HOLD)
        world.until(1000)
        world.apply(state="Aborted")
        world.pass_time(1)
        run = world.status().run
        assert run is not None
        assert (run.phase, run.end_time, run.held_since) == (RunPhase.ABORTED, after(1000), None)
        assert world.says("Succeeded") == ("False", "Aborted")

    def test_the_clock_may_be_let_go_on_while_suspended(self, world: World) -> None:
        world.apply()
        world.until(100)
        world.apply(**HOLD)
        world.until(200)
        world.apply(suspendPolicy="RunClock")
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.held_since, run.end_time) == (None, after(700))
        assert world.faulty() == set()
        world.until(800)
        assert world.says("Succeeded") == ("True", "Completed")

    def test_of_a_schedule_that_replaces_the_rest_ends_with_the_next_tick(
        self, world: World
    ) -> None:
        every_ten = {"cron": "*/10 * * * *", "concurrencyPolicy": "Replace"}
        world.apply(schedule=every_ten)
        world.until(700)
        world.apply(**HOLD)
        world.until(1700)
        world.apply(state="Active")
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.start_time, run.end_time) == (after(1600), after(1800))
        assert len(world.faulty()) == 3
        world.until(1810)
        run = world.status().run
        assert run is not None
        assert (run.number, run.start_time) == (2, after(1800))

    def test_the_time_for_probes_stands_still_as_well(self, world: World) -> None:
        steady = {
            "name": "steady",
            "phase": "Before",
            "timeoutSeconds": 30,
            "alarm": {"signal": "primary_pressure_mpa"},
        }
        world.apply(probes=[steady])
        world.until(20)
        world.apply(**HOLD)
        world.until(1000)
        run = world.status().run
        assert run is not None
        assert run.phase is RunPhase.PROBING
        world.apply(state="Active")
        world.pass_time(5)
        world.passes("steady")
        world.settle()
        assert len(world.faulty()) == 3


class TestEnvironment:
    """A scenario that is meant for another environment does nothing here."""

    @pytest.mark.parametrize("serves", [None, "staging"])
    def test_it_is_refused(self, serves: str | None) -> None:
        world = fleet_of(2, guards=Guards(environment=serves))
        world.apply(environment="training")
        world.pass_time(10)
        assert world.faulty() == set()
        assert world.status().run is None
        assert world.says("Ready") == ("False", "EnvironmentMismatch")
        assert world.says("Stalled") == ("True", "EnvironmentMismatch")
        assert world.status().summary.startswith("Refused: meant for environment training")
        world.apply(environment=None)
        world.pass_time(1)
        assert len(world.faulty()) == 2
        assert world.says("Stalled") is None

    def test_a_schedule_says_so_before_its_tick(self) -> None:
        world = fleet_of(2)
        world.apply(environment="training", schedule={"cron": "0 * * * *"})
        world.settle()
        assert world.says("Stalled") == ("True", "EnvironmentMismatch")
        world.until(3700)
        assert world.status().run is None

    def test_in_its_own_environment_it_runs(self) -> None:
        world = fleet_of(2, guards=Guards(environment="training"))
        world.apply(environment="training")
        world.pass_time(1)
        assert len(world.faulty()) == 2

    def test_a_dry_run_follows_what_would_be_refused(self) -> None:
        world = fleet_of(4, guards=Guards(max_targets_percent=50))
        world.apply(targets={"selector": {}, "count": 2}, mode="DryRun")
        for reactors, is_refused in ((4, False), (3, True), (4, False)):
            if len(world.reactors) > reactors:
                world.remove_reactor("bruce-1")
            elif len(world.reactors) < reactors:
                world.add_reactor("bruce-1")
            world.settle()
            ready = world.condition("Ready")
            assert ready is not None
            assert ("would be refused" in ready.message) is is_refused

    def test_a_dry_run_tells_what_would_be_refused(self) -> None:
        world = fleet_of(2)
        world.apply(environment="training", mode="DryRun")
        world.settle()
        assert world.says("Ready") == ("True", "DryRun")
        ready = world.condition("Ready")
        assert ready is not None
        assert "meant for environment training" in ready.message


class TestBlastRadius:
    """One scenario may act on a share of the namespace's reactors only."""

    @pytest.fixture
    def guarded(self) -> World:
        return fleet_of(4, guards=Guards(max_targets_percent=50))

    @pytest.mark.parametrize(
        ("count", "allowed"), [(1, True), (2, True), (3, False), ("50%", True), ("75%", False)]
    )
    def test_the_share(self, guarded: World, count: int | str, allowed: bool) -> None:
        guarded.apply(targets={"selector": {}, "count": count})
        guarded.pass_time(1)
        assert bool(guarded.faulty()) is allowed
        assert (guarded.says("Stalled") is None) is allowed

    def test_the_message_has_the_figures(self, guarded: World) -> None:
        guarded.apply()
        guarded.settle()
        assert guarded.says("Ready") == ("False", "GuardTripped")
        ready = guarded.condition("Ready")
        assert ready is not None
        assert ready.message == (
            "BlastRadius: 4 of the namespace's 4 reactors chosen, at most 2 (50 %) allowed"
        )

    def test_it_begins_once_the_fleet_is_large_enough(self, guarded: World) -> None:
        guarded.apply(targets={"selector": {}, "count": 3})
        guarded.pass_time(60)
        guarded.add_reactor("bruce-5")
        guarded.settle()
        assert guarded.faulty() == set()
        guarded.add_reactor("bruce-6")
        guarded.settle()
        assert len(guarded.faulty()) == 3
        run = guarded.status().run
        assert run is not None
        assert run.start_time == after(60)

    def test_a_dynamic_run_does_not_grow_beyond_it(self, guarded: World) -> None:
        guarded.apply(targets={"selector": {"matchLabels": {"unit": "1"}}})
        for name in ("bruce-1", "bruce-2"):
            guarded.label(name, {"unit": "1"})
        guarded.pass_time(1)
        assert len(guarded.faulty()) == 2
        guarded.label("bruce-3", {"unit": "1"})
        guarded.pass_time(1)
        assert len(guarded.faulty()) == 2
        guarded.start_operator()
        guarded.pass_time(1)
        assert len(guarded.faulty()) == 2
        for number in (5, 6):
            guarded.add_reactor(f"bruce-{number}")
        guarded.pass_time(1)
        assert len(guarded.faulty()) == 3

    def test_nor_is_it_cut_when_the_fleet_shrinks(self, guarded: World) -> None:
        guarded.apply(targets={"selector": {}, "count": 2})
        guarded.pass_time(1)
        hit = guarded.faulty()
        for name in {"bruce-1", "bruce-2", "bruce-3", "bruce-4"} - hit:
            guarded.remove_reactor(name)
        guarded.pass_time(1)
        assert guarded.faulty() == hit

    def test_it_may_be_broken_on_purpose(self, guarded: World) -> None:
        guarded.apply(guardOverride={"guards": ["BlastRadius"], "reason": WHY})
        guarded.pass_time(1)
        assert len(guarded.faulty()) == 4

    def test_a_tick_that_is_refused_waits_as_long_as_a_missed_one(self, guarded: World) -> None:
        guarded.apply(
            schedule={"cron": "*/30 * * * *", "startingDeadlineSeconds": 120},
            targets={"selector": {}, "count": 3},
        )
        guarded.until(1860)
        assert guarded.says("Ready") == ("False", "GuardTripped")
        assert guarded.status().next_run_time == after(1800)
        guarded.until(1925)
        assert guarded.says("Ready") == ("True", "WaitingForSchedule")
        assert guarded.status().next_run_time == after(3600)
        guarded.until(3650)
        for number in (5, 6):
            guarded.add_reactor(f"bruce-{number}")
        guarded.settle()
        run = guarded.status().run
        assert run is not None
        assert run.start_time == after(3650)


class TestEditedBeforeInjection:
    """No edit takes a run past a guard once it has its number."""

    @pytest.fixture
    def guarded(self) -> World:
        return fleet_of(4, guards=Guards(max_targets_percent=50))

    @pytest.mark.parametrize("policy", ["Static", "Dynamic"])
    @pytest.mark.parametrize("is_suspended", [False, True])
    def test_of_more_targets_than_allowed_none_is_struck(
        self, guarded: World, policy: str, is_suspended: bool
    ) -> None:
        one = {"selector": {}, "count": 1, "policy": policy}
        guarded.apply(targets=one, startDelaySeconds=60)
        guarded.pass_time(5)
        if is_suspended:
            guarded.apply(state="Suspended")
            guarded.pass_time(5)
        guarded.apply(targets=one | {"count": 4})
        guarded.pass_time(5)
        if is_suspended:
            guarded.apply(state="Active")
            guarded.pass_time(5)
        assert guarded.faulty() == set()
        guarded.until(100)
        assert guarded.faulty() == set()
        assert guarded.says("Succeeded") == ("False", "GuardTripped")
        succeeded = guarded.condition("Succeeded")
        assert succeeded is not None
        assert "4 of the namespace's 4 reactors chosen, at most 2" in succeeded.message
        run = guarded.status().run
        assert run is not None
        assert (run.number, run.phase) == (1, RunPhase.ABORTED)
        guarded.apply(targets=one, runToken="again", startDelaySeconds=None)
        guarded.pass_time(1)
        assert len(guarded.faulty()) == 1

    def test_a_static_choice_that_is_open_does_not_grow_beyond_it(self, guarded: World) -> None:
        guarded.label("bruce-1", {"unit": "1"})
        unit = {"selector": {"matchLabels": {"unit": "1"}}, "policy": "Static"}
        guarded.apply(targets=unit, startDelaySeconds=60)
        guarded.pass_time(5)
        for number in (2, 3, 4):
            guarded.label(f"bruce-{number}", {"unit": "1"})
        guarded.until(100)
        assert len(guarded.faulty()) == 2

    def test_leave_that_is_taken_back_ends_it(self, guarded: World) -> None:
        override = {"guards": ["BlastRadius"], "reason": WHY}
        guarded.apply(guardOverride=override, startDelaySeconds=60)
        guarded.pass_time(5)
        assert len(guarded.faulty()) == 4
        guarded.apply(guardOverride=None)
        guarded.until(100)
        assert guarded.faulty() == set()
        assert guarded.says("Succeeded") == ("False", "GuardTripped")

    def test_another_environment_ends_it(self) -> None:
        world = fleet_of(2)
        world.apply(startDelaySeconds=60)
        world.pass_time(5)
        world.apply(environment="training")
        world.until(100)
        assert world.faulty() == set()
        assert world.says("Succeeded") == ("False", "EnvironmentMismatch")

    @pytest.mark.parametrize("start", [{"startDelaySeconds": 60}, {}])
    def test_a_second_severe_one_does_not_begin(self, start: dict[str, Any]) -> None:
        world = fleet_of(3, guards=Guards(max_severe_runs=1))
        world.apply("first", stages=SEVERE)
        later = [{**LEAK, "severityPercent": 10, "offsetSeconds": 0 if start else 100}]
        world.apply("second", stages=later, **start)
        world.until(20)
        world.apply("second", stages=[later[0] | {"severityPercent": 100}])
        world.until(150)
        assert {fault[0] for fault in world.faults()} == {"first"}
        assert world.says("Succeeded", "second") == ("False", "GuardTripped")

    @pytest.mark.parametrize(
        ("edit", "reason"),
        [
            ({"targets": {"selector": {}, "count": 4}}, "GuardTripped"),
            ({"environment": "training"}, "EnvironmentMismatch"),
        ],
    )
    def test_so_is_one_that_only_a_newer_operator_can_read(
        self, guarded: World, edit: dict[str, Any], reason: str
    ) -> None:
        guarded.apply(targets={"selector": {}, "count": 1}, startDelaySeconds=60)
        guarded.pass_time(5)
        guarded.upgrade(**edit)
        guarded.until(100)
        assert guarded.faulty() == set()
        assert guarded.says("Succeeded") == ("False", reason)

    def test_of_a_schedule_that_only_a_newer_operator_can_read_no_tick_was_promised(
        self, guarded: World
    ) -> None:
        one = {"selector": {}, "count": 1}
        guarded.apply(targets=one, schedule={"cron": "*/30 * * * *"})
        guarded.until(1750)
        assert guarded.status().next_run_time == after(1800)
        guarded.now = guarded.topic.now = after(1810)
        guarded.upgrade(schedule={"cron": "30 12 * * *"})
        guarded.pass_time(5)
        assert guarded.status().run is None
        assert guarded.status().next_run_time == after(86_400 + 1800)

    def test_nothing_is_published_before_the_edit_was_planned(self, guarded: World) -> None:
        stages = [{**LEAK, "offsetSeconds": 100}]
        guarded.apply(targets={"selector": {}, "count": 2}, stages=stages)
        guarded.until(20)
        assert len(guarded.faulty()) == 2
        published = []
        offer = guarded.topic.offer

        def note(desired: DesiredReactor) -> None:
            published.append(max((one.severity_permille for one in desired.faults), default=0))
            offer(desired)

        guarded.topic.offer = note  # type: ignore[method-assign]
        guarded.apply(stages=[stages[0] | {"severityPercent": 100}], environment="training")
        guarded.pass_time(5)
        assert set(published) == {0}

    def test_of_a_static_choice_other_ranks_make_another(self) -> None:
        world = fleet_of(10, guards=Guards(max_targets_percent=20))
        one = {"selector": {}, "count": 1, "policy": "Static"}
        world.apply(targets=one, stages=[{**LEAK, "offsetSeconds": 300}])
        world.until(10)
        for seed in range(1, 6):
            world.apply(targets=one | {"seed": seed})
            world.pass_time(1)
            assert len(world.faulty()) == 1
        world.apply(**HOLD, targets=one | {"seed": 6})
        world.pass_time(1)
        world.apply(state="Active")
        world.pass_time(1)
        assert len(world.faulty()) == 1
        run = world.status().run
        assert run is not None
        assert run.selection_cutoff is not None

    def test_once_it_has_injected_it_goes_on(self, guarded: World) -> None:
        override = {"guards": ["BlastRadius"], "reason": WHY}
        guarded.apply(guardOverride=override)
        guarded.until(10)
        guarded.apply(guardOverride=None)
        guarded.until(20)
        assert len(guarded.faulty()) == 4

    @pytest.mark.parametrize("policy", ["Static", "Dynamic"])
    def test_the_next_run_of_a_schedule_that_replaces_is_judged_by_its_own_choice(
        self, policy: str
    ) -> None:
        world = fleet_of(10, guards=Guards(max_targets_percent=50))
        for number in range(1, 4):
            world.label(f"bruce-{number}", {"unit": "1"})
        world.apply(
            schedule={"cron": "*/5 * * * *", "concurrencyPolicy": "Replace"},
            targets={"selector": {"matchLabels": {"unit": "1"}}, "policy": policy},
        )
        world.until(310)
        assert len(world.faulty()) == 3
        for number in range(4, 11):
            world.label(f"bruce-{number}", {"unit": "1"})
        world.until(590)
        assert len(world.faulty()) == (3 if policy == "Static" else 5)
        world.until(620)
        assert world.faulty() == set()
        assert world.says("Stalled") == ("True", "GuardTripped")
        for number in range(6, 11):
            world.label(f"bruce-{number}", {})
        world.pass_time(1)
        run = world.status().run
        assert run is not None
        assert (run.number, len(world.faulty())) == (2, 5)

    def test_a_replacing_run_still_begins_at_its_tick(self) -> None:
        world = fleet_of(2)
        world.apply(
            schedule={"cron": "*/5 * * * *", "concurrencyPolicy": "Replace"},
            targets={"selector": {}, "policy": "Static"},
        )
        world.until(900)
        run = world.status().run
        assert run is not None
        assert (run.number, run.start_time) == (3, after(900))
        assert len(world.faulty()) == 2


class TestConcurrentSevere:
    """Severe runs do not pile up."""

    @pytest.fixture
    def guarded(self) -> World:
        return fleet_of(3, guards=Guards(max_severe_runs=1))

    def test_the_second_waits_for_the_first(self, guarded: World) -> None:
        guarded.apply("first", stages=SEVERE)
        guarded.apply("second", stages=SEVERE)
        guarded.pass_time(1)
        begun = [name for name in ("first", "second") if guarded.status(name).run is not None]
        (waiting,) = {"first", "second"} - set(begun)
        assert guarded.says("Stalled", waiting) is None, "it passes by itself"
        assert guarded.says("Reconciling", waiting) == ("True", "GuardTripped")
        ready = guarded.condition("Ready", waiting)
        assert ready is not None
        assert ready.message == (
            "ConcurrentSevere: 1 other severe run at the same time, at most 1 allowed"
        )
        guarded.until(605)
        run = guarded.status(waiting).run
        assert run is not None
        assert run.phase is RunPhase.RUNNING
        assert run.start_time >= after(600)

    def test_what_is_not_severe_does_not_count(self, guarded: World) -> None:
        guarded.apply("first", stages=SEVERE)
        guarded.apply("second")
        guarded.pass_time(1)
        assert guarded.status("second").run is not None

    def test_one_whose_time_is_another_does_not_count(self, guarded: World) -> None:
        guarded.apply("tomorrow", stages=SEVERE, startDelaySeconds=86_400)
        guarded.settle()
        guarded.apply("today", stages=SEVERE)
        guarded.pass_time(1)
        assert guarded.says("Ready", "today") == ("True", "Active")

    def test_one_whose_clock_stands_still_counts(self, guarded: World) -> None:
        guarded.apply("first", stages=SEVERE)
        guarded.until(100)
        guarded.apply("first", **HOLD)
        guarded.until(2000)
        guarded.apply("second", stages=SEVERE)
        guarded.settle()
        assert guarded.says("Ready", "second") == ("False", "GuardTripped")

    @pytest.mark.parametrize("delay", [0, 200], ids=["after injecting", "before it"])
    @pytest.mark.parametrize("restarts", [False, True])
    def test_one_whose_clock_stands_still_goes_on_when_the_other_is_over(
        self, guarded: World, delay: int, restarts: bool
    ) -> None:
        guarded.apply("first", stages=SEVERE, targets=ONE, startDelaySeconds=delay)
        guarded.until(100)
        guarded.apply("second", stages=SEVERE, targets=TWO, startDelaySeconds=900)
        guarded.settle()
        guarded.apply("first", **HOLD)
        guarded.until(1000)
        assert guarded.faulty() == {"bruce-2"}
        guarded.apply("first", state="Active")
        guarded.until(1100)
        if restarts:
            guarded.start_operator()
            guarded.until(1200)
        assert guarded.faulty() == {"bruce-2"}
        run = guarded.status("first").run
        assert run is not None
        assert (run.held_since, run.number) == (after(100), 1)
        assert guarded.says("Ready", "first") == ("False", "GuardTripped")
        assert guarded.says("Reconciling", "first") == ("True", "GuardTripped")
        assert guarded.says("Suspended", "first") == ("False", "NotSuspended")
        assert guarded.status("first").summary.startswith("Run 1 held since 2026-06-01T12:01:40Z")
        second = guarded.status("second").run
        assert second is not None
        guarded.now = guarded.topic.now = second.end_time
        guarded.pass_time(0)
        run = guarded.status("first").run
        assert run is not None
        assert run.held_since is None
        assert run.end_time - guarded.now == timedelta(seconds=500 + delay)
        guarded.pass_time(delay)
        assert guarded.faulty() == {"bruce-1"}

    def test_of_two_whose_clocks_stood_still_one_goes_on_and_then_the_other(
        self, guarded: World
    ) -> None:
        guarded.apply("first", stages=SEVERE, targets=ONE)
        guarded.until(100)
        guarded.apply("second", stages=SEVERE, targets=TWO, startDelaySeconds=900)
        guarded.settle()
        guarded.apply("first", **HOLD)
        guarded.until(950)
        guarded.apply("second", **HOLD)
        guarded.until(2000)
        for name in ("first", "second"):
            guarded.apply(name, state="Active")
        guarded.settle()
        assert len([name for name in ("first", "second") if self.is_held(guarded, name)]) == 1
        guarded.until(5000)
        for name in ("first", "second"):
            assert guarded.says("Succeeded", name) == ("True", "Completed")

    @staticmethod
    def is_held(world: World, name: str) -> bool:
        run = world.status(name).run
        assert run is not None
        return run.held_since is not None

    def test_that_the_clock_goes_on_while_suspended_is_no_way_round(self, guarded: World) -> None:
        guarded.apply("first", stages=SEVERE, targets=ONE)
        guarded.until(100)
        guarded.apply("second", stages=SEVERE, targets=TWO, startDelaySeconds=900)
        guarded.settle()
        guarded.apply("first", **HOLD)
        guarded.until(1000)
        guarded.apply("first", suspendPolicy="RunClock")
        guarded.pass_time(5)
        guarded.apply("first", state="Active")
        guarded.pass_time(5)
        assert guarded.faulty() == {"bruce-2"}

    def test_a_held_one_may_go_on_at_once_on_purpose(self, guarded: World) -> None:
        guarded.apply("first", stages=SEVERE, targets=ONE)
        guarded.until(100)
        guarded.apply("second", stages=SEVERE, targets=TWO, startDelaySeconds=900)
        guarded.settle()
        guarded.apply("first", **HOLD)
        guarded.until(1000)
        guarded.apply("first", state="Active")
        guarded.pass_time(5)
        override: dict[str, Any] = {"guards": ["ConcurrentSevere"], "reason": WHY}
        guarded.apply("first", guardOverride=override)
        guarded.pass_time(5)
        assert guarded.faulty() == {"bruce-1", "bruce-2"}

    def test_a_new_operator_counts_what_goes_on(self, guarded: World) -> None:
        guarded.apply("second", stages=SEVERE, state="Suspended")
        guarded.apply("first", stages=SEVERE)
        guarded.pass_time(1)
        guarded.apply("second", state="Active")
        guarded.start_operator()
        guarded.settle()
        assert guarded.status("second").run is None

    @pytest.mark.parametrize("change", ["deleted", "aborted", "overridden"])
    def test_it_begins_once_nothing_is_in_its_way(self, guarded: World, change: str) -> None:
        guarded.apply("first", stages=SEVERE)
        guarded.pass_time(1)
        guarded.apply("second", stages=SEVERE)
        guarded.settle()
        match change:
            case "deleted":
                guarded.delete("first")
            case "aborted":
                guarded.apply("first", state="Aborted")
            case "overridden":
                override: dict[str, Any] = {"guards": ["ConcurrentSevere"], "reason": WHY}
                guarded.apply("second", guardOverride=override)
        guarded.settle()
        assert guarded.status("second").run is not None


class TestAge:
    """A finished scenario goes after the time its user gave it."""

    def test_it_is_deleted_when_its_outcome_has_been_final_that_long(self, world: World) -> None:
        world.apply(ttlSecondsAfterFinished=300)
        world.until(890)
        assert "leak-drill" in world.scenarios
        world.until(960)
        assert world.scenarios == {}
        assert world.faulty() == set()

    def test_so_it_is_when_nobody_can_tell_how_it_ended(self, world: World) -> None:
        world.apply(ttlSecondsAfterFinished=300)
        world.until(100)
        world.now = world.topic.now = after(700)
        world.start_operator(replay=[])
        world.settle()
        assert world.says("Succeeded") == ("Unknown", "NotReported")
        world.until(950)
        assert "leak-drill" in world.scenarios
        world.until(970)
        assert world.scenarios == {}

    def test_without_an_age_it_stays(self, world: World) -> None:
        world.apply()
        world.until(3000)
        assert "leak-drill" in world.scenarios

    def test_not_while_another_run_waits_to_be_allowed(self) -> None:
        world = fleet_of(4, guards=Guards(max_targets_percent=50))
        world.apply(targets={"selector": {}, "count": 2}, ttlSecondsAfterFinished=300)
        world.until(700)
        world.remove_reactor("bruce-1")
        world.apply(runToken="again")
        world.until(1400)
        assert world.says("Stalled") == ("True", "GuardTripped")
        assert "leak-drill" in world.scenarios

    def test_not_while_another_run_waits_to_be_resumed(self, world: World) -> None:
        world.apply(ttlSecondsAfterFinished=300)
        world.until(700)
        world.apply(runToken="again", state="Suspended")
        world.until(1400)
        assert "leak-drill" in world.scenarios

    def test_an_age_given_late_counts_from_the_end(self, world: World) -> None:
        world.apply()
        world.until(2000)
        world.apply(ttlSecondsAfterFinished=300)
        world.settle()
        assert world.scenarios == {}

    def test_not_when_it_was_edited_meanwhile(self, world: World) -> None:
        world.apply(ttlSecondsAfterFinished=300)
        world.until(890)
        world.now = world.topic.now = after(970)
        world.reconciler.mark_due()
        world.reconciler.work(seconds=60)
        assert len(world.statuses.deleted) == 1
        world.apply(runToken="again")
        world.settle()
        assert "leak-drill" in world.scenarios
        assert len(world.faulty()) == 3

    @pytest.mark.parametrize("age", [0, 300])
    def test_so_it_is_when_its_run_was_missed(self, world: World, age: int) -> None:
        world.apply(startTime=after(-100_000).isoformat(), ttlSecondsAfterFinished=age)
        world.pass_time(1, report=False)
        assert world.scenarios == {} or world.says("Succeeded") == ("False", "Missed")
        world.pass_time(age - 2, report=False)
        assert (world.scenarios == {}) is (age == 0)
        world.pass_time(2, report=False)
        assert world.scenarios == {}

    def test_not_when_it_is_being_deleted_already(self, world: World) -> None:
        world.apply(ttlSecondsAfterFinished=300)
        world.until(800)
        world.terminate_scenario("leak-drill")
        world.until(1100)
        world.reconciler.sweep()
        world.settle()
        assert "leak-drill" in world.scenarios, "the world deletes it at a word"

    def test_so_it_is_at_once_when_that_is_asked_for(self, world: World) -> None:
        world.apply(ttlSecondsAfterFinished=0)
        world.until(600)
        world.report()
        world.settle()
        world.pass_time(2, report=False)
        assert world.scenarios == {}

    def test_another_run_gives_it_another_life(self, world: World) -> None:
        world.apply(ttlSecondsAfterFinished=300)
        world.until(800)
        world.apply(runToken="again")
        world.until(1300)
        assert "leak-drill" in world.scenarios
        world.until(1300 + 500)
        assert world.scenarios == {}


class TestBeingDeleted:
    """Somebody's finalizer keeps an object; for the plants it is gone."""

    def test_a_scenario_injects_nothing_and_ends_its_run(self, world: World) -> None:
        world.apply()
        world.pass_time(1)
        world.terminate_scenario("leak-drill")
        world.settle()
        assert world.faulty() == set()
        world.pass_time(1)
        assert world.says("Succeeded") == ("False", "Aborted")
        world.until(2000)
        run = world.status().run
        assert run is not None
        assert run.number == 1

    def test_a_reactor_is_withdrawn_and_nobodys_target(self, world: World) -> None:
        world.apply()
        world.pass_time(1)
        world.terminate_reactor("bruce-1")
        world.settle()
        assert set(world.topic.held) == {"default/bruce-2", "default/bruce-3"}
        assert (world.status().targets.selected, world.status().targets.left) == (3, 1)
        world.until(700)
        assert world.says("Succeeded") == ("True", "Completed")


def test_events_of_a_reactor_deleted_while_nobody_looked_do_not_spoil_the_verdict(
    world: World,
) -> None:
    world.apply()
    world.until(100)
    del world.reactors["bruce-1"]
    world.topic.withdraw("default/bruce-1")
    world.start_operator()
    world.settle()
    world.now = world.topic.now = world.now + timedelta(seconds=31)
    world.settle()
    world.until(700)
    assert world.says("Recovered") == ("True", "AllRecovered")
    assert world.says("Succeeded") == ("True", "Completed")
