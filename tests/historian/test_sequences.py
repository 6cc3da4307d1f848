"""Which frames count as lost: each missing one once, none that came after all."""

import random

from hypothesis import given
from hypothesis import strategies as st

from reactorsync_historian.sequences import (
    HOLES_PER_RUN,
    RUNS_PER_SHARD,
    Loss,
    LossCause,
    SequenceLedger,
)

GRACE = 10.0


def ledger_of(*sequences: int, at: float = 0.0, run: str = "a") -> SequenceLedger:
    ledger = SequenceLedger(grace_seconds=GRACE)
    observe(ledger, *sequences, at=at, run=run)
    return ledger


def observe(ledger: SequenceLedger, *sequences: int, at: float = 0.0, run: str = "a") -> None:
    for sequence in sequences:
        ledger.observe(shard=1, run=run, sequence=sequence, now=at)


def missing(losses: list[Loss]) -> set[int]:
    return {
        sequence
        for loss in losses
        for sequence in range(loss.first_sequence, loss.first_sequence + loss.count)
    }


def test_an_unbroken_sequence_has_no_loss() -> None:
    assert ledger_of(*range(100)).overdue(GRACE) == []


def test_a_reader_that_starts_late_reports_nothing_from_before() -> None:
    assert ledger_of(500, 501).overdue(GRACE) == []


def test_a_hole_counts_when_nothing_has_filled_it_for_the_grace_time() -> None:
    ledger = ledger_of(0, 1, 5)

    assert ledger.overdue(GRACE - 0.1) == []
    assert ledger.overdue(GRACE) == [Loss(1, "a", 2, 3, LossCause.SEQUENCE_GAP)]


def test_a_frame_that_comes_late_closes_its_part_of_the_hole() -> None:
    ledger = ledger_of(0, 1, 6, 3)

    assert missing(ledger.overdue(GRACE)) == {2, 4, 5}


def test_a_loss_is_reported_until_it_is_settled() -> None:
    ledger = ledger_of(0, 2)
    losses = ledger.overdue(GRACE)

    assert ledger.overdue(GRACE) == losses
    ledger.settle(losses)
    assert ledger.overdue(GRACE) == []


def test_frames_read_twice_change_nothing() -> None:
    assert missing(ledger_of(0, 1, 4, 0, 1, 4).overdue(GRACE)) == {2, 3}


def test_runs_are_counted_apart() -> None:
    ledger = ledger_of(0, 1, run="a")
    observe(ledger, 0, 1, run="b")
    observe(ledger, 2, run="a")

    assert ledger.overdue(GRACE) == []


def test_what_is_missing_over_a_restart_of_the_broker_is_due_to_it() -> None:
    ledger = ledger_of(0, 1, 2)
    ledger.note_restart()
    observe(ledger, 7, 8, 10)

    assert ledger.overdue(GRACE) == [
        Loss(1, "a", 3, 4, LossCause.BROKER_RESTART),
        Loss(1, "a", 9, 1, LossCause.SEQUENCE_GAP),
    ]


def test_a_forgotten_shard_starts_afresh() -> None:
    ledger = ledger_of(0, 1)
    ledger.forget(1)
    observe(ledger, 9)

    assert ledger.overdue(GRACE) == []


def test_shards_that_went_elsewhere_are_forgotten() -> None:
    ledger = ledger_of(0, 2)
    ledger.observe(shard=7, run="a", sequence=0, now=0.0)
    ledger.observe(shard=7, run="a", sequence=3, now=0.0)
    ledger.keep({7})

    assert ledger.overdue(GRACE) == [Loss(7, "a", 1, 2, LossCause.SEQUENCE_GAP)]


def test_a_run_that_is_pushed_out_takes_its_losses_with_it_into_the_record() -> None:
    ledger = ledger_of(0, 2, run="old")
    for number in range(RUNS_PER_SHARD):
        observe(ledger, 0, run=f"new-{number}")

    losses = ledger.overdue(0.0)
    assert losses == [Loss(1, "old", 1, 1, LossCause.SEQUENCE_GAP)]
    ledger.settle(losses)
    assert ledger.overdue(GRACE) == []


def test_the_oldest_hole_beyond_the_bound_counts_at_once() -> None:
    ledger = ledger_of(*range(0, 2 * HOLES_PER_RUN + 4, 2))

    assert missing(ledger.overdue(0.0)) == {1}


@given(lost=st.sets(st.integers(1, 58)), seed=st.integers(0, 1000), reach=st.integers(1, 5))
def test_in_any_order_nearby_exactly_the_lost_frames_are_missing(
    lost: set[int], seed: int, reach: int
) -> None:
    noise = random.Random(seed)
    came = [sequence for sequence in range(60) if sequence not in lost]
    shuffled = sorted(came[1:], key=lambda sequence: sequence + noise.uniform(0, reach))

    assert missing(ledger_of(0, *shuffled, max(came)).overdue(GRACE)) == {
        sequence for sequence in lost if sequence < max(came)
    }
