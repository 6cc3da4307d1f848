"""The plants of one shard."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.reactor import ReactorState, SensorNoise
from reactorsync.signals import SIGNAL_INDEX
from reactorsync.wire.checkpoint import decode_checkpoint
from reactorsync.wire.desired import DesiredReactor
from reactorsync_generator.desired_view import Change
from reactorsync_generator.inheritance import Inheritance, states_of
from reactorsync_generator.shard import MOST_GROUPS, Applied, Sample, Shard
from tests.generator.reactors import SECOND, START, desired, fault

POWER = SIGNAL_INDEX["neutron_power_percent"]
PRESSURE = SIGNAL_INDEX["primary_pressure_mpa"]
FIVE_MINUTES = 300 * SECOND


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def apply(shard: Shard, *states: DesiredReactor, second: float) -> list[Applied]:
    return shard.apply([Change(state.key, state) for state in states], at_us=at(second))


def shard_of(
    *states: DesiredReactor, second: float = 0, inherit: Inheritance | None = None
) -> Shard:
    shard = Shard(0, catch_up_us=FIVE_MINUTES)
    shard.inherit(inherit or {})
    apply(shard, *states, second=second)
    return shard


def samples(shard: Shard, seconds: Iterable[float]) -> dict[float, Sample]:
    found = {second: shard.sample(at(second)) for second in seconds}
    return {second: sample for second, sample in found.items() if sample is not None}


def assert_same(some: Sample, other: Sample) -> None:
    """The same readings, bit for bit."""
    assert some.reactors.to_pylist() == other.reactors.to_pylist()
    assert some.readings.tobytes() == other.readings.tobytes()
    assert some.trip_causes.tobytes() == other.trip_causes.tobytes()


FLEET = (
    desired("candu", design=Design.CANDU6, seed=1),
    desired("fast", seed=2, interval=300),
    desired("setback", seed=3, setpoint=600),
    desired(
        "leaking",
        seed=4,
        faults=[
            fault(start_us=at(3.25), end_us=at(12.5)),
            fault(
                FaultKind.SENSOR_STUCK,
                start_us=at(2),
                end_us=at(15),
                identity="s/1/stuck",
                signal="steam_pressure_mpa",
            ),
        ],
    ),
)


def test_each_reactor_is_sampled_at_multiples_of_its_interval() -> None:
    shard = shard_of(desired("a"), desired("b", interval=500), desired("c", interval=2000))
    names = {
        second: sample.reactors.to_pylist()
        for second, sample in samples(shard, [0.1, 0.5, 1, 1.5, 2]).items()
    }
    assert names == {
        0.5: ["default/b"],
        1: ["default/a", "default/b"],
        1.5: ["default/b"],
        2: ["default/a", "default/b", "default/c"],
    }


def test_a_plant_at_rest_holds_its_setpoint() -> None:
    shard = shard_of(desired("a", noise=SensorNoise.OFF, setpoint=800))
    sample = samples(shard, range(1, 61))[60]
    assert sample.readings[POWER, 0] == pytest.approx(80, abs=0.1)
    assert sample.power_permille[0] == pytest.approx(800, abs=1)


@pytest.mark.parametrize(
    "moments",
    [[7], [0.3, 7.7, 14.2], [1.0, 1.1, 1.2]],
    ids=["one move", "moves between ticks", "moves in quick succession"],
)
def test_a_shard_that_moves_goes_on_bit_for_bit(moments: Sequence[float]) -> None:
    """Given the same desired state and seeds, it does not matter who simulates, or since when."""
    ticks = [tenth / 10 for tenth in range(1, 201)]
    alone = samples(shard_of(*FLEET), ticks)

    moved: dict[float, Sample] = {}
    shard = shard_of(*FLEET)
    for begin, end in pairwise([0, *moments, 20.0]):
        moved |= samples(shard, [tick for tick in ticks if begin < tick <= end])
        handed_over = decode_checkpoint(shard.checkpoint(at(end)).encode())
        shard = shard_of(*FLEET, second=end, inherit=states_of(handed_over))
        shard.advance(at(end))

    assert moved.keys() == alone.keys()
    for tick in alone:
        assert_same(moved[tick], alone[tick])


@given(kill=st.integers(1, 150), saved=st.integers(1, 150))
@settings(max_examples=15, deadline=None)
def test_after_a_kill_the_last_checkpoint_leads_to_the_same_readings(kill: int, saved: int) -> None:
    saved = min(saved, kill)
    alone = shard_of(*FLEET)
    alone.advance(at(saved / 10))
    checkpoint = alone.checkpoint(at(saved / 10))
    successor = shard_of(*FLEET, second=kill / 10, inherit=states_of(checkpoint))
    successor.advance(at(kill / 10))

    expected, found = alone.sample(at(30)), successor.sample(at(30))

    assert expected is not None
    assert found is not None
    assert_same(found, expected)


def test_skipped_ticks_change_no_later_reading() -> None:
    every, some = shard_of(*FLEET), shard_of(*FLEET)
    expected = samples(every, range(1, 21))[20]
    assert_same(samples(some, [20])[20], expected)


def test_a_setpoint_acts_from_its_boundary_on() -> None:
    late = shard_of(desired("a", noise=SensorNoise.OFF))
    apply(late, desired("a", noise=SensorNoise.OFF, setpoint=500, generation=2), second=2.5)
    early = shard_of(desired("a", noise=SensorNoise.OFF))
    apply(early, desired("a", noise=SensorNoise.OFF, setpoint=500, generation=2), second=0.5)
    powers = [
        [sample.readings[POWER, 0] for sample in samples(shard, range(3, 123)).values()]
        for shard in (early, late)
    ]
    assert powers[1][0] == pytest.approx(100, abs=0.1)
    assert powers[0][-1] < 99
    # Two seconds later, the same plant does the same.
    assert powers[1][2:] == pytest.approx(powers[0][:-2], rel=1e-4)


def test_noise_off_nominal_and_high() -> None:
    spread = {
        noise: np.std(
            [
                sample.readings[PRESSURE, 0]
                for sample in samples(shard_of(desired("a", noise=noise)), range(1, 200)).values()
            ]
        )
        for noise in SensorNoise
    }
    assert spread[SensorNoise.OFF] < 0.1 * spread[SensorNoise.NOMINAL]
    assert spread[SensorNoise.HIGH] == pytest.approx(3 * spread[SensorNoise.NOMINAL], rel=0.05)


def test_a_suspended_plant_stands_still_and_then_goes_on_from_its_state() -> None:
    leak = [fault(start_us=at(1), end_us=at(1000))]
    quiet = SensorNoise.OFF
    shard = shard_of(desired("a", noise=quiet, faults=leak))
    before = samples(shard, range(1, 31))[30]
    apply(
        shard,
        desired("a", noise=quiet, faults=leak, state=ReactorState.SUSPENDED, generation=2),
        second=30,
    )
    assert shard.cadence.next_due(at(30)) is None
    assert samples(shard, range(31, 200)) == {}
    apply(shard, desired("a", noise=quiet, faults=leak, generation=3), second=200)

    after = samples(shard, [201])[201]

    one_second_on = shard_of(desired("a", noise=quiet, faults=leak))
    expected = samples(one_second_on, range(1, 32))[31]
    assert before.readings[PRESSURE, 0] < 15.3
    np.testing.assert_allclose(after.readings, expected.readings, rtol=1e-5)


@pytest.mark.parametrize(
    "successor",
    [
        desired("a", seed=8),
        desired("a", uid=desired("other").uid),
        desired("a", design=Design.CANDU6),
    ],
    ids=["seed", "uid", "design"],
)
def test_another_seed_uid_or_design_is_another_plant(successor: DesiredReactor) -> None:
    shard = shard_of(desired("a", faults=[fault(start_us=at(0), end_us=at(100))]))
    assert samples(shard, range(1, 31))[30].readings[PRESSURE, 0] < 15.3
    (applied,) = apply(shard, successor, second=30)
    assert applied.renewed
    fresh = samples(shard_of(successor, second=30), [31])[31]
    assert_same(samples(shard, [31])[31], fresh)


def test_a_state_of_another_uid_or_layout_is_not_inherited() -> None:
    old = shard_of(desired("a", faults=[fault(start_us=at(0), end_us=at(100))]))
    old.advance(at(60))
    states = old.inheritance(at(60))
    fresh = samples(shard_of(desired("a"), second=60), [61])[61]

    other = desired("a", uid=desired("other").uid)
    recreated = shard_of(other, second=60, inherit=states)
    assert samples(recreated, [61])[61].readings.tobytes() == fresh.readings.tobytes()

    foreign = {
        key: type(state)(state.uid, "plant-0", state.time_us, state.state)
        for key, state in states.items()
    }
    assert_same(samples(shard_of(desired("a"), second=60, inherit=foreign), [61])[61], fresh)


def test_a_gap_that_is_too_long_moves_the_clock() -> None:
    quiet = desired("a", noise=SensorNoise.OFF, faults=[fault(start_us=at(0), end_us=at(9999))])
    shard = shard_of(quiet)
    before = samples(shard, range(1, 31))[30].readings[PRESSURE, 0]
    simulated = shard_of(quiet)
    assert samples(simulated, [*range(1, 31), 320])[320].readings[PRESSURE, 0] < before - 1
    assert samples(shard, [1000])[1000].readings[PRESSURE, 0] == pytest.approx(before, abs=0.01)


def test_a_plant_from_an_owner_whose_clock_was_ahead_is_waited_for() -> None:
    owner = shard_of(*FLEET)
    owner.advance(at(5))
    successor = shard_of(*FLEET, second=4.8, inherit=states_of(owner.checkpoint(at(5))))
    assert_same(samples(successor, [5, 6])[6], samples(owner, [5, 6])[6])


def test_the_last_of_several_changes_counts_and_removal_ends_telemetry() -> None:
    shard = shard_of(desired("a"), desired("b"))
    applied = shard.apply(
        [
            Change("default/a", desired("a", setpoint=500)),
            Change("default/b", None),
            Change("default/a", desired("a", setpoint=700)),
        ],
        at_us=at(1),
    )
    assert [
        (each.key, each.desired and each.desired.power_setpoint_permille) for each in applied
    ] == [
        ("default/b", None),
        ("default/a", 700),
    ]
    assert samples(shard, [2])[2].reactors.to_pylist() == ["default/a"]
    assert len(shard) == 1


def test_a_fault_that_cannot_act_on_the_plant_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    shard = Shard(0, catch_up_us=FIVE_MINUTES)
    dilution = fault(FaultKind.BORON_DILUTION, start_us=at(0), end_us=at(9), identity="s/1/boron")
    leak = fault(start_us=at(0), end_us=at(9))
    (applied,) = apply(shard, desired("a", design=Design.CANDU6, faults=[dilution, leak]), second=0)
    assert list(applied.faults) == [leak]
    assert "s/1/boron" in caplog.text


def test_the_groups_that_are_remembered_stay_few() -> None:
    shard = Shard(0, catch_up_us=60 * SECOND)
    intervals = [100 * tenths for tenths in (2, 3, 5, 7, 11, 13, 17, 19, 23)]
    states = [desired(f"r{each}", interval=each) for each in intervals]
    shard.apply([Change(state.key, state) for state in states], at_us=at(0))
    for tenth in range(1, 600):
        shard.sample(at(tenth / 10))
    assert len(shard._groups) <= MOST_GROUPS
