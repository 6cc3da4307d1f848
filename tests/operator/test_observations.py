"""What generators reported, folded from events in any order."""

import time
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.wire.events import (
    AlarmCleared,
    AlarmRaised,
    DiagnosisMade,
    Event,
    FaultInjected,
    FaultRecovered,
    FaultVerified,
    Hypothesis,
    ReactorApplied,
    ReactorObserved,
    ReactorRestarted,
    ReactorTripped,
    ShardHeartbeat,
)
from reactorsync_operator.observations import Observations
from reactorsync_operator.reconcile.observed import (
    DiagnosisReport,
    FaultReport,
    ReactorReport,
    RunReport,
    Verification,
)
from reactorsync_operator.run_tally import AFTERMATH_US
from reactorsync_operator.watch_log import ALARMS_KEPT, DIAGNOSES_KEPT
from tests.core.planning.build import uid_of

BRUCE = uid_of("bruce-1")
OTHER = uid_of("bruce-2")
DRILL = uid_of("drill")
ELSEWHERE = uid_of("elsewhere")
RUN = (DRILL, 1)


def applied(
    tick: int, revision: str, *, uid: UUID = BRUCE, generator: str = "one"
) -> ReactorApplied:
    return ReactorApplied(
        namespace="default",
        name="bruce-1",
        uid=uid,
        tick_us=tick,
        generation=1,
        revision=revision,
        generator=generator,
        shard=0,
    )


def observed(tick: int, power: int, trip: str | None = None) -> ReactorObserved:
    return ReactorObserved(
        namespace="default",
        name="bruce-1",
        uid=BRUCE,
        tick_us=tick,
        generator="one",
        shard=0,
        power_permille=power,
        trip_cause=trip,
    )


def tripped(tick: int, cause: str = "LowPrimaryFlow") -> ReactorTripped:
    return ReactorTripped(namespace="default", name="bruce-1", uid=BRUCE, tick_us=tick, cause=cause)


def restarted(tick: int) -> ReactorRestarted:
    return ReactorRestarted(namespace="default", name="bruce-1", uid=BRUCE, tick_us=tick)


def fault(
    kind: type[FaultInjected] | type[FaultRecovered],
    tick: int,
    stage: str = "leak",
    *,
    run: int = 1,
    uid: UUID = BRUCE,
    scenario: UUID = DRILL,
) -> FaultInjected | FaultRecovered:
    return kind(
        namespace="default",
        name="bruce-1",
        uid=uid,
        tick_us=tick,
        fault_id=f"{scenario}/{run}/{stage}",
        scenario="drill",
        run=run,
        stage=stage,
        kind="PrimaryLeak",
    )


def acting(observations: Observations) -> set[str]:
    report = observations.report(BRUCE)
    assert report is not None
    return {fault_id for fault_id, one in report.faults.items() if one.acts}


def verified(
    tick: int,
    *,
    confirmed: bool | None,
    uid: UUID = BRUCE,
    name: str = "bruce-1",
    stage: str = "leak",
) -> FaultVerified:
    return FaultVerified(
        namespace="default",
        name=name,
        uid=uid,
        tick_us=tick,
        fault_id=f"{DRILL}/1/{stage}",
        scenario="drill",
        run=1,
        stage=stage,
        kind="PrimaryLeak",
        confirmed=confirmed,
        signal="reactivity_pcm" if confirmed else None,
        message={True: "", False: "as before", None: "too short"}[confirmed],
    )


def raised(
    tick: int, alarm: str = "first", *, uid: UUID = BRUCE, namespace: str = "default"
) -> AlarmRaised:
    return AlarmRaised(
        namespace=namespace,
        name="bruce-1",
        uid=uid,
        tick_us=tick,
        alarm_id=uid_of(f"{alarm}-{uid}"),
        signal="neutron_power_percent",
        limit="High",
        value=120.0,
    )


def cleared(tick: int, alarm: str = "first", *, uid: UUID = BRUCE) -> AlarmCleared:
    return AlarmCleared(
        namespace="default",
        name="bruce-1",
        uid=uid,
        tick_us=tick,
        alarm_id=uid_of(f"{alarm}-{uid}"),
        signal="neutron_power_percent",
        limit="High",
    )


def diagnosed(tick: int, *faults: str) -> DiagnosisMade:
    return DiagnosisMade(
        namespace="default",
        name="bruce-1",
        uid=BRUCE,
        tick_us=tick,
        hypotheses=[Hypothesis(fault=fault, probability_permille=500) for fault in faults],
    )


def beat(tick: int, shard: int = 0) -> ShardHeartbeat:
    return ShardHeartbeat(
        shard=shard,
        generator="one",
        run="test",
        epoch=1,
        tick_us=tick,
        reactors=1,
        readings_per_second=1.0,
        late_ticks=0,
    )


def folded(*events: Event) -> Observations:
    observations = Observations()
    for event in events:
        observations.take(event, time_us=getattr(event, "tick_us", 0))
    return observations


def report(*events: Event) -> ReactorReport:
    found = folded(*events).report(BRUCE)
    assert found is not None
    return found


def test_the_newest_acknowledgement_counts() -> None:
    found = report(applied(2, "new", generator="two"), applied(1, "old"))
    assert (found.revision, found.generator) == ("new", "two")


def test_of_two_acknowledgements_in_one_tick_the_later_message_counts() -> None:
    observations = Observations()
    observations.take(applied(1, "second"), time_us=20)
    observations.take(applied(1, "first"), time_us=10)
    found = observations.report(BRUCE)
    assert found is not None
    assert found.revision == "second"


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ([tripped(5)], "LowPrimaryFlow"),
        ([tripped(5), restarted(9)], None),
        ([restarted(9), tripped(5)], None),
        ([restarted(5), tripped(5)], "LowPrimaryFlow"),
        ([observed(9, 1000), tripped(5)], None),
        ([observed(4, 1000), tripped(5)], "LowPrimaryFlow"),
        ([observed(9, 0, "High primary pressure"), tripped(5)], "High primary pressure"),
    ],
)
def test_a_trip_lasts_until_newer_news(events: list[Event], cause: str | None) -> None:
    assert report(*events).trip_cause == cause


class TestFaults:
    """A fault acts from its injection to its recovery."""

    ID = f"{DRILL}/1/leak"

    def found(self, *events: Event) -> FaultReport:
        return report(*events).faults[self.ID]

    def test_it_acts_once_injected(self) -> None:
        assert self.found(fault(FaultInjected, 5)).acts

    def test_it_does_not_once_recovered(self) -> None:
        assert not self.found(fault(FaultRecovered, 9), fault(FaultInjected, 5)).acts

    def test_lifted_and_acting_again_it_acts(self) -> None:
        again = self.found(
            fault(FaultInjected, 5), fault(FaultRecovered, 9), fault(FaultInjected, 12)
        )
        assert again.acts
        assert again.first_injected_us == 5

    def test_a_recovery_alone_is_no_fault(self) -> None:
        assert not self.found(fault(FaultRecovered, 9)).acts

    def test_an_id_of_nobody_is_ignored(self) -> None:
        strange = fault(FaultInjected, 5).model_copy(update={"fault_id": "whatever"})
        assert folded(strange).report(BRUCE) is None


class TestRuns:
    """What all reactors reported of one run."""

    def test_reactors_are_counted_once(self) -> None:
        other = uid_of("bruce-2")
        run = folded(
            fault(FaultInjected, 5),
            fault(FaultInjected, 7, "pump"),
            fault(FaultInjected, 6, uid=other),
            fault(FaultRecovered, 9, uid=other),
        ).run((DRILL, 1))
        assert (run.injected, run.acting) == ({BRUCE, other}, {BRUCE})
        assert (run.first_injected_us, run.last_recovered_us) == (5, 9)

    def test_a_reactor_acts_while_one_of_its_faults_does(self) -> None:
        events = [fault(FaultInjected, 5), fault(FaultInjected, 7, "pump")]
        assert folded(*events, fault(FaultRecovered, 9)).run((DRILL, 1)).acting == {BRUCE}
        both = [fault(FaultRecovered, 9), fault(FaultRecovered, 9, "pump")]
        assert folded(*events, *both).run((DRILL, 1)).acting == set()

    def test_runs_are_told_apart(self) -> None:
        observations = folded(fault(FaultInjected, 5), fault(FaultInjected, 9, run=2))
        assert observations.run((DRILL, 2)).first_injected_us == 9
        assert observations.run((DRILL, 3)) == RunReport()

    def test_on_a_reactor_that_is_gone_nothing_acts_though_it_did(self) -> None:
        observations = folded(fault(FaultInjected, 5))
        observations.forget(BRUCE)
        run = observations.run((DRILL, 1))
        assert (run.injected, run.acting) == ({BRUCE}, set())
        assert observations.report(BRUCE) is None

    def test_what_belongs_to_nothing_is_dropped(self) -> None:
        observations = folded(
            fault(FaultInjected, 5), fault(FaultRecovered, 8), fault(FaultInjected, 9, run=2)
        )
        observations.retain(runs={(DRILL, 2)}, reactors={BRUCE})
        found = observations.report(BRUCE)
        assert found is not None
        assert set(found.faults) == {f"{DRILL}/2/leak"}
        observations.retain(runs={(DRILL, 2)}, reactors=set())
        assert observations.report(BRUCE) is None

    def test_a_fault_of_an_older_run_is_not_dropped_while_it_acts(self) -> None:
        observations = folded(fault(FaultInjected, 5), fault(FaultInjected, 9, run=2))
        observations.retain(runs={(DRILL, 2)}, reactors={BRUCE})
        assert acting(observations) == {f"{DRILL}/1/leak", f"{DRILL}/2/leak"}
        observations.take(fault(FaultRecovered, 12), time_us=12)
        observations.retain(runs={(DRILL, 2)}, reactors={BRUCE})
        found = observations.report(BRUCE)
        assert found is not None
        assert set(found.faults) == {f"{DRILL}/2/leak"}

    def test_of_the_faults_that_nobody_ever_reports_gone_the_newest_are_kept(self) -> None:
        observations = folded(*(fault(FaultInjected, run, run=run) for run in range(1, 100)))
        observations.retain(runs={(DRILL, 1)}, reactors={BRUCE})
        kept = {f"{DRILL}/{run}/leak" for run in (1, *range(68, 100))}
        assert acting(observations) == kept


class TestVerification:
    """What the historian found when it compared telemetry with faults."""

    def found(self, *events: Event) -> Verification | None:
        return folded(*events).run(RUN).verification

    def test_nobody_has_looked(self) -> None:
        assert self.found(fault(FaultInjected, 5)) is None

    def test_every_target_that_was_looked_at_shows_it(self) -> None:
        found = self.found(
            fault(FaultInjected, 5), fault(FaultInjected, 5, uid=OTHER), verified(9, confirmed=True)
        )
        assert found == Verification(True, "the telemetry of 1 target shows the fault")

    def test_one_that_does_not_show_it_is_named(self) -> None:
        found = self.found(
            verified(9, confirmed=True),
            verified(9, confirmed=False, uid=OTHER, name="bruce-2"),
        )
        assert found is not None
        assert not found.confirmed
        assert found.message == (
            "the telemetry of 1 of 2 targets does not show the fault; "
            "bruce-2, stage leak: as before"
        )

    def test_a_target_shows_all_of_its_faults_or_it_does_not(self) -> None:
        found = self.found(verified(9, confirmed=True), verified(9, confirmed=False, stage="pump"))
        assert found is not None
        assert not found.confirmed

    def test_what_could_not_be_judged_says_nothing_against_what_shows(self) -> None:
        found = self.found(
            verified(9, confirmed=True),
            verified(9, confirmed=None, uid=OTHER, name="bruce-2"),
        )
        assert found == Verification(
            True,
            "the telemetry of 1 of 2 targets shows the fault; not judged: "
            "bruce-2, stage leak: too short",
        )

    def test_nor_for_what_does_not_show(self) -> None:
        found = self.found(
            verified(9, confirmed=False),
            verified(9, confirmed=None, uid=OTHER, name="bruce-2"),
        )
        assert found is not None
        assert found.confirmed is False
        assert found.message.startswith("the telemetry of 1 of 2 targets does not show")

    def test_where_nothing_could_be_judged_it_says_so(self) -> None:
        found = self.found(
            verified(9, confirmed=None), verified(9, confirmed=None, uid=OTHER, name="bruce-2")
        )
        assert found == Verification(
            None,
            "whether the telemetry of 2 targets shows the fault was not judged; "
            "bruce-1, stage leak: too short",
        )

    def test_a_later_look_that_could_not_judge_leaves_what_is_known(self) -> None:
        found = self.found(verified(9, confirmed=True), verified(11, confirmed=None))
        assert found == Verification(True, "the telemetry of 1 target shows the fault")

    def test_the_newest_look_counts(self) -> None:
        found = self.found(verified(11, confirmed=True), verified(9, confirmed=False))
        assert found is not None
        assert found.confirmed


class TestAlarms:
    """Which alarms stand on a reactor."""

    def test_nothing_is_known_before_the_first(self) -> None:
        assert report(observed(5, 1000)).open_alarms is None

    def test_an_alarm_stands_until_it_is_cleared(self) -> None:
        events = [raised(5), raised(6, "second")]
        assert report(*events).open_alarms == 2
        assert report(*events, cleared(7)).open_alarms == 1

    def test_its_end_may_be_heard_of_first(self) -> None:
        assert report(cleared(7), raised(5)).open_alarms == 0

    def test_whoever_raises_alarms_knows_of_those_that_were_never_heard_of(self) -> None:
        since_restart = [
            cleared(9).model_copy(update={"open_alarms": 3}),
            raised(7, "second").model_copy(update={"open_alarms": 4}),
        ]
        for events in permutations(since_restart):
            assert report(*events).open_alarms == 3
        assert report(*since_restart, raised(11, "of somebody else")).open_alarms == 3

    def test_once_anybody_says_anything_of_a_plant_it_is_watched(self) -> None:
        assert not folded(fault(FaultInjected, 5)).run(RUN).watched
        for event in (raised(5, uid=OTHER), diagnosed(5, "PumpTrip"), verified(5, confirmed=False)):
            assert folded(fault(FaultInjected, 5), event).run(RUN).watched

    def test_those_that_stand_are_kept_before_those_that_do_not(self) -> None:
        standing = [raised(1, "standing")]
        chatter = [
            event
            for number in range(2 * ALARMS_KEPT)
            for event in (raised(10 + number, f"{number}"), cleared(11 + number, f"{number}"))
        ]
        observations = folded(*standing, *chatter)
        assert len(observations.sightings.alarms(BRUCE)) == ALARMS_KEPT
        found = observations.report(BRUCE)
        assert found is not None
        assert found.open_alarms == 1

    def test_a_reactor_made_anew_has_none_of_them(self) -> None:
        observations = folded(raised(5))
        observations.take(observed(6, 1000).model_copy(update={"uid": OTHER}), time_us=6)
        found = observations.report(OTHER)
        assert found is not None
        assert found.open_alarms is None
        assert not observations.sightings.alarms(OTHER)


class TestDiagnosis:
    """What somebody said a plant suffers from."""

    def test_the_newest_counts(self) -> None:
        found = report(diagnosed(9, "PumpTrip", "PrimaryLeak"), diagnosed(5, "StuckRod"))
        assert found.diagnosis == DiagnosisReport(9, ("PumpTrip", "PrimaryLeak"))

    def test_few_are_kept(self) -> None:
        observations = folded(*(diagnosed(tick, "PumpTrip") for tick in range(1, 50)))
        kept = [diagnosis.made_us for diagnosis in observations.sightings.diagnoses(BRUCE)]
        assert kept == [*range(50 - DIAGNOSES_KEPT, 50)]


class TestDetection:
    """Who noticed a run, how soon, and who cried wolf."""

    def found(self, *events: Event) -> RunReport:
        """The report, the same for every order of the events."""
        first = folded(*events).run(RUN)
        for order in permutations(events):
            assert folded(*order).run(RUN) == first
        return first

    def test_the_first_alarm_after_the_injection_counts(self) -> None:
        run = self.found(
            fault(FaultInjected, 5), raised(3, "before"), raised(12, "late"), raised(9, "early")
        )
        assert dict(run.detected) == {BRUCE: 9}
        assert [*run.delays_us] == [4]
        assert run.false_alarms == 0

    def test_an_alarm_raised_before_is_no_detection(self) -> None:
        run = self.found(fault(FaultInjected, 5), raised(3))
        assert dict(run.detected) == {}
        assert run.false_alarms == 0

    def test_delays_come_in_order(self) -> None:
        run = self.found(
            fault(FaultInjected, 5),
            fault(FaultInjected, 5, uid=OTHER),
            raised(25),
            raised(7, uid=OTHER),
        )
        assert [*run.delays_us] == [2, 20]

    def test_long_after_its_end_a_fault_explains_no_alarm(self) -> None:
        over = [fault(FaultInjected, 5), fault(FaultRecovered, 9)]
        assert dict(self.found(*over, raised(9 + AFTERMATH_US)).detected)
        assert not dict(self.found(*over, raised(10 + AFTERMATH_US)).detected)

    def test_an_alarm_on_a_reactor_that_is_no_target_is_false(self) -> None:
        run = self.found(
            fault(FaultInjected, 5), raised(9, uid=OTHER), raised(3, "early", uid=OTHER)
        )
        assert run.false_alarms == 1

    def test_it_is_not_once_the_reactor_turns_out_to_be_a_target(self) -> None:
        run = self.found(
            fault(FaultInjected, 5), raised(6, uid=OTHER), fault(FaultInjected, 8, uid=OTHER)
        )
        assert run.false_alarms == 0

    def test_it_is_not_in_another_namespace(self) -> None:
        run = self.found(fault(FaultInjected, 5), raised(9, uid=OTHER, namespace="elsewhere"))
        assert run.false_alarms == 0

    def test_it_is_not_after_the_run(self) -> None:
        run = self.found(fault(FaultInjected, 5), fault(FaultRecovered, 9), raised(10, uid=OTHER))
        assert run.false_alarms == 0

    def test_it_is_not_where_another_run_explains_it(self) -> None:
        run = self.found(
            fault(FaultInjected, 5),
            fault(FaultInjected, 6, uid=OTHER, scenario=ELSEWHERE),
            raised(9, uid=OTHER),
        )
        assert run.false_alarms == 0

    def test_an_alarm_concerns_every_run_that_it_changes(self) -> None:
        observations = folded(
            fault(FaultInjected, 5), fault(FaultInjected, 6, uid=OTHER, scenario=ELSEWHERE)
        )
        touched = observations.take(raised(9), time_us=9)
        assert touched.runs == (RUN,)
        stranger = raised(9, uid=uid_of("bruce-3"))
        touched = observations.take(stranger, time_us=9)
        assert set(touched.runs) == {RUN, (ELSEWHERE, 1)}

    def test_a_detection_outlasts_the_chatter_that_follows(self) -> None:
        chatter = (raised(10 + number, f"{number}") for number in range(2 * ALARMS_KEPT))
        over = (cleared(500 + number, f"{number}") for number in range(2 * ALARMS_KEPT))
        observations = folded(
            fault(FaultInjected, 5), raised(7), cleared(8), *chatter, *over, raised(900, "last")
        )
        assert dict(observations.run(RUN).detected) == {BRUCE: 7}

    def test_of_a_reactor_that_is_gone_only_the_detection_stays(self) -> None:
        observations = folded(fault(FaultInjected, 5), raised(7), raised(9, uid=OTHER))
        observations.forget(BRUCE)
        observations.forget(OTHER)
        run = observations.run(RUN)
        assert dict(run.detected) == {BRUCE: 7}
        assert run.false_alarms == 0
        assert not observations.sightings.alarms(BRUCE)
        observations.take(raised(7), time_us=7)
        assert dict(observations.run(RUN).detected) == {BRUCE: 7}

    def test_old_alarms_are_dropped_with_the_runs_they_were_about(self) -> None:
        hour = 3_600_000_000
        observations = folded(
            fault(FaultInjected, 5), raised(7), cleared(8), raised(2 * hour, "new", uid=OTHER)
        )
        observations.retain(runs={RUN}, reactors={BRUCE, OTHER})
        assert len(observations.sightings.alarms(BRUCE)) == 1
        observations.retain(runs=set(), reactors={BRUCE, OTHER})
        assert not observations.sightings.alarms(BRUCE)
        assert len(observations.sightings.alarms(OTHER)) == 1


def test_an_event_of_a_big_run_costs_no_more_than_one_of_a_small_one() -> None:
    uids = [uid_of(f"unit-{number}") for number in range(4000)]
    injected = [fault(FaultInjected, 5 + place % 7, uid=uid) for place, uid in enumerate(uids)]
    alarms = [raised(20 + place % 11, uid=uid) for place, uid in enumerate(uids)]

    def seconds_each(count: int) -> float:
        observations = Observations()
        began = time.process_time()
        for one in (*injected[:count], *alarms[:count]):
            observations.take(one, time_us=one.tick_us)
            observations.run(RUN)
        return (time.process_time() - began) / count

    small = min(seconds_each(400) for _ in range(3))
    assert min(seconds_each(4000) for _ in range(2)) < 4 * small


def test_what_a_status_says_is_only_a_beginning() -> None:
    observations = Observations()
    observations.seed(BRUCE, ReactorReport(revision="known", power_permille=900))
    observations.take(observed(5, 1000), time_us=5)
    observations.seed(BRUCE, ReactorReport(revision="other"))
    found = observations.report(BRUCE)
    assert found is not None
    assert (found.revision, found.power_permille) == ("known", 1000)


def test_an_event_says_what_it_changed() -> None:
    observations = Observations()
    first = observations.take(fault(FaultInjected, 5), time_us=5)
    again = observations.take(fault(FaultInjected, 5), time_us=5)
    assert (first.reactor, first.runs) == (BRUCE, (RUN,))
    assert (again.reactor, again.runs) == (None, ())
    assert observations.take(beat(5, shard=3), time_us=5).shard == 3
    assert observations.take(beat(4, shard=3), time_us=4).shard is None


ticks = st.integers(1, 4)
events = st.one_of(
    st.builds(applied, ticks, st.sampled_from(["a", "b"])),
    st.builds(tripped, ticks),
    st.builds(restarted, ticks),
    st.builds(
        fault,
        st.sampled_from([FaultInjected, FaultRecovered]),
        ticks,
        st.sampled_from(["leak", "pump"]),
    ),
    st.builds(beat, ticks),
    st.builds(
        fault,
        st.just(FaultInjected),
        ticks,
        uid=st.just(OTHER),
        scenario=st.sampled_from([DRILL, ELSEWHERE]),
    ),
    st.builds(verified, ticks, confirmed=st.sampled_from([True, False, None])),
    st.builds(raised, ticks, st.sampled_from(["a", "b"]), uid=st.sampled_from([BRUCE, OTHER])),
    st.builds(cleared, ticks, st.sampled_from(["a", "b"])),
    st.builds(diagnosed, ticks, st.sampled_from(["PumpTrip", "StuckRod"])),
)


def everything(observations: Observations) -> tuple[object, ...]:
    return (
        observations.report(BRUCE),
        observations.report(OTHER),
        observations.run(RUN),
        observations.run((ELSEWHERE, 1)),
        *(sorted(map(repr, observations.sightings.alarms(reactor))) for reactor in (BRUCE, OTHER)),
        *(list(observations.sightings.diagnoses(reactor)) for reactor in (BRUCE, OTHER)),
        observations.heartbeat_us(0),
    )


def at_one_tick(event: Event) -> tuple[object, ...]:
    """Plants say one thing of a kind in a tick, so these do not come together."""
    return (type(event), getattr(event, "tick_us", None))


@given(st.lists(events, max_size=5, unique_by=at_one_tick))
def test_order_and_repetition_make_no_difference(some: list[Event]) -> None:
    expected = everything(folded(*some))
    for order in permutations(some):
        assert everything(folded(*order, *some)) == expected
