"""What probes and checks do to a run: hold it back, end it, and decide whether it succeeded."""

from typing import Any

import pytest

from reactorsync.resources.scenario_status import RunPhase
from tests.core.planning.build import NOON, after
from tests.operator.world import World

TELEMETRY = {
    "telemetry": {
        "signal": "primary_pressure_mpa",
        "comparison": "Above",
        "thresholdMilli": 9_000,
    }
}


def probe(name: str, phase: str = "During", *, timeout: int = 30) -> dict[str, Any]:
    return {"name": name, "phase": phase, "timeoutSeconds": timeout, **TELEMETRY}


STEADY = [probe("steady", "Before")]


@pytest.fixture
def world() -> World:
    """Three reactors that stream."""
    world = World()
    for number in (1, 2, 3):
        world.add_reactor(f"bruce-{number}")
    world.settle()
    world.report()
    world.settle()
    return world


class TestBefore:
    """Nothing is injected into plants that are not in their steady state."""

    def test_the_run_waits_for_them_and_then_has_its_whole_timeline(self, world: World) -> None:
        world.apply(probes=STEADY)
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.phase, run.start_time) == (RunPhase.PROBING, NOON)
        assert world.faulty() == set()
        assert world.says("Ready") == ("False", "Probing")
        assert world.says("Reconciling") == ("True", "Probing")
        assert world.says("Injected") == ("False", "Probing")
        assert "waiting for its Before probes" in world.status().summary
        world.pass_time(20)
        world.passes("steady")
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.number, run.phase) == (1, RunPhase.RUNNING)
        assert (run.start_time, run.end_time) == (after(20), after(620))
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3"}
        world.until(700)
        assert world.says("Succeeded") == ("True", "Completed")
        assert [one.passed for one in world.status().probes] == [True]

    def test_not_in_time_the_run_is_over_before_it_began(self, world: World) -> None:
        world.apply(probes=STEADY)
        world.until(40)
        run = world.status().run
        assert run is not None
        assert run.phase is RunPhase.ABORTED
        assert world.faulty() == set()
        assert world.says("Succeeded") == ("False", "SteadyStateNotMet")
        assert world.says("Injected") == ("False", "NotInjected")
        assert world.says("Recovered") == ("True", "NothingInjected")
        assert world.says("Ready") == ("True", "Aborted")
        assert [one.passed for one in world.status().probes] == [False]
        outcome = world.condition("Succeeded")
        assert outcome is not None
        assert "steady" in outcome.message
        before = world.status()
        world.passes("steady")
        world.until(1000)
        assert world.status() == before

    def test_nothing_is_published_ahead_of_a_start_that_must_be_probed_for(
        self, world: World
    ) -> None:
        world.apply(probes=STEADY, startDelaySeconds=60)
        world.settle()
        assert world.faulty() == set()
        world.until(60)
        run = world.status().run
        assert run is not None
        assert run.phase is RunPhase.PROBING
        world.passes("steady")
        world.settle()
        assert len(world.faulty()) == 3

    def test_an_operator_that_is_killed_meanwhile_goes_on_waiting(self, world: World) -> None:
        world.apply(probes=STEADY)
        world.pass_time(10)
        world.start_operator(replay=[])
        world.settle()
        assert world.faulty() == set()
        world.passes("steady")
        world.settle()
        assert len(world.faulty()) == 3

    @pytest.mark.parametrize("start", [30, 90, 115])
    def test_late_they_have_their_time_all_the_same(self, world: World, start: float) -> None:
        world.now = world.topic.now = after(120)
        world.apply(startTime=after(start).isoformat(), probes=STEADY)
        world.settle()
        run = world.status().run
        assert run is not None
        begin = 120 if start < 115 else start
        assert (run.phase, run.start_time) == (RunPhase.PROBING, after(begin))
        world.pass_time(20)
        world.passes("steady")
        world.pass_time(1)
        assert len(world.faulty()) == 3

    def test_nor_does_an_operator_fail_them_that_was_away_at_the_start(self, world: World) -> None:
        world.apply(startDelaySeconds=60, probes=STEADY)
        world.pass_time(5)
        world.now = world.topic.now = after(200)
        world.start_operator()
        world.settle()
        run = world.status().run
        assert run is not None
        assert (run.number, run.phase, run.start_time, run.end_time) == (
            1,
            RunPhase.PROBING,
            after(200),
            after(800),
        )
        world.until(235)
        assert world.says("Succeeded") == ("False", "SteadyStateNotMet")

    def test_a_run_that_nobody_saw_at_all_is_not_made_up_for(self, world: World) -> None:
        world.apply(startDelaySeconds=60, probes=STEADY)
        world.pass_time(5)
        world.now = world.topic.now = after(1000)
        world.start_operator()
        world.until(1100)
        assert world.faulty() == set()
        assert world.says("Succeeded") == ("False", "NotInjected")

    def test_what_passed_for_one_run_does_not_count_for_the_next(self, world: World) -> None:
        world.apply(probes=STEADY)
        world.settle()
        world.passes("steady")
        world.until(700)
        world.apply(runToken="again")
        world.settle()
        assert world.faulty() == set()
        run = world.status().run
        assert run is not None
        assert (run.number, run.phase) == (2, RunPhase.PROBING)

    def test_a_static_choice_closes_as_the_faults_are_let_go(self, world: World) -> None:
        world.apply(probes=STEADY, targets={"selector": {}, "policy": "Static"})
        world.pass_time(10)
        world.add_reactor("bruce-4")
        world.passes("steady")
        world.pass_time(1)
        world.add_reactor("bruce-5")
        world.pass_time(1)
        assert world.faulty() == {"bruce-1", "bruce-2", "bruce-3", "bruce-4"}

    @pytest.mark.parametrize("spec", [{"state": "Aborted"}, {"mode": "DryRun"}])
    def test_the_user_may_end_the_waiting(self, world: World, spec: dict[str, Any]) -> None:
        world.apply(probes=STEADY)
        world.pass_time(10)
        world.apply(**spec)
        world.pass_time(10)
        run = world.status().run
        assert run is not None
        assert run.phase is RunPhase.ABORTED
        assert world.says("Succeeded") == ("False", "Aborted")

    def test_a_schedule_that_replaces_does_not_wait_for_a_run_that_waits(
        self, world: World
    ) -> None:
        world.apply(
            probes=[probe("steady", "Before", timeout=3600)],
            schedule={"cron": "*/5 * * * *", "concurrencyPolicy": "Replace"},
        )
        world.until(610)
        run = world.status().run
        assert run is not None
        assert (run.number, run.phase, run.start_time) == (2, RunPhase.PROBING, after(600))
        assert [past.phase for past in world.status().history] == [RunPhase.ABORTED]


class TestAbortWhen:
    """A check that passes ends the run."""

    @pytest.fixture
    def injected(self, world: World) -> World:
        world.apply(abortWhen=[probe("too-hot")])
        world.until(100)
        assert len(world.faulty()) == 3
        return world

    def test_the_faults_are_lifted_at_once(self, injected: World) -> None:
        injected.passes("too-hot", message="bruce-2 at 12 MPa")
        injected.settle()
        assert injected.faulty() == set()
        run = injected.status().run
        assert run is not None
        assert (run.phase, run.end_time) == (RunPhase.ABORTED, after(100))
        assert injected.says("Succeeded") == ("Unknown", "AbortConditionMet")
        assert injected.says("Ready") == ("False", "Lifting")
        injected.pass_time(1)
        assert injected.says("Recovered") == ("True", "AllRecovered")
        assert injected.says("Succeeded") == ("False", "AbortConditionMet")
        assert injected.says("Ready") == ("True", "Aborted")
        outcome = injected.condition("Succeeded")
        assert outcome is not None
        assert "too-hot: bruce-2 at 12 MPa" in outcome.message

    def test_the_reason_outlives_the_operator(self, injected: World) -> None:
        injected.passes("too-hot")
        injected.settle()
        injected.watchers.seen.clear()
        injected.start_operator()
        injected.pass_time(1)
        assert injected.says("Succeeded") == ("False", "AbortConditionMet")

    def test_lifting_that_is_not_reported_stalls(self, injected: World) -> None:
        injected.passes("too-hot")
        injected.settle()
        injected.pass_time(30, report=False)
        assert injected.says("Stalled") == ("True", "LiftOverdue")

    def test_another_token_runs_again(self, injected: World) -> None:
        injected.passes("too-hot")
        injected.pass_time(5)
        injected.apply(runToken="again")
        injected.pass_time(5)
        run = injected.status().run
        assert run is not None
        assert (run.number, run.phase) == (2, RunPhase.RUNNING)
        assert len(injected.faulty()) == 3
        assert injected.says("Succeeded") == ("Unknown", "RunInProgress")

    def test_while_suspended_it_still_ends_the_run(self, injected: World) -> None:
        injected.apply(state="Suspended")
        injected.pass_time(5)
        injected.passes("too-hot")
        injected.pass_time(5)
        assert injected.says("Succeeded") == ("False", "AbortConditionMet")


class TestVerdict:
    """``Succeeded`` says whether the faults came and went and every probe passed."""

    def test_a_probe_that_did_not_pass_fails_the_run_and_is_named(self, world: World) -> None:
        world.apply(probes=[probe("seen"), probe("missed")])
        world.until(10)
        world.passes("seen")
        world.until(700)
        assert world.says("Injected") == ("True", "AllInjected")
        assert world.says("Recovered") == ("True", "AllRecovered")
        assert world.says("Succeeded") == ("False", "ProbesFailed")
        outcome = world.condition("Succeeded")
        assert outcome is not None
        assert "missed" in outcome.message
        assert "seen" not in outcome.message.replace("nothing of it was seen", "")
        assert world.status().score is not None
        assert f"score {world.status().score}" in world.status().summary

    def test_it_is_not_final_before_the_probes_after_the_end_are_decided(
        self, world: World
    ) -> None:
        world.apply(probes=[probe("calm", "After", timeout=300)])
        world.until(800)
        assert world.says("Recovered") == ("True", "AllRecovered")
        assert world.says("Succeeded") == ("Unknown", "RunInProgress")
        world.passes("calm")
        world.settle()
        assert world.says("Succeeded") == ("True", "Completed")

    def test_a_check_that_never_passed_is_no_failure(self, world: World) -> None:
        world.apply(abortWhen=[probe("too-hot")])
        world.until(700)
        assert world.says("Succeeded") == ("True", "Completed")

    def test_there_is_no_score_when_nobody_can_tell_what_happened(self, world: World) -> None:
        world.apply(probes=[probe("seen")])
        world.until(20)
        world.passes("seen")
        world.settle()
        world.now = world.topic.now = after(700)
        world.start_operator(replay=[])
        world.settle()
        assert world.says("Succeeded") == ("Unknown", "NotReported")
        assert world.status().score is None

    def test_the_score_goes_into_the_history(self, world: World) -> None:
        world.apply(probes=[probe("seen")])
        world.until(10)
        world.passes("seen")
        world.until(700)
        score = world.status().score
        assert score is not None
        world.apply(runToken="again")
        world.settle()
        assert [past.score for past in world.status().history] == [score]
        assert world.status().score is None
        assert [one.passed for one in world.status().probes] == [None]


def test_probes_are_looked_at_while_their_run_is_undecided(world: World) -> None:
    world.apply(probes=[probe("seen")])
    world.pass_time(1)
    uid = world.scenarios["leak-drill"].metadata.uid
    assert uid is not None
    run, targets = world.watchers.wanted[uid]
    assert (run.number, len(targets)) == (1, 3)
    world.until(700)
    assert world.watchers.wanted == {}


def test_nobody_looks_at_the_probes_of_a_scenario_that_was_deleted(world: World) -> None:
    world.apply(probes=[probe("seen")])
    world.pass_time(1)
    world.delete()
    world.settle()
    assert world.watchers.wanted == {}
