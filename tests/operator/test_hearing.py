"""Noticing that a shard's generator falls silent."""

from datetime import timedelta

import pytest

from reactorsync.wire.envelope import to_micros
from reactorsync_operator.hearing import Hearing
from reactorsync_operator.reconcile.reactor import HEARTBEAT_LIMIT, NOTHING_HEARD
from tests.core.planning.build import NOON

SILENT_AT = NOON + HEARTBEAT_LIMIT
BEAT_US = to_micros(NOON)


def test_a_shard_is_heard_of_until_its_heartbeat_is_too_old() -> None:
    hearing = Hearing()
    first = hearing.look(3, heartbeat_us=BEAT_US, now=NOON)
    assert first.has_changed
    assert first.silent_at == SILENT_AT
    assert not hearing.look(3, heartbeat_us=BEAT_US, now=NOON + timedelta(seconds=1)).has_changed
    assert hearing.count == 1


def test_silence_that_others_outlive_is_its_generators_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hearing = Hearing()
    hearing.look(3, heartbeat_us=BEAT_US, now=NOON)
    hearing.look(4, heartbeat_us=to_micros(SILENT_AT), now=SILENT_AT)
    looks = [hearing.look(3, heartbeat_us=BEAT_US, now=SILENT_AT) for _ in range(2)]
    assert [look.has_changed for look in looks] == [True, False]
    assert [look.silent_at for look in looks] == [None, None]
    assert caplog.messages == ["shard 3: its generator has fallen silent"]
    assert hearing.count == 1


def test_silence_of_all_is_told_once_and_of_no_generator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hearing = Hearing()
    for shard in (3, 4):
        hearing.look(shard, heartbeat_us=BEAT_US, now=NOON)
    for shard in (3, 4):
        hearing.look(shard, heartbeat_us=BEAT_US, now=SILENT_AT)
    assert caplog.messages == [NOTHING_HEARD]
    assert hearing.count == 0


def test_it_may_be_heard_of_again() -> None:
    hearing = Hearing()
    hearing.look(3, heartbeat_us=BEAT_US, now=SILENT_AT)
    assert hearing.look(3, heartbeat_us=to_micros(SILENT_AT), now=SILENT_AT).has_changed
    assert hearing.count == 1
