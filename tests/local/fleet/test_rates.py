import pytest

from reactorsync_local.fleet.rates import Rate


def test_a_rate_needs_two_values() -> None:
    rate = Rate()
    assert rate.per_second is None
    rate.add(0.0, 100)
    assert rate.per_second is None
    rate.add(2.0, 160)
    assert rate.per_second == pytest.approx(30.0)


def test_a_rate_is_of_the_last_ten_seconds() -> None:
    rate = Rate()
    for second in range(21):
        rate.add(float(second), 0.0 if second <= 10 else (second - 10) * 5.0)
    assert rate.per_second == pytest.approx(5.0, rel=0.1)


def test_a_part_that_restarted_counts_from_zero_again() -> None:
    rate = Rate()
    rate.add(0.0, 1000)
    rate.add(1.0, 1010)
    rate.add(2.0, 3)
    assert rate.per_second is None
    rate.add(3.0, 13)
    assert rate.per_second == pytest.approx(10.0)
