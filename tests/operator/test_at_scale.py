"""What large fleets cost: writes, bytes and plans."""

import json
from datetime import timedelta
from uuid import UUID

from reactorsync.planning.targets import Candidate, Failure, Selection
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario_status import Run, RunPhase, RunSummary
from reactorsync.wire.envelope import to_micros
from reactorsync.wire.events import FaultInjected, ShardHeartbeat
from reactorsync_operator.pace import LARGE_FROM
from reactorsync_operator.reconcile.observed import ObservedScenario, ProbeOutcome, RunReport
from reactorsync_operator.reconcile.scenario import plan_scenario
from tests.core.planning.build import LEAK, NOON, after, scenario
from tests.operator.world import World

LONGEST_NAME = "n" * 63
TARGETS = 10_000


def test_a_fleet_in_which_nothing_happens_writes_nothing() -> None:
    world = World()
    for number in range(1000):
        world.add_reactor(f"bruce-{number}")
    world.apply("done", targets={"selector": {}, "count": 3})
    world.apply("waits", schedule={"cron": "0 3 * * *"})
    world.settle()
    for _ in range(3):
        world.pass_time(300)
    writes, sent = world.writes, world.topic.sent
    for tick in range(120):
        world.now += timedelta(seconds=5)
        world.topic.now = world.now
        for event in world.happenings():
            if isinstance(event, ShardHeartbeat):
                world.reconciler.take_event(event, to_micros(world.now))
        if tick % 60 == 59:
            world.reconciler.sweep()
        world.settle()
    assert (world.writes - writes, world.topic.sent - sent) == (0, 0)


def largest() -> ObservedScenario:
    """Ten thousand targets with the longest names, all of which fail, after many runs."""
    stages = [{**LEAK, "name": f"{number:02}{'s' * 61}"} for number in range(16)]
    seen = {"alarm": {"signal": "primary_pressure_mpa"}, "timeoutSeconds": 1}
    stored = scenario(
        LONGEST_NAME,
        stages=stages,
        probes=[{"name": f"{number:02}{'p' * 61}", **seen} for number in range(16)],
        abortWhen=[{"name": f"{number:02}{'a' * 61}", **seen} for number in range(8)],
        runToken="t" * 63,
        guardOverride={"guards": ["BlastRadius", "ConcurrentSevere"], "reason": "r" * 256},
    )
    chosen = tuple(
        Candidate(f"{number:032x}", f"{number:05}{'r' * 58}", UUID(int=number), NOON)
        for number in range(TARGETS)
    )
    run = Run(
        number=1000,
        token="t" * 63,
        phase=RunPhase.RUNNING,
        start_time=NOON,
        end_time=after(600),
        selection_cutoff="f" * 32,
    )
    past = RunSummary(
        number=999, phase=RunPhase.COMPLETED, start_time=NOON, end_time=NOON, score=100
    )
    status = stored.status.model_copy(
        update={"run": run, "history": [past] * 20, "observed_generation": 1}
    )
    acting = {one.uid for one in chosen[: TARGETS // 2]}
    return ObservedScenario(
        scenario=stored.model_copy(update={"status": status}),
        selection=Selection(
            matched=TARGETS,
            chosen=chosen,
            failures=tuple(Failure(one.reactor, "Inapplicable", "m" * 5000) for one in chosen),
        ),
        conflicts={one.reactor: "x" * 63 for one in chosen},
        report=RunReport(injected=acting, acting=acting, first_injected_us=to_micros(NOON)),
        probes={
            f"{number:02}{letter * 61}": ProbeOutcome(None, "o" * 1000)
            for number in range(16)
            for letter in "pa"
        },
        delivery_problem="d" * 100_000,
    )


def test_a_status_is_small_whatever_it_has_to_say() -> None:
    observed = largest()
    sizes = []
    for seconds in (1, 599, 601, 1000):
        plan = plan_scenario(observed, after(seconds))
        written = observed.scenario.model_copy(update={"status": plan.status})
        sizes.append(len(json.dumps(written.to_json())))
        observed = largest_with(observed, written)
    assert max(sizes) <= 32 * 1024


def largest_with(observed: ObservedScenario, written: AnomalyScenario) -> ObservedScenario:
    """What is observed once the plan was written."""
    return ObservedScenario(
        scenario=written,
        selection=observed.selection,
        conflicts=observed.conflicts,
        report=observed.report,
        probes=observed.probes,
        delivery_problem=observed.delivery_problem,
    )


NOT_ELSEWHERE = {"key": "unit", "operator": "NotIn", "values": ["elsewhere"]}


class TestALargeScenario:
    """Every plan counts all targets, so that there must not be one for each report."""

    def injecting(self) -> tuple[World, list[FaultInjected]]:
        world = World()
        for number in range(LARGE_FROM):
            world.add_reactor(f"bruce-{number}")
        world.apply(targets={"selector": {"matchExpressions": [NOT_ELSEWHERE]}})
        world.pass_time(1, report=False)
        events = [one for one in world.happenings() if isinstance(one, FaultInjected)]
        return world, events

    def test_reports_are_gathered(self) -> None:
        world, events = self.injecting()
        counts = set()
        for event in events:
            world.now += timedelta(milliseconds=1)
            world.tell(event)
            world.reconciler.mark_due()
            world.reconciler.work(seconds=60)
            for offered in world.statuses.offered.values():
                if isinstance(offered, AnomalyScenario):
                    counts.add(offered.status.targets.injected)
        assert 2 <= len(counts) <= 4
        world.pass_time(1, report=False)
        assert world.status().targets.injected == LARGE_FROM
        assert world.says("Injected") == ("True", "AllInjected")

    def test_what_is_put_off_is_made_up_for_though_a_reactor_of_its_name_goes(self) -> None:
        world, (first, *others) = self.injecting()
        world.add_reactor("leak-drill", labels={"unit": "elsewhere"})
        world.settle()
        world.pass_time(1, report=False)
        for event in (first, *others):
            world.tell(event)
            world.reconciler.work(seconds=60)
        world.remove_reactor("leak-drill")
        world.settle()
        assert world.status().targets.injected < LARGE_FROM
        world.pass_time(0.3, report=False)
        assert world.status().targets.injected == LARGE_FROM

    def test_what_the_user_asks_for_is_not_put_off(self) -> None:
        world, _ = self.injecting()
        world.apply(state="Aborted")
        world.settle()
        run = world.status().run
        assert run is not None
        assert run.phase is RunPhase.ABORTED
        assert world.faulty() == set()
