"""Whatever happens, in whatever order: the same desired state, and nothing left behind."""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reactorsync.planning.schedule import is_live
from reactorsync.resources.scenario import RunPhase
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.envelope import from_micros, to_micros
from reactorsync.wire.events import Event
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.reconcile.conditions import (
    INJECTED,
    NOMINAL,
    READY,
    RECOVERED,
    SUCCEEDED,
    SUSPENDED,
    TARGETS_RESOLVED,
    VERIFIED,
)
from reactorsync_operator.reconcile.observed import ObservedReactor
from reactorsync_operator.reconcile.reactor import plan_reactor
from tests.operator.world import SHARDS, World

REACTORS = [f"bruce-{number}" for number in range(1, 5)]
SCENARIOS = ["drill", "exercise", "test"]

reactor_names = st.sampled_from(REACTORS)
scenario_names = st.sampled_from(SCENARIOS)
labels = st.fixed_dictionaries({"unit": st.sampled_from(["1", "2"])})

stages = st.lists(
    st.fixed_dictionaries(
        {
            "fault": st.sampled_from(["PrimaryLeak", "BoronDilution", "PumpTrip"]),
            "offsetSeconds": st.sampled_from([0, 10, 60]),
            "durationSeconds": st.sampled_from([5, 30, 120]),
            "shape": st.sampled_from(["Step", "Drift"]),
        }
    ),
    min_size=1,
    max_size=3,
).map(lambda found: [{"name": f"stage-{n}", **stage} for n, stage in enumerate(found)])

targets = st.one_of(
    st.fixed_dictionaries(
        {
            "selector": st.sampled_from([{}, {"matchLabels": {"unit": "1"}}]),
            "count": st.sampled_from(["100%", "50%", 1, 2]),
            "seed": st.integers(0, 3),
            "policy": st.sampled_from(["Dynamic", "Static"]),
        }
    ),
    st.fixed_dictionaries({"names": st.lists(reactor_names, min_size=1, max_size=3, unique=True)}),
)

starts = st.sampled_from(
    [
        {},
        {"startDelaySeconds": 30},
        {"startTime": "2026-06-01T12:02:00Z"},
        {"schedule": {"cron": "* * * * *", "startingDeadlineSeconds": 20}},
        {"schedule": {"cron": "*/2 * * * *", "concurrencyPolicy": "Replace", "historyLimit": 2}},
    ]
)

NO_START: dict[str, Any] = {"startDelaySeconds": None, "startTime": None, "schedule": None}


class Operating(RuleBasedStateMachine):
    """Users, time, plants, a lossy and disorderly event log, and an operator that is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.late: list[tuple[Event, int]] = []
        self.begun: dict[tuple[object, int], object] = {}
        self.tokens = 0

    @initialize(designs=st.lists(st.sampled_from(["Candu6", "Pwr3Loop"]), min_size=4, max_size=4))
    def a_fleet(self, designs: list[str]) -> None:
        for name, design in zip(REACTORS[:3], designs, strict=False):
            self.world.add_reactor(name, labels={"unit": "1"}, design=design)

    # Users

    @rule(name=reactor_names, labels=labels)
    def add_or_relabel(self, name: str, labels: dict[str, str]) -> None:
        if name in self.world.reactors:
            self.world.label(name, labels)
        else:
            self.world.add_reactor(name, labels=labels)

    @rule(name=reactor_names)
    def remove(self, name: str) -> None:
        if name in self.world.reactors:
            self.world.remove_reactor(name)

    @rule(
        name=reactor_names,
        spec=st.sampled_from(
            [{"powerSetpointPermille": 800}, {"state": "Suspended"}, {"state": "Running"}]
        ),
    )
    def change(self, name: str, spec: dict[str, Any]) -> None:
        if name in self.world.reactors:
            self.world.change_reactor(name, **spec)

    @rule(
        name=scenario_names,
        stages=stages,
        whom=targets,
        start=starts,
        policy=st.sampled_from(["Compose", "Prioritize", "Reject"]),
        priority=st.integers(0, 1),
    )
    def declare(
        self,
        name: str,
        stages: list[dict[str, Any]],
        whom: dict[str, Any],
        start: dict[str, Any],
        policy: str,
        priority: int,
    ) -> None:
        stored = self.world.scenarios.get(name)
        frozen = stored is not None and stored.status.run is not None
        spec = {**NO_START, **start, "conflictPolicy": policy, "priority": priority}
        if not frozen:
            spec |= {"stages": stages, "targets": whom}
        if stored is None:
            spec = {key: value for key, value in spec.items() if value is not None}
        self.world.apply(name, **spec)

    @rule(
        name=scenario_names,
        spec=st.sampled_from(
            [
                {"state": "Active"},
                {"state": "Suspended"},
                {"state": "Aborted"},
                {"mode": "DryRun"},
                {"mode": "Run"},
            ]
        ),
    )
    def intervene(self, name: str, spec: dict[str, Any]) -> None:
        if name in self.world.scenarios:
            self.world.apply(name, **spec)

    @rule(name=scenario_names)
    def run_again(self, name: str) -> None:
        if name in self.world.scenarios:
            self.tokens += 1
            self.world.apply(name, runToken=f"token-{self.tokens}")

    @rule(name=scenario_names)
    def delete(self, name: str) -> None:
        if name in self.world.scenarios:
            self.world.delete(name)

    # Time, plants and faults of the machinery

    @rule(seconds=st.sampled_from([0.3, 1, 7, 29, 61, 400]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)
        self.world.topic.now = self.world.now

    @rule(data=st.data())
    def plants_report(self, data: st.DataObject) -> None:
        now_us = to_micros(self.world.now)
        for event in data.draw(st.permutations(self.world.happenings())):
            for fate in data.draw(st.sampled_from(["", "", "l", "t", "tt", "tl"])):
                if fate == "t":
                    self.world.tell(event, time_us=now_us)
                else:
                    self.late.append((event, now_us))

    @precondition(lambda self: bool(self.late))
    @rule()
    def late_events_arrive(self) -> None:
        for event, time_us in reversed(self.late):
            self.world.tell(event, time_us=time_us)
        self.late.clear()

    @rule(data=st.data())
    def operator_is_killed(self, data: st.DataObject) -> None:
        log = self.world.log
        forgotten = data.draw(st.integers(0, len(log)))
        self.world.start_operator(replay=log[forgotten:])

    @rule()
    def everything_is_swept(self) -> None:
        self.world.reconciler.sweep()

    # What holds all the time, once the operator has come to rest

    @invariant()
    def desired_state_is_a_function_of_what_is_stored(self) -> None:
        world = self.world
        world.settle()
        assert world.topic.held == recomputed(world)

    @invariant()
    def nothing_is_left_to_do(self) -> None:
        world = self.world
        sent, writes = world.topic.sent, world.writes
        world.fleet.mark_all()
        world.settle()
        assert (world.topic.sent, world.writes) == (sent, writes)

    @invariant()
    def every_fault_belongs_to_a_live_run_and_ends_with_it(self) -> None:
        world = self.world
        for held in world.topic.held.values():
            for fault in held.faults:
                declared = world.scenarios[fault.scenario]
                run = declared.status.run
                assert is_live(declared)
                assert run is not None
                assert run.number == fault.run
                assert from_micros(fault.start_us) >= run.start_time
                assert world.now < from_micros(fault.end_us) <= run.end_time

    @invariant()
    def a_run_keeps_its_number_and_its_start(self) -> None:
        for declared in self.world.scenarios.values():
            run = declared.status.run
            if run is None:
                continue
            if run.phase is not RunPhase.PENDING:
                begun = self.begun.setdefault((declared.metadata.uid, run.number), run.start_time)
                assert begun == run.start_time
            numbers = [past.number for past in declared.status.history]
            assert numbers == list(range(run.number - 1, run.number - 1 - len(numbers), -1))

    @invariant()
    def statuses_tell_of_every_aspect(self) -> None:
        for one in self.world.reactors.values():
            types = {condition.type for condition in one.status.conditions}
            assert {READY, NOMINAL} <= types
            assert one.status.observed_generation == one.metadata.generation
        for declared in self.world.scenarios.values():
            status = declared.status
            types = {condition.type for condition in status.conditions}
            assert {READY, TARGETS_RESOLVED, INJECTED, VERIFIED, RECOVERED} <= types
            assert {SUSPENDED, SUCCEEDED} <= types
            assert status.observed_generation == declared.metadata.generation
            assert len(status.summary) <= 256


def recomputed(world: World) -> dict[str, DesiredReactor]:
    """The desired state that an operator without any past would publish."""
    marked: set[WorkKey] = set()
    fleet = Fleet(shards=SHARDS, mark=marked.add)
    for one in world.reactors.values():
        fleet.put_reactor(one)
    for other in world.scenarios.values():
        fleet.put_scenario(other)
    return {
        name: plan_reactor(
            ObservedReactor(reactor=one, scenarios=fleet.acting_on(name)), world.now
        ).desired
        for name, one in fleet.reactors.items()
    }


TestOperating = Operating.TestCase
TestOperating.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
