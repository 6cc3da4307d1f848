from reactorsync_local.fleet.parts_watch import Samples, stream_view
from reactorsync_local.fleet.rates import Rate
from reactorsync_local.fleet.values import StreamView
from reactorsync_local.machine.probes import sum_samples

METRICS = """
# HELP reactorsync_historian_rows_total Rows of telemetry committed.
# TYPE reactorsync_historian_rows_total counter
reactorsync_historian_rows_total 290.0
# HELP reactorsync_historian_lost_frames_total Frames that were made and never came.
# TYPE reactorsync_historian_lost_frames_total counter
reactorsync_historian_lost_frames_total{cause="SequenceGap"} 2.0
reactorsync_historian_lost_frames_total{cause="BrokerRestart"} 3.0
# HELP reactorsync_historian_freshness_seconds Age of the newest tick.
# TYPE reactorsync_historian_freshness_seconds gauge
reactorsync_historian_freshness_seconds NaN
# HELP reactorsync_historian_lag_records Frames in the broker and not in Postgres.
# TYPE reactorsync_historian_lag_records gauge
reactorsync_historian_lag_records{shard="0"} 1.0
reactorsync_historian_lag_records{shard="1"} 4.0
"""


def test_samples_are_summed_up_over_their_labels() -> None:
    samples = sum_samples(METRICS)
    assert samples["reactorsync_historian_lost_frames_total"] == 5.0
    assert samples["reactorsync_historian_lag_records"] == 5.0


def test_the_stream_is_told_by_historian_and_generators_together() -> None:
    samples = Samples(
        historian=sum_samples(METRICS), generators={"reactorsync_generator_tick_overrun_total": 7.0}
    )
    rows, frames = Rate(), Rate()
    rows.add(0.0, 0.0)
    rows.add(10.0, 290.0)
    assert stream_view(samples, rows=rows, frames=frames) == StreamView(
        rows_per_second=29.0,
        frames_per_second=None,
        freshness_seconds=None,
        lag_frames=5.0,
        lost_frames=5.0,
        dead_letters=0.0,
        late_ticks=7.0,
    )


def test_a_frame_that_generator_and_historian_both_miss_is_lost_once() -> None:
    samples = Samples(
        historian={"reactorsync_historian_lost_frames_total": 4.0},
        generators={"reactorsync_frames_lost_total": 6.0},
    )
    assert stream_view(samples, rows=Rate(), frames=Rate()).lost_frames == 6.0


def test_what_nobody_tells_is_not_shown_as_zero() -> None:
    nothing = stream_view(Samples({}, {}), rows=Rate(), frames=Rate())
    assert nothing == StreamView()
