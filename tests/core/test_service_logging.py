"""What parts write to their log."""

import logging

import pytest

from reactorsync.service import configure_logging


def test_offsets_of_a_topic_that_is_gone_do_not_fill_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging("info")
        coordinator = logging.getLogger("aiokafka.consumer.group_coordinator")
        coordinator.error("OffsetCommit failed for group %s on partition 3", "historian")
        coordinator.error("Heartbeat failed")
        coordinator.warning("Heartbeat is late")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Heartbeat failed")
