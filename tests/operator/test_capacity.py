"""What a generator can make, as its heartbeats tell."""

import pytest

from reactorsync.wire.events import ShardHeartbeat
from reactorsync_operator.capacity import SILENT_SECONDS, Capacity


class Measured:
    """A capacity, configured as 1000 readings per second, and the clock it goes by."""

    def __init__(self) -> None:
        self.now = 0.0
        self.capacity = Capacity(1000, clock=lambda: self.now)

    def hear(
        self, shard: int, readings: float, busy: int | None, *, generator: str = "generator-1"
    ) -> None:
        self.capacity.take(
            ShardHeartbeat(
                shard=shard,
                generator=generator,
                run="test",
                epoch=1,
                tick_us=0,
                reactors=1,
                readings_per_second=readings,
                late_ticks=0,
                busy_permille=busy,
            )
        )

    def hear_for(self, seconds: int, *heartbeats: tuple[int, float, int | None, str]) -> float:
        for _ in range(seconds):
            self.now += 1
            for shard, readings, busy, generator in heartbeats:
                self.hear(shard, readings, busy, generator=generator)
        return self.capacity.readings_per_second


@pytest.fixture
def measured() -> Measured:
    return Measured()


def test_before_anything_was_measured_the_configured_one_counts(measured: Measured) -> None:
    assert measured.capacity.readings_per_second == 1000
    assert measured.hear_for(100, (0, 500.0, None, "generator-1")) == 1000
    assert measured.hear_for(100, (0, 500.0, 20, "generator-1")) == 1000, "it idles"


def test_a_generator_is_to_be_busy_for_seven_tenths(measured: Measured) -> None:
    shards = [(0, 500.0, 350, "generator-1"), (1, 500.0, 350, "generator-1")]
    assert measured.hear_for(600, *shards) == pytest.approx(2000, rel=0.01)


def test_generators_count_by_what_they_make(measured: Measured) -> None:
    heartbeats = [(0, 900.0, 300, "generator-1"), (1, 100.0, 200, "generator-2")]
    assert measured.hear_for(600, *heartbeats) == pytest.approx(1400, rel=0.01)


def test_a_burst_does_not_move_it_far(measured: Measured) -> None:
    measured.hear_for(600, (0, 1000.0, 700, "generator-1"))
    assert measured.hear_for(3, (0, 1000.0, 1000, "generator-1")) > 980


@pytest.mark.parametrize(("busy", "capacity"), [(1000, 250), (50, 10_000)])
def test_no_measure_is_trusted_beyond_its_bounds(
    measured: Measured, busy: int, capacity: float
) -> None:
    readings = 10.0 if busy == 1000 else 10_000.0
    found = measured.hear_for(900, (0, readings, busy, "generator-1"))
    assert found == pytest.approx(capacity, rel=0.01)


def test_a_shard_that_moved_counts_where_it_is(measured: Measured) -> None:
    measured.hear_for(5, (0, 1000.0, 700, "generator-1"))
    measured.hear_for(int(SILENT_SECONDS) + 2, (0, 1000.0, 350, "generator-2"))
    assert measured.hear_for(600, (0, 1000.0, 350, "generator-2")) == pytest.approx(2000, rel=0.01)
