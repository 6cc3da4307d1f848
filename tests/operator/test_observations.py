"""What generators reported, folded from events in any order."""

from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.wire.events import (
    Event,
    FaultInjected,
    FaultRecovered,
    ReactorApplied,
    ReactorObserved,
    ReactorRestarted,
    ReactorTripped,
    ShardHeartbeat,
)
from reactorsync_operator.observations import Observations
from reactorsync_operator.reconcile.observed import FaultReport, ReactorReport, RunReport
from tests.core.planning.build import uid_of

BRUCE = uid_of("bruce-1")
DRILL = uid_of("drill")


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
) -> FaultInjected | FaultRecovered:
    return kind(
        namespace="default",
        name="bruce-1",
        uid=uid,
        tick_us=tick,
        fault_id=f"{DRILL}/{run}/{stage}",
        scenario="drill",
        run=run,
        stage=stage,
        kind="PrimaryLeak",
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
        observations = folded(fault(FaultInjected, 5), fault(FaultInjected, 9, run=2))
        observations.retain(runs={(DRILL, 2)}, reactors={BRUCE})
        found = observations.report(BRUCE)
        assert found is not None
        assert set(found.faults) == {f"{DRILL}/2/leak"}
        observations.retain(runs={(DRILL, 2)}, reactors=set())
        assert observations.report(BRUCE) is None


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
    assert (first.reactor, first.run) == (BRUCE, (DRILL, 1))
    assert (again.reactor, again.run) == (None, None)
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
)


def everything(observations: Observations) -> tuple[object, ...]:
    run = observations.run((DRILL, 1))
    return (
        observations.report(BRUCE),
        set(run.injected),
        set(run.acting),
        run.first_injected_us,
        run.last_recovered_us,
        observations.heartbeat_us(0),
    )


def at_one_tick(event: Event) -> tuple[object, ...]:
    """Plants say one thing of a kind in a tick, so these do not come together."""
    return (type(event), getattr(event, "tick_us", None))


@given(st.lists(events, max_size=4, unique_by=at_one_tick))
def test_order_and_repetition_make_no_difference(some: list[Event]) -> None:
    expected = everything(folded(*some))
    for order in permutations(some):
        assert everything(folded(*order, *some)) == expected
