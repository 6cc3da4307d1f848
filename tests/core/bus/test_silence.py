"""Silence of the broker, and of the fetches alone."""

from reactorsync.bus.silence import Silence


def test_listening_in_vain_adds_up() -> None:
    silence = Silence()

    for _ in range(4):
        silence.listened(0.5, newest_fetch_ms=0)

    assert (silence.broker_seconds, silence.fetch_seconds) == (2.0, 2.0)


def test_an_answered_fetch_ends_both() -> None:
    silence = Silence(broker_seconds=3.0, fetch_seconds=9.0, newest_fetch_ms=100)

    silence.listened(0.5, newest_fetch_ms=200)

    assert (silence.broker_seconds, silence.fetch_seconds) == (0.0, 0.0)


def test_a_broker_that_answers_does_not_excuse_missing_fetches() -> None:
    silence = Silence(broker_seconds=5.0, fetch_seconds=5.0)

    silence.broker_answered()
    silence.listened(0.5, newest_fetch_ms=0)

    assert (silence.broker_seconds, silence.fetch_seconds) == (0.5, 5.5)


def test_where_nothing_is_due_nothing_is_missed() -> None:
    silence = Silence(broker_seconds=5.0, fetch_seconds=5.0)

    silence.nothing_to_fetch()

    assert (silence.broker_seconds, silence.fetch_seconds) == (5.0, 0.0)
