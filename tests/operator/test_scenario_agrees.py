"""What a status says in one place agrees with what it says in the others."""

from typing import Any

import pytest

from reactorsync.resources.scenario_status import RunPhase
from reactorsync.store.port import Invalid
from reactorsync_operator.reconcile.guards import Guards
from tests.core.planning.build import LEAK
from tests.operator.test_scenario_probes import probe
from tests.operator.world import World

SHORT = [{**LEAK, "durationSeconds": 30}]


@pytest.fixture
def world() -> World:
    some = World()
    for number in (1, 2, 3):
        some.add_reactor(f"bruce-{number}")
    some.pass_time(1)
    return some


def message(world: World, type_: str, name: str = "leak-drill") -> str:
    found = world.condition(type_, name)
    assert found is not None
    return found.message


@pytest.fixture
def rivals(world: World) -> World:
    """Two drills of half a minute on one reactor, of which the second gives way to the first."""
    only = {"names": ["bruce-1"]}
    world.apply("win", stages=SHORT, targets=only)
    world.pass_time(0.025)
    world.apply("lose", stages=SHORT, targets=only, conflictPolicy="Reject")
    world.pass_time(1)
    return world


class TestGivingWay:
    """A run that gave way to another for its whole time acted on nothing, and failed for that."""

    def test_while_it_does_the_summary_names_the_other(self, rivals: World) -> None:
        run = rivals.status("lose").run
        assert run is not None
        assert rivals.status("lose").summary == (
            f"Run 1 until {run.end_time:%Y-%m-%dT%H:%M:%SZ}: acts on none of 1: bruce-1: gives way "
            "to scenario win"
        )

    def test_it_does_not_begin_in_its_last_moment(self, rivals: World) -> None:
        rivals.pass_time(28.98)
        assert rivals.status("win").run.phase is RunPhase.COMPLETED  # type: ignore[union-attr]
        assert rivals.status("lose").run.phase is RunPhase.RUNNING  # type: ignore[union-attr]
        assert rivals.faults("bruce-1") == []

    @pytest.mark.parametrize("step", [28.9, 28.98, 40])
    def test_its_reason_stays_when_it_is_over(self, rivals: World, step: float) -> None:
        rivals.pass_time(step)
        rivals.pass_time(20)
        assert rivals.says("Succeeded", "lose") == ("False", "Conflict")
        assert rivals.says("Injected", "lose") == ("False", "Conflict")
        status = rivals.status("lose")
        assert [(one.reactor, one.reason) for one in status.failures] == [("bruce-1", "Conflict")]
        assert "win" in status.failures[0].message
        assert (status.targets.injected, status.targets.failed) == (0, 1)
        assert status.score is None
        assert "failed" in status.summary
        assert "win" in status.summary
        assert rivals.says("Succeeded", "win") == ("True", "Completed")
        before = rivals.status("lose")
        rivals.pass_time(600)
        assert rivals.status("lose") == before

    def test_it_is_final_at_its_end(self, rivals: World) -> None:
        rivals.pass_time(29)
        rivals.pass_time(1)
        assert rivals.says("Ready", "lose") == ("True", "Completed")
        assert rivals.says("Succeeded", "lose") == ("False", "Conflict")
        assert rivals.says("Recovered", "lose") == ("True", "NothingInjected")

    def test_of_many_targets_all_are_counted(self) -> None:
        world = World()
        for number in range(30):
            world.add_reactor(f"bruce-{number}")
        world.apply("win", stages=SHORT)
        world.pass_time(1)
        world.apply("lose", stages=SHORT, conflictPolicy="Reject", priority=-1)
        world.pass_time(1)
        world.pass_time(40)
        status = world.status("lose")
        assert (status.targets.failed, len(status.failures)) == (30, 20)
        assert world.says("Succeeded", "lose") == ("False", "Conflict")
        assert "comes first on 30" in message(world, "Succeeded", "lose")


def test_the_end_of_a_fault_that_never_began_makes_no_success(world: World) -> None:
    world.apply(stages=SHORT, targets={"names": ["bruce-1"]})
    world.pass_time(1, report=False)
    held = world.topic.held["default/bruce-1"]
    world.pass_time(31, report=False)
    world.end_unbegun(held)
    world.pass_time(61)
    assert world.says("Succeeded") == ("False", "NotInjected")
    run, counts = world.status().run, world.status().targets
    assert run is not None
    assert (run.injected_time, run.recovered_time) == (None, None)
    assert (counts.injected, counts.recovered) == (0, 0)
    assert world.status().score is None


class TestFailing:
    """`kubectl get` tells a run that failed from one that did not."""

    def test_a_steady_state_that_was_not_met(self, world: World) -> None:
        world.apply(probes=[probe("warm", phase="Before", timeout=10)])
        world.until(30)
        assert world.status().summary == (
            "Run 1 failed 2026-06-01T12:00:16Z: not in its steady state: warm (nothing of it was "
            "seen)"
        )

    def test_a_name_that_is_none(self, world: World) -> None:
        world.apply(stages=SHORT, targets={"names": ["bruce-1", "typo"]})
        world.until(60)
        assert world.status().summary == (
            "Run 1 completed 2026-06-01T12:00:31Z on 1 of 2 targets: typo: no reactor of this name "
            "in namespace default"
        )

    def test_reactors_that_never_reported(self, world: World) -> None:
        world.apply(stages=SHORT)
        world.pass_time(31, report=False)
        world.pass_time(90)
        assert world.status().summary == (
            "Run 1 failed 2026-06-01T12:00:31Z: 3 of 3 targets never reported it acting"
        )

    def test_the_last_of_a_schedule(self, world: World) -> None:
        world.apply(stages=SHORT, schedule={"cron": "*/5 * * * *"}, targets={"names": ["typo"]})
        world.until(400)
        assert world.says("Succeeded") == ("False", "NoTargets")
        assert world.status().summary == (
            "Next run 2026-06-01T12:10:00Z; run 1 failed 2026-06-01T12:05:30Z: no reactor that the "
            "faults can act on matches"
        )

    def test_one_that_went_well_says_so(self, world: World) -> None:
        world.apply(stages=SHORT)
        world.until(60)
        assert world.status().summary.startswith(
            "Run 1 completed 2026-06-01T12:00:31Z: 3 injected, 3 recovered"
        )


class TestReactorsThatGo:
    """Whoever a run has acted on remains one of its targets, wherever they are counted."""

    def agree(self, world: World) -> None:
        status = world.status()
        counts = status.targets
        assert counts.injected <= counts.selected <= counts.matched
        assert counts.recovered <= counts.injected
        assert message(world, "Injected").startswith(
            f"{counts.injected} of {counts.injected} target"
        )
        assert world.says("Injected") == ("True", "AllInjected")
        if status.detection is not None:
            assert status.detection.detected + status.detection.missed in (0, counts.injected)

    def test_the_only_target_is_deleted(self, world: World) -> None:
        world.apply(targets={"names": ["bruce-1"]})
        world.pass_time(1)
        world.remove_reactor("bruce-1")
        world.pass_time(1)
        self.agree(world)
        assert (world.status().targets.selected, world.status().targets.left) == (1, 1)
        assert world.says("TargetsResolved") == ("False", "NoTargets")
        assert message(world, "TargetsResolved") == (
            "no reactor matches; 1 acted on, and left out since"
        )
        world.until(900)
        self.agree(world)

    def test_a_target_is_made_anew(self, world: World) -> None:
        world.apply(targets={"names": ["bruce-1", "bruce-2"]}, stages=SHORT)
        world.pass_time(1)
        world.remove_reactor("bruce-1")
        world.pass_time(1)
        world.add_reactor("bruce-1")
        world.pass_time(1)
        counts = world.status().targets
        assert (counts.matched, counts.selected, counts.left) == (3, 3, 1)
        self.agree(world)
        world.until(200)
        self.agree(world)
        assert world.status().targets.injected == 3
        assert world.says("Succeeded") == ("True", "Completed")

    def test_a_run_that_may_not_grow_does_not_by_those_that_left(self) -> None:
        world = World(guards=Guards(max_targets_percent=50))
        for number in range(6):
            world.add_reactor(f"bruce-{number}")
        world.apply(targets={"selector": {}, "count": 3})
        world.pass_time(1)
        for number in range(3):
            (name, *_) = sorted(world.faulty())
            world.remove_reactor(name)
            world.pass_time(1)
            world.add_reactor(f"darlington-{number}")
            world.pass_time(1)
            assert len(world.faulty()) <= 3


class TestEditingARunThatGoesOn:
    """What would end it unasked, or not at all, is refused."""

    @pytest.mark.parametrize(
        ("field", "edit"), [("mode", {"mode": "DryRun"}), ("environment", {"environment": "other"})]
    )
    def test_the_field_is_frozen(self, world: World, field: str, edit: dict[str, Any]) -> None:
        world.apply()
        world.pass_time(1)
        with pytest.raises(Invalid, match=f"spec.{field}"):
            world.apply(**edit)
        world.apply(state="Aborted")
        world.pass_time(1)
        world.apply(**edit)


class TestSuspendedWhileProbing:
    """A run that waits for its probes and is suspended shows both, and keeps to its end."""

    @pytest.fixture
    def probing(self, world: World) -> World:
        world.apply(stages=SHORT, probes=[probe("warm", phase="Before", timeout=60)])
        world.pass_time(1)
        return world

    @pytest.mark.parametrize("policy", ["RunClock", "HoldClock"])
    def test_the_summary_says_both(self, probing: World, policy: str) -> None:
        probing.apply(state="Suspended", suspendPolicy=policy)
        probing.pass_time(1)
        assert "suspended while waiting for its Before probes" in probing.status().summary

    def test_a_clock_that_goes_on_comes_to_the_end(self, probing: World) -> None:
        probing.apply(state="Suspended")
        probing.until(40)
        run = probing.status().run
        assert run is not None
        assert run.phase is RunPhase.ABORTED
        assert probing.says("Succeeded") == ("False", "Aborted")

    def test_one_that_was_held_has_all_of_it_ahead(self, probing: World) -> None:
        probing.until(45)
        probing.apply(state="Suspended", suspendPolicy="HoldClock")
        probing.until(100)
        probing.apply(state="Active")
        probing.pass_time(1)
        run = probing.status().run
        assert run is not None
        assert run.phase is RunPhase.PROBING
        assert run.end_time > probing.now
        probing.passes("warm")
        probing.pass_time(1)
        probing.until(160)
        assert probing.says("Succeeded") == ("True", "Completed")

    def test_a_run_that_probes_past_its_length_tells_no_end_that_is_over(
        self, probing: World
    ) -> None:
        probing.until(50)
        run = probing.status().run
        assert run is not None
        assert run.phase is RunPhase.PROBING
        assert run.end_time > probing.now


class TestWaitingForNobody:
    """Nothing matches, so nothing is ready, whatever else is waited for."""

    @pytest.mark.parametrize(
        "start", [{"startDelaySeconds": 60}, {"schedule": {"cron": "*/5 * * * *"}}]
    )
    def test_it_is_not_ready_before_somebody_matches(
        self, world: World, start: dict[str, Any]
    ) -> None:
        world.apply(targets={"names": ["later"]}, **start)
        world.pass_time(1)
        assert world.says("Ready") == ("False", "NoTargets")
        assert world.says("TargetsResolved") == ("False", "NoTargets")
        world.add_reactor("later")
        world.pass_time(1)
        ready = world.says("Ready")
        assert ready is not None
        assert ready[0] == "True"


class TestRecovering:
    """A run whose faults were not reported gone is no quiet success."""

    def test_it_is_not_ready_until_they_are(self, world: World) -> None:
        world.apply(stages=SHORT)
        world.pass_time(1)
        world.pass_time(31, report=False)
        assert world.says("Ready") == ("False", "Recovering")
        world.pass_time(1)
        assert world.says("Ready") == ("True", "Completed")

    def test_with_the_broker_away_that_is_why(self, world: World) -> None:
        world.apply(stages=SHORT)
        world.pass_time(1)
        world.pass_time(31, report=False)
        world.reconciler.set_delivery_problem("the broker does not answer")
        world.settle()
        assert world.says("Ready") == ("False", "DeliveryUnavailable")


class TestSilence:
    """One shard's silence is its generator's; that of all of them has another cause."""

    def test_all_fall_silent_at_once(self, world: World) -> None:
        world.pass_time(16, report=False)
        for name in world.reactors:
            assert world.reactor_says("Ready", name) == ("False", "DeliveryUnavailable")
        world.pass_time(1)
        assert world.reactor_says("Ready") == ("True", "Streaming")

    def test_one_does_not_come_back_with_the_others(self, world: World) -> None:
        world.pass_time(16, report=False)
        world.beat(0)
        world.settle()
        found = {world.reactor_says("Ready", name) for name in world.reactors}
        assert found == {("True", "Streaming"), ("False", "GeneratorSilent")}
        assert world.left_for_another() == []

    def test_one_falls_silent(self, world: World) -> None:
        for _ in range(4):
            world.pass_time(5, report=False)
            world.beat(0)
            world.settle()
        found = {world.reactor_says("Ready", name) for name in world.reactors}
        assert found == {("True", "Streaming"), ("False", "GeneratorSilent")}


def test_several_faults_are_told_in_few_words(world: World) -> None:
    world.apply()
    world.pass_time(1)
    assert world.reactors["bruce-1"].status.fault_summary == "PrimaryLeak"
    world.apply("pump", stages=[{"name": "pump", "fault": "PumpTrip"}])
    world.pass_time(1)
    assert world.reactors["bruce-1"].status.fault_summary.endswith(" +1")
    world.delete("pump")
    world.until(2000)
    assert world.reactors["bruce-1"].status.fault_summary == ""
