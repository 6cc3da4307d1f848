"""Whatever happens, in whatever order: the same desired state, and nothing left behind."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reactorsync.planning.schedule import is_live, is_open
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario import Guard
from reactorsync.resources.scenario_status import RunPhase
from reactorsync.store import Invalid
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.envelope import from_micros, to_micros
from reactorsync.wire.events import AlarmCleared, AlarmRaised, Event
from reactorsync_operator import reconciler
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
from reactorsync_operator.reconcile.guards import Guards, is_severe, may_break
from reactorsync_operator.reconcile.observed import ObservedReactor
from reactorsync_operator.reconcile.reactor import ReactorPlan, plan_reactor
from tests.core.planning.build import uid_of
from tests.operator.world import SHARDS, World

Identity = tuple[UUID | None, int]
"""UID of a scenario and number of a run."""

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
            "severityPercent": st.sampled_from([40, 90]),
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

ALARM = {"alarm": {"signal": "primary_pressure_mpa"}}
STEADY = {"name": "steady", "phase": "Before", "timeoutSeconds": 60, **ALARM}
SEEN = {"name": "seen", "timeoutSeconds": 30, **ALARM}
CALM = {"name": "calm", "phase": "After", "timeoutSeconds": 90, **ALARM}
TOO_MUCH = {"name": "too-much", **ALARM}

checks = st.sampled_from(
    [
        {},
        {},
        {"probes": [STEADY]},
        {"probes": [SEEN, CALM]},
        {"abortWhen": [TOO_MUCH]},
        {"probes": [STEADY, SEEN], "abortWhen": [TOO_MUCH]},
    ]
)

limits = st.sampled_from(
    [Guards(), Guards(max_targets_percent=50), Guards("training", 50, max_severe_runs=1)]
)

NO_START: dict[str, Any] = {"startDelaySeconds": None, "startTime": None, "schedule": None}


class Operating(RuleBasedStateMachine):
    """Users, time, plants, a lossy and disorderly event log, and an operator that is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.late: list[tuple[Event, int]] = []
        self.begun: dict[Identity, datetime] = {}
        self.left: dict[Identity, tuple[datetime | None, timedelta]] = {}
        self.newest: dict[object, int] = {}
        self.alarms = 0
        self.tokens = 0
        self.allowed: dict[Identity, int] = {}
        self.by_leave: set[Identity] = set()

    @initialize(
        designs=st.lists(st.sampled_from(["Candu6", "Pwr3Loop"]), min_size=4, max_size=4),
        guards=limits,
    )
    def a_fleet(self, designs: list[str], guards: Guards) -> None:
        self.world = World(guards=guards)
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
        look=checks,
        policy=st.sampled_from(["Compose", "Prioritize", "Reject"]),
        priority=st.integers(0, 1),
    )
    def declare(
        self,
        name: str,
        stages: list[dict[str, Any]],
        whom: dict[str, Any],
        start: dict[str, Any],
        look: dict[str, Any],
        policy: str,
        priority: int,
    ) -> None:
        stored = self.world.scenarios.get(name)
        spec = {**NO_START, **start, "conflictPolicy": policy, "priority": priority}
        spec |= {"stages": stages, "targets": whom, "probes": [], "abortWhen": [], **look}
        if "schedule" in start:
            spec["ttlSecondsAfterFinished"] = None
        if stored is None:
            spec = {key: value for key, value in spec.items() if value is not None}
        self._apply(name, **spec)

    def before_injection(self) -> list[str]:
        """Names of the scenarios whose run has its number and has injected nothing."""
        return [
            name
            for name, declared in self.world.scenarios.items()
            if (run := declared.status.run) is not None
            and is_open(run)
            and run.injected_time is None
        ]

    @precondition(lambda self: bool(self.before_injection()))
    @rule(data=st.data(), whom=targets, stages=stages)
    def edit_before_injection(
        self, data: st.DataObject, whom: dict[str, Any], stages: list[dict[str, Any]]
    ) -> None:
        name = data.draw(st.sampled_from(self.before_injection()))
        apply = data.draw(st.sampled_from([self.world.apply, self.world.upgrade]))
        severe = [{"name": "leak", "fault": "PrimaryLeak", "severityPercent": 100}]
        edits: list[dict[str, Any]] = [
            {"targets": whom},
            {"targets": {"selector": {}, "policy": "Static", "seed": 5}},
            {"stages": stages},
            {"stages": severe},
            {"environment": "training"},
            {"guardOverride": None},
        ]
        with suppress(Invalid):
            apply(name, **data.draw(st.sampled_from(edits)))

    def _apply(self, name: str, **spec: Any) -> None:
        """Store it, unless that is forbidden."""
        with suppress(Invalid):
            self.world.apply(name, **spec)

    @rule(
        name=scenario_names,
        spec=st.sampled_from(
            [
                {"state": "Active"},
                {"state": "Active"},
                {"state": "Suspended"},
                {"state": "Suspended", "suspendPolicy": "HoldClock"},
                {"suspendPolicy": "RunClock"},
                {"state": "Aborted"},
                {"mode": "DryRun"},
                {"mode": "Run"},
                {"environment": "training"},
                {"environment": None},
                {"guardOverride": {"guards": ["BlastRadius"], "reason": "as was agreed"}},
                {"guardOverride": None},
                {"ttlSecondsAfterFinished": 100},
            ]
        ),
    )
    def intervene(self, name: str, spec: dict[str, Any]) -> None:
        stored = self.world.scenarios.get(name)
        if stored is None:
            return
        if stored.spec.schedule is not None and "ttlSecondsAfterFinished" in spec:
            return
        self._apply(name, **spec)

    @rule(name=scenario_names, back=st.integers(0, 2))
    def run_again(self, name: str, back: int) -> None:
        if name in self.world.scenarios:
            self.tokens += back == 0
            self._apply(name, runToken=f"token-{max(self.tokens - back, 0)}")

    @rule(name=scenario_names)
    def delete(self, name: str) -> None:
        if name in self.world.scenarios:
            self.world.delete(name)

    @rule(name=scenario_names)
    def delete_what_a_finalizer_keeps(self, name: str) -> None:
        if name in self.world.scenarios:
            self.world.terminate_scenario(name)

    @rule(name=reactor_names)
    def remove_what_a_finalizer_keeps(self, name: str) -> None:
        if name in self.world.reactors:
            self.world.terminate_reactor(name)

    # Those who watch

    @rule(name=scenario_names, probe=st.sampled_from(["steady", "steady", "seen", "too-much"]))
    def a_probe_passes(self, name: str, probe: str) -> None:
        stored = self.world.scenarios.get(name)
        if stored is not None and stored.status.run is not None:
            self.world.passes(probe, name)

    @rule(name=reactor_names, raised=st.booleans())
    def an_alarm(self, name: str, raised: bool) -> None:
        stored = self.world.reactors.get(name)
        if stored is None or stored.metadata.uid is None:
            return
        self.alarms += raised
        fields: dict[str, Any] = {
            "namespace": "default",
            "name": name,
            "uid": stored.metadata.uid,
            "tick_us": to_micros(self.world.now),
            "alarm_id": uid_of(f"alarm-{self.alarms}"),
            "signal": "primary_pressure_mpa",
            "limit": "High",
        }
        self.world.tell(AlarmRaised(**fields, value=1.0) if raised else AlarmCleared(**fields))

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

    @rule(name=reactor_names, is_killed_again=st.booleans())
    def it_starts_without_a_plan_for_one_reactor(self, name: str, is_killed_again: bool) -> None:
        world = self.world
        published = world.topic.held.get(f"default/{name}")

        def fail(observed: ObservedReactor, now: datetime) -> ReactorPlan:
            if observed.reactor.metadata.name == name:
                raise ValueError("a fault of the operator's")
            return plan_reactor(observed, now)

        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(reconciler, "plan_reactor", fail)
            world.start_operator(replay=world.known)
            world.attempt()
        if name in world.reactors and published is not None:
            assert world.topic.held[f"default/{name}"] == published, "it goes on as published"
        if is_killed_again:
            world.start_operator(replay=world.known)
        world.reconciler.sweep()

    @rule(data=st.data())
    def a_watch_tells_old_news(self, data: st.DataObject) -> None:
        if self.world.told:
            data.draw(st.sampled_from(self.world.told))()

    @rule(
        name=reactor_names,
        other=scenario_names,
        comes_again=st.booleans(),
        seconds=st.sampled_from([0.3, 29, 400]),
    )
    def a_namespace_closes_something_goes_and_it_opens(
        self, name: str, other: str, comes_again: bool, seconds: float
    ) -> None:
        with self.world.closed():
            self.remove(name)
            if comes_again:
                self.add_or_relabel(name, {"unit": "2"})
            self.delete(other)
            self.world.settle()
            self.time_passes(seconds)
            self.world.report()
            self.world.settle()

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
    def another_operator_would_find_nothing_to_do(self) -> None:
        world = self.world
        world.settle()
        assert world.left_for_another() == []

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
            uid, run = declared.metadata.uid, declared.status.run
            if run is None:
                continue
            assert run.number >= self.newest.get(uid, 0)
            self.newest[uid] = run.number
            numbers = [past.number for past in declared.status.history]
            assert numbers == list(range(run.number - 1, run.number - 1 - len(numbers), -1))
            key = (uid, run.number)
            if run.held_since is not None or key in self.left:
                self.begun.pop(key, None)
            elif run.phase is RunPhase.RUNNING:
                assert self.begun.setdefault(key, run.start_time) == run.start_time

    @invariant()
    def as_much_of_a_run_is_left_as_before_its_clock_was_held(self) -> None:
        world = self.world
        for declared in world.scenarios.values():
            run = declared.status.run
            if run is None:
                continue
            key = (declared.metadata.uid, run.number)
            if run.held_since is not None:
                held = (declared.spec.start_time, run.end_time - run.held_since)
                # A start that was named anew is held from then on.
                if held[0] != self.left.setdefault(key, held)[0]:
                    self.left[key] = held
                assert self.left[key] == held
            elif (held_then := self.left.pop(key, None)) is not None and is_open(run):
                left, left_then = run.end_time - world.now, held_then[1]
                schedule = declared.spec.schedule
                cut = schedule is not None and schedule.concurrency_policy == "Replace"
                assert left <= left_then if cut else left == left_then

    @invariant()
    def no_run_acts_on_more_than_is_allowed(self) -> None:
        world = self.world
        allowed = len(world.reactors) * world.guards.max_targets_percent // 100
        for declared in world.scenarios.values():
            status, uid = declared.status, declared.metadata.uid
            if status.run is None:
                continue
            key = (uid, status.run.number)
            # One that had more, when it might, keeps them.
            most = max(self.allowed.get(key, 0), allowed)
            if may_break(declared.spec, Guard.BLAST_RADIUS):
                most = max(most, status.targets.selected)
            self.allowed[key] = most
            assert sum(_acts(held, declared) for held in world.topic.held.values()) <= most

    @invariant()
    def no_two_severe_runs_act_unless_somebody_said_so_or_probes_moved_them(self) -> None:
        world = self.world
        now_us, most = to_micros(world.now), world.guards.max_severe_runs
        severe = 0
        for declared in world.scenarios.values():
            spec, run = declared.spec, declared.status.run
            if run is None or not is_severe(spec):
                continue
            key = (declared.metadata.uid, run.number)
            is_moved = run.phase is RunPhase.PROBING
            if is_moved or may_break(spec, Guard.CONCURRENT_SEVERE) or spec.schedule is not None:
                self.by_leave.add(key)
            acting = any(_acts(held, declared, at_us=now_us) for held in world.topic.held.values())
            severe += acting and key not in self.by_leave
        assert not most or severe <= most

    @invariant()
    def nothing_meant_for_another_environment_begins(self) -> None:
        world = self.world
        for declared in world.scenarios.values():
            run = declared.status.run
            if run is None or run.injected_time is not None:
                continue
            if declared.spec.environment not in (None, world.guards.environment):
                assert not any(_acts(held, declared) for held in world.topic.held.values())

    @invariant()
    def nobody_watches_for_a_scenario_that_is_gone(self) -> None:
        known = {declared.metadata.uid for declared in self.world.scenarios.values()}
        assert self.world.watchers.wanted.keys() <= known

    @invariant()
    def statuses_tell_of_every_aspect(self) -> None:
        for one in self.world.reactors.values():
            if one.metadata.deletion_timestamp is not None:
                continue
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


def _acts(held: DesiredReactor, scenario: AnomalyScenario, *, at_us: int | None = None) -> bool:
    """Whether a reactor is to have a fault of the scenario, at a moment or any time to come."""
    return any(
        fault.scenario == scenario.metadata.name
        and (at_us is None or fault.start_us <= at_us < fault.end_us)
        for fault in held.faults
    )


def recomputed(world: World) -> dict[str, DesiredReactor]:
    """The desired state that an operator without any past would publish."""
    marked: set[WorkKey] = set()
    fleet = Fleet(shards=SHARDS, mark=marked.add)
    fleet.limit_growth(world.guards.max_targets_percent)
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
